/** Links in a terminal, which open with a modifier alone: a click is the terminal's. */

import {WebLinksAddon} from "@xterm/addon-web-links";
import type {Terminal} from "@xterm/xterm";

export function addLinks(terminal: Terminal, element: HTMLElement): void {
  const activate = (event: MouseEvent, uri: string): void => {
    if ((event.ctrlKey || event.metaKey) && /^https?:\/\//i.test(uri)) open(uri, "_blank", "noopener,noreferrer");
  };
  // The text of a link may say something else than where it goes.
  const hover = (_: MouseEvent, uri: string): void => {
    element.title = `Ctrl+click opens ${uri.slice(0, 500)}`;
  };
  const leave = (): void => element.removeAttribute("title");
  terminal.loadAddon(new WebLinksAddon(activate, {hover, leave}));
  // Those that programs mark (OSC 8).
  terminal.options.linkHandler = {activate, hover, leave};
}
