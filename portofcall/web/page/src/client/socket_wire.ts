/** A wire over WebSocket, for browsers without WebSocketStream. It can't pause the gateway. */

import {TunnelError, parseEnd, toError} from "./errors.ts";
import type {End} from "./portofcall.js";
import {size, type Message, type Wire} from "./wire.ts";

/** How many bytes may wait in the browser before a write has to. */
const HIGH_WATER_BYTES = 1 << 20;
/** There is no event for a buffer that drains. */
const POLL_MILLISECONDS = 5;
/** How many bytes may wait for the reader. A plain WebSocket can't be paused, so that more is the end. */
export const MOST_UNREAD_BYTES = 64 << 20;
/** The overhead of a message in the page's memory, about. */
const MESSAGE_BYTES = 128;
const UNREAD_OVERFLOW: End = {
  code: 4000,
  slug: "unread-overflow",
  reason: `this browser can't pause a WebSocket, and more than ${MOST_UNREAD_BYTES >> 20} MiB were not read in time`,
};

export async function openSocket(url: string, protocols: string[], signal?: AbortSignal): Promise<Wire> {
  const socket = new WebSocket(url, protocols);
  socket.binaryType = "arraybuffer";
  const arrived: Message[] = [];
  let unread = 0;
  let over = false;
  let wake = (): void => {};
  let end = (_: End): void => {};
  const ended = new Promise<End>((resolve) => {
    end = (how) => {
      over = true;
      wake();
      resolve(how);
    };
  });
  socket.onclose = ({code, reason}) => end(parseEnd(code, reason));
  socket.onmessage = ({data}: MessageEvent<ArrayBuffer | string>) => {
    if (over) return;
    const message = data instanceof ArrayBuffer ? new Uint8Array(data) : data;
    unread += size(message) + MESSAGE_BYTES;
    if (unread > MOST_UNREAD_BYTES) {
      socket.close(UNREAD_OVERFLOW.code, UNREAD_OVERFLOW.slug);
      return end(UNREAD_OVERFLOW);
    }
    arrived.push(message);
    wake();
  };
  const abort = (): void => socket.close();
  signal?.addEventListener("abort", abort, {once: true});
  try {
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      void ended.then((end) => reject(new TunnelError(1006, "upgrade-failed", end.reason)));
    });
  } finally {
    signal?.removeEventListener("abort", abort);
  }
  return {
    protocol: socket.protocol,
    pauses: false,
    ended,
    async read() {
      while (!arrived.length && !over) await new Promise<void>((resolve) => (wake = resolve));
      const message = arrived.shift();
      if (message !== undefined) unread -= size(message) + MESSAGE_BYTES;
      return message;
    },
    async write(message) {
      // While it closes, a WebSocket discards what is sent, and reports no error.
      if (over || socket.readyState !== WebSocket.OPEN) throw toError(await ended);
      socket.send(message);
      while (!over && socket.bufferedAmount + size(message) > HIGH_WATER_BYTES) {
        await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
      }
      if (over) throw toError(await ended);
    },
    waiting: () => socket.bufferedAmount,
    close: () => socket.close(1000),
  };
}
