/**
 * Ed25519 keys (RFC 8709), with Web Crypto.
 *
 * dev-tunnels-ssh has none: it can't talk to a server whose only host key is of this type, and can't use the keys
 * that ssh-keygen makes by default.
 */

import * as ssh from "@microsoft/dev-tunnels-ssh";
import {Buffer} from "buffer";

const NAME = "ssh-ed25519";
const KEY_BYTES = 32;
/** What precedes the seed in a PKCS #8 file (RFC 8410). */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

export class Ed25519KeyPair implements ssh.KeyPair {
  readonly keyAlgorithmName = NAME;
  comment: string | null = null;
  private raw: Buffer | undefined;
  private publicKey: CryptoKey | undefined;
  private privateKey: CryptoKey | undefined;

  get hasPublicKey(): boolean {
    return this.publicKey !== undefined;
  }

  get hasPrivateKey(): boolean {
    return this.privateKey !== undefined;
  }

  async setPublicKeyBytes(blob: Buffer): Promise<void> {
    const reader = new ssh.SshDataReader(blob);
    if (reader.readString("ascii") !== NAME) throw new Error("expected an Ed25519 key");
    await this.setRaw(reader.readBinary());
  }

  /** Take over a key: its public half, and the seed of the private one. */
  async setRaw(raw: Uint8Array, seed?: Uint8Array): Promise<void> {
    if (raw.length !== KEY_BYTES) throw new Error(`an Ed25519 public key has ${KEY_BYTES} bytes`);
    this.raw = Buffer.from(raw);
    this.publicKey = await crypto.subtle.importKey("raw", this.raw, "Ed25519", true, ["verify"]);
    if (!seed) return;
    if (seed.length !== KEY_BYTES) throw new Error(`an Ed25519 private key has ${KEY_BYTES} bytes`);
    this.privateKey = await crypto.subtle.importKey("pkcs8", Buffer.concat([PKCS8_PREFIX, seed]), "Ed25519", false, ["sign"]);
  }

  async getPublicKeyBytes(): Promise<Buffer> {
    if (!this.raw) throw new Error("there is no key yet");
    const writer = new ssh.SshDataWriter(Buffer.alloc(64));
    writer.writeString(NAME, "ascii");
    writer.writeBinary(this.raw);
    return writer.toBuffer();
  }

  async sign(data: Buffer): Promise<Buffer> {
    if (!this.privateKey) throw new Error("the private key is missing");
    return Buffer.from(await crypto.subtle.sign("Ed25519", this.privateKey, data));
  }

  async verify(data: Buffer, signature: Buffer): Promise<boolean> {
    if (!this.publicKey) throw new Error("the public key is missing");
    return crypto.subtle.verify("Ed25519", this.publicKey, signature, data);
  }

  async generate(): Promise<void> {
    throw new Error("Ed25519 keys are not made here");
  }

  async importParameters(): Promise<void> {
    throw new Error("an Ed25519 key has no parameters");
  }

  async exportParameters(): Promise<never> {
    throw new Error("an Ed25519 key has no parameters");
  }

  dispose(): void {
    this.privateKey = undefined;
  }
}

export class Ed25519 extends ssh.PublicKeyAlgorithm {
  constructor() {
    super(NAME, NAME, "SHA2-512");
  }

  createKeyPair(): Ed25519KeyPair {
    return new Ed25519KeyPair();
  }

  async generateKeyPair(): Promise<never> {
    throw new Error("Ed25519 keys are not made here");
  }

  createSigner(pair: ssh.KeyPair): ssh.Signer {
    return {digestLength: 64, sign: (data) => (pair as Ed25519KeyPair).sign(data), dispose() {}};
  }

  createVerifier(pair: ssh.KeyPair): ssh.Verifier {
    return {
      digestLength: 64,
      verify: (data, signature) => (pair as Ed25519KeyPair).verify(data, signature),
      dispose() {},
    };
  }
}

/** Whether this browser has Ed25519. */
export async function hasEd25519(): Promise<boolean> {
  try {
    await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    return true;
  } catch {
    return false;
  }
}
