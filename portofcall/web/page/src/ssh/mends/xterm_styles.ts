/**
 * xterm.js under `style-src 'self'`.
 *
 * xterm 6 writes colours and sizes into `<style>` elements that it makes in `open()`, which the policy forbids: no
 * colours, another font, no cursor. A constructed style sheet is no inline style.
 */

import type {Terminal} from "@xterm/xterm";

/** Open a terminal whose `<style>` elements are replaced: their text goes to style sheets of the document. */
export function openStrictly(terminal: Terminal, parent: HTMLElement): CSSStyleSheet[] {
  const sheets: CSSStyleSheet[] = [];
  const create = document.createElement.bind(document);
  const replacement = (name: string, options?: ElementCreationOptions): HTMLElement => {
    if (name.toLowerCase() !== "style") return create(name, options);
    const sheet = new CSSStyleSheet();
    sheets.push(sheet);
    document.adoptedStyleSheets.push(sheet);
    // Stands where the style would: shows nothing, and is no style.
    const element = create("template");
    Object.defineProperty(element, "textContent", {set: (text: string) => sheet.replaceSync(text)});
    return element;
  };
  Object.defineProperty(document, "createElement", {value: replacement, configurable: true});
  try {
    terminal.open(parent);
  } finally {
    // The method of the prototype is there again.
    Reflect.deleteProperty(document, "createElement");
  }
  return sheets;
}

/** Take the style sheets of a terminal away. */
export function removeStyles(sheets: readonly CSSStyleSheet[]): void {
  document.adoptedStyleSheets = document.adoptedStyleSheets.filter((sheet) => !sheets.includes(sheet));
}
