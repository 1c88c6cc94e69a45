/** What this page speaks, in order of preference, as far as the browser has it. */

import * as ssh from "@microsoft/dev-tunnels-ssh";
import {mendBanner} from "./mends/banner.ts";
import {Curve25519, hasX25519} from "./mends/curve25519.ts";
import {Ed25519, hasEd25519} from "./mends/ed25519.ts";
import {mendInteractive} from "./mends/interactive.ts";

/**
 * Make a configuration.
 *
 * @param knownTypes the types of the host keys that are known of a server (`ssh-ed25519`): asked for first, so that
 *   a server that has got one more key does not look as if its key had changed.
 */
export async function configuration(knownTypes: readonly string[] = []): Promise<ssh.SshSessionConfiguration> {
  const config = new ssh.SshSessionConfiguration();
  mendBanner(config);
  mendInteractive(config);
  const {publicKeyAlgorithms: keys, keyExchangeAlgorithms: exchanges} = config;
  if (await hasEd25519()) keys.unshift(new Ed25519());
  if (await hasX25519()) exchanges.unshift(new Curve25519(), new Curve25519("curve25519-sha256@libssh.org"));
  // The library has these, and does not offer them. Diffie-Hellman in JavaScript is slow, and comes last.
  keys.push(ssh.SshAlgorithms.publicKey.ecdsaSha2Nistp521!);
  exchanges.splice(-2, 0, ssh.SshAlgorithms.keyExchange.ecdhNistp521Sha512!);
  const rank = (key: ssh.PublicKeyAlgorithm | null): number => Number(!key || !knownTypes.includes(key.keyAlgorithmName));
  keys.sort((a, b) => rank(a) - rank(b)); // stable
  return config;
}

const KINDS: Readonly<Record<string, string>> = {
  KeyExchange: "key exchange",
  PublicKey: "host key type",
  ClientEncryption: "cipher",
  ServerEncryption: "cipher",
  ClientHmac: "MAC",
  ServerHmac: "MAC",
  ClientCompression: "compression",
  ServerCompression: "compression",
};

/** Explain the library's error about algorithms; null if it is about something else. */
export function explainNegotiation(message: string): string | null {
  const match = /^Failed (\w+) negotiation: Server \((.*)\) Client \((.*)\)$/.exec(message);
  if (!match) return null;
  const [, label, server, client] = match;
  const own = client!.split(", ").filter((name) => !name.startsWith("ext-info"));
  return `the server and this page have no ${KINDS[label!] ?? "algorithm"} in common: `
    + `the server has ${server || "none"}; this page has ${own.join(", ")}`;
}
