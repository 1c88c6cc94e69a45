/** Colours of the terminal: dark in both schemes, as programs expect. */

import type {ITheme} from "@xterm/xterm";

export const THEME: ITheme = {
  background: "#0b1417",
  foreground: "#dfe9e8",
  cursor: "#63cfc4",
  cursorAccent: "#0b1417",
  selectionBackground: "#2c5a66",
  selectionInactiveBackground: "#24424b",
  black: "#22343a",
  red: "#ff8d7a",
  green: "#7fd88f",
  yellow: "#f0c36a",
  blue: "#7cb4ff",
  magenta: "#d9a2f0",
  cyan: "#5fd0c5",
  white: "#cfdbda",
  brightBlack: "#7e9599",
  brightRed: "#ffb0a2",
  brightGreen: "#a5ebb1",
  brightYellow: "#ffdb94",
  brightBlue: "#a9cdff",
  brightMagenta: "#ecc6fb",
  brightCyan: "#93e7de",
  brightWhite: "#ffffff",
};

/** Of what is found. */
export const FOUND = {
  matchBackground: "#5a4a12",
  matchOverviewRuler: "#f0c36a",
  activeMatchBackground: "#8a6d10",
  activeMatchColorOverviewRuler: "#ffdb94",
};
