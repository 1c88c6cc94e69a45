/** The form that sends: a line with its ending, hex, or a file. */

import {button, h, say} from "./dom.ts";
import {parseHex} from "./tail.ts";
import {bytes} from "./units.ts";

export interface Sender {
  /** Resolves when the browser has passed the bytes on. */
  write(data: Uint8Array<ArrayBuffer>, echo: boolean): Promise<void>;
}

const ENDINGS: Readonly<Record<string, string>> = {LF: "\n", CRLF: "\r\n", CR: "\r", none: ""};
const MOST_HISTORY = 100;

export class Sending {
  readonly element: HTMLFormElement;
  private readonly kind = h("select", {"aria-label": "What to send"},
    ...["Line", "Hex", "File"].map((name) => h("option", {value: name.toLowerCase()}, name)));
  private readonly text = h("input", {type: "text", class: "mono", autocomplete: "off", spellcheck: false, autocapitalize: "none", "aria-label": "Line to send", placeholder: "A line to send"});
  private readonly ending = h("select", {"aria-label": "Line ending"},
    ...Object.keys(ENDINGS).map((name) => h("option", {value: name}, name)));
  private readonly file = h("input", {type: "file", "aria-label": "File to send"});
  private readonly submit = h("button", {type: "submit", class: "primary"}, "Send");
  private readonly problem = h("p", {class: "field-error", role: "alert", hidden: true});
  private readonly progress = h("progress", {max: 1, value: 0, "aria-label": "File sent"});
  private readonly progressText = h("span", {class: "hint"});
  private readonly cancel = button("Cancel", () => this.uploading?.abort(), {class: "secondary"});
  private readonly upload = h("div", {class: "upload", hidden: true}, this.progress, this.progressText, this.cancel);
  private uploading: AbortController | undefined;
  private ended = false;
  private readonly history: string[] = [];
  private recalled = 0;

  constructor(private readonly sender: Sender) {
    this.element = h("form", {class: "sending", "aria-label": "Send", onsubmit: (event: Event) => {
      event.preventDefault();
      void this.send();
    }}, h("div", {class: "sending-row"}, this.kind, this.text, this.file, this.ending, this.submit), this.problem, this.upload);
    this.kind.addEventListener("change", () => this.arrange());
    this.text.addEventListener("keydown", (event) => this.recall(event));
    this.arrange();
  }

  focus(): void {
    this.text.focus();
  }

  /** Nothing can be sent any more. */
  end(): void {
    this.ended = true;
    this.uploading?.abort();
    this.arrange();
  }

  private arrange(): void {
    const kind = this.kind.value;
    const busy = this.ended || this.uploading !== undefined;
    this.text.hidden = kind === "file";
    this.file.hidden = kind !== "file";
    this.ending.hidden = kind !== "line";
    this.text.placeholder = kind === "hex" ? "48 65 6c 6c 6f" : "A line to send";
    this.text.setAttribute("aria-label", kind === "hex" ? "Bytes to send, in hex" : "Line to send");
    this.upload.hidden = this.uploading === undefined;
    for (const control of [this.kind, this.text, this.ending, this.file, this.submit]) control.disabled = busy;
  }

  private async send(): Promise<void> {
    const {value} = this.kind;
    this.fail("");
    if (value === "file") {
      const [chosen] = this.file.files ?? [];
      if (!chosen) return this.fail("Choose a file first.");
      return this.sendFile(chosen);
    }
    const data = value === "hex" ? parseHex(this.text.value) : new TextEncoder().encode(this.text.value + ENDINGS[this.ending.value]!);
    if (!data) return this.fail("Expected hex digits in pairs, such as 48 65 6c 6c 6f.");
    if (this.history.at(-1) !== this.text.value) this.history.push(this.text.value);
    if (this.history.length > MOST_HISTORY) this.history.shift();
    this.recalled = this.history.length;
    this.text.value = "";
    if (data.length) await this.sender.write(data, true);
  }

  private async sendFile(chosen: File): Promise<void> {
    const {signal} = (this.uploading = new AbortController());
    this.arrange();
    this.cancel.focus();
    let sent = 0;
    const reader = chosen.stream().getReader();
    try {
      while (!signal.aborted) {
        const {done, value} = await reader.read();
        if (done) break;
        await this.sender.write(value as Uint8Array<ArrayBuffer>, false);
        sent += value.length;
        this.progress.value = chosen.size ? sent / chosen.size : 1;
        this.progressText.textContent = `${bytes(sent)} of ${bytes(chosen.size)}`;
      }
    } finally {
      await reader.cancel();
      this.uploading = undefined;
      this.arrange();
    }
    const all = sent === chosen.size;
    this.fail(all ? "" : `Cancelled: ${bytes(sent)} of ${chosen.name} were sent.`);
    if (all) say(`${chosen.name} was sent`);
    if (!this.ended) this.submit.focus();
  }

  private fail(text: string): void {
    this.problem.textContent = text;
    this.problem.hidden = !text;
  }

  /** Arrow keys bring back earlier lines. */
  private recall(event: KeyboardEvent): void {
    const step = {ArrowUp: -1, ArrowDown: 1}[event.key];
    if (!step || !this.history.length) return;
    event.preventDefault();
    this.recalled = Math.min(Math.max(this.recalled + step, 0), this.history.length);
    this.text.value = this.history[this.recalled] ?? "";
  }
}

