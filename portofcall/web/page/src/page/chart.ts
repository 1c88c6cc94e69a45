/** A live chart over time: uPlot, in the colours of the page. */

import UPlot from "uplot";

export interface ChartOptions {
  /** What is shown, for those who don't see it. */
  readonly label: string;
  /** `color` is the name of a custom property of the style sheet. */
  readonly series: readonly {readonly label: string; readonly color: string}[];
  /** Writes a value of the vertical axis. */
  readonly show: (value: number) => string;
  readonly points?: boolean;
  /** Whether the steps of the vertical axis are powers of two. */
  readonly binary?: boolean;
  /** The least time that the axis spans. */
  readonly seconds: number;
}

const HEIGHT = 170;
const BINARY_STEPS = Array.from({length: 40}, (_, power) => 2 ** power);

const clock = (seconds: number): string =>
  new Date(seconds * 1000).toLocaleTimeString(undefined, {hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23"});

export class Chart {
  private plot: UPlot | undefined;
  private data: UPlot.AlignedData = [[]];
  private readonly resized = new ResizeObserver(() => this.resize());
  private readonly scheme = matchMedia("(prefers-color-scheme: dark)");
  private readonly recolor = (): void => this.make();

  constructor(private readonly container: HTMLElement, private readonly options: ChartOptions) {
    container.setAttribute("role", "img");
    container.setAttribute("aria-label", options.label);
    this.data = [[], ...options.series.map(() => [])];
    this.make();
    this.resized.observe(container);
    this.scheme.addEventListener("change", this.recolor);
  }

  /** Show other values. `times` are in seconds since 1970, null is a gap; `summary` says it in words. */
  draw(times: readonly number[], values: readonly (readonly (number | null)[])[], summary: string): void {
    this.data = [times as number[], ...(values as (number | null)[][])];
    this.plot?.setData(this.data);
    this.container.setAttribute("aria-label", `${this.options.label}: ${summary}`);
  }

  destroy(): void {
    this.resized.disconnect();
    this.scheme.removeEventListener("change", this.recolor);
    this.plot?.destroy();
  }

  private resize(): void {
    const width = this.container.clientWidth;
    if (width && this.plot && width !== this.plot.width) this.plot.setSize({width, height: HEIGHT});
  }

  private make(): void {
    this.plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const color = (name: string): string => style.getPropertyValue(name).trim();
    const axis = {
      stroke: color("--ink-soft"),
      grid: {stroke: color("--line"), width: 1},
      ticks: {show: false},
      font: `12px ${getComputedStyle(document.body).fontFamily}`,
    };
    const {binary = false, points = false, seconds, series, show} = this.options;
    this.plot = new UPlot({
      width: this.container.clientWidth || 320,
      height: HEIGHT,
      padding: [8, 30, 0, 0],
      legend: {show: false},
      cursor: {show: false},
      scales: {x: {range: (_, min, max) => [Math.min(min, max - seconds), max]}, y: {range: (_, __, max) => [0, Math.max(max * 1.15, 0.001)]}},
      axes: [{...axis, space: 90, size: 24, values: (_, ticks) => ticks.map(clock)}, {...axis, size: 78, space: 36, ...(binary ? {incrs: BINARY_STEPS} : {}), values: (_, ticks) => ticks.map((tick) => show(tick))}],
      series: [
        {},
        ...series.map(({label, color: name}) => ({
          label,
          stroke: color(name),
          fill: `color-mix(in srgb, ${color(name)} 14%, transparent)`,
          width: 1.5,
          points: {show: points, size: 5, fill: color(name)},
        })),
      ],
    }, this.data, this.container);
  }
}
