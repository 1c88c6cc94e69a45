/** A wire over WebSocketStream, which pauses the gateway while nothing is read. */

import {parseEnd, toError} from "./errors.ts";
import type {End} from "./portofcall.js";
import {size, type Message, type Wire} from "./wire.ts";

interface Connection {
  readonly readable: ReadableStream<ArrayBuffer | string>;
  readonly writable: WritableStream<Message>;
  readonly protocol: string;
}

interface CloseInfo {
  readonly closeCode?: number;
  readonly reason?: string;
}

interface WebSocketStream {
  readonly opened: Promise<Connection>;
  readonly closed: Promise<CloseInfo>;
  close(info?: CloseInfo): void;
}

interface Constructor {
  new (url: string, options: {protocols: string[]; signal?: AbortSignal}): WebSocketStream;
}

export const webSocketStream = (globalThis as {WebSocketStream?: Constructor}).WebSocketStream;

export async function openStream(
  make: Constructor,
  url: string,
  protocols: string[],
  signal?: AbortSignal,
): Promise<Wire> {
  const stream = new make(url, signal ? {protocols, signal} : {protocols});
  const toEnd = (info: CloseInfo): End => parseEnd(info.closeCode ?? 1006, info.reason ?? "");
  const ended = stream.closed.then(toEnd, toEnd);
  const {readable, writable, protocol} = await stream.opened;
  const reader = readable.getReader();
  const writer = writable.getWriter();
  // Reported by `ended` and by each write.
  reader.closed.catch(() => {});
  writer.closed.catch(() => {});
  let waiting = 0;
  return {
    protocol,
    pauses: true,
    ended,
    async read() {
      try {
        const {value} = await reader.read();
        return value instanceof ArrayBuffer ? new Uint8Array(value) : value;
      } catch {
        return undefined; // the connection was cut: `ended` has the reason
      }
    },
    async write(message) {
      waiting += size(message);
      try {
        await writer.write(message);
      } catch {
        // The browser's own error says nothing about the gateway.
        throw toError(await ended);
      } finally {
        waiting -= size(message);
      }
    },
    waiting: () => waiting,
    close() {
      stream.close({closeCode: 1000});
      void drain(reader);
    },
  };
}

/** Discard what is still to come: the gateway's Close frame is behind it. */
async function drain(reader: ReadableStreamDefaultReader<unknown>): Promise<void> {
  try {
    while (!(await reader.read()).done);
  } catch {
    // The connection was cut, so nothing is to come.
  }
}
