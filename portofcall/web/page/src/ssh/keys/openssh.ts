/**
 * "BEGIN OPENSSH PRIVATE KEY" (PROTOCOL.key of OpenSSH), which ssh-keygen writes by default.
 *
 * dev-tunnels-ssh-keys does not read it, encrypted or not ("Failed to decrypt key").
 */

import * as ssh from "@microsoft/dev-tunnels-ssh";
import {Buffer} from "buffer";
import {Ed25519KeyPair} from "../mends/ed25519.ts";
import {bcrypt} from "./bcrypt.ts";

export const OPENSSH = /-----BEGIN OPENSSH PRIVATE KEY-----([^-]+)-----END OPENSSH PRIVATE KEY-----/;
const MAGIC = "openssh-key-v1\0";
const CIPHER = /^aes(128|192|256)-ctr$/;
const IV_BYTES = 16;
/** ssh-keygen's default is 16 or 24; each takes a core some 10 ms. */
const MOST_ROUNDS = 1024;

interface Envelope {
  readonly cipher: string;
  readonly kdf: string;
  readonly options: Buffer;
  readonly secret: Buffer;
}

export const isEncryptedOpenSsh = (text: string): boolean => open(text).cipher !== "none";

/** @throws Error in words. */
export async function readOpenSsh(text: string, passphrase: string): Promise<ssh.KeyPair> {
  const reader = new ssh.SshDataReader(await decrypt(open(text), passphrase));
  if (reader.readUInt32() !== reader.readUInt32()) throw new Error("the passphrase is wrong");
  const type = reader.readString("ascii");
  const pair = await readPair(type, reader);
  pair.comment = reader.readString("utf8");
  return pair;
}

function open(text: string): Envelope {
  const all = Buffer.from(OPENSSH.exec(text)?.[1]?.replace(/\s/g, "") ?? "", "base64");
  if (all.toString("latin1", 0, MAGIC.length) !== MAGIC) throw new Error("the file is damaged");
  const reader = new ssh.SshDataReader(all.slice(MAGIC.length));
  const cipher = reader.readString("ascii");
  const kdf = reader.readString("ascii");
  const options = reader.readBinary();
  if (reader.readUInt32() !== 1) throw new Error("there is more than one key in the file");
  reader.readBinary(); // the public key
  return {cipher, kdf, options, secret: reader.readBinary()};
}

async function decrypt({cipher, kdf, options, secret}: Envelope, passphrase: string): Promise<Buffer> {
  if (cipher === "none") return secret;
  const keyBits = CIPHER.exec(cipher)?.[1];
  if (kdf !== "bcrypt" || !keyBits) throw new Error(`keys encrypted with ${cipher} and ${kdf} are not supported`);
  const reader = new ssh.SshDataReader(options);
  const salt = reader.readBinary();
  const rounds = reader.readUInt32();
  if (rounds > MOST_ROUNDS) throw new Error(`the key asks for ${rounds} rounds of bcrypt; at most ${MOST_ROUNDS} are done`);
  const keyBytes = Number(keyBits) / 8;
  const derived = await bcrypt(new TextEncoder().encode(passphrase), new Uint8Array(salt), keyBytes + IV_BYTES, rounds);
  const key = await crypto.subtle.importKey("raw", derived.subarray(0, keyBytes), "AES-CTR", false, ["decrypt"]);
  const algorithm = {name: "AES-CTR", counter: derived.subarray(keyBytes), length: 128};
  return Buffer.from(await crypto.subtle.decrypt(algorithm, key, secret));
}

async function readPair(type: string, reader: ssh.SshDataReader): Promise<ssh.KeyPair> {
  if (type === "ssh-ed25519") {
    const pair = new Ed25519KeyPair();
    const raw = reader.readBinary();
    await pair.setRaw(raw, reader.readBinary().slice(0, 32));
    return pair;
  }
  if (type.startsWith("ecdsa-sha2-")) {
    const name = reader.readString("ascii");
    const point = reader.readBinary();
    const half = (point.length - 1) / 2;
    const coordinate = (start: number): ssh.BigInt => unsigned(point.slice(start, start + half));
    const pair = new ssh.ECDsa.KeyPair();
    const parameters: ssh.ECParameters = {curve: {name}, x: coordinate(1), y: coordinate(1 + half), d: reader.readBigInt()};
    await pair.importParameters(parameters);
    return pair;
  }
  if (type === "ssh-rsa") {
    const [modulus, exponent, d, qi, p, q] = Array.from({length: 6}, () => reader.readBigInt()) as Six;
    const minusOne = (prime: ssh.BigInt): bigint => native(prime) - 1n;
    const parameters: ssh.RsaParameters = {
      modulus, exponent, d, p, q, qi, dp: wrapped(native(d) % minusOne(p)), dq: wrapped(native(d) % minusOne(q)),
    };
    const pair = ssh.SshAlgorithms.publicKey.rsaWithSha512!.createKeyPair();
    await pair.importParameters(parameters);
    return pair;
  }
  throw new Error(`keys of the type ${type} are not supported`);
}

type Six = [ssh.BigInt, ssh.BigInt, ssh.BigInt, ssh.BigInt, ssh.BigInt, ssh.BigInt];

const unsigned = (bytes: Buffer): ssh.BigInt => ssh.BigInt.fromBytes(bytes, {unsigned: true});
const native = (number: ssh.BigInt): bigint => BigInt(`0x${number.toBytes({unsigned: true}).toString("hex") || "0"}`);

function wrapped(number: bigint): ssh.BigInt {
  const hex = number.toString(16);
  return unsigned(Buffer.from(hex.length % 2 ? `0${hex}` : hex, "hex"));
}
