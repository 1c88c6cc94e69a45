/** How an SSH server identifies itself. */

import {copyButton, h, say} from "./dom.ts";
import {ask} from "./gateway.ts";
import type {Place} from "./place.ts";
import {milliseconds} from "./units.ts";

interface Banner {
  readonly banner: string;
  readonly software: string;
  readonly protocol: string;
  readonly comments: string;
  readonly rtt: number;
}

export async function bannerView(place: Place, container: HTMLElement, signal: AbortSignal): Promise<void> {
  container.append(h("p", {class: "hint"}, "Reading the banner…"));
  const found = await ask<Banner>("api/ssh/connect", {body: place, signal});
  const rows: [string, string][] = [
    ["Banner", found.banner],
    ["Software", found.software],
    ["Protocol", found.protocol],
    ["Comments", found.comments],
    ["Round trip", milliseconds(found.rtt)],
  ];
  container.replaceChildren(
    h("dl", {class: "facts"}, ...rows.filter(([, value]) => value).map(([name, value]) =>
      h("div", {}, h("dt", {}, name), h("dd", {}, h("span", {class: "mono"}, value), copyButton("Copy", () => value, {class: "quiet", "aria-label": `Copy ${name.toLowerCase()}`}))),
    )),
  );
  say(`${found.software}, protocol ${found.protocol}`);
}
