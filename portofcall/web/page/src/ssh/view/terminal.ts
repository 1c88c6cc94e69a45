/** The terminal: xterm.js, with what a shell expects of one. */

import {FitAddon} from "@xterm/addon-fit";
import {SearchAddon} from "@xterm/addon-search";
import {Unicode11Addon} from "@xterm/addon-unicode11";
import {Terminal} from "@xterm/xterm";
import {h, say} from "../../page/dom.ts";
import {openStrictly, removeStyles} from "../mends/xterm_styles.ts";
import type {Size} from "../messages.ts";
import {addLinks} from "./links.ts";
import {pasted, type Paste} from "./paste.ts";
import type {Settings} from "./settings.ts";
import {THEME} from "./theme.ts";

/** Leave the alternate screen. Where it is not shown, this would only move the cursor. */
const LEAVE_ALTERNATE = "\x1b[?1049l";
/** Switch off what only a program that runs can use (the mouse, bracketed paste). */
const AFTER_PROGRAM = "\x1b[?1000;1002;1003;1004;1006;2004l\x1b[!p\x1b[0m";

export interface TerminalEvents {
  /** What was typed or pasted, and what the terminal responds to questions of programs. */
  input(data: Uint8Array): void;
  resize(size: Size): void;
  bell(): void;
  /** Asked before text with line ends goes to a program that would run it line by line. */
  mayPaste(paste: Paste): Promise<boolean>;
  /** Ctrl+Shift+F. */
  search(): void;
  /** Ctrl+Shift+Up, the way out for those who use the keyboard alone. */
  leave(): void;
}

export class TerminalView {
  readonly element = h("div", {class: "ssh-terminal"});
  readonly search = new SearchAddon();
  private readonly xterm: Terminal;
  private readonly fit = new FitAddon();
  private readonly observer = new ResizeObserver(() => this.fitNow());
  private sheets: CSSStyleSheet[] | null = null;

  constructor(settings: Settings, private readonly events: TerminalEvents) {
    this.xterm = new Terminal({
      allowProposedApi: true, // for the widths of Unicode 11, and what is found
      fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--mono"),
      lineHeight: 1.1, // at 1 some fonts lose their underscores
      minimumContrastRatio: 4.5,
      theme: THEME,
    });
    this.apply(settings);
    for (const addon of [this.fit, this.search, new Unicode11Addon()]) this.xterm.loadAddon(addon);
    this.xterm.unicode.activeVersion = "11";
    addLinks(this.xterm, this.element);
    const utf8 = new TextEncoder();
    this.xterm.onData((text) => this.events.input(utf8.encode(text)));
    // Mouse reports in the old encoding are bytes, not text.
    this.xterm.onBinary((text) => this.events.input(Uint8Array.from(text, (character) => character.charCodeAt(0))));
    this.xterm.onResize(({cols, rows}) => this.events.resize({cols, rows}));
    this.xterm.onBell(() => this.events.bell());
    this.xterm.attachCustomKeyEventHandler((event) => this.handleKey(event));
    this.element.addEventListener("paste", (event) => void this.paste(event), {capture: true});
  }

  get size(): Size {
    return {cols: this.xterm.cols, rows: this.xterm.rows};
  }

  /** Draw it; its element has to be in the document. */
  open(): void {
    if (!this.sheets) {
      this.sheets = openStrictly(this.xterm, this.element);
      this.xterm.textarea?.setAttribute("aria-label", "Terminal; Ctrl+Shift+Up leaves it");
      this.observer.observe(this.element);
    }
    this.fitNow();
  }

  write(data: Uint8Array, taken: () => void): void {
    this.xterm.write(data, taken);
  }

  /** Show a line of the page's own. */
  separate(text: string): void {
    this.xterm.write(`\r\n\x1b[2m${text}\x1b[0m\r\n`);
  }

  /** The program has ended: bring it into a state in which another one can begin. */
  calm(): void {
    this.xterm.write("", () => {
      const isAlternate = this.xterm.buffer.active.type === "alternate";
      this.xterm.write((isAlternate ? LEAVE_ALTERNATE : "") + AFTER_PROGRAM);
    });
  }

  apply(settings: Settings): void {
    Object.assign(this.xterm.options, {
      fontSize: settings.fontSize,
      scrollback: settings.scrollback,
      screenReaderMode: settings.screenReader,
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    });
    if (this.sheets) this.fitNow();
  }

  focus(): void {
    this.xterm.focus();
  }

  dispose(): void {
    this.observer.disconnect();
    this.xterm.dispose();
    if (this.sheets) removeStyles(this.sheets);
    this.element.remove();
  }

  private async paste(event: ClipboardEvent): Promise<void> {
    const text = event.clipboardData?.getData("text/plain");
    event.preventDefault();
    event.stopPropagation();
    const paste = pasted(text ?? "");
    if (!paste.text) return;
    const mayPaste = !paste.hasLineEnd || this.xterm.modes.bracketedPasteMode || (await this.events.mayPaste(paste));
    this.focus();
    if (mayPaste) this.xterm.paste(paste.text);
  }

  /** Whether a key is the terminal's. */
  private handleKey(event: KeyboardEvent): boolean {
    if (event.type !== "keydown" || !event.ctrlKey || !event.shiftKey || event.altKey) return true;
    const actions: Readonly<Record<string, () => void>> = {
      KeyF: () => this.events.search(),
      KeyC: () => {
        navigator.clipboard.writeText(this.xterm.getSelection()).catch(() => say("The browser does not allow copying"));
      },
      ArrowUp: () => this.events.leave(),
    };
    const action = actions[event.code];
    if (!action || (event.code === "KeyC" && !this.xterm.hasSelection())) return true;
    event.preventDefault();
    action();
    return false;
  }

  private fitNow(): void {
    // A panel that is hidden has no size, and keeps the old one.
    if (this.element.clientWidth && this.element.clientHeight) this.fit.fit();
  }
}
