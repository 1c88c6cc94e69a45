/** A WebSocket, reduced to what a tunnel needs: messages in, with backpressure where the browser has it. */

import type {End} from "./portofcall.js";

export type Message = Uint8Array<ArrayBuffer> | string;

export interface Wire {
  /** The subprotocol that the gateway has chosen; may be empty. */
  readonly protocol: string;
  /** Whether reading nothing pauses the gateway. */
  readonly pauses: boolean;
  /** Resolves with the next message; undefined after the last one. */
  read(): Promise<Message | undefined>;
  /** Resolves when the browser has passed the message on, or when so little waits that the next may follow. */
  write(message: Message): Promise<void>;
  /** The bytes that were written and have not been passed on. */
  waiting(): number;
  close(): void;
  /** Fulfilled when the connection is over, however it ended. */
  readonly ended: Promise<End>;
}

export const size = (message: Message): number =>
  typeof message === "string" ? message.length : message.byteLength;
