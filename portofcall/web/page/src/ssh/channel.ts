/** A channel of a connection: a shell in a terminal, or a command. */

import * as ssh from "@microsoft/dev-tunnels-ssh";
import {Buffer} from "buffer";
import {commandRequest, EnvRequest, PtyRequest, WindowChange, type Size} from "./messages.ts";

/** How what ran on the channel has ended. */
export interface Ended {
  readonly status: number | undefined;
  /** Without SIG: `KILL`. */
  readonly signal: string | undefined;
  /** Whether the whole connection ended; how is known to it. */
  readonly lost: boolean;
}

/** Takes data, and calls `taken` when the server may send as much again. */
export type Sink = (data: Uint8Array<ArrayBuffer>, taken: () => void) => void;

export class Channel {
  readonly ended: Promise<Ended>;

  constructor(private readonly channel: ssh.SshChannel) {
    this.ended = new Promise((resolve) => {
      channel.onClosed(({exitStatus, exitSignal, error}) => {
        // The library reports the end of the session as an abort, which the shell did not suffer.
        const lost = error !== undefined || channel.session.isClosed;
        resolve({status: exitStatus, signal: lost ? undefined : exitSignal, lost});
      });
    });
  }

  get hasEnded(): boolean {
    return this.channel.isClosed;
  }

  /** Start the user's shell in a terminal. */
  async shell(size: Size, output: Sink): Promise<void> {
    this.receive(output, output);
    if (!(await this.channel.request(new PtyRequest(size)))) throw new Error("the server gives no terminal");
    // Else readline counts bytes, and a line with other characters is garbled.
    await this.channel.request(new EnvRequest("LANG", "C.UTF-8"));
    if (!(await this.channel.request(new ssh.ChannelRequestMessage(ssh.ChannelRequestType.shell, true)))) {
      throw new Error("the server gives no shell");
    }
  }

  /** Run a command. */
  async run(command: string, output: Sink, errors: Sink): Promise<void> {
    this.receive(output, errors);
    if (!(await this.channel.request(commandRequest(command)))) throw new Error("the server runs no commands");
  }

  /** Send input; done when the server takes it. Throws if the channel ends first. */
  async send(data: Uint8Array): Promise<void> {
    if (!data.length) return; // would be the end
    // The library waits for ever for the window of a channel that has ended.
    const gone = this.ended.then((): never => {
      throw new Error("the channel has ended");
    });
    await Promise.race([this.channel.send(Buffer.from(data)), gone]);
  }

  /** End the input. */
  async end(): Promise<void> {
    await this.channel.send(Buffer.alloc(0));
  }

  async resize(size: Size): Promise<void> {
    if (!this.channel.isClosed) await this.channel.request(new WindowChange(size));
  }

  async close(): Promise<void> {
    await this.channel.close();
  }

  private receive(output: Sink, errors: Sink): void {
    let waiting = 0;
    const into = (sink: Sink) => (data: Buffer): void => {
      waiting += data.length;
      if (waiting > this.channel.maxWindowSize) return this.refuse();
      // The next packet is read into the same memory.
      sink(new Uint8Array(data), () => {
        waiting -= data.length;
        this.channel.adjustWindow(data.length);
      });
    };
    this.channel.onDataReceived(into(output));
    const errorsInto = into(errors);
    this.channel.onExtendedDataReceived(({data}) => errorsInto(data));
  }

  /** The server ignores the window, which the library does not look at: it would fill the memory. */
  private refuse(): void {
    const {session} = this.channel;
    void session.close(ssh.SshDisconnectReason.protocolError, "the server sent more than it was allowed to");
  }
}
