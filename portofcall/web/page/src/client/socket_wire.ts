/** A wire over WebSocket, for browsers without WebSocketStream. It can't pause the gateway. */

import {TunnelError, parseEnd} from "./errors.ts";
import type {End} from "./portofcall.js";
import {size, type Message, type Wire} from "./wire.ts";

/** How many bytes may wait in the browser before a write has to. */
const HIGH_WATER_BYTES = 1 << 20;
/** There is no event for a buffer that drains. */
const POLL_MILLISECONDS = 5;

export async function openSocket(url: string, protocols: string[], signal?: AbortSignal): Promise<Wire> {
  const socket = new WebSocket(url, protocols);
  socket.binaryType = "arraybuffer";
  const arrived: Message[] = [];
  let over = false;
  let wake = (): void => {};
  socket.onmessage = ({data}: MessageEvent<ArrayBuffer | string>) => {
    arrived.push(data instanceof ArrayBuffer ? new Uint8Array(data) : data);
    wake();
  };
  const ended = new Promise<End>((resolve) => {
    socket.onclose = ({code, reason}) => {
      over = true;
      wake();
      resolve(parseEnd(code, reason));
    };
  });
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
      return arrived.shift();
    },
    async write(message) {
      if (over) throw new TunnelError(1006, "connection-lost", "");
      socket.send(message);
      while (!over && socket.bufferedAmount + size(message) > HIGH_WATER_BYTES) {
        await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
      }
    },
    waiting: () => socket.bufferedAmount,
    close: () => socket.close(1000),
  };
}
