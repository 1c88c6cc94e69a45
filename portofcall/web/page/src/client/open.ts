/** `portofcall.js`: see portofcall.d.ts for the contract. */

import {TunnelError, isClean, toError} from "./errors.ts";
import type * as api from "./portofcall.js";
import {openSocket} from "./socket_wire.ts";
import {openStream, webSocketStream} from "./stream_wire.ts";
import type {Wire} from "./wire.ts";

export {TunnelError} from "./errors.ts";

const HALF_CLOSE_PROTOCOL = "portofcall.v1";
const BYTES_PROTOCOL = "binary";
const TICKET_PREFIX = "portofcall.bearer.";
/** The end of one direction, under `portofcall.v1`. */
const EOF = JSON.stringify({type: "eof"});
const MAX_MESSAGE_BYTES = 256 << 10;

export async function open(
  gateway: string | URL,
  host: string | null,
  port: number | null,
  options: api.OpenOptions = {},
): Promise<api.Tunnel> {
  const {ticket, signal} = options;
  const url = tunnelURL(gateway, host, port, options.target);
  const protocols = [HALF_CLOSE_PROTOCOL, BYTES_PROTOCOL];
  if (ticket !== undefined) {
    if (!/^[A-Za-z0-9._~-]+$/.test(ticket)) throw new TypeError("ticket: expected letters, digits, . _ ~ or -");
    protocols.push(TICKET_PREFIX + ticket);
  }
  signal?.throwIfAborted();
  try {
    const wire = webSocketStream
      ? await openStream(webSocketStream, url, protocols, signal)
      : await openSocket(url, protocols, signal);
    return makeTunnel(wire, signal);
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof TypeError || error instanceof TunnelError) throw error;
    throw new TunnelError(1006, "upgrade-failed", "");
  }
}

function tunnelURL(gateway: string | URL, host: string | null, port: number | null, target?: string): string {
  const url = new URL(gateway, globalThis.document?.baseURI);
  url.protocol = url.protocol.replace(/^http/, "ws");
  if (!/^wss?:$/.test(url.protocol)) throw new TypeError("gateway: expected an http, https, ws or wss URL");
  url.pathname = url.pathname.replace(/\/?$/, "/api/connect");
  url.search = url.hash = url.username = url.password = "";
  if (target !== undefined) {
    if (host !== null || port !== null) throw new TypeError("target: expected host and port to be null with it");
    url.searchParams.set("target", target);
  } else {
    if (!host) throw new TypeError("host: expected a name or an address");
    if (!Number.isInteger(port) || port! < 1 || port! > 65535) throw new TypeError("port: expected 1 to 65535");
    url.searchParams.set("host", host);
    url.searchParams.set("port", String(port));
  }
  return url.href;
}

function makeTunnel(wire: Wire, signal?: AbortSignal): api.Tunnel {
  const halfClose = wire.protocol === HALF_CLOSE_PROTOCOL;
  const aborted = new AbortController();
  const abort = (): void => {
    aborted.abort(signal!.reason);
    wire.close();
  };
  signal?.addEventListener("abort", abort, {once: true});
  void wire.ended.then(() => signal?.removeEventListener("abort", abort));
  const closed = wire.ended.then((end) => {
    if (isClean(end)) return end;
    throw toError(end);
  });
  closed.catch(() => {}); // an application may look at the streams alone

  const readable = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        for (;;) {
          const message = await wire.read();
          aborted.signal.throwIfAborted();
          if (message === undefined) {
            await closed; // or fail like it
            return controller.close();
          }
          if (typeof message !== "string") return controller.enqueue(message);
          if (isEOF(message)) return controller.close();
        }
      },
      cancel: () => wire.close(),
    },
    {highWaterMark: 0},
  );

  const writable = new WritableStream<BufferSource>({
    start: (controller) => {
      const fail = (reason: unknown): void => controller.error(reason);
      aborted.signal.addEventListener("abort", () => fail(aborted.signal.reason));
      void wire.ended.then((end) => fail(toError(end)));
    },
    async write(chunk) {
      const bytes = view(chunk);
      for (let start = 0; start < bytes.length; start += MAX_MESSAGE_BYTES) {
        await wire.write(bytes.slice(start, start + MAX_MESSAGE_BYTES));
      }
    },
    async close() {
      if (!halfClose) {
        throw new TunnelError(1003, "no-half-close", "the gateway does not support ending one direction alone");
      }
      await wire.write(EOF);
    },
    abort: () => wire.close(),
  });

  return {
    readable,
    writable,
    closed,
    halfClose,
    pauses: wire.pauses,
    get waitingBytes() {
      return wire.waiting();
    },
    close: () => wire.close(),
  };
}

/** Whether a text message is the service's end. Others are reserved, and ignored. */
function isEOF(text: string): boolean {
  try {
    const message: unknown = JSON.parse(text);
    return typeof message === "object" && message !== null && "type" in message && message.type === "eof";
  } catch {
    return false;
  }
}

function view(chunk: BufferSource): Uint8Array {
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  throw new TypeError("write: expected an ArrayBuffer or a view of one");
}
