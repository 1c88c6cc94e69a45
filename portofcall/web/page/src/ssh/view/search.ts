/** Searching in the terminal and its scrollback. */

import type {SearchAddon} from "@xterm/addon-search";
import {button, h} from "../../page/dom.ts";
import {FOUND} from "./theme.ts";

export class Search {
  private readonly input = h("input", {
    name: "search", type: "text", "aria-label": "Search in the terminal", autocomplete: "off", spellcheck: false,
  });
  private readonly count = h("span", {class: "search-count hint", role: "status"});
  readonly element = h("div", {class: "search toolbar", role: "search", hidden: true},
    this.input, this.count,
    button("Previous", () => this.find(-1), {class: "secondary"}),
    button("Next", () => this.find(1), {class: "secondary"}),
    button("Close search", () => this.close(), {class: "quiet"}));

  constructor(private readonly addon: SearchAddon, private readonly closed: () => void) {
    this.input.addEventListener("input", () => this.find(1, true));
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.find(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape") this.close();
      else return;
      event.preventDefault();
    });
    addon.onDidChangeResults(({resultIndex, resultCount}) => this.report(resultIndex, resultCount));
  }

  open(): void {
    this.element.hidden = false;
    this.input.select();
    this.input.focus();
  }

  private find(direction: 1 | -1, incremental = false): void {
    const text = this.input.value;
    if (!text) {
      this.addon.clearDecorations();
      this.count.textContent = "";
    } else if (direction > 0) this.addon.findNext(text, {incremental, decorations: FOUND});
    else this.addon.findPrevious(text, {decorations: FOUND});
  }

  private report(index: number, count: number): void {
    if (!this.input.value) this.count.textContent = "";
    else if (!count) this.count.textContent = "not found";
    else this.count.textContent = index < 0 ? `${count} found` : `${index + 1} of ${count}`;
  }

  private close(): void {
    this.element.hidden = true;
    this.addon.clearDecorations();
    this.closed();
  }
}
