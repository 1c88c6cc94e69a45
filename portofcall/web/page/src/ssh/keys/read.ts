/** Private keys in files: OpenSSH's own format, PEM and PKCS #8. */

import type * as ssh from "@microsoft/dev-tunnels-ssh";
import {importKey} from "@microsoft/dev-tunnels-ssh-keys";
import {isEncryptedOpenSsh, OPENSSH, readOpenSsh} from "./openssh.ts";

export const isPrivateKey = (text: string): boolean => /-----BEGIN ([A-Z]+ )*PRIVATE KEY-----/.test(text);

/** Whether a passphrase is needed. */
export function isEncrypted(text: string): boolean {
  if (OPENSSH.test(text)) return isEncryptedOpenSsh(text);
  return /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text);
}

/**
 * Read a private key.
 *
 * @throws Error in words: the passphrase is missing or wrong, or the format is not supported.
 */
export async function readKey(text: string, passphrase: string): Promise<ssh.KeyPair> {
  if (isEncrypted(text) && !passphrase) throw new Error("the passphrase is missing");
  if (OPENSSH.test(text)) return readOpenSsh(text, passphrase);
  try {
    return await importKey(text.trim(), passphrase || null);
  } catch (error) {
    if (isEncrypted(text)) throw new Error("the passphrase is wrong, or the cipher is not supported");
    throw new Error(`the key can't be read (${error instanceof Error ? error.message : String(error)})`);
  }
}
