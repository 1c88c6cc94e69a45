/** Styles of the SSH view, as constructed style sheets: they come with the chunk, and `style-src 'self'` allows them. */

import xterm from "@xterm/xterm/css/xterm.css" with {type: "text"};
import own from "./ssh.css" with {type: "text"};

let adopted = false;

export function adoptStyles(): void {
  if (adopted) return;
  adopted = true;
  for (const text of [xterm, own]) {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(text);
    document.adoptedStyleSheets.push(sheet);
  }
}
