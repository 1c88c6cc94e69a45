/** What a user prefers, kept in this browser. */

const KEY = "portofcall.ssh";

export interface Settings {
  /** In CSS pixels. */
  readonly fontSize: number;
  /** In lines. */
  readonly scrollback: number;
  readonly bell: boolean;
  /** So often a silent server is asked whether it is there; 0 for never. */
  readonly keepAliveSeconds: number;
  /** After so much both ways the session changes its keys. */
  readonly rekeyMebibytes: number;
  /** Whether the terminal writes its text for screen readers, too. */
  readonly screenReader: boolean;
}

const DEFAULTS: Settings = {fontSize: 14, scrollback: 5000, bell: true, keepAliveSeconds: 15, rekeyMebibytes: 512, screenReader: false};
export const BOUNDS = {fontSize: [8, 32], scrollback: [0, 100_000], keepAliveSeconds: [0, 600], rekeyMebibytes: [1, 4096]} as const;

export function settings(): Settings {
  let stored: unknown;
  try {
    stored = JSON.parse(localStorage.getItem(KEY) ?? "{}");
  } catch {
    return DEFAULTS; // storage is blocked, or holds something else
  }
  const found = (typeof stored === "object" && stored !== null ? stored : {}) as Record<string, unknown>;
  const number = (name: keyof typeof BOUNDS): number => {
    const value = found[name];
    if (typeof value !== "number" || !Number.isFinite(value)) return DEFAULTS[name];
    const [least, most] = BOUNDS[name];
    return Math.round(Math.min(most, Math.max(least, value)));
  };
  const flag = (name: "bell" | "screenReader"): boolean => (typeof found[name] === "boolean" ? found[name] : DEFAULTS[name]);
  return {
    fontSize: number("fontSize"),
    scrollback: number("scrollback"),
    keepAliveSeconds: number("keepAliveSeconds"),
    rekeyMebibytes: number("rekeyMebibytes"),
    bell: flag("bell"),
    screenReader: flag("screenReader"),
  };
}

export function changeSettings(changed: Partial<Settings>): Settings {
  const wanted = {...settings(), ...changed};
  try {
    localStorage.setItem(KEY, JSON.stringify(wanted));
  } catch {
    return wanted; // for this session alone
  }
  return settings();
}
