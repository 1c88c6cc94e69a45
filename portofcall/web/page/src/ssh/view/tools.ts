/** The toolbar above a terminal, with what it opens. */

import {button, h} from "../../page/dom.ts";
import {Search} from "./search.ts";
import {changeSettings, settings} from "./settings.ts";
import {settingsForm} from "./settings_form.ts";
import type {TerminalView} from "./terminal.ts";

export interface ToolEvents {
  upload(): void;
  download(): void;
  disconnect(): void;
}

export class Tools {
  readonly element: HTMLElement;
  private readonly search: Search;
  private readonly first: HTMLButtonElement;

  constructor(private readonly terminal: TerminalView, events: ToolEvents) {
    this.search = new Search(terminal.search, () => terminal.focus());
    const form = settingsForm((changed) => terminal.apply(changed));
    const toggle = button("Settings", () => {
      form.hidden = !form.hidden;
      toggle.setAttribute("aria-expanded", String(!form.hidden));
    }, {class: "secondary", "aria-expanded": "false"});
    this.first = button("Search", () => this.search.open(), {class: "secondary"});
    this.element = h("div", {class: "ssh-tools"},
      h("div", {class: "toolbar", role: "group", "aria-label": "Terminal"},
        this.first,
        button("A−", () => this.zoom(-1), {class: "secondary", "aria-label": "A−, smaller text"}),
        button("A+", () => this.zoom(1), {class: "secondary", "aria-label": "A+, larger text"}),
        button("Upload", events.upload, {class: "secondary"}),
        button("Download", events.download, {class: "secondary"}),
        toggle,
        h("span", {class: "spacer"}),
        button("Disconnect", events.disconnect, {class: "secondary"})),
      this.search.element, form);
  }

  openSearch(): void {
    this.search.open();
  }

  focus(): void {
    this.first.focus();
  }

  private zoom(step: number): void {
    this.terminal.apply(changeSettings({fontSize: settings().fontSize + step}));
    const size = this.element.querySelector<HTMLInputElement>("[name=fontSize]");
    if (size) size.value = String(settings().fontSize);
  }
}
