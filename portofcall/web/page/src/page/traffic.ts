/** Counts what goes through a tunnel: rates, a live chart, and which side holds. */

import {Chart} from "./chart.ts";
import {h} from "./dom.ts";
import {bytes, rate} from "./units.ts";

/** What the picture is drawn from. */
export interface Flow {
  down: number;
  up: number;
  /** Bytes that were written and that the gateway does not take yet. */
  waiting: () => number;
  /** Whether reading is paused by the reader. */
  paused: boolean;
  /** Whether the browser pauses the gateway then. */
  pauses: boolean;
  downEnded: boolean;
  upEnded: boolean;
}

const TICK_MILLISECONDS = 500;
const MOST_TICKS = 120;
/** After so many ticks without progress, something holds. */
const HELD_TICKS = 2;

type State = "idle" | "flowing" | "held" | "ended";

class Lane {
  readonly element = h("div", {class: "lane"});
  private readonly text = h("span", {class: "lane-text"});
  private readonly counter = h("strong", {});

  constructor(title: string, readonly name: "down" | "up") {
    this.element.classList.add(name);
    this.element.append(
      h("div", {class: "lane-head"}, h("span", {class: "lane-title"}, title), this.counter),
      h("div", {class: "lane-line", "aria-hidden": "true"}),
      this.text,
    );
  }

  show(state: State, text: string, total: number): void {
    this.element.dataset.state = state;
    this.text.textContent = text;
    this.counter.textContent = bytes(total);
  }
}

export class Traffic {
  readonly element = h("div", {class: "traffic"});
  private readonly lanes = {up: new Lane("Sent", "up"), down: new Lane("Received", "down")};
  private readonly plot = h("div", {class: "chart"});
  private readonly chart: Chart;
  private readonly times: number[] = [];
  private readonly rates: {down: number[]; up: number[]} = {down: [], up: []};
  private readonly before = {down: 0, up: 0};
  private stalled = 0;
  private lastTick = performance.now();
  private readonly timer = setInterval(() => this.tick(), TICK_MILLISECONDS);

  constructor(service: string, private readonly flow: Flow) {
    this.element.append(
      h("div", {class: "picture"},
        h("div", {class: "stop"}, "This page"),
        h("div", {class: "lanes"}, this.lanes.up.element, this.lanes.down.element),
        h("div", {class: "stop service"}, service),
      ),
      this.plot,
    );
    this.chart = new Chart(this.plot, {
      label: "Bytes per second each way",
      series: [{label: "Received", color: "--down"}, {label: "Sent", color: "--up"}],
      show: rate,
      seconds: 30,
      binary: true,
    });
    this.tick();
  }

  /** Draw for the last time. */
  stop(): void {
    clearInterval(this.timer);
    this.tick();
  }

  destroy(): void {
    clearInterval(this.timer);
    this.chart.destroy();
  }

  private tick(): void {
    const {flow, rates, times} = this;
    const now = performance.now();
    const seconds = Math.max((now - this.lastTick) / 1000, 0.001);
    this.lastTick = now;
    const grown = {down: flow.down - this.before.down, up: flow.up - this.before.up};
    Object.assign(this.before, {down: flow.down, up: flow.up});
    times.push(Date.now() / 1000);
    rates.down.push(grown.down / seconds);
    rates.up.push(grown.up / seconds);
    if (times.length > MOST_TICKS) [times, rates.down, rates.up].forEach((list) => list.shift());
    const waiting = flow.waiting();
    this.stalled = waiting && !grown.up ? this.stalled + 1 : 0;
    const up = grown.up / seconds;
    const down = grown.down / seconds;
    if (flow.upEnded) this.lanes.up.show("ended", "ended", flow.up);
    else if (this.stalled >= HELD_TICKS) this.lanes.up.show("held", `the service does not read: ${bytes(waiting)} wait here`, flow.up);
    else this.lanes.up.show(up ? "flowing" : "idle", up ? rate(up) : "idle", flow.up);
    if (flow.downEnded) this.lanes.down.show("ended", "ended", flow.down);
    else if (flow.paused) this.lanes.down.show("held", flow.pauses ? "held here: the service has to wait" : "paused: unread data waits in this tab; past 64 MiB the tunnel ends", flow.down);
    else this.lanes.down.show(down ? "flowing" : "idle", down ? rate(down) : "idle", flow.down);
    this.chart.draw(times, [rates.down, rates.up], `${rate(down)} in, ${rate(up)} out`);
  }
}
