/** Pasted text, before it goes to a terminal. */

import {button, h} from "../../page/dom.ts";

export interface Paste {
  /** Without control characters: a page that one copies from can hide them. */
  readonly text: string;
  readonly lines: number;
  readonly hasLineEnd: boolean;
}

/** Take what is text from what was pasted. */
export function pasted(text: string): Paste {
  const clean = text.replace(/\r\n?/g, "\n").replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "");
  return {text: clean, lines: clean.replace(/\n$/, "").split("\n").length, hasLineEnd: clean.includes("\n")};
}

const MOST_SHOWN = 8;

/** Ask whether to paste lines, each of which the shell would run at once. */
export async function askAboutPaste(container: HTMLElement, {text, lines}: Paste): Promise<boolean> {
  const shown = text.replace(/\n$/, "").split("\n").slice(0, MOST_SHOWN).map((line) => line.slice(0, 200)).join("\n");
  return new Promise((resolve) => {
    const answer = (yes: boolean): void => {
      dialog.remove();
      resolve(yes);
    };
    const cancel = button("Cancel", () => answer(false), {class: "secondary"});
    const dialog = h("section", {class: "paste question", role: "alertdialog", "aria-label": "Paste lines?"},
      h("p", {}, "The program in the terminal does not tell pasted text from typed text: it may run each line at once."),
      h("pre", {class: "mono", tabIndex: 0}, shown + (lines > MOST_SHOWN ? "\n…" : "")),
      h("div", {class: "toolbar"}, button(lines === 1 ? "Paste 1 line" : `Paste ${lines} lines`, () => answer(true), {class: "primary"}), cancel),
    );
    dialog.addEventListener("keydown", ({key}) => {
      if (key === "Escape") answer(false);
    });
    container.prepend(dialog);
    cancel.focus();
  });
}
