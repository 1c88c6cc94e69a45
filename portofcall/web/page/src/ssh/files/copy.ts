/**
 * Copying files with `cat`, over further channels of the session.
 *
 * Needs sh, cat and, to compare, sha256sum or shasum on the server. An SFTP client would have the same two functions.
 */

import {sha256} from "@noble/hashes/sha2.js";
import {bytesToHex} from "@noble/hashes/utils.js";
import type {Channel, Ended} from "../channel.ts";
import {serverText} from "../server_text.ts";
import {script} from "./command.ts";

/** Fails if another has made the file meanwhile. */
const CREATE = 'if [ -e "$1" ]; then exit 17; fi; set -C; : > "$1"';
const EXISTS = 17;
const UPLOAD = 'exec cat > "$1"';
/** dash's own messages are shortened ("No such file"). */
const SIZE =
  'if [ ! -e "$1" ]; then echo "$1: No such file or directory" >&2; exit 1; fi; '
  + 'if [ -d "$1" ]; then echo "$1: Is a directory" >&2; exit 1; fi; exec wc -c < "$1"';
const DOWNLOAD = 'exec cat < "$1"';
const REMOVE = 'exec rm -f "$1"';
const CHECKSUM =
  'if command -v sha256sum >/dev/null 2>&1; then exec sha256sum < "$1"; '
  + 'elif command -v shasum >/dev/null 2>&1; then exec shasum -a 256 < "$1"; else exit 18; fi';
const NO_PROGRAM = 18;
const PIECE_BYTES = 256 << 10;
/** Of what is received, this much becomes a Blob at a time, which the browser may put on a disk. */
const BLOB_BYTES = 4 << 20;
const MOST_TEXT_BYTES = 4096;
const MOST_SHOWN = 500;
/** So much may a file grow while it is read; a server that sends more never ends. */
const MOST_GROWTH_BYTES = 64 << 20;

export interface Copying {
  open(): Promise<Channel>;
  readonly signal: AbortSignal;
  /** How many bytes have been copied so far, and of how many. */
  progress(done: number, total: number): void;
}

/** There is a file of this name already. */
export class Exists extends Error {}

export interface Copied {
  readonly bytes: number;
  /** Of what was copied, in hex. */
  readonly sha256: string;
  /** Of the file on the server; null if the server can't tell. */
  readonly remoteSha256: string | null;
}

/** Write a file to the server. Throws Exists, the signal's reason, or an Error in words. */
export async function upload(file: Blob, path: string, overwrite: boolean, copying: Copying): Promise<Copied> {
  const hash = sha256.create();
  let sent = 0;
  // In a command of its own: only then is it certain that the file was not there before, and may be removed.
  if (!overwrite) await create(path, copying);
  try {
    const {ended, errors} = await run(copying, script(UPLOAD, path), ignore, async (channel) => {
      for (; sent < file.size; copying.progress(sent, file.size)) {
        const piece = new Uint8Array(await file.slice(sent, sent + PIECE_BYTES).arrayBuffer());
        hash.update(piece);
        await channel.send(piece);
        sent += piece.length;
      }
      await channel.end();
    });
    insist(ended, errors);
  } catch (error) {
    if (copying.signal.aborted && !overwrite) await remove(path, copying);
    throw error;
  }
  return {bytes: sent, sha256: bytesToHex(hash.digest()), remoteSha256: await remoteChecksum(path, copying)};
}

/** Read a file from the server. Throws the signal's reason, or an Error in words. */
export async function download(path: string, copying: Copying): Promise<Copied & {readonly content: Blob}> {
  const size = await text(copying, script(SIZE, path));
  const total = Number(size);
  if (!/^\s*\d+\s*$/.test(size) || !Number.isSafeInteger(total)) throw new Error("the server does not tell the size of the file");
  const hash = sha256.create();
  let received = 0;
  let waiting: Uint8Array<ArrayBuffer>[] = [];
  let waitingBytes = 0;
  const blobs: Blob[] = [];
  const pack = (): void => {
    blobs.push(new Blob(waiting));
    waiting = [];
    waitingBytes = 0;
  };
  const {ended, errors} = await run(copying, script(DOWNLOAD, path), (data) => {
    hash.update(data);
    waiting.push(data);
    waitingBytes += data.length;
    received += data.length;
    if (received > total + MOST_GROWTH_BYTES) throw new Error(`the server sends more than the ${total} bytes of the file`);
    if (waitingBytes >= BLOB_BYTES) pack();
    copying.progress(received, Math.max(total, received));
  });
  insist(ended, errors);
  pack();
  const remoteSha256 = await remoteChecksum(path, copying);
  return {bytes: received, sha256: bytesToHex(hash.digest()), remoteSha256, content: new Blob(blobs, {type: "application/octet-stream"})};
}

interface Result {
  readonly ended: Ended;
  /** The beginning of what it wrote to its standard error. */
  readonly errors: string;
}

const ignore = (): void => {};

/** Run a command to its end, or until the signal is aborted or `output` throws. */
async function run(
  copying: Pick<Copying, "open" | "signal">,
  command: string,
  output: (data: Uint8Array<ArrayBuffer>) => void,
  input: (channel: Channel) => Promise<void> = async (channel) => channel.end(),
): Promise<Result> {
  const {signal} = copying;
  signal.throwIfAborted();
  const channel = await copying.open();
  let errors = "";
  let refused: unknown;
  const decoder = new TextDecoder();
  const stop = (): void => void channel.close().catch(() => {}); // the session may have ended
  signal.addEventListener("abort", stop);
  try {
    await channel.run(
      command,
      (data, taken) => {
        if (refused) return;
        try {
          output(data);
          taken();
        } catch (error) {
          refused = error;
          stop();
        }
      },
      (data, taken) => {
        if (errors.length < MOST_TEXT_BYTES) errors += decoder.decode(data, {stream: true});
        taken();
      },
    );
    signal.throwIfAborted();
    // The command may end before it has read everything; then its status says why.
    const fed = input(channel).catch((error: unknown) => {
      signal.throwIfAborted();
      if (!channel.hasEnded) throw error;
    });
    const [ended] = await Promise.all([channel.ended, fed]);
    signal.throwIfAborted();
    if (refused) throw refused;
    return {ended, errors};
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** The standard output of a command that has to succeed. */
async function text(copying: Copying, command: string): Promise<string> {
  const decoder = new TextDecoder();
  let found = "";
  const {ended, errors} = await run(copying, command, (data) => {
    if (found.length < MOST_TEXT_BYTES) found += decoder.decode(data, {stream: true});
  });
  insist(ended, errors);
  return found;
}

async function create(path: string, copying: Copying): Promise<void> {
  const {ended, errors} = await run(copying, script(CREATE, path), ignore);
  if (ended.status === EXISTS) throw new Exists(`${path} exists already`);
  insist(ended, errors);
}

async function remoteChecksum(path: string, copying: Copying): Promise<string | null> {
  let found = "";
  const {ended} = await run(copying, script(CHECKSUM, path), (data) => {
    if (found.length < MOST_TEXT_BYTES) found += new TextDecoder().decode(data);
  });
  if (ended.status === NO_PROGRAM || ended.status !== 0) return null;
  return /^\\?([0-9a-f]{64})\b/.exec(found)?.[1] ?? null;
}

/** Take away what a cancelled upload has left; that may fail as well, and is no news then. */
async function remove(path: string, {open}: Copying): Promise<void> {
  await run({open, signal: new AbortController().signal}, script(REMOVE, path), ignore).catch(() => {});
}

function insist({status, signal, lost}: Ended, errors: string): void {
  if (status === 0) return;
  if (lost) throw new Error("the connection ended");
  const message = serverText(errors.trim().split("\n").at(-1) ?? "", MOST_SHOWN).replace(/^sh: (\d+: |line \d+: )?/, "");
  if (message) throw new Error(message);
  throw new Error(signal ? `the command was killed by signal ${serverText(signal, MOST_SHOWN)}` : `the command ended with status ${status ?? "unknown"}`);
}
