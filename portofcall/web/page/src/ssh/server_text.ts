/** Text of a server, which may be an attacker's: bounded, and without what is no text. */

/** Control characters, and those that turn the direction of what follows. */
const NO_TEXT = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Take at most `most` characters, with lines ended by `\n`. */
export function serverText(text: string, most: number): string {
  const clean = text.slice(0, most).replace(/\r\n?/g, "\n").replace(NO_TEXT, "");
  return text.length > most ? `${clean}…` : clean;
}
