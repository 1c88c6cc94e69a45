/** A tunnel of `portofcall.js` as the stream that dev-tunnels-ssh reads and writes. */

import * as ssh from "@microsoft/dev-tunnels-ssh";
import {Buffer} from "buffer";
import type {Tunnel} from "../client/portofcall.js";

/** Reads nothing ahead: what SSH does not take stays in the tunnel, which holds the server. */
export class TunnelStream extends ssh.BaseStream {
  /** Why the tunnel failed, once it has. */
  failure: unknown;
  private readonly reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  private readonly writer: WritableStreamDefaultWriter<BufferSource>;
  private rest: Uint8Array<ArrayBuffer> = new Uint8Array();

  constructor(private readonly tunnel: Tunnel) {
    super();
    this.reader = tunnel.readable.getReader();
    this.writer = tunnel.writable.getWriter();
    this.writer.closed.catch(() => {}); // a write or a read reports it
    tunnel.closed.catch((error: unknown) => (this.failure = error));
  }

  override async read(count: number): Promise<Buffer | null> {
    while (!this.rest.length) {
      const {value, done} = await this.noting(this.reader.read());
      if (done) return null;
      this.rest = value;
    }
    const piece = this.rest.subarray(0, count);
    this.rest = this.rest.subarray(count);
    return Buffer.from(piece.buffer, piece.byteOffset, piece.length);
  }

  override async write(data: Buffer): Promise<void> {
    await this.noting(this.writer.write(data));
  }

  override async close(): Promise<void> {
    this.dispose();
  }

  override dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.tunnel.close();
    this.fireOnClose();
  }

  private async noting<T>(action: Promise<T>): Promise<T> {
    try {
      return await action;
    } catch (error) {
      this.failure ??= error;
      throw error instanceof Error ? error : new Error(String(error));
    }
  }
}
