/** Sends a file piece by piece, so that it can be cancelled at any time. */

/** The most that can't be taken back: one piece may be with the browser when an upload is cancelled. */
const PIECE_BYTES = 64 << 10;

export type Ending = "sent" | "cancelled" | "refused" | "unreadable";

export interface Outcome {
  readonly ending: Ending;
  /** How many bytes were accepted. */
  readonly sent: number;
  /** How many bytes wait in the browser; they follow when the service reads, unless the tunnel ends before. */
  readonly held: number;
}

/** Cut data into pieces. */
export function* pieces(data: Uint8Array<ArrayBuffer>): Generator<Uint8Array<ArrayBuffer>> {
  for (let start = 0; start < data.length; start += PIECE_BYTES) yield data.subarray(start, start + PIECE_BYTES);
}

/**
 * Send a file.
 *
 * @param write is fulfilled when the bytes were accepted, and rejected if they were not.
 * @param signal cancels at once, also while a write waits for a service that does not read.
 * @param progress is called with the number of bytes that were accepted.
 */
export async function upload(
  file: Blob,
  write: (data: Uint8Array<ArrayBuffer>) => Promise<void>,
  signal: AbortSignal,
  progress: (sent: number) => void,
): Promise<Outcome> {
  let sent = 0;
  const end = (ending: Ending, held = 0): Outcome => ({ending, sent, held});
  const cancelled = new Promise<"cancelled">((resolve) => signal.addEventListener("abort", () => resolve("cancelled")));
  const reader = file.stream().getReader();
  try {
    for (;;) {
      const read = await Promise.race([reader.read().catch(() => "unreadable" as const), cancelled]);
      if (signal.aborted || read === "cancelled") return end("cancelled");
      if (read === "unreadable") return end("unreadable");
      if (read.done) return end("sent");
      for (const piece of pieces(read.value as Uint8Array<ArrayBuffer>)) {
        const written = write(piece).then(() => "accepted" as const, () => "refused" as const);
        const result = await Promise.race([written, cancelled]);
        if (result === "refused") return end("refused");
        if (result === "cancelled") return end("cancelled", piece.length);
        sent += piece.length;
        progress(sent);
        if (signal.aborted) return end("cancelled");
      }
    }
  } finally {
    void reader.cancel().catch(() => {}); // a file that can't be read can't be cancelled, either
  }
}
