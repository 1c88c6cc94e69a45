/** The targets that were used last, in this browser alone. */

const KEY = "portofcall.recent";
const MOST = 6;

export function recent(): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(stored) ? stored.filter((item) => typeof item === "string").slice(0, MOST) : [];
  } catch {
    return []; // storage is blocked, or holds something else
  }
}

export function remember(text: string): void {
  store([text, ...recent().filter((item) => item !== text)].slice(0, MOST));
}

export const forget = (): void => store([]);

function store(items: string[]): void {
  try {
    if (items.length) localStorage.setItem(KEY, JSON.stringify(items));
    else localStorage.removeItem(KEY);
  } catch {
    // Without storage nothing is remembered.
  }
}
