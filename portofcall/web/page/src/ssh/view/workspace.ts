/** All sessions of this page, in tabs. They go on while another view is shown. */

import {button, find, h} from "../../page/dom.ts";
import type {Place} from "../../page/place.ts";
import {KnownHosts} from "./known_hosts_view.ts";
import {Panel} from "./panel.ts";

interface Tab {
  readonly panel: Panel;
  readonly button: HTMLButtonElement;
  readonly close: HTMLButtonElement;
  readonly item: HTMLElement;
}

export class Workspace {
  private readonly tabs: Tab[] = [];
  private selected: Tab | null = null;
  private made = 0;
  private readonly list = h("div", {role: "tablist", id: "ssh-tabs", "aria-label": "SSH sessions"});
  private readonly panels = h("div", {class: "ssh-panels"});
  private readonly knownHosts = new KnownHosts();
  private readonly knownHostsButton = button("Known hosts", () => this.toggleKnownHosts(), {
    class: "quiet", "aria-expanded": "false", "aria-controls": "known-hosts",
  });
  readonly element = h("div", {id: "ssh"},
    h("div", {class: "ssh-bar"}, this.list, this.knownHostsButton), this.knownHosts.element, this.panels);

  /** `show` shows the workspace again; `rename` is called with the name of the selected session. */
  constructor(private readonly show: () => void, private readonly rename: (name: string) => void) {
    addEventListener("beforeunload", (event) => {
      if (this.tabs.some(({panel}) => panel.isLive && panel.state === "open")) event.preventDefault();
    });
    this.list.addEventListener("keydown", (event) => this.moveByKey(event));
  }

  /** Begin a session. */
  add(place: Place, placeText: string, user: string): void {
    const number = ++this.made;
    const tab: Tab = {
      panel: new Panel(place, placeText, user, {
        changed: () => this.draw(),
        showKnownHosts: () => this.toggleKnownHosts(true),
        close: () => this.remove(tab),
        bell: () => tab.button.classList.toggle("rang", tab !== this.selected),
      }),
      button: button("", () => this.select(tab), {role: "tab", id: `ssh-tab-${number}`, "aria-controls": `ssh-panel-${number}`}),
      close: button("×", () => this.remove(tab), {class: "ssh-close"}),
      item: h("span", {class: "ssh-tab", role: "presentation"}),
    };
    tab.item.append(tab.button);
    Object.assign(tab.panel.element, {id: `ssh-panel-${number}`, role: "tabpanel"});
    tab.panel.element.setAttribute("aria-labelledby", `ssh-tab-${number}`);
    this.tabs.push(tab);
    this.list.append(tab.item);
    this.panels.append(tab.panel.element);
    this.select(tab);
    void tab.panel.run();
  }

  /** The workspace is in the document again, or has left it. */
  shown(inView: boolean): void {
    const running = find("ssh-running");
    running.hidden = inView || !this.tabs.length;
    running.replaceChildren(button(`SSH sessions: ${this.tabs.length}`, this.show, {class: "chip"}));
    if (!inView) return;
    this.draw(); // the heading is a new one
    this.selected?.panel.focus();
  }

  private select(tab: Tab): void {
    this.selected = tab;
    tab.button.classList.remove("rang");
    this.draw();
    tab.panel.focus();
  }

  private remove(tab: Tab): void {
    if (tab.panel.state === "open" && !confirm(`Close the session ${tab.panel.name}?`)) return;
    const index = this.tabs.indexOf(tab);
    this.tabs.splice(index, 1);
    tab.panel.dispose();
    tab.item.remove();
    tab.close.remove();
    const next = this.tabs[Math.min(index, this.tabs.length - 1)];
    if (next) this.select(next);
    else {
      this.selected = null;
      this.draw();
      find("place").focus();
    }
  }

  private draw(): void {
    for (const tab of this.tabs) {
      const isSelected = tab === this.selected;
      tab.panel.element.hidden = !isSelected;
      tab.button.textContent = tab.panel.name;
      tab.button.dataset["state"] = tab.panel.state;
      tab.button.setAttribute("aria-selected", String(isSelected));
      tab.button.tabIndex = isSelected ? 0 : -1;
      tab.close.setAttribute("aria-label", `Close ${tab.panel.name}`);
    }
    if (!this.selected) return;
    // Beside the list: only tabs may be in it.
    this.list.after(this.selected.close);
    for (const {close} of this.tabs) if (close !== this.selected.close) close.remove();
    this.rename(this.selected.panel.name);
  }

  private moveByKey(event: KeyboardEvent): void {
    const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (step === undefined || !this.selected) return;
    event.preventDefault();
    const index = this.tabs.indexOf(this.selected) + step;
    const next = this.tabs[(index + this.tabs.length) % this.tabs.length]!;
    this.selected = next;
    this.draw();
    next.button.focus();
  }

  private toggleKnownHosts(open = this.knownHosts.element.hidden): void {
    this.knownHosts.element.hidden = !open;
    this.knownHostsButton.setAttribute("aria-expanded", String(open));
    if (open) this.knownHosts.draw(true);
    else this.knownHostsButton.focus();
  }
}
