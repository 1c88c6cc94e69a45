/** The page: the field, what can be done with it, and the view of what was done. */

import "./page.css";
import {bannerView} from "./banner.ts";
import {button, find, h, say} from "./dom.ts";
import {failureBox} from "./failure.ts";
import {Failed, loadPart} from "./gateway.ts";
import {Offers} from "./offers.ts";
import {pingView} from "./ping.ts";
import {linkTo, parseLink, parsePlace, PlaceError, showPlace, type Place} from "./place.ts";
import {remember} from "./recent.ts";
import {TicketField} from "./ticket.ts";

/** Shows what is done with a place, until the signal is aborted. */
type View = (place: Place, container: HTMLElement, signal: AbortSignal) => Promise<void>;

interface Action {
  /** As in links: `#tcp/…`. */
  readonly link: string;
  readonly label: string;
  readonly defaultPort?: number;
  readonly view: View;
}

const ACTIONS: readonly Action[] = [
  {
    link: "tcp",
    label: "Console",
    view: async (...args) => (await loadPart(import("./console.ts"))).consoleView(...args),
  },
  {link: "ping", label: "Ping", view: pingView},
  {link: "ssh", label: "SSH banner", defaultPort: 22, view: bannerView},
];

const place = find<HTMLInputElement>("place");
const placeError = find("place-error");
const view = find("view");
const offers = new Offers(choose, (text) => {
  choose(text);
  void start(ACTIONS[0]!);
});
const ticket = new TicketField(() => void offers.load());
let current = new AbortController();
let primary = ACTIONS[0]!;

function drawActions(): void {
  const buttons = ACTIONS.map((action) => {
    const isPrimary = action === primary;
    const made = button(action.label, () => void start(action), {class: isPrimary ? "primary" : "secondary"});
    if (isPrimary) Object.assign(made, {type: "submit", onclick: null});
    return made;
  });
  find("actions").replaceChildren(...buttons);
}

/** Fill in the field, and connect nothing: that takes Enter or a click. */
function choose(text: string): void {
  place.value = text;
  showFieldError("");
  place.focus();
}

function showFieldError(text: string): void {
  placeError.textContent = text;
  placeError.hidden = !text;
  place.setAttribute("aria-invalid", String(Boolean(text)));
}

async function start(action: Action): Promise<void> {
  let target: Place;
  try {
    target = parsePlace(place.value, action.defaultPort, offers.names);
  } catch (error) {
    if (!(error instanceof PlaceError)) throw error;
    showFieldError(error.message);
    place.focus();
    return;
  }
  showFieldError("");
  current.abort();
  const {signal} = (current = new AbortController());
  const text = showPlace(target);
  remember(text);
  offers.draw();
  history.replaceState(null, "", linkTo(action.link, text));
  document.title = `${text} – Port of Call`;
  const heading = h("h2", {tabIndex: -1}, `${action.label} `, h("span", {class: "mono"}, text));
  const container = h("div", {class: "view-body"});
  view.replaceChildren(h("div", {class: "view-head"}, heading), container);
  view.hidden = false;
  document.body.classList.add("active");
  heading.focus({preventScroll: true});
  say(`${action.label}, ${text}`);
  try {
    await action.view(target, container, signal);
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Failed)) throw error;
    container.replaceChildren(failureBox(error.failure, target));
  }
}

function followLink(): void {
  const {hash, pathname, search} = location;
  const link = parseLink(location);
  const action = ACTIONS.find((known) => known.link === link?.action);
  // A ticket is a secret, and the address is stored in the history, also that of a link with a mistake.
  if (hash || search) history.replaceState(null, "", link && action ? link.address : pathname);
  if (!link || !action) {
    if (hash) showFieldError("The link is not valid: expected #tcp/host:port.");
    return;
  }
  ticket.offer(link.ticket);
  primary = action;
  drawActions();
  choose(link.text);
}

find<HTMLFormElement>("dial").addEventListener("submit", (event) => {
  event.preventDefault();
  void start(primary);
});
place.addEventListener("input", () => showFieldError(""));
addEventListener("hashchange", followLink);
drawActions();
place.focus();
followLink();
void offers.load();
