/** Repeated TCP pings, with a live plot. */

import {button, download, h, say} from "./dom.ts";
import {failureBox} from "./failure.ts";
import {ask, Failed, loadPart} from "./gateway.ts";
import {showPlace, type Place} from "./place.ts";
import {milliseconds, summarize} from "./units.ts";

const INTERVAL_MILLISECONDS = 1000;
/** How many of the last pings the plot and the figures are about. */
const MOST = 3600;
/** Failures of the target, which a later ping may not have. Others end the series. */
const LOSSES = new Set(["refused", "unreachable", "connect-timeout", "target-busy", "dns-timeout", "name-not-found"]);

interface Sample {
  /** When the ping was sent, in milliseconds since 1970. */
  readonly at: number;
  /** The round trip in milliseconds; null if there was no answer. */
  readonly trip: number | null;
  readonly slug: string;
}

export async function pingView(place: Place, container: HTMLElement, signal: AbortSignal): Promise<void> {
  const samples: Sample[] = [];
  let running = true;
  let wake = (): void => {};
  const figures = h("dl", {class: "figures"});
  const problem = h("div", {});
  const plot = h("div", {class: "chart"});
  const toggle = button("Stop", () => {
    running = !running;
    toggle.textContent = running ? "Stop" : "Start";
    say(running ? "Ping started" : summaryText(samples));
    wake();
  }, {class: "secondary"});
  const save = button("Save CSV", () => download(`ping ${showPlace(place)}.csv`.replaceAll(":", "_"), toCSV(samples)), {class: "secondary"});
  container.append(figures, plot, problem, h("div", {class: "toolbar"}, toggle, save));
  drawFigures(figures, samples);
  const {Chart} = await loadPart(import("./chart.ts"));
  const chart = new Chart(plot, {
    label: "Round trip of each ping, in milliseconds",
    series: [{label: "Round trip", color: "--down"}],
    show: milliseconds,
    points: true,
    seconds: 30,
  });
  signal.addEventListener("abort", () => {
    chart.destroy();
    wake();
  });
  while (!signal.aborted) {
    if (!running) {
      await new Promise<void>((resolve) => (wake = resolve));
      continue;
    }
    const sample = await ping(place, signal, problem);
    samples.push(sample);
    if (samples.length > MOST) samples.shift();
    drawFigures(figures, samples);
    chart.draw(samples.map(({at}) => at / 1000), [samples.map(({trip}) => trip)], summaryText(samples));
    if (samples.length === 1) say(sample.trip === null ? "No answer" : `Round trip ${milliseconds(sample.trip)}`);
    await new Promise<void>((resolve) => {
      wake = resolve;
      setTimeout(resolve, Math.max(0, sample.at + INTERVAL_MILLISECONDS - Date.now()));
    });
  }
}

async function ping(place: Place, signal: AbortSignal, problem: HTMLElement): Promise<Sample> {
  const at = Date.now();
  try {
    const {rtt} = await ask<{rtt: number}>("api/ping", {body: {...place, timeout: 5000}, signal});
    problem.replaceChildren();
    return {at, trip: rtt, slug: ""};
  } catch (error) {
    if (!(error instanceof Failed) || !LOSSES.has(error.failure.slug)) throw error;
    if (problem.dataset.slug !== error.failure.slug || !problem.hasChildNodes()) {
      problem.dataset.slug = error.failure.slug;
      problem.replaceChildren(failureBox(error.failure, place));
    }
    return {at, trip: null, slug: error.failure.slug};
  }
}

function drawFigures(figures: HTMLElement, samples: readonly Sample[]): void {
  const {sent, lost, min, median, p99} = summarize(samples.map(({trip}) => trip));
  const last = samples.at(-1)?.trip ?? NaN;
  const trip = (value: number): string => (Number.isNaN(value) ? "–" : milliseconds(value));
  const rows: [string, string][] = [
    ["Last", trip(last)],
    ["Min", trip(min)],
    ["Median", trip(median)],
    ["p99", trip(p99)],
    ["Loss", sent ? `${((lost / sent) * 100).toFixed(lost && lost < sent ? 1 : 0)} %` : "–"],
    ["Sent", String(sent)],
  ];
  figures.replaceChildren(...rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function summaryText(samples: readonly Sample[]): string {
  const {sent, lost, median} = summarize(samples.map(({trip}) => trip));
  const middle = Number.isNaN(median) ? "no answer" : `median ${milliseconds(median)}`;
  return `${sent} pings, ${lost} lost, ${middle}`;
}

function toCSV(samples: readonly Sample[]): Blob {
  const rows = samples.map(({at, trip, slug}) => `${new Date(at).toISOString()},${trip ?? ""},${slug}\r\n`);
  return new Blob(["time,rtt_ms,error\r\n", ...rows], {type: "text/csv"});
}
