/** Types of `portofcall.js`: byte tunnels to TCP services, from a page, through a Port of Call gateway. */

export interface OpenOptions {
  /** The name of a target that the operator has named; host and port are then left out. */
  target?: string;
  /** A ticket of `portofcall ticket`. It is sent in a header of the handshake, never in the URL. */
  ticket?: string;
  /** Aborts the opening, or the tunnel when it is open. */
  signal?: AbortSignal;
}

/** How a tunnel ended. */
export interface End {
  /** The code of the WebSocket's Close frame; 1000 means that everything the service sent has arrived. */
  readonly code: number;
  /** A stable name for programs, such as `blocked`; empty for code 1000. */
  readonly slug: string;
  /** One sentence for people; may be empty. */
  readonly reason: string;
}

/** A tunnel: two streams of bytes. */
export interface Tunnel {
  /**
   * What the service sends. Nothing is read ahead: while nobody reads, the service is paused. It ends when the
   * service has sent its last byte, and fails with a `TunnelError` when the tunnel was cut.
   */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /**
   * What goes to the service: any `ArrayBuffer` or view of one. A write is fulfilled when the browser has accepted
   * it, so `await writer.ready` waits for a service that does not read; it fails with a `TunnelError` otherwise. `close()` ends this direction alone;
   * it fails with the slug `no-half-close` where `halfClose` is false. `abort()` ends the tunnel.
   */
  readonly writable: WritableStream<BufferSource>;
  /** Fulfilled when the tunnel ends with code 1000; rejected with a `TunnelError` otherwise. */
  readonly closed: Promise<End>;
  /** Whether one direction can end before the other, that is, whether `portofcall.v1` was agreed. */
  readonly halfClose: boolean;
  /**
   * Whether the browser can pause the gateway (WebSocketStream). A plain WebSocket has no backpressure for what
   * it receives: without WebSocketStream, unread data waits in the page, and past 64 MiB the tunnel ends with the
   * slug `unread-overflow`. What arrived before can still be read.
   */
  readonly pauses: boolean;
  /** How many bytes were written and not passed on yet. */
  readonly waitingBytes: number;
  /** End both directions. What was written before is still delivered. */
  close(): void;
}

/** A tunnel that could not be opened, or that was cut. */
export declare class TunnelError extends Error implements End {
  readonly code: number;
  readonly slug: string;
  readonly reason: string;
  constructor(code: number, slug: string, reason: string);
}

/**
 * Open a tunnel.
 *
 * The promise is fulfilled when the gateway has admitted the page; whether the target can be reached is known
 * later, and is reported as the tunnel's end.
 *
 * @param gateway URL of the gateway, with its path prefix if it has one: `https://gateway.example/`.
 * @param host host name or address of the service; null with `options.target`.
 * @param port its TCP port; null with `options.target`.
 * @throws TypeError an argument is not valid.
 * @throws TunnelError the gateway refused the handshake or can't be reached (code 1006, slug `upgrade-failed`:
 *   browsers do not reveal which).
 * @throws the signal's reason, when it was aborted.
 */
export declare function open(
  gateway: string | URL,
  host: string | null,
  port: number | null,
  options?: OpenOptions,
): Promise<Tunnel>;
