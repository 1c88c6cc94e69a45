/** Derives a key, and nothing else; see bcrypt.ts. */

import {pbkdf} from "bcrypt-pbkdf";
import type {Question} from "./bcrypt.ts";

addEventListener("message", ({data}: MessageEvent<Question>) => {
  const {passphrase, salt, keyBytes, rounds} = data;
  const key = new Uint8Array(keyBytes);
  if (pbkdf(passphrase, passphrase.length, salt, salt.length, key, key.length, rounds)) throw new Error("bcrypt failed");
  postMessage(key);
});
