/** Files on their way, and how they arrived. */

import {button, download as save, field, h, say} from "../../page/dom.ts";
import {bytes, rate} from "../../page/units.ts";
import type {Channel} from "../channel.ts";
import {baseName, PathError, remotePath} from "../files/command.ts";
import {download, Exists, upload, type Copied, type Copying} from "../files/copy.ts";

type State = "running" | "checking" | "done" | "failed" | "cancelled";

/** Opens channels: a connection. */
export interface Channels {
  channel(): Promise<Channel>;
}

/** Of one panel: they go on over their own connection while the panel has another one. */
export class Transfers {
  private readonly question = h("div", {class: "transfer-question"});
  private readonly list = h("ul", {});
  readonly element = h("section", {class: "transfers", "aria-label": "Files"}, this.question, this.list);
  private readonly running = new Map<Promise<void>, Channels>();
  private channels: Channels | null = null;

  /** `done` is called when a question has been answered. */
  constructor(private readonly done: () => void) {}

  /** What begins from now on goes over this connection. */
  use(channels: Channels): void {
    this.channels = channels;
  }

  /** Fulfilled when nothing is on its way over this connection. */
  async idle(channels: Channels): Promise<void> {
    for (;;) {
      const jobs = [...this.running].filter(([, used]) => used === channels).map(([job]) => job);
      if (!jobs.length) return;
      await Promise.all(jobs);
    }
  }

  /** Ask for files, or where to put these. */
  askUpload(files: readonly File[] = []): void {
    const chosen = h("input", {name: "upload", type: "file", multiple: true});
    const destination = h("input", {
      name: "destination", type: "text", class: "mono", value: files.length === 1 ? files[0]!.name : "./",
      autocomplete: "off", autocapitalize: "none", spellcheck: false,
    });
    let given = files;
    chosen.addEventListener("change", () => {
      given = [...(chosen.files ?? [])];
      if (given.length === 1) destination.value = given[0]!.name;
    });
    const title = files.length ? `Upload ${files.map(({name}) => name).join(", ").slice(0, 200)}` : "Upload";
    this.ask("upload-question", title, "Upload", [
      ...(files.length ? [] : [field("File", chosen)]),
      field("To, on the server (a folder ends with /)", destination),
    ], () => {
      if (!given.length) throw new PathError("Choose a file.");
      const to = remotePath(destination.value);
      if (given.length > 1 && !to.endsWith("/")) throw new PathError("Several files go into a folder: end it with /.");
      const paths = given.map(({name}) => (to.endsWith("/") ? remotePath(to + name) : to));
      given.forEach((file, index) => this.upload(file, paths[index]!, false));
    });
    (files.length ? destination : chosen).focus();
  }

  askDownload(): void {
    const source = h("input", {
      name: "source", type: "text", class: "mono", placeholder: "/var/log/syslog", autocomplete: "off", autocapitalize: "none", spellcheck: false,
    });
    this.ask("download-question", "Download", "Download", [field("From, on the server", source)], () => {
      this.download(remotePath(source.value));
    });
    source.focus();
  }

  private ask(className: string, title: string, label: string, fields: HTMLElement[], go: () => void): void {
    const error = h("p", {class: "field-error", role: "alert", hidden: true});
    const form = h("form", {class: `${className} question`, novalidate: true, "aria-label": title},
      h("strong", {}, title), ...fields, error,
      h("div", {class: "toolbar"}, h("button", {type: "submit", class: "primary"}, label),
        button("Cancel", () => this.answered(), {class: "secondary"})));
    form.onsubmit = (event) => {
      event.preventDefault();
      try {
        go();
      } catch (problem) {
        if (!(problem instanceof PathError)) throw problem;
        error.textContent = problem.message;
        error.hidden = false;
        return;
      }
      this.answered();
    };
    form.addEventListener("keydown", ({key}) => {
      if (key === "Escape") this.answered();
    });
    this.question.replaceChildren(form);
  }

  private answered(): void {
    this.question.replaceChildren();
    this.done();
  }

  private upload(file: File, path: string, overwrite: boolean): void {
    this.begin(`${file.name} → ${path}`, async (row, copying) => {
      try {
        row.finish(await upload(file, path, overwrite, copying));
      } catch (error) {
        if (!(error instanceof Exists)) throw error;
        row.fail(`${error.message}.`, button("Overwrite", () => {
          row.element.remove();
          this.upload(file, path, true);
        }, {class: "quiet"}));
      }
    });
  }

  private download(path: string): void {
    this.begin(`${path} → this computer`, async (row, copying) => {
      const {content, ...copied} = await download(path, copying);
      save(baseName(path), content);
      row.finish(copied);
    });
  }

  private begin(title: string, work: (row: Row, copying: Copying) => Promise<void>): void {
    const {channels} = this;
    if (!channels) return;
    const row = new Row(title);
    this.list.prepend(row.element);
    const copying = row.copying(() => channels.channel());
    const job = work(row, copying).catch((error: unknown) => row.reject(error)).finally(() => this.running.delete(job));
    this.running.set(job, channels);
  }
}

/** One file. */
class Row {
  private readonly cancelling = new AbortController();
  private readonly begun = performance.now();
  private readonly bar = h("progress", {max: 1, value: 0});
  private readonly text = h("span", {class: "hint"}, "Waiting for the server…");
  private readonly cancel = button("Cancel", () => this.cancelling.abort(), {class: "quiet"});
  readonly element: HTMLElement;

  constructor(private readonly title: string) {
    this.bar.setAttribute("aria-label", title);
    this.element = h("li", {}, h("span", {class: "mono transfer-title"}, title), this.bar, this.text, this.cancel);
    this.enter("running");
  }

  copying(open: () => Promise<Channel>): Copying {
    return {
      open,
      signal: this.cancelling.signal,
      progress: (done, total) => {
        this.bar.value = total ? done / total : 1;
        const speed = rate((done * 1000) / Math.max(1, performance.now() - this.begun));
        this.text.textContent = `${bytes(done)} of ${bytes(total)}, ${speed}`;
        if (done === total) this.enter("checking");
      },
    };
  }

  finish({bytes: count, sha256, remoteSha256}: Copied): void {
    if (remoteSha256 !== null && remoteSha256 !== sha256) {
      this.fail(`The SHA-256 differ: ${sha256} here, ${remoteSha256} on the server.`);
      return;
    }
    const checked = remoteSha256 === null
      ? `not checked: the server has no sha256sum; SHA-256 here: ${sha256}`
      : `SHA-256 equal: ${sha256}`;
    this.end("done", `${bytes(count)}, ${checked}`);
  }

  reject(error: unknown): void {
    if (this.cancelling.signal.aborted) this.end("cancelled", "Cancelled.");
    else this.fail(`Failed: ${error instanceof Error ? error.message : String(error)}.`);
  }

  fail(text: string, ...actions: HTMLElement[]): void {
    this.end("failed", text);
    this.element.append(...actions);
  }

  private end(state: State, text: string): void {
    this.text.textContent = text;
    this.bar.remove();
    this.cancel.remove();
    this.enter(state);
    say(`${this.title}: ${text}`);
  }

  private enter(state: State): void {
    this.element.dataset["state"] = state;
  }
}
