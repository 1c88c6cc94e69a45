/** The lines of a known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). */

import {Buffer} from "buffer";
import type {Place} from "../page/place.ts";
import type {HostKey} from "./host_key.ts";

const DEFAULT_PORT = 22;
const TYPES = /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521))$/;

/** The line of one key. */
export interface Entry extends HostKey {
  /** Names and patterns, separated by commas, or one that is hashed: `|1|salt|hash`. */
  readonly hosts: string;
  readonly revoked: boolean;
}

export type Verdict =
  | {readonly known: true}
  | {
      readonly known: false;
      /** Other keys that are remembered of the server; none at first use. */
      readonly others: readonly Entry[];
      readonly revoked: boolean;
    };

/** A line that can't be used, and why. */
export interface Rejected {
  readonly line: number;
  readonly reason: string;
}

/**
 * The name of a server in known_hosts: `host`, `[host]:2222`, and `target/name` for one that the gateway names.
 *
 * @throws Error the name would be a pattern there, or another line: a key that is accepted for `*` would be one of
 *   every server.
 */
export function hostName(place: Place): string {
  const host = "target" in place ? place.target : place.host.toLowerCase();
  if (/[\s*?!,|#@[\]/\\]/.test(host)) throw new Error(`${host} is not the name of a host`);
  if ("target" in place) return `target/${host}`;
  return place.port === DEFAULT_PORT ? host : `[${host}]:${place.port}`;
}

/** Read lines. Comments and empty lines are skipped; every other line is an entry or rejected. */
export function parse(text: string): {readonly entries: Entry[]; readonly rejected: Rejected[]} {
  const entries: Entry[] = [];
  const rejected: Rejected[] = [];
  text.split(/\r?\n/).forEach((content, index) => {
    const words = content.trim().split(/\s+/);
    if (!words[0] || words[0].startsWith("#")) return;
    const marker = words[0].startsWith("@") ? words.shift() : undefined;
    const [hosts = "", type = "", base64 = ""] = words;
    const reason = problem(marker, hosts, type, base64);
    if (reason) rejected.push({line: index + 1, reason});
    else entries.push({hosts, type, base64, revoked: marker === "@revoked"});
  });
  return {entries, rejected};
}

export function format(entries: readonly Entry[]): string {
  return entries
    .map(({hosts, type, base64, revoked}) => `${revoked ? "@revoked " : ""}${hosts} ${type} ${base64}\n`)
    .join("");
}

/** Add entries that are not there yet. */
export function merge(entries: readonly Entry[], added: readonly Entry[]): Entry[] {
  const lines = new Map([...entries, ...added].map((entry) => [format([entry]), entry]));
  return [...lines.values()];
}

/** The entries about a server. */
export async function about(entries: readonly Entry[], name: string): Promise<Entry[]> {
  const matching = await Promise.all(entries.map(({hosts}) => matches(hosts, name)));
  return entries.filter((_, index) => matching[index]);
}

/** Judge the key that a server has shown. */
export async function judge(entries: readonly Entry[], name: string, key: HostKey): Promise<Verdict> {
  const found = await about(entries, name);
  const same = (entry: Entry): boolean => entry.type === key.type && entry.base64 === key.base64;
  const revoked = entries.some((entry) => entry.revoked && same(entry));
  if (!revoked && found.some(same)) return {known: true};
  return {known: false, revoked, others: found.filter((entry) => !entry.revoked && !same(entry))};
}

function problem(marker: string | undefined, hosts: string, type: string, base64: string): string | null {
  if (marker === "@cert-authority") return "certificates are not supported";
  if (marker !== undefined && marker !== "@revoked") return `${marker} is not known`;
  if (!hosts || !type || !base64) return "expected a host, a key type and a key";
  if (!TYPES.test(type)) return `keys of the type ${type} are not supported`;
  const blob = /^[A-Za-z0-9+/]+={0,2}$/.test(base64) ? Buffer.from(base64, "base64") : Buffer.alloc(0);
  // The key repeats its type: a uint32 with the length, and the name.
  if (blob.toString("latin1", 4, 4 + type.length) !== type) return `the key is not one of the type ${type}`;
  return null;
}

async function matches(hosts: string, name: string): Promise<boolean> {
  if (hosts.startsWith("|")) return matchesHash(hosts, name);
  let found = false;
  for (const pattern of hosts.toLowerCase().split(",")) {
    const negated = pattern.startsWith("!");
    if (!wildcard(negated ? pattern.slice(1) : pattern).test(name.toLowerCase())) continue;
    if (negated) return false;
    found = true;
  }
  return found;
}

function wildcard(pattern: string): RegExp {
  const source = pattern.replace(/[\\^$.|+()[\]{}]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
  return new RegExp(`^${source}$`);
}

/** `|1|salt|hash`: HMAC-SHA1 of the name, both in base64. */
async function matchesHash(hosts: string, name: string): Promise<boolean> {
  const [, version, salt, hash] = hosts.split("|");
  if (version !== "1" || !salt || !hash) return false;
  const algorithm = {name: "HMAC", hash: "SHA-1"};
  const key = await crypto.subtle.importKey("raw", Buffer.from(salt, "base64"), algorithm, false, ["sign"]);
  const digest = Buffer.from(await crypto.subtle.sign("HMAC", key, Buffer.from(name.toLowerCase(), "utf8")));
  return digest.equals(Buffer.from(hash, "base64"));
}
