/** Elements, and the other few things that every view does with the document. */

type Child = Node | string | null | undefined | false;
type Props = Record<string, unknown>;

/** Make an element: known properties are set, everything else becomes an attribute. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "class") element.className = String(value);
    else if (name in element && !name.startsWith("aria")) Object.assign(element, {[name]: value});
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child): child is Node | string => child !== null && child !== undefined && child !== false));
  return element;
}

export const button = (label: string, onclick: () => void, props: Props = {}): HTMLButtonElement =>
  h("button", {type: "button", onclick, ...props}, label);

/** A label above a control. */
export const field = (label: string, control: HTMLElement): HTMLElement => h("label", {class: "field"}, label, control);

/** Find an element that index.html has. */
export function find<T extends HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no #${id}`);
  return element as T;
}

/** Let screen readers say something. */
export function say(text: string): void {
  const spoken = find("spoken");
  spoken.textContent = spoken.textContent === text ? `${text} ` : text;
}

/** Offer a file for download. */
export function download(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  h("a", {href: url, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** A button that copies a text, and says so. */
export function copyButton(label: string, text: () => string, props: Props = {}): HTMLButtonElement {
  const copy = button(label, () => {
    void copyText(text()).then((done) => {
      copy.textContent = done ? "Copied" : "Not allowed";
      say(done ? "Copied" : "The browser does not allow copying");
      setTimeout(() => (copy.textContent = label), 1500);
    });
  }, props);
  return copy;
}

async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Over plain HTTP there is no clipboard API; the old command works after a click.
    const area = h("textarea", {value: text, class: "spoken"});
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
