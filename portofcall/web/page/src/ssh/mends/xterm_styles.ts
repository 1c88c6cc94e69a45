/**
 * xterm.js under `style-src 'self'`.
 *
 * xterm 6 writes colours and sizes into `<style>` elements that it makes in `open()`, which the policy forbids: no
 * colours, another font, no cursor. A constructed style sheet is no inline style. True colours, and the marks of a
 * search, it sets as `style` attributes, which are forbidden, too; the property is not.
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
  mendRows(terminal);
  return sheets;
}

/** The part of xterm that draws a row of text. */
interface RowFactory {
  _addStyle(element: HTMLElement, style: string): void;
}

interface Internals {
  readonly _core: {readonly _renderService: {readonly _renderer: {readonly value: {readonly _rowFactory: RowFactory}}}};
}

function mendRows(terminal: Terminal): void {
  const {_rowFactory} = (terminal as unknown as Internals)._core._renderService._renderer.value;
  if (typeof _rowFactory._addStyle !== "function") throw new Error("xterm.js draws rows in another way than 6.0.0");
  _rowFactory._addStyle = (element, style) => void (element.style.cssText += style);
}

/** Take the style sheets of a terminal away. */
export function removeStyles(sheets: readonly CSSStyleSheet[]): void {
  document.adoptedStyleSheets = document.adoptedStyleSheets.filter((sheet) => !sheets.includes(sheet));
}
