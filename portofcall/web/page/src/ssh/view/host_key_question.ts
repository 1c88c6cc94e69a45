/** The question about a host key that is not known, and the alarm about one that has changed. */

import {button, h} from "../../page/dom.ts";
import {describe, type HostKey} from "../host_key.ts";
import type {Entry} from "../known_hosts.ts";

let made = 0;

/** Ask whether a key that is seen for the first time may be trusted. */
export async function askAboutKey(container: HTMLElement, place: string, key: HostKey): Promise<boolean> {
  const text = await describe(key);
  return new Promise((resolve) => {
    const answer = (yes: boolean): void => {
      dialog.remove();
      resolve(yes);
    };
    const cancel = button("Cancel", () => answer(false), {class: "secondary"});
    const dialog = alert("Unknown host key", "host-key",
      h("p", {}, "This browser has not connected to ", h("code", {}, place), " before. Its key has the fingerprint"),
      h("p", {class: "fingerprint mono"}, text),
      h("p", {class: "hint"}, "Compare it with what the server's administrator gives you, or with ", h("code", {}, "ssh-keygen -lf"),
        " on the server. The gateway could pretend to be the server: this comparison is what reveals it. ",
        "No credentials have been sent."),
      h("div", {class: "toolbar"}, button("Trust this key", () => answer(true), {class: "primary"}), cancel),
    );
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "Escape") answer(false);
    });
    container.append(dialog);
    cancel.focus(); // Enter alone trusts nothing
  });
}

/** Show that a server has another key than before, or a revoked one. There is no way on from here. */
export async function showChangedKey(
  container: HTMLElement,
  place: string,
  key: HostKey,
  known: {readonly others: readonly Entry[]; readonly revoked: boolean},
  events: {showKnownHosts(): void; close(): void},
): Promise<void> {
  const offered = await describe(key);
  const old = await Promise.all(known.others.map(describe));
  const title = known.revoked ? "The host key is revoked" : "The host key has changed";
  const close = button("Close", () => events.close(), {class: "primary"});
  const dialog = alert(title, "host-key changed",
    h("p", {}, "The server at ", h("code", {}, place), known.revoked
      ? " has shown a key that your known hosts mark as revoked:"
      : " has shown a different key than before:"),
    h("p", {class: "fingerprint mono"}, offered),
    ...(old.length ? [h("p", {}, "Remembered:")] : []),
    ...old.map((line) => h("p", {class: "fingerprint-known mono"}, line)),
    h("p", {}, h("strong", {}, "Someone may be intercepting the connection, perhaps the gateway itself. "),
      "Or the server was reinstalled. ",
      "The connection has been closed, and no credentials were sent. If you know why the key changed, remove the old ",
      "one from the known hosts, and connect again."),
    h("div", {class: "toolbar"}, button("Known hosts", () => events.showKnownHosts(), {class: "secondary"}), close),
  );
  container.append(dialog);
  close.focus();
}

function alert(title: string, className: string, ...children: HTMLElement[]): HTMLElement {
  const id = `host-key-${++made}`;
  return h("section", {class: className, role: "alertdialog", "aria-labelledby": id, "aria-describedby": `${id}-text`},
    h("h3", {id}, title), h("div", {class: "host-key-text", id: `${id}-text`}, ...children));
}
