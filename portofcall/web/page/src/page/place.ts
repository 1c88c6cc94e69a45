/** A target as people write it: `host:port`, or the name of one that the operator has named. */

export type Place = {readonly host: string; readonly port: number} | {readonly target: string};

/** A host has no white space, and nothing of a URL: a ticket in a link must never become a part of one. */
const NO_HOST = /[\s/?#&=%@\\]/;

/** A field that does not hold a place; the message says what was expected. */
export class PlaceError extends Error {}

/**
 * Parse what is in the field. The gateway is stricter; this is for what it could not be asked at all.
 *
 * @param defaultPort makes the port optional; a text without one is then a host, if it is not in `named`.
 * @param named the targets that the gateway offers by name.
 */
export function parsePlace(text: string, defaultPort?: number, named: readonly string[] = []): Place {
  text = text.trim();
  if (named.includes(text)) return {target: text};
  if (!text) throw new PlaceError("Enter a host and a port, such as db.example:5432.");
  if (NO_HOST.test(text)) throw new PlaceError("Expected host:port, without spaces and without the rest of a URL.");
  const match = /^(\[[^\]]+\]|[^:]+):(\d+)$/.exec(text);
  if (match) {
    const port = Number(match[2]);
    if (port < 1 || port > 65535) throw new PlaceError("A port is a number from 1 to 65535.");
    return {host: match[1]!.replace(/^\[|\]$/g, ""), port};
  }
  if (defaultPort !== undefined && (!text.includes(":") || /^\[[^\]]+\]$/.test(text))) {
    return {host: text.replace(/^\[|\]$/g, ""), port: defaultPort};
  }
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(text)) return {target: text};
  throw new PlaceError("Expected host:port, with IPv6 addresses in brackets: [2001:db8::1]:22.");
}

export function showPlace(place: Place): string {
  if ("target" in place) return place.target;
  return place.host.includes(":") ? `[${place.host}]:${place.port}` : `${place.host}:${place.port}`;
}

export interface Login {
  /** Empty if there is none. */
  readonly user: string;
  /** The place, for `parsePlace`. */
  readonly text: string;
  /** Whether this is clearly meant for SSH. */
  readonly isLogin: boolean;
}

/** Take the user out of `user@host`, `ssh user@host`, `ssh -p 2222 -l user host` or `ssh://user@host`. */
export function parseLogin(text: string): Login {
  let rest = text.trim();
  const command = /^ssh(?:\s+|:\/\/)/.exec(rest);
  rest = rest.slice(command?.[0].length ?? 0).trim();
  const options: Record<string, string> = {};
  if (command) rest = rest.replace(/(?:^|\s)-([pl])\s*(\S+)/g, (_, name: string, value: string) => ((options[name] = value), "")).trim();
  const at = rest.lastIndexOf("@");
  const user = options["l"] ?? rest.slice(0, Math.max(at, 0));
  let place = rest.slice(at + 1).replace(command ? /\/$/ : "", "");
  const port = options["p"];
  // An IPv6 address alone; with a port it would be in brackets.
  if (port && /^[^[]*:.*:/.test(place)) place = `[${place}]:${port}`;
  else if (port && !/[^:]:\d+$/.test(place)) place = `${place}:${port}`;
  return {user, text: place, isLogin: Boolean(command) || at >= 0};
}

export interface Link {
  readonly action: string;
  readonly text: string;
  readonly ticket: string;
  /** What the address bar may keep of it: all but the ticket. */
  readonly address: string;
}

/**
 * Read the page's own address: `#tcp/host:port&ticket=…`, or the path `/ping/host:port?ticket=…`. Links fill the
 * field, nothing more. Null if it is no link; nothing of its fragment and query is to be kept then, either.
 */
export function parseLink({hash, pathname, search}: Pick<Location, "hash" | "pathname" | "search">): Link | null {
  const inHash = /^#(\w+)\/([^&?]*)(?:[&?]ticket=([^&?]*))?$/.exec(hash);
  const match = inHash ?? (hash ? null : /\/(ping|ssh)\/([^/]+)$/.exec(pathname));
  if (!match) return null;
  try {
    const text = decodeURIComponent(match[2]!);
    // Of `user@host`, the user is no way around either.
    if (NO_HOST.test(text.replace("@", ""))) return null;
    const ticket = decodeURIComponent(match[3] ?? "") || (new URLSearchParams(search).get("ticket") ?? "");
    // `/ssh/host` shows what it shows to curl.
    const action = !inHash && match[1] === "ssh" ? "banner" : match[1]!;
    return {action, text, ticket, address: inHash ? pathname + linkTo(match[1]!, text) : pathname};
  } catch {
    return null; // a broken escape
  }
}

export const linkTo = (action: string, text: string): string => `#${action}/${encodeURI(text)}`;

const quote = (text: string): string => (/^[\w@%+=:,./[\]-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** The command line that opens the same tunnel. */
export function connectCommand(gateway: URL, place: Place): string {
  const url = new URL(gateway);
  url.protocol = url.protocol.replace("http", "ws");
  const base = quote(url.pathname === "/" ? url.origin.replace(/^null/, `${url.protocol}//${url.host}`) : url.href);
  if ("target" in place) return `portofcall connect ${base} --target ${quote(place.target)}`;
  return `portofcall connect ${base} ${quote(place.host)} ${place.port}`;
}
