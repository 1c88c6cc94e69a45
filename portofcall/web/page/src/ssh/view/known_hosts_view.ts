/** The host keys that are remembered: listed, removed, imported and exported. */

import {button, download, field, h, say} from "../../page/dom.ts";
import {describe} from "../host_key.ts";
import {merge, parse, type Entry} from "../known_hosts.ts";
import {exported, forgetKey, remembered, rememberKeys} from "../known_hosts_store.ts";

const MOST_BYTES = 1 << 20;

export class KnownHosts {
  private readonly title = h("h3", {tabIndex: -1}, "Known hosts");
  private readonly list = h("ul", {});
  private readonly result = h("p", {class: "hint", role: "status"});
  private readonly text = h("textarea", {id: "known-hosts-text", rows: 3, spellcheck: false, placeholder: "db.example ssh-ed25519 AAAA…"});
  private readonly file = h("input", {type: "file", id: "known-hosts-file"});
  readonly element = h("section", {id: "known-hosts", "aria-label": "Known hosts"},
    this.title,
    h("p", {class: "hint"}, "Kept in this browser, for the pages of this address. A host whose key is not here is asked about."),
    this.list,
    h("div", {class: "toolbar"},
      button("Export", () => this.save(), {class: "secondary"}),
      field("Import a known_hosts file", this.file)),
    h("div", {class: "known-hosts-add"},
      field("Or enter lines of one", this.text),
      button("Add lines", () => this.add(this.text.value), {class: "secondary"})),
    this.result);

  constructor() {
    this.element.hidden = true;
    this.file.addEventListener("change", () => void this.readFile());
  }

  /** Show what is remembered now. */
  draw(focus = false): void {
    const entries = remembered();
    this.list.replaceChildren(...entries.map((entry) => this.item(entry)));
    if (!entries.length) this.list.replaceChildren(h("li", {class: "hint"}, "None yet."));
    if (focus) this.title.focus();
  }

  private item(entry: Entry): HTMLElement {
    const print = h("span", {class: "fingerprint mono"});
    void describe(entry).then((text) => (print.textContent = text));
    const host = entry.hosts.startsWith("|") ? "(hashed)" : entry.hosts;
    return h("li", {},
      h("span", {class: "known-host mono"}, entry.revoked ? `revoked: ${host}` : host),
      print,
      button("Remove", () => {
        forgetKey(entry);
        this.draw(true);
        this.report(`Removed the key of ${host}.`);
      }, {class: "quiet", "aria-label": `Remove ${host} ${entry.type}`}));
  }

  private save(): void {
    download("known_hosts", new Blob([exported()], {type: "text/plain"}));
  }

  private async readFile(): Promise<void> {
    const file = this.file.files?.[0];
    if (!file) return;
    this.file.value = "";
    if (file.size > MOST_BYTES) this.report(`${file.name} is larger than 1 MiB.`);
    else this.add(await file.text());
  }

  private add(text: string): void {
    const {entries, rejected} = parse(text);
    const before = remembered();
    const added = merge(before, entries).length - before.length;
    rememberKeys(entries);
    this.text.value = "";
    this.draw();
    const skipped = rejected.slice(0, 5).map(({line, reason}) => `line ${line}: ${reason}`);
    if (rejected.length > 5) skipped.push(`and ${rejected.length - 5} more`);
    this.report(`Added ${added} of ${entries.length + rejected.length} lines.${skipped.length ? ` Not used: ${skipped.join("; ")}.` : ""}`);
  }

  private report(text: string): void {
    this.result.textContent = text;
    say(text);
  }
}
