/** Commands for the far side, whatever the user's shell is. */

/** Quote a word for any common shell. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** Run a script of sh with arguments, which it has as `$1` and so on. */
export function script(text: string, ...words: readonly string[]): string {
  return ["exec sh -c", ...[text, "sh", ...words].map(quote)].join(" ");
}

/** A path that can't be sent. */
export class PathError extends Error {}

/**
 * Check a path as the user has written it. What is relative begins in the user's home, and so does `~/`.
 *
 * @throws PathError it is empty, or has characters that not every shell takes as they are.
 */
export function remotePath(text: string): string {
  const path = text.trim();
  if (!path) throw new PathError("Enter a path on the server.");
  // In quotes, too, fish and csh read some of these in their own way.
  if (/[\u0000-\u001f\u007f\\!]/.test(path)) throw new PathError("A path with control characters, \\ or ! can't be copied.");
  if (/^~[^/]/.test(path)) throw new PathError("Of ~, only ~/ is understood: the home of the user who is signed in.");
  const inHome = path.replace(/^~\/*/, "");
  const relative = path.startsWith("~") ? inHome || "." : path;
  return relative.startsWith("-") ? `./${relative}` : relative;
}

/** The last part of a path. */
export const baseName = (path: string): string => path.replace(/\/+$/, "").split("/").at(-1) || "file";
