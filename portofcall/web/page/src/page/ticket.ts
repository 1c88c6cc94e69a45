/** The ticket: its field, and tickets that come with a link. */

import {button, find, h} from "./dom.ts";
import {useTicket} from "./gateway.ts";

const VALID = /^[A-Za-z0-9._~-]*$/;

/** The field behind the button; `used` is called when another ticket is used. */
export class TicketField {
  private readonly box = find<HTMLFormElement>("ticket-box");
  private readonly toggle = find("ticket-toggle");
  private readonly input = find<HTMLInputElement>("ticket");
  private readonly note = find("ticket-note");

  constructor(private readonly used: () => void) {
    this.toggle.addEventListener("click", () => {
      this.show(this.box.hidden !== false);
      if (!this.box.hidden) this.input.focus();
    });
    this.input.addEventListener("input", () => this.use());
    this.box.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.use()) return this.input.focus();
      this.used();
      find("place").focus();
    });
  }

  /** Use the ticket of a link, if that replaces no other one: only the user may do that. */
  offer(ticket: string): void {
    const before = this.input.value.trim();
    if (!ticket || ticket === before) return;
    if (!before) return this.set(ticket);
    this.show(true);
    this.note.replaceChildren(
      "The link has a ticket, too; the one that was entered before is kept. ",
      button("Use the link's", () => this.set(ticket), {class: "quiet"}),
    );
  }

  private set(ticket: string): void {
    this.input.value = ticket;
    if (this.use()) this.used();
    else this.show(true);
  }

  /** Take over what is in the field; return whether it can be a ticket. */
  private use(): boolean {
    const ticket = this.input.value.trim();
    const valid = VALID.test(ticket);
    useTicket(valid ? ticket : "");
    this.toggle.textContent = ticket && valid ? "Ticket set" : "Ticket";
    this.input.setAttribute("aria-invalid", String(!valid));
    this.note.replaceChildren(...(valid ? [] : [h("span", {class: "field-error"}, "A ticket has letters, digits, . _ ~ and - only.")]));
    return valid;
  }

  private show(shown: boolean): void {
    this.box.hidden = !shown;
    this.toggle.setAttribute("aria-expanded", String(shown));
  }
}
