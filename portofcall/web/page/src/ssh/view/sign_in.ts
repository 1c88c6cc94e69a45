/** Signing in: the form, and the order in which methods are tried. */

import type * as ssh from "@microsoft/dev-tunnels-ssh";
import {field, h} from "../../page/dom.ts";
import type {Authentication, Outcome} from "../authentication.ts";
import type {InfoRequest} from "../mends/interactive.ts";
import {serverText} from "../server_text.ts";
import {KeyFiles} from "./key_files.ts";
import {askPrompts} from "./prompts.ts";

const MOST_BANNER = 16_384;
const MOST_METHODS = 200;

type Failure = Extract<Outcome, {done: false}>;

interface Given {
  readonly username: string;
  readonly password: string;
}

/** The form of one connection. */
export class SignIn {
  readonly element: HTMLFormElement;
  private readonly username = h("input", {
    name: "username", autocomplete: "username", autocapitalize: "none", spellcheck: false, required: true,
  });
  private readonly password = h("input", {name: "password", type: "password", autocomplete: "current-password"});
  private readonly passwordField = field("Password", this.password);
  private readonly error = h("p", {class: "sign-in-error field-error", role: "alert", hidden: true});
  private readonly note = h("p", {class: "sign-in-note hint"});
  private readonly banner = h("pre", {class: "ssh-banner", tabIndex: 0, "aria-label": "Banner of the server", hidden: true});
  private readonly submit = h("button", {type: "submit", class: "primary"}, "Sign in");

  /** `keys` is kept for the next connection of the same panel. */
  constructor(user: string, readonly keys: KeyFiles) {
    this.username.value = user;
    this.element = h("form", {class: "sign-in", novalidate: true},
      this.banner,
      h("div", {class: "sign-in-fields"}, field("User name", this.username), this.passwordField, keys.element),
      this.error,
      h("div", {class: "toolbar"}, this.submit, this.note),
      honestWords(),
    );
  }

  /** Show what the server says. It may send any number of banners, of which the beginning is kept. */
  showBanner(text: string): void {
    const before = this.banner.textContent;
    if (before.length > MOST_BANNER) return;
    this.banner.textContent = serverText(before + text, MOST_BANNER);
    this.banner.hidden = !this.banner.textContent;
  }

  /** Sign in, and return the name of the user. Throws if the connection ends first. */
  async run(authentication: Authentication, ended: Promise<never>): Promise<string> {
    const username = this.username.value || (await this.ask(ended)).username;
    // The server would not take another one in this connection.
    this.username.readOnly = true;
    let outcome = await authentication.none(username);
    while (!outcome.done) {
      this.describe(outcome);
      const given = await this.ask(ended);
      this.busy(true);
      try {
        outcome = await this.attempt(authentication, {...given, username}, outcome);
      } finally {
        this.busy(false);
      }
    }
    this.password.value = "";
    return username;
  }

  focus(): void {
    const first = !this.username.value ? this.username : this.passwordField.hidden ? this.submit : this.password;
    first.focus();
  }

  /** Try what was given, as long as something of it fits what the server takes. */
  private async attempt(authentication: Authentication, given: Given, last: Failure): Promise<Outcome> {
    const {username, password} = given;
    const tried: string[] = [];
    let outcome: Outcome = last;
    const attempt = async (method: string, action: () => Promise<Outcome>): Promise<void> => {
      if (outcome.done || !outcome.methods.includes(method)) return;
      outcome = await action();
      if (!outcome.done && !outcome.partial) tried.push(method);
      if (!outcome.done && outcome.partial) this.element.dataset["accepted"] = method;
    };
    let keys: readonly ssh.KeyPair[];
    try {
      keys = await this.keys.read();
    } catch (error) {
      this.showError(error instanceof Error ? error.message : String(error));
      return last;
    }
    for (const key of keys) await attempt("publickey", () => authentication.publicKey(username, key));
    if (password) await attempt("password", () => authentication.password(username, password));
    else {
      await attempt("keyboard-interactive", () =>
        authentication.interactive(username, (request) => this.answer(request)));
    }
    this.password.value = "";
    if (!outcome.done) this.explain(outcome, tried, keys.length > 0 || password !== "");
    return outcome;
  }

  private answer(request: InfoRequest): Promise<readonly string[] | null> {
    const {name, instruction, questions} = request;
    // Such as "Your password has expired", without a question.
    if (!questions.length) this.showBanner([name, instruction].filter(Boolean).map((text) => `${text}\n`).join(""));
    return askPrompts(this.element, request);
  }

  private explain({methods, partial}: Failure, tried: readonly string[], given: boolean): void {
    if (tried.length) this.showError(`Permission denied (${tried.join(", ")}).`);
    else if (partial) this.showError("");
    else if (given) this.showError(`The server accepts none of what was given; it accepts ${listed(methods)}.`);
    else this.showError(methods.includes("password") ? "Enter the password, or choose a key file." : "Choose a key file.");
  }

  private describe({methods, partial}: Failure): void {
    const accepted = this.element.dataset["accepted"];
    this.note.textContent = partial && accepted
      ? `${accepted} was accepted; the server also asks for ${listed(methods, " or ")}.`
      : `The server accepts ${listed(methods) || "no method"}.`;
    this.passwordField.hidden = !methods.includes("password");
    this.keys.element.hidden = !methods.includes("publickey");
  }

  private async ask(ended: Promise<never>): Promise<Given> {
    this.focus();
    const submitted = new Promise<Given>((resolve) => {
      this.element.onsubmit = (event) => {
        event.preventDefault();
        const username = this.username.value.trim();
        if (!username) {
          this.showError("Enter the name of the user.");
          this.username.focus();
          return;
        }
        this.username.value = username;
        this.element.onsubmit = (again) => again.preventDefault();
        this.showError("");
        resolve({username, password: this.password.value});
      };
    });
    return Promise.race([submitted, ended]);
  }

  private busy(on: boolean): void {
    this.submit.disabled = on;
    this.element.setAttribute("aria-busy", String(on));
  }

  private showError(text: string): void {
    this.error.textContent = text;
    this.error.hidden = !text;
  }
}

/** What end to end means here, and what it does not. */
function honestWords(): HTMLElement {
  return h("details", {class: "honest hint"},
    h("summary", {}, "What can the gateway see?"),
    h("p", {}, "The session runs in this page. The gateway relays its ciphertext: it sees where you connect to, when, and how ",
      "much goes each way; no password, no key, no user name, nothing typed and nothing shown. Keys stay in this tab's memory."),
    h("p", {}, "Two things are yours to judge. The fingerprint of the host key is what reveals a gateway that pretends to be the ",
      "server. And whoever serves this page could change its JavaScript; the documentation (security.md) says how to ",
      "compare its files with a release. If you trust neither, use ssh with portofcall connect."));
}

const listed = (methods: readonly string[], separator = ", "): string => serverText(methods.join(separator), MOST_METHODS);
