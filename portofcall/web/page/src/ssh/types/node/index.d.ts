/** The little of Node that the types of dev-tunnels-ssh mention; `buffer` is the package that is in the bundle. */

declare module "buffer" {
  export type TranscodeEncoding = "ascii" | "utf8" | "utf16le" | "latin1" | "binary";
  type Encoding = TranscodeEncoding | "hex" | "base64";

  export interface Buffer extends Uint8Array<ArrayBuffer> {
    toString(encoding?: Encoding, start?: number, end?: number): string;
    equals(other: Uint8Array): boolean;
    copy(target: Uint8Array, targetStart?: number): number;
    /** Shares the memory, unlike that of `Uint8Array`. */
    slice(start?: number, end?: number): Buffer;
  }
  export const Buffer: {
    alloc(size: number): Buffer;
    from(text: string, encoding?: Encoding): Buffer;
    /** Copies. */
    from(data: ArrayLike<number>): Buffer;
    /** Shares the memory. */
    from(data: ArrayBufferLike, offset?: number, length?: number): Buffer;
    concat(list: readonly Uint8Array[]): Buffer;
  };
}

type Buffer = import("buffer").Buffer;

declare module "net" {
  export class Socket {}
}

declare module "stream" {
  export class Readable {}
  export class Writable {}
  export class Duplex {}
}

declare module "bcrypt-pbkdf" {
  /** Fills `key`; returns 0 if that worked. */
  export function pbkdf(
    passphrase: Uint8Array, passphraseLength: number, salt: Uint8Array, saltLength: number,
    key: Uint8Array, keyLength: number, rounds: number,
  ): number;
}

declare module "child_process" {
  export class ChildProcess {}
}

declare namespace NodeJS {
  type ReadableStream = object;
  type WritableStream = object;
  type Process = object;
}
