/** What the field can be filled with: demo backends, named targets, recent ones. */

import {button, find, h} from "./dom.ts";
import {ask, askQuietly, Failed} from "./gateway.ts";
import {forget, recent} from "./recent.ts";

interface Suggestion {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly description: string;
}

interface Shown {
  readonly targets: readonly string[];
  readonly suggestions: readonly Suggestion[];
}

const MOST_TARGETS = 24;

/** Keeps the offers below the field up to date. */
export class Offers {
  private shown: Shown = {targets: [], suggestions: []};
  private locked = false;
  private loads = 0;

  /** `choose` fills the field; `connect` opens the console, too. */
  constructor(
    private readonly choose: (text: string) => void,
    private readonly connect: (text: string) => void,
  ) {}

  /** The targets that have a name. */
  get names(): readonly string[] {
    return this.shown.targets;
  }

  /** Ask the gateway what it offers; only with `signIn` may the browser prompt for a password. */
  async load(signIn = false): Promise<void> {
    const number = ++this.loads;
    let shown: Shown = {targets: [], suggestions: []};
    let locked = false;
    try {
      shown = await (signIn ? ask : askQuietly)<Shown>("api/targets");
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      locked = error.failure.slug === "unauthorized";
    }
    if (number !== this.loads) return; // with another ticket, it was asked again
    this.shown = shown;
    this.locked = locked;
    this.draw();
  }

  draw(): void {
    const {suggestions, targets} = this.shown;
    const known = new Set([...suggestions.map(({host, port}) => `${host}:${port}`), ...targets]);
    const others = recent().filter((text) => !known.has(text));
    find("offers").replaceChildren(
      ...this.group("Demo", suggestions.map(({name, host, port, description}) => this.card(name, `${host}:${port}`, description))),
      ...this.group("Targets", targets.slice(0, MOST_TARGETS).map((name) => this.chip(name))),
      ...this.group("Recent", others.map((text) => this.chip(text)), button("Clear", () => {
        forget();
        this.draw();
        find("place").focus();
      }, {class: "quiet", "aria-label": "Clear recent targets"})),
      ...(this.locked
        ? [h("p", {class: "hint"}, "This gateway asks for credentials: a ticket, or a user and a password. ", button("Sign in", () => void this.load(true), {class: "quiet"}))]
        : []),
    );
  }

  private group(title: string, items: HTMLElement[], extra?: HTMLElement): HTMLElement[] {
    if (!items.length) return [];
    const all = extra ? [...items, extra] : items;
    return [h("div", {class: "offer-group"}, h("h2", {}, title), h("ul", {}, ...all.map((item) => h("li", {}, item))))];
  }

  private chip(text: string): HTMLElement {
    return button(text, () => this.choose(text), {class: "chip"});
  }

  private card(name: string, text: string, description: string): HTMLElement {
    const card = button("", () => this.connect(text), {class: "card"});
    card.append(h("strong", {}, name), h("span", {class: "card-text"}, description), h("code", {}, text));
    return card;
  }
}
