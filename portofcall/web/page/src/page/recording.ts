/** Received data, kept for saving: in blobs, which browsers store outside the tab's heap. */

import {bytes} from "./units.ts";

const MOST_BYTES = 256 << 20;
const PART_BYTES = 4 << 20;

export class Recording {
  /** How much was received, of which the first 256 MiB are kept. */
  total = 0;
  private parts: Blob[] = [];
  private pending: Uint8Array<ArrayBuffer>[] = [];
  private pendingBytes = 0;
  private kept = 0;

  add(chunk: Uint8Array<ArrayBuffer>): void {
    this.total += chunk.length;
    const room = MOST_BYTES - this.kept;
    if (!room) return;
    const part = chunk.length > room ? chunk.slice(0, room) : chunk;
    this.pending.push(part);
    this.pendingBytes += part.length;
    this.kept += part.length;
    if (this.pendingBytes >= PART_BYTES || this.kept === MOST_BYTES) this.flush();
  }

  private flush(): void {
    this.parts.push(new Blob(this.pending));
    this.pending = [];
    this.pendingBytes = 0;
  }

  get blob(): Blob {
    this.flush();
    return new Blob(this.parts, {type: "application/octet-stream"});
  }

  /** Says how much of it is kept; empty if that is all. */
  get limit(): string {
    return this.total > this.kept ? `the first ${bytes(this.kept)}` : "";
  }

  /** SHA-256 of what is kept, in hex. */
  async checksum(): Promise<string> {
    const digest = await crypto.subtle.digest("SHA-256", await this.blob.arrayBuffer());
    return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
}
