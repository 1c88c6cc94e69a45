/** The last bytes of a conversation, in blocks, and how they look as text and as hex. */

/** The most bytes of a block. */
export const BLOCK_BYTES = 16 << 10;
/** The most bytes that are kept for showing. */
export const MOST_BYTES = 1 << 20;
/** How far back a block may be cut short, so that it ends with a line. */
const LINE_BYTES = 4 << 10;
const LINE_FEED = 10;

export type Direction = "down" | "up";

export interface Block {
  readonly id: number;
  readonly direction: Direction;
  /** The place of its first byte in everything that went this way. */
  readonly offset: number;
  bytes: Uint8Array;
}

/** Keeps the last `MOST_BYTES`. Blocks are made when they are wanted: in a flood, most bytes never are. */
export class Tail {
  /** Whether something was dropped. */
  cut = false;
  private placed: Block[] = [];
  private pending: {direction: Direction; bytes: Uint8Array}[] = [];
  private pendingBytes = 0;
  private kept = 0;
  private nextId = 0;
  private readonly totals = {down: 0, up: 0};

  add(direction: Direction, bytes: Uint8Array): void {
    this.pending.push({direction, bytes});
    this.pendingBytes += bytes.length;
    while (this.pendingBytes - this.pending[0]!.bytes.length >= MOST_BYTES) {
      const dropped = this.pending.shift()!;
      this.pendingBytes -= dropped.bytes.length;
      this.totals[dropped.direction] += dropped.bytes.length;
      this.cut = true;
    }
  }

  get blocks(): readonly Block[] {
    for (const {direction, bytes} of this.pending) this.place(direction, bytes);
    this.pending = [];
    this.pendingBytes = 0;
    return this.placed;
  }

  private place(direction: Direction, bytes: Uint8Array): void {
    const end = this.totals[direction] + bytes.length;
    if (bytes.length > MOST_BYTES) {
      bytes = bytes.subarray(bytes.length - MOST_BYTES);
      this.cut = true;
    }
    this.totals[direction] = end - bytes.length;
    const last = this.placed.at(-1);
    const follows = last?.direction === direction && last.offset + last.bytes.length === end - bytes.length;
    if (last && follows && last.bytes.length + bytes.length <= BLOCK_BYTES) {
      const joined = new Uint8Array(last.bytes.length + bytes.length);
      joined.set(last.bytes);
      joined.set(bytes, last.bytes.length);
      last.bytes = joined;
    } else {
      for (let start = 0; start < bytes.length; ) {
        const stop = cutAt(bytes, start);
        // A copy: the chunk that it is a part of may be much larger.
        this.placed.push({id: this.nextId++, direction, offset: this.totals[direction] + start, bytes: bytes.slice(start, stop)});
        start = stop;
      }
    }
    this.totals[direction] = end;
    this.kept += bytes.length;
    this.drop();
  }

  /** Drop everything that is shown; the places go on. */
  clear(): void {
    void this.blocks; // counts what is pending
    this.placed = [];
    this.kept = 0;
    this.cut = false;
  }

  private drop(): void {
    let first = 0;
    while (this.kept > MOST_BYTES) this.kept -= this.placed[first++]!.bytes.length;
    if (first) {
      this.placed = this.placed.slice(first);
      this.cut = true;
    }
  }
}

/** Where the block that begins at `start` ends: behind a line if one ends near, never within a character. */
function cutAt(bytes: Uint8Array, start: number): number {
  const most = start + BLOCK_BYTES;
  if (most >= bytes.length) return bytes.length;
  const line = bytes.lastIndexOf(LINE_FEED, most - 1);
  if (line >= most - LINE_BYTES) return line + 1;
  let stop = most;
  while (stop > most - 3 && (bytes[stop]! & 0xc0) === 0x80) stop--;
  return stop;
}

/** A byte order mark is a part of what came, too. */
const DECODER = new TextDecoder("utf-8", {ignoreBOM: true});
/** Controls, and what changes the direction of text: a server must not forge what the page shows. */
const INVISIBLE = /[\0-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Arrows, because few fonts have the control pictures of Unicode. */
const PICTURES: Readonly<Record<string, string>> = {"\n": "↵\n", "\r": "⇤", "\t": "⇥\t"};

/** Bytes as UTF-8, with control characters made visible: LF is `↵` and a new line, ESC is `⟨1b⟩`. */
export function toText(bytes: Uint8Array): string {
  return DECODER.decode(bytes).replace(
    INVISIBLE,
    (character) => PICTURES[character] ?? `⟨${character.charCodeAt(0).toString(16).padStart(2, "0")}⟩`,
  );
}

const HEX = Array.from({length: 256}, (_, byte) => byte.toString(16).padStart(2, "0"));

/** A hex dump: offset, 16 bytes, and those that are ASCII. */
export function toHex(bytes: Uint8Array, offset: number): string {
  const lines: string[] = [];
  for (let start = 0; start < bytes.length; start += 16) {
    const row = bytes.subarray(start, start + 16);
    const cells = Array.from(row, (byte) => HEX[byte]!);
    const left = cells.slice(0, 8).join(" ").padEnd(23);
    const right = cells.slice(8).join(" ").padEnd(23);
    const text = Array.from(row, (byte) => (byte > 0x1f && byte < 0x7f ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${(offset + start).toString(16).padStart(8, "0")}  ${left}  ${right}  ${text}\n`);
  }
  return lines.join("");
}

/** Parse hex digits in pairs, with or without white space; null if that is not what it is. */
export function parseHex(text: string): Uint8Array<ArrayBuffer> | null {
  const digits = text.replace(/\s+|0x/g, "");
  if (!digits || digits.length % 2 || /[^0-9a-f]/i.test(digits)) return null;
  return Uint8Array.from(digits.match(/../g)!, (pair) => parseInt(pair, 16));
}
