/** One session: from the connection to the exit status. */

import {failureBox} from "../../page/failure.ts";
import {button, h, say} from "../../page/dom.ts";
import {Failed, failed, openTunnel} from "../../page/gateway.ts";
import type {Place} from "../../page/place.ts";
import {Connection, NotTrusted} from "../connection.ts";
import {fingerprint, type HostKey} from "../host_key.ts";
import {about, hostName, judge} from "../known_hosts.ts";
import {remembered, rememberKeys} from "../known_hosts_store.ts";
import {serverText} from "../server_text.ts";
import {askAboutKey, showChangedKey} from "./host_key_question.ts";
import {KeyFiles} from "./key_files.ts";
import {settings} from "./settings.ts";
import {Shell} from "./shell.ts";
import {SignIn} from "./sign_in.ts";

export type State = "connecting" | "host-key" | "changed-key" | "sign-in" | "open" | "ended" | "failed";

export interface PanelEvents {
  /** The state or the name has changed. */
  changed(): void;
  showKnownHosts(): void;
  close(): void;
  bell(): void;
}

/** So long a bell is seen. */
const BELL_MILLISECONDS = 200;
/** Errors may hold what the server says. */
const MOST_SENTENCE = 1000;

export class Panel {
  readonly element: HTMLElement;
  state: State = "connecting";
  private readonly status = h("p", {class: "ssh-status", role: "status"});
  private readonly body = h("div", {class: "ssh-body"});
  private readonly keys = new KeyFiles();
  private readonly shell: Shell;
  private readonly disposing = new AbortController();
  /** The newest one; an older one may still copy files. */
  private connection: Connection | null = null;
  private runs = 0;

  constructor(
    readonly place: Place,
    /** `host:port`, or the name of a target. */
    private readonly placeText: string,
    private user: string,
    private readonly events: PanelEvents,
  ) {
    this.element = h("section", {class: "ssh-panel"}, this.status, this.body);
    this.element.addEventListener("dragover", (event) => event.preventDefault());
    this.element.addEventListener("drop", (event) => this.drop(event));
    this.shell = new Shell(this.body, {
      bell: () => this.ring(),
      disconnect: () => {
        this.showEnd("Disconnected");
        void this.connection?.close();
      },
      reconnect: () => void this.run(),
    });
  }

  get name(): string {
    return this.user ? `${this.user}@${this.placeText}` : this.placeText;
  }

  /** Whether closing it would end something. */
  get isLive(): boolean {
    return this.state !== "ended" && this.state !== "failed" && this.state !== "changed-key";
  }

  focus(): void {
    if (this.state === "open") this.shell.focus();
    else this.body.querySelector<HTMLElement>("input:not([readonly]), button")?.focus();
  }

  /** Connect, sign in and run a shell until it ends; every failure is shown in the panel. */
  async run(): Promise<void> {
    const number = ++this.runs;
    /** Whether the panel shows this run: not once it is closed, or connected again. */
    const isShown = (): boolean => number === this.runs && !this.disposing.signal.aborted;
    let connection: Connection | null = null;
    try {
      this.enter("connecting", "Connecting…");
      this.body.replaceChildren();
      connection = await this.connect();
      if (!isShown()) return;
      this.connection = connection;
      const ended = endOf(connection);
      await this.signIn(connection, ended);
      if (!isShown()) return;
      const terminal = this.shell.show(connection);
      this.enter("open", `Connected to ${this.name}.`);
      const how = await this.shell.run(connection, terminal, ended);
      if (isShown()) this.showEnd(how);
      // Files on their way go on, as in a terminal's background.
      await Promise.race([this.shell.idle(connection), ended]);
    } catch (error) {
      if (isShown()) this.showFailure(error);
    } finally {
      await connection?.close();
    }
  }

  /** End what runs, and leave nothing behind. */
  dispose(): void {
    this.disposing.abort();
    this.shell.dispose();
    this.element.remove();
  }

  private async connect(): Promise<Connection> {
    const host = hostName(this.place);
    const {keepAliveSeconds, rekeyMebibytes} = settings();
    const known = await about(remembered(), host);
    const tunnel = await openTunnel(this.place, this.disposing.signal);
    return Connection.open(tunnel, {
      knownTypes: known.filter(({revoked}) => !revoked).map(({type}) => type),
      trust: (key) => this.trust(host, key),
      keepAliveSeconds,
      rekeyBytes: rekeyMebibytes * 2 ** 20,
    });
  }

  /** Whether a host key is the remembered one, or the user trusts it. */
  private async trust(host: string, key: HostKey): Promise<boolean> {
    const verdict = await judge(remembered(), host, key);
    if (!verdict.known && (verdict.others.length || verdict.revoked)) {
      this.enter("changed-key", "Not connected: the host key is not the remembered one.");
      await showChangedKey(this.body, this.placeText, key, verdict, this.events);
      return false;
    }
    if (!verdict.known) {
      this.enter("host-key", "The host key is not known yet.");
      if (!(await askAboutKey(this.body, this.placeText, key))) return false;
      rememberKeys([{...key, hosts: host, revoked: false}]);
    }
    this.status.dataset["hostKey"] = await fingerprint(key);
    return true;
  }

  private async signIn(connection: Connection, ended: Promise<never>): Promise<void> {
    const form = new SignIn(this.user, this.keys);
    this.body.replaceChildren(form.element);
    this.enter("sign-in", "Sign in. What you enter goes to the server alone, encrypted.");
    const begun = connection.authentication((text) => form.showBanner(text));
    this.user = await form.run(await Promise.race([begun, ended]), ended);
    this.keys.element.remove();
  }

  /** Programs may ring without end. */
  private ring(): void {
    if (this.element.classList.contains("rang") || !settings().bell) return;
    this.element.classList.add("rang");
    setTimeout(() => this.element.classList.remove("rang"), BELL_MILLISECONDS);
    this.events.bell();
  }

  /** A key file, while signing in; else a file for the server. */
  private drop(event: DragEvent): void {
    event.preventDefault();
    const files = [...(event.dataTransfer?.files ?? [])];
    if (!files.length) return;
    if (this.state === "sign-in") void this.keys.add(files);
    else if (this.state === "open") this.shell.offer(files);
  }

  private showFailure(error: unknown): void {
    if (this.state === "changed-key" || this.state === "ended") return; // what was shown stays
    const reason = failed(error);
    const said = serverText(reason instanceof Error ? reason.message : String(reason), MOST_SENTENCE);
    if (this.state === "open") {
      this.showEnd(`Connection lost: ${said || "the server closed it"}.`);
      return;
    }
    const sentence = reason instanceof NotTrusted ? "The host key was not accepted, and the connection was closed" : said;
    const failure = reason instanceof Failed ? reason.failure : {slug: "ssh", sentence, code: 0};
    const again = button("Try again", () => void this.run(), {class: "primary"});
    this.enter("failed", "Not connected.");
    this.body.replaceChildren(failureBox(failure, this.place), h("div", {class: "toolbar"}, again));
    this.body.querySelector("button")?.focus();
  }

  private showEnd(text: string): void {
    if (this.state === "ended") return;
    this.enter("ended", text);
    this.shell.showEnd(text);
  }

  private enter(state: State, text: string): void {
    this.state = state;
    this.element.dataset["state"] = state;
    this.status.textContent = text;
    say(`${this.name}: ${text}`);
    this.events.changed();
  }
}

/** Rejects when the connection ends, with the reason. */
function endOf(connection: Connection): Promise<never> {
  const ended = connection.closed.then((message): never => {
    throw connection.failure ?? new Error(message || "the session was closed");
  });
  ended.catch(() => {}); // also when nothing waits for it any more
  return ended;
}
