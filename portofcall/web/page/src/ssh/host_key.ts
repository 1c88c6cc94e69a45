/** The key that a server proves to have. */

import type * as ssh from "@microsoft/dev-tunnels-ssh";
import {Buffer} from "buffer";

export interface HostKey {
  /** As in known_hosts: `ssh-ed25519`. */
  readonly type: string;
  /** The public key, in base64. */
  readonly base64: string;
}

export async function hostKey(key: ssh.KeyPair): Promise<HostKey> {
  const blob = await key.getPublicKeyBytes();
  if (!blob) throw new Error("the server sent no host key");
  return {type: key.keyAlgorithmName, base64: blob.toString("base64")};
}

/** `SHA256:…`, as OpenSSH shows it. */
export async function fingerprint({base64}: HostKey): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", Buffer.from(base64, "base64"));
  return `SHA256:${Buffer.from(digest).toString("base64").replace(/=+$/, "")}`;
}

/** `256 SHA256:… (ED25519)`: a line of `ssh-keygen -lf`, without the comment. */
export async function describe(key: HostKey): Promise<string> {
  return `${bits(key)} ${await fingerprint(key)} (${kind(key.type)})`;
}

function kind(type: string): string {
  const match = /^(?:ssh-|ecdsa-)?(rsa|dss|ed25519|sha2)/.exec(type);
  const names: Record<string, string> = {rsa: "RSA", dss: "DSA", ed25519: "ED25519", sha2: "ECDSA"};
  return names[match?.[1] ?? ""] ?? type;
}

/** The length of the key, as OpenSSH counts it. */
function bits({type, base64}: HostKey): number {
  const curve = /nistp(\d+)$/.exec(type);
  if (curve) return Number(curve[1]);
  if (type !== "ssh-rsa") return 256;
  // string type, mpint e, mpint n (RFC 4253, section 6.6)
  const blob = Buffer.from(base64, "base64");
  const view = new DataView(blob.buffer, blob.byteOffset, blob.length);
  let offset = 0;
  for (let skipped = 0; skipped < 2; skipped++) offset += 4 + view.getUint32(offset);
  let length = view.getUint32(offset);
  offset += 4;
  while (length && !blob[offset]) {
    offset++;
    length--;
  }
  return length ? length * 8 - Math.clz32(blob[offset]!) + 24 : 0;
}
