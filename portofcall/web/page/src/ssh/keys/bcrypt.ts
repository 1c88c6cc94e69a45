/** bcrypt_pbkdf, in a worker: it takes a core some hundred milliseconds, and the page has to answer meanwhile. */

/** What the worker is asked, and answers with the key. */
export interface Question {
  readonly passphrase: Uint8Array;
  readonly salt: Uint8Array;
  readonly keyBytes: number;
  readonly rounds: number;
}

/** @throws Error it failed. */
export async function bcrypt(
  passphrase: Uint8Array,
  salt: Uint8Array,
  keyBytes: number,
  rounds: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const worker = new Worker(new URL(BCRYPT_WORKER, import.meta.url), {type: "module"});
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({data}: MessageEvent<Uint8Array<ArrayBuffer>>) => resolve(data);
      worker.onerror = ({message}) => reject(new Error(message || "the key can't be derived"));
      worker.postMessage({passphrase, salt, keyBytes, rounds} satisfies Question);
    });
  } finally {
    worker.terminate();
  }
}

/** The name of the worker's file beside this one, put in by build.mjs. */
declare const BCRYPT_WORKER: string;
