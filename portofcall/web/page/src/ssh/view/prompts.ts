/** The questions of keyboard-interactive. */

import {button, field, h} from "../../page/dom.ts";
import type {InfoRequest} from "../mends/interactive.ts";
import {serverText} from "../server_text.ts";

const MOST_INSTRUCTION = 4096;
const MOST_PROMPT = 500;

/** Ask them below a form; null gives up. */
export async function askPrompts(above: HTMLFormElement, request: InfoRequest): Promise<readonly string[] | null> {
  const {questions} = request;
  if (!questions.length) return [];
  const name = serverText(request.name, MOST_PROMPT);
  const instruction = serverText(request.instruction, MOST_INSTRUCTION);
  const inputs = questions.map(({echo}, index) =>
    h("input", {name: `prompt-${index}`, type: echo ? "text" : "password", autocomplete: "off", autocapitalize: "none", spellcheck: false}));
  return new Promise((resolve) => {
    const answer = (answers: readonly string[] | null): void => {
      form.remove();
      above.hidden = false;
      resolve(answers);
    };
    const form = h("form", {class: "prompts sign-in", novalidate: true},
      name ? h("h3", {}, name) : null,
      instruction ? h("p", {class: "prompt-instruction"}, instruction) : null,
      h("div", {class: "sign-in-fields"}, ...questions.map(({text}, index) => field(serverText(text, MOST_PROMPT).trim() || "Answer", inputs[index]!))),
      h("div", {class: "toolbar"},
        h("button", {type: "submit", class: "primary"}, "Continue"),
        button("Cancel", () => answer(null), {class: "secondary"})),
    );
    form.onsubmit = (event) => {
      event.preventDefault();
      answer(inputs.map(({value}) => value));
    };
    above.hidden = true;
    above.after(form);
    inputs[0]!.focus();
  });
}
