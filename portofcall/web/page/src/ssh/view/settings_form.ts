/** What a user can prefer. */

import {field, h} from "../../page/dom.ts";
import {BOUNDS, changeSettings, settings, type Settings} from "./settings.ts";

/** Make the form; `changed` is called with each change. */
export function settingsForm(changed: (settings: Settings) => void): HTMLElement {
  const number = (name: keyof typeof BOUNDS, label: string): HTMLElement => {
    const [min, max] = BOUNDS[name];
    const input = h("input", {type: "number", name, min, max, value: settings()[name]});
    input.addEventListener("change", () => {
      const now = changeSettings({[name]: input.valueAsNumber});
      input.value = String(now[name]);
      changed(now);
    });
    return field(label, input);
  };
  const flag = (name: "bell" | "screenReader", label: string): HTMLElement => {
    const input = h("input", {type: "checkbox", name, checked: settings()[name]});
    input.addEventListener("change", () => changed(changeSettings({[name]: input.checked})));
    return h("label", {class: "flag"}, input, label);
  };
  return h("div", {class: "ssh-settings", hidden: true},
    number("fontSize", "Text size in pixels"),
    number("scrollback", "Lines to scroll back"),
    number("keepAliveSeconds", "Seconds between keepalives, from the next connection on"),
    number("rekeyMebibytes", "MiB until the keys are changed, from the next connection on"),
    flag("bell", "Show the bell"),
    flag("screenReader", "Text for screen readers"),
    h("p", {class: "hint"}, "Ctrl+Shift+F searches, Ctrl+Shift+C copies, Ctrl+click opens a link, Ctrl+Shift+Up leaves the terminal."));
}
