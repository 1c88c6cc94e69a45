/** The shell of a panel: its terminal and its files, which stay when the connection is another one. */

import {button, h} from "../../page/dom.ts";
import type {Channel, Ended} from "../channel.ts";
import type {Connection} from "../connection.ts";
import {serverText} from "../server_text.ts";
import {askAboutPaste} from "./paste.ts";
import {settings} from "./settings.ts";
import {TerminalView} from "./terminal.ts";
import {Tools} from "./tools.ts";
import {Transfers} from "./transfers.ts";

export interface ShellEvents {
  bell(): void;
  /** The user wants no more of this connection. */
  disconnect(): void;
  /** Enter, after the end. */
  reconnect(): void;
}

const MOST_SIGNAL = 64;

export class Shell {
  private terminal: TerminalView | null = null;
  private tools: Tools | null = null;
  private readonly transfers = new Transfers(() => this.focus());
  /** Of what runs. */
  private channel: Channel | null = null;
  private hasEnded = false;

  constructor(private readonly container: HTMLElement, private readonly events: ShellEvents) {}

  focus(): void {
    this.terminal?.focus();
  }

  /** Show the terminal, which takes what is typed from now on. */
  show(connection: Connection): TerminalView {
    const again = this.terminal !== null;
    const terminal = (this.terminal ??= this.makeTerminal());
    this.hasEnded = false;
    this.transfers.use(connection);
    this.tools = new Tools(terminal, {
      upload: () => this.transfers.askUpload(),
      download: () => this.transfers.askDownload(),
      disconnect: () => this.events.disconnect(),
    });
    this.container.replaceChildren(this.tools.element, this.transfers.element, terminal.element);
    terminal.open();
    if (again) terminal.separate(`connected again, ${new Date().toLocaleTimeString()}`);
    terminal.focus();
    return terminal;
  }

  /** Run a shell in the terminal, and return how it ended, in words. `ended` rejects when the connection ends. */
  async run(connection: Connection, terminal: TerminalView, ended: Promise<never>): Promise<string> {
    const channel = await Promise.race([connection.channel(), ended]);
    this.channel = channel;
    await Promise.race([channel.shell(terminal.size, (data, taken) => terminal.write(data, taken)), ended]);
    const how = await Promise.race([channel.ended, ended]);
    if (how.lost && how.status === undefined) await ended;
    return describeEnd(how);
  }

  /** Show that it has ended, with a way to begin again. */
  showEnd(text: string): void {
    const again = button("Reconnect", () => this.events.reconnect(), {class: "primary"});
    this.channel = null;
    this.hasEnded = true;
    this.terminal?.calm();
    this.tools?.element.remove();
    this.container.append(h("div", {class: "ssh-end toolbar"}, h("strong", {}, text), again));
    again.focus();
  }

  /** Fulfilled when no file is on its way over this connection. */
  idle(connection: Connection): Promise<void> {
    return this.transfers.idle(connection);
  }

  /** Offer to send files to the server. */
  offer(files: readonly File[]): void {
    this.transfers.askUpload(files);
  }

  dispose(): void {
    this.terminal?.dispose();
  }

  private makeTerminal(): TerminalView {
    return new TerminalView(settings(), {
      input: (data) => this.input(data),
      resize: (size) => void this.channel?.resize(size).catch(() => {}),
      bell: () => this.events.bell(),
      mayPaste: (paste) => askAboutPaste(this.container, paste),
      search: () => this.tools?.openSearch(),
      leave: () => this.tools?.focus(),
    });
  }

  private input(data: Uint8Array): void {
    if (this.channel) void this.channel.send(data).catch(() => {}); // the end is reported by the channel
    else if (this.hasEnded && data.length === 1 && data[0] === 13) this.events.reconnect();
  }
}

function describeEnd({status, signal}: Ended): string {
  if (status !== undefined) return `Exit status ${status}`;
  return signal ? `Killed by signal ${serverText(signal, MOST_SIGNAL)}` : "The session ended without a status";
}
