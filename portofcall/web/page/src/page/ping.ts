/** Repeated TCP pings, with a live plot. */

import {button, download, h, say} from "./dom.ts";
import {failureBox} from "./failure.ts";
import {ask, Failed, loadPart} from "./gateway.ts";
import {showPlace, type Place} from "./place.ts";
import {judge, Series} from "./series.ts";
import {milliseconds} from "./units.ts";

const INTERVAL_MILLISECONDS = 1000;

export async function pingView(place: Place, container: HTMLElement, signal: AbortSignal): Promise<void> {
  const series = new Series();
  let running = true;
  let wake = (): void => {};
  const figures = h("dl", {class: "figures"});
  const limits = h("p", {class: "hint", hidden: true});
  const problem = h("div", {});
  const plot = h("div", {class: "chart"});
  const toggle = button("Stop", () => run(!running), {class: "secondary"});
  const run = (wanted: boolean): void => {
    running = wanted;
    toggle.textContent = running ? "Stop" : "Start";
    say(running ? "Ping started" : summaryText(series));
    wake();
  };
  const file = `ping ${showPlace(place)}.csv`.replaceAll(":", "_");
  const save = button("Save CSV", () => download(file, new Blob([series.csv], {type: "text/csv"})), {class: "secondary"});
  container.append(figures, limits, plot, problem, h("div", {class: "toolbar"}, toggle, save));
  drawFigures(figures, series);
  const {Chart} = await loadPart(import("./chart.ts"));
  if (signal.aborted) return; // another view was opened meanwhile
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

  /** Ping once; return how many milliseconds the next one has to wait. */
  const pingOnce = async (): Promise<number> => {
    const began = performance.now();
    const at = Date.now();
    let pause = INTERVAL_MILLISECONDS;
    try {
      const {rtt} = await ask<{rtt: number}>("api/ping", {body: {...place, timeout: 5000}, signal});
      series.add({at, trip: rtt, slug: ""});
      problem.replaceChildren();
      delete problem.dataset.slug;
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      const {failure} = error;
      const verdict = judge(failure);
      if (verdict === "stop" && !series.last) throw error;
      if (verdict === "stop") run(false);
      if (verdict === "lost") series.add({at, trip: null, slug: failure.slug});
      pause = Math.max(pause, (failure.retrySeconds ?? 0) * 1000);
      // An alert is read aloud: once, not at each ping.
      if (problem.dataset.slug !== failure.slug) problem.replaceChildren(failureBox(failure, place));
      problem.dataset.slug = failure.slug;
    }
    return Math.max(0, began + pause - performance.now());
  };

  while (!signal.aborted) {
    if (!running) {
      await new Promise<void>((resolve) => (wake = resolve));
      continue;
    }
    const isFirst = series.last === undefined;
    const pause = await pingOnce();
    const {last, recent} = series;
    drawFigures(figures, series);
    limits.textContent = series.limits;
    limits.hidden = !series.limits;
    chart.draw(recent.map(({at}) => at / 1000), [recent.map(({trip}) => trip)], summaryText(series));
    if (isFirst && last) say(last.trip === null ? "No answer" : `Round trip ${milliseconds(last.trip)}`);
    await new Promise<void>((resolve) => {
      wake = resolve;
      setTimeout(resolve, pause);
    });
  }
}

function drawFigures(figures: HTMLElement, series: Series): void {
  const {sent, lost, min, median, p99} = series.summary;
  const trip = (value: number): string => (Number.isNaN(value) ? "–" : milliseconds(value));
  const rows: [string, string][] = [
    ["Last", trip(series.last?.trip ?? NaN)],
    ["Min", trip(min)],
    ["Median", trip(median)],
    ["p99", trip(p99)],
    ["Loss", sent ? `${((lost / sent) * 100).toFixed(lost && lost < sent ? 1 : 0)} %` : "–"],
    ["Sent", String(sent)],
  ];
  figures.replaceChildren(...rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function summaryText(series: Series): string {
  const {sent, lost, median} = series.summary;
  const middle = Number.isNaN(median) ? "no answer" : `median ${milliseconds(median)}`;
  return `${sent} pings, ${lost} lost, ${middle}`;
}
