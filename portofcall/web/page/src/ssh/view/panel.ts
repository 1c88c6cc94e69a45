/** One session: from the connection to the exit status. */

import {failureBox} from "../../page/failure.ts";
import {button, h, say} from "../../page/dom.ts";
import {Failed, failed, openTunnel} from "../../page/gateway.ts";
import type {Place} from "../../page/place.ts";
import type {Channel, Ended} from "../channel.ts";
import {Connection, NotTrusted} from "../connection.ts";
import {fingerprint, type HostKey} from "../host_key.ts";
import {about, hostName, judge} from "../known_hosts.ts";
import {remembered, rememberKeys} from "../known_hosts_store.ts";
import {askAboutKey, showChangedKey} from "./host_key_question.ts";
import {KeyFiles} from "./key_files.ts";
import {askAboutPaste} from "./paste.ts";
import {settings} from "./settings.ts";
import {SignIn} from "./sign_in.ts";
import {TerminalView} from "./terminal.ts";
import {Tools} from "./tools.ts";
import {Transfers} from "./transfers.ts";

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

export class Panel {
  readonly element: HTMLElement;
  state: State = "connecting";
  private readonly status = h("p", {class: "ssh-status", role: "status"});
  private readonly body = h("div", {class: "ssh-body"});
  private readonly keys = new KeyFiles();
  private ending = new AbortController();
  /** Kept for the next connection of the panel, with what it shows. */
  private terminal: TerminalView | null = null;
  private tools: Tools | null = null;
  private transfers: Transfers | null = null;
  /** Of the shell that runs. */
  private channel: Channel | null = null;
  private connection: Connection | null = null;

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
  }

  get name(): string {
    return this.user ? `${this.user}@${this.placeText}` : this.placeText;
  }

  /** Whether closing it would end something. */
  get isLive(): boolean {
    return this.state !== "ended" && this.state !== "failed" && this.state !== "changed-key";
  }

  focus(): void {
    if (this.state === "open") this.terminal?.focus();
    else this.body.querySelector<HTMLElement>("input:not([readonly]), button")?.focus();
  }

  /** Connect, sign in and run a shell until it ends; every failure is shown in the panel. */
  async run(): Promise<void> {
    this.ending = new AbortController();
    const {signal} = this.ending;
    try {
      this.enter("connecting", "Connecting…");
      this.body.replaceChildren();
      await this.session(signal);
    } catch (error) {
      if (!signal.aborted) this.showFailure(error);
    } finally {
      const {connection} = this;
      this.connection = null;
      await connection?.close();
    }
  }

  /** End what runs, and leave nothing behind. */
  dispose(): void {
    this.ending.abort();
    void this.connection?.close();
    this.terminal?.dispose();
    this.element.remove();
  }

  private async session(signal: AbortSignal): Promise<void> {
    const host = hostName(this.place);
    const known = await about(remembered(), host);
    const tunnel = await openTunnel(this.place, signal);
    const connection = await Connection.open(tunnel, {
      knownTypes: known.filter(({revoked}) => !revoked).map(({type}) => type),
      trust: (key) => this.trust(host, key),
      keepAliveSeconds: settings().keepAliveSeconds,
    });
    this.connection = connection;
    if (signal.aborted) return;
    const ended = connection.closed.then((message): never => {
      throw connection.failure ?? new Error(message || "the session was closed");
    });
    ended.catch(() => {}); // also when nothing waits for it any more
    await this.signIn(connection, ended);
    if (signal.aborted) return;
    await this.shell(connection, ended);
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

  private async shell(connection: Connection, ended: Promise<never>): Promise<void> {
    const channel = await Promise.race([connection.channel(), ended]);
    this.channel = channel;
    try {
      const terminal = this.showTerminal(connection);
      await Promise.race([channel.shell(terminal.size, (data, taken) => terminal.write(data, taken)), ended]);
      const how = await Promise.race([channel.ended, ended]);
      if (how.lost && how.status === undefined) await ended;
      this.showEnd(describeEnd(how));
    } finally {
      this.channel = null;
    }
    // Files on their way go on, as in a terminal's background.
    await Promise.race([this.transfers?.idle(), ended]);
  }

  private showTerminal(connection: Connection): TerminalView {
    const again = this.terminal !== null;
    const terminal = (this.terminal ??= this.makeTerminal());
    const transfers = (this.transfers = new Transfers(() => connection.channel(), () => terminal.focus()));
    this.tools = new Tools(terminal, {
      upload: () => transfers.askUpload(),
      download: () => transfers.askDownload(),
      disconnect: () => {
        this.showEnd("Disconnected");
        void connection.close();
      },
    });
    this.body.replaceChildren(this.tools.element, transfers.element, terminal.element);
    this.enter("open", `Connected to ${this.name}.`);
    terminal.open();
    if (again) terminal.separate(`connected again, ${new Date().toLocaleTimeString()}`);
    terminal.focus();
    return terminal;
  }

  private makeTerminal(): TerminalView {
    return new TerminalView(settings(), {
      input: (data) => this.input(data),
      resize: (size) => void this.channel?.resize(size).catch(() => {}),
      bell: () => this.ring(),
      mayPaste: (paste) => askAboutPaste(this.body, paste),
      search: () => this.tools?.openSearch(),
      leave: () => this.tools?.focus(),
    });
  }

  private input(data: Uint8Array): void {
    if (this.channel) void this.channel.send(data).catch(() => {}); // the end is reported by the channel
    else if (this.state === "ended" && data.length === 1 && data[0] === 13) void this.run();
  }

  private ring(): void {
    if (!settings().bell) return;
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
    else if (this.state === "open") this.transfers?.askUpload(files);
  }

  private showFailure(error: unknown): void {
    if (this.state === "changed-key" || this.state === "ended") return; // what was shown stays
    const reason = failed(error);
    if (this.state === "open") {
      const sentence = reason instanceof Error ? reason.message : String(reason);
      this.showEnd(`Connection lost: ${sentence || "the server closed it"}.`);
      return;
    }
    const sentence = reason instanceof NotTrusted
      ? "The host key was not accepted, and the connection was closed"
      : reason instanceof Error ? reason.message : String(reason);
    const failure = reason instanceof Failed ? reason.failure : {slug: "ssh", sentence, code: 0};
    this.enter("failed", "Not connected.");
    this.body.replaceChildren(failureBox(failure, this.place), h("div", {class: "toolbar"}, this.again("Try again")));
    this.body.querySelector("button")?.focus();
  }

  private showEnd(text: string): void {
    if (this.state === "ended") return;
    const again = this.again("Reconnect");
    this.terminal?.calm();
    this.tools?.element.remove();
    this.enter("ended", text);
    this.body.append(h("div", {class: "ssh-end toolbar"}, h("strong", {}, text), again));
    again.focus();
  }

  private again(label: string): HTMLButtonElement {
    return button(label, () => void this.run(), {class: "primary"});
  }

  private enter(state: State, text: string): void {
    this.state = state;
    this.element.dataset["state"] = state;
    this.status.textContent = text;
    say(`${this.name}: ${text}`);
    this.events.changed();
  }
}

function describeEnd({status, signal}: Ended): string {
  if (status !== undefined) return `Exit status ${status}`;
  return signal ? `Killed by signal ${signal}` : "The session ended without a status";
}
