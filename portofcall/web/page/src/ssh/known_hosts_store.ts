/** The host keys that this browser remembers for this gateway's origin. */

import {format, merge, parse, type Entry} from "./known_hosts.ts";

const KEY = "portofcall.known-hosts";

/** Kept when the browser stores nothing: then the keys are asked about again in the next visit. */
let unstored: string | null = null;

export function remembered(): Entry[] {
  return parse(text()).entries;
}

export function rememberKeys(added: readonly Entry[]): void {
  store(format(merge(remembered(), added)));
}

export function forgetKey(entry: Entry): void {
  const line = format([entry]);
  store(format(remembered().filter((other) => format([other]) !== line)));
}

/** All lines, to be put into a file. */
export const exported = (): string => format(remembered());

function text(): string {
  if (unstored !== null) return unstored;
  try {
    return localStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

function store(lines: string): void {
  try {
    if (lines) localStorage.setItem(KEY, lines);
    else localStorage.removeItem(KEY);
    unstored = null;
  } catch {
    unstored = lines;
  }
}
