/** The form that sends: a line with its ending, hex, or a file. */

import {button, h, say} from "./dom.ts";
import {parseHex} from "./tail.ts";
import {upload, type Ending} from "./upload.ts";
import {bytes} from "./units.ts";

export interface Sender {
  /** Fulfilled when the browser has accepted the bytes; rejected if it has not, and never will. */
  write(data: Uint8Array<ArrayBuffer>, echo: boolean): Promise<void>;
}

const ENDINGS: Readonly<Record<string, string>> = {LF: "\n", CRLF: "\r\n", CR: "\r", none: ""};
const MOST_HISTORY = 100;
/** How a file that was not sent completely is reported. */
const UNSENT: Readonly<Record<Exclude<Ending, "sent">, string>> = {
  cancelled: "Cancelled: sent",
  refused: "Not sent completely:",
  unreadable: "The file can't be read any more: sent",
};

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
    const text = this.text.value;
    this.text.value = "";
    if (!data.length) return;
    try {
      await this.sender.write(data, true);
    } catch {
      this.text.value ||= text;
      this.fail("Not sent: the tunnel is over.");
    }
  }

  private async sendFile(chosen: File): Promise<void> {
    const {signal} = (this.uploading = new AbortController());
    this.progress.value = 0;
    this.progressText.textContent = "";
    this.arrange();
    this.cancel.focus();
    const write = (data: Uint8Array<ArrayBuffer>): Promise<void> => this.sender.write(data, false);
    const {ending, sent, held} = await upload(chosen, write, signal, (count) => {
      this.progress.value = count / chosen.size;
      this.progressText.textContent = `${bytes(count)} of ${bytes(chosen.size)}`;
    });
    this.uploading = undefined;
    this.arrange();
    if (ending === "sent") {
      say(`${chosen.name} was sent`);
    } else {
      const rest = held && !this.ended ? ` ${bytes(held)} more wait in the browser, and follow when the service reads.` : "";
      this.fail(`${UNSENT[this.ended ? "refused" : ending]} ${bytes(sent)} of ${chosen.name} (${bytes(chosen.size)}).${rest}`);
    }
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

