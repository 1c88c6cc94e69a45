/** The key files of a panel, in memory alone. */

import type * as ssh from "@microsoft/dev-tunnels-ssh";
import {button, field, h, say} from "../../page/dom.ts";
import {isEncrypted, isPrivateKey, readKey} from "../keys/read.ts";

const MOST_BYTES = 64 << 10;

interface KeyFile {
  readonly name: string;
  readonly text: string;
  pair: ssh.KeyPair | null;
}

export class KeyFiles {
  private files: KeyFile[] = [];
  private readonly input = h("input", {name: "key", type: "file", multiple: true});
  private readonly passphrase = h("input", {name: "passphrase", type: "password", autocomplete: "off"});
  private readonly passphraseField = field("Passphrase", this.passphrase);
  private readonly list = h("ul", {class: "key-files"});
  private readonly problem = h("p", {class: "field-error", role: "alert", hidden: true});
  readonly element = h("div", {class: "key-choice"},
    field("Key file (or drop one here)", this.input), this.passphraseField, this.list, this.problem);

  constructor() {
    this.passphraseField.hidden = true;
    this.input.addEventListener("change", () => {
      void this.add([...(this.input.files ?? [])]).then(() => (this.input.value = ""));
    });
  }

  /** Take files that were chosen or dropped. */
  async add(files: readonly File[]): Promise<void> {
    this.show("");
    for (const file of files) {
      const text = file.size <= MOST_BYTES ? await file.text() : "";
      if (isPrivateKey(text)) {
        this.files = [...this.files.filter(({name}) => name !== file.name), {name: file.name, text, pair: null}];
        say(`Key file ${file.name} added`);
      } else {
        this.show(/^(ssh-|ecdsa-)/.test(text)
          ? `${file.name} is a public key; choose the private one, without .pub.`
          : `${file.name} is no private key: expected OpenSSH, PEM or PKCS #8.`);
      }
    }
    this.draw();
  }

  /** Read the keys; the passphrase is for those that need one. */
  async read(): Promise<ssh.KeyPair[]> {
    const pairs: ssh.KeyPair[] = [];
    for (const file of this.files) {
      try {
        file.pair ??= await readKey(file.text, this.passphrase.value);
      } catch (error) {
        this.passphrase.focus();
        throw new Error(`${file.name}: ${error instanceof Error ? error.message : String(error)}.`);
      }
      pairs.push(file.pair);
    }
    this.passphrase.value = "";
    this.draw();
    return pairs;
  }

  private draw(): void {
    this.passphraseField.hidden = !this.files.some(({text, pair}) => !pair && isEncrypted(text));
    this.list.replaceChildren(...this.files.map((file) => h("li", {},
      h("span", {class: "mono"}, file.name),
      button("Remove", () => {
        this.files = this.files.filter((other) => other !== file);
        this.draw();
        this.input.focus();
      }, {class: "quiet", "aria-label": `Remove key file ${file.name}`}))));
  }

  private show(text: string): void {
    this.problem.textContent = text;
    this.problem.hidden = !text;
  }
}
