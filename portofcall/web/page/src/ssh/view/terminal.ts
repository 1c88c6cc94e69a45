/** The terminal: xterm.js, with what a shell expects of one. */

import {FitAddon} from "@xterm/addon-fit";
import {Unicode11Addon} from "@xterm/addon-unicode11";
import {Terminal} from "@xterm/xterm";
import {h} from "../../page/dom.ts";
import type {Size} from "../messages.ts";
import {openStrictly, removeStyles} from "../mends/xterm_styles.ts";
import type {Settings} from "./settings.ts";
import {theme} from "./theme.ts";

export interface TerminalEvents {
  /** What was typed or pasted, and what the terminal responds to questions of programs. */
  input(data: Uint8Array): void;
  resize(size: Size): void;
}

export class TerminalView {
  readonly element = h("div", {class: "ssh-terminal"});
  readonly xterm: Terminal;
  private readonly fit = new FitAddon();
  private readonly observer = new ResizeObserver(() => this.fitNow());
  private sheets: CSSStyleSheet[] = [];

  constructor(settings: Settings, private readonly events: TerminalEvents) {
    this.xterm = new Terminal({
      allowProposedApi: true, // for the widths of Unicode 11
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--mono"),
      fontSize: settings.fontSize,
      scrollback: settings.scrollback,
      minimumContrastRatio: 4.5,
      screenReaderMode: settings.screenReader,
      theme: theme(),
    });
    this.xterm.loadAddon(this.fit);
    this.xterm.loadAddon(new Unicode11Addon());
    this.xterm.unicode.activeVersion = "11";
    const utf8 = new TextEncoder();
    this.xterm.onData((text) => this.events.input(utf8.encode(text)));
    // Mouse reports in the old encoding are bytes, not text.
    this.xterm.onBinary((text) => this.events.input(Uint8Array.from(text, (character) => character.charCodeAt(0))));
    this.xterm.onResize(({cols, rows}) => this.events.resize({cols, rows}));
  }

  get size(): Size {
    return {cols: this.xterm.cols, rows: this.xterm.rows};
  }

  /** Draw it; its element has to be in the document. */
  open(): void {
    this.sheets = openStrictly(this.xterm, this.element);
    this.xterm.textarea?.setAttribute("aria-label", "Terminal");
    this.fitNow();
    this.observer.observe(this.element);
  }

  write(data: Uint8Array, taken: () => void): void {
    this.xterm.write(data, taken);
  }

  focus(): void {
    this.xterm.focus();
  }

  dispose(): void {
    this.observer.disconnect();
    this.xterm.dispose();
    removeStyles(this.sheets);
    this.element.remove();
  }

  private fitNow(): void {
    // A panel that is hidden has no size, and keeps the old one.
    if (this.element.clientWidth && this.element.clientHeight) this.fit.fit();
  }
}
