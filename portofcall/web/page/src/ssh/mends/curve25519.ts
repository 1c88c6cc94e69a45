/**
 * Key exchange with Curve25519 (RFC 8731), with Web Crypto.
 *
 * dev-tunnels-ssh has none, and its exchange hash writes both public values as mpints: wrong for this exchange
 * whenever one of them begins with a set bit or a zero byte.
 */

import * as ssh from "@microsoft/dev-tunnels-ssh";
import {Buffer} from "buffer";
import {internals, type Exchange} from "./internals.ts";

export class Curve25519 extends ssh.KeyExchangeAlgorithm {
  constructor(name = "curve25519-sha256") {
    super(name, 256, "SHA2-256", 32);
  }

  createKeyExchange(): Exchange {
    let pair: CryptoKeyPair;
    return {
      rawValues: true,
      digestLength: 32,
      async startKeyExchange() {
        pair = (await crypto.subtle.generateKey("X25519", false, ["deriveBits"])) as CryptoKeyPair;
        return Buffer.from(await crypto.subtle.exportKey("raw", pair.publicKey));
      },
      async decryptKeyExchange(value) {
        const theirs = await crypto.subtle.importKey("raw", value, "X25519", false, []);
        // Fails for a value of small order, as RFC 8731 asks.
        const bits = await crypto.subtle.deriveBits({name: "X25519", public: theirs}, pair.privateKey, 256);
        // As an mpint, which is what the keys are derived from.
        return ssh.BigInt.fromBytes(Buffer.from(bits), {unsigned: true}).toBytes();
      },
      sign: async (data) => Buffer.from(await crypto.subtle.digest("SHA-256", data)),
      dispose() {},
    };
  }
}

/** Let the exchange hash take the public values as they are, where the exchange asks for that. */
export function mendExchangeHash(session: ssh.SshClientSession): void {
  const {kexService} = internals(session);
  const original = kexService.computeExchangeHash;
  kexService.computeExchangeHash = async function (exchange, hostKey, ours, theirs, secret) {
    if (!exchange.rawValues) return original.call(this, exchange, hostKey, ours, theirs, secret);
    const writer = new ssh.SshDataWriter(Buffer.alloc(4096));
    writer.writeString(ssh.SshSession.localVersion.toString(), "ascii");
    writer.writeString(String(internals(session).remoteVersion), "ascii");
    const {clientKexInitPayload, serverKexInitPayload} = this.exchangeContext;
    for (const value of [clientKexInitPayload, serverKexInitPayload, hostKey, ours, theirs, secret]) {
      writer.writeBinary(value);
    }
    return exchange.sign(writer.toBuffer());
  };
}

/** Whether this browser has X25519. */
export async function hasX25519(): Promise<boolean> {
  try {
    await crypto.subtle.generateKey("X25519", false, ["deriveBits"]);
    return true;
  } catch {
    return false;
  }
}
