/** Shows the last bytes of a conversation, as text or hex; draws only what changed, and not too often. */

import {h} from "./dom.ts";
import {MOST_BYTES, Tail, toHex, toText, type Block, type Direction} from "./tail.ts";
import {bytes} from "./units.ts";

export type Mode = "text" | "hex";

/** The least time between two drawings, and how many times its own duration a drawing is put off. */
const DRAW_MILLISECONDS = 100;
const DRAW_SHARE = 5;
/** In a flood, nobody can read more than the last blocks; the others are drawn when it is over. */
const FLOOD_BYTES = 256 << 10;
const FLOOD_BLOCKS = 4;
const QUIET_MILLISECONDS = 400;
/** How near to the end the reader has to be, so that the end stays in view. */
const NEAR_PIXELS = 48;
const MOST_NOTES = 5;
/** Of a line of text, for the height of blocks that are out of view. */
const COLUMNS = 100;

export class Output {
  readonly element = h("div", {class: "output", tabIndex: 0, role: "log", "aria-live": "off", "aria-label": "Received and sent data"});
  private readonly dropped = h("p", {class: "output-note", hidden: true}, `Only the last ${bytes(MOST_BYTES)} are shown; everything is counted.`);
  private readonly list = h("div");
  private readonly notes = h("div");
  private tail = new Tail();
  private readonly drawn = new Map<number, {element: HTMLElement; size: number}>();
  private mode: Mode = "text";
  private added = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private nextDraw = 0;

  constructor() {
    this.element.append(this.dropped, this.list, this.notes);
  }

  add(direction: Direction, data: Uint8Array): void {
    this.tail.add(direction, data);
    this.added += data.length;
    this.schedule();
  }

  /** Show a line about the conversation, behind everything. */
  note(text: string): void {
    this.notes.append(h("p", {class: "output-note"}, text));
    if (this.notes.childElementCount > MOST_NOTES) this.notes.firstElementChild!.remove();
    this.schedule();
  }

  show(mode: Mode): void {
    this.mode = this.element.dataset.mode = mode;
    this.forget();
    this.schedule();
  }

  clear(): void {
    this.tail.clear();
    this.notes.replaceChildren();
    this.forget();
    this.schedule();
  }

  private forget(): void {
    this.list.replaceChildren();
    this.drawn.clear();
  }

  private schedule(wait = 0): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      const began = performance.now();
      this.draw();
      const ended = performance.now();
      this.nextDraw = ended + Math.max(DRAW_MILLISECONDS, DRAW_SHARE * (ended - began));
    }, Math.max(wait, this.nextDraw - performance.now()));
  }

  private draw(): void {
    const {element, list} = this;
    const flood = this.added > FLOOD_BYTES;
    this.added = 0;
    const all = this.tail.blocks;
    const blocks = flood ? all.slice(-FLOOD_BLOCKS) : all;
    const follow = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PIXELS;
    const kept = new Set(blocks.map(({id}) => id));
    for (const [id, {element: old}] of this.drawn) {
      if (kept.has(id)) continue;
      old.remove();
      this.drawn.delete(id);
    }
    let next: HTMLElement | null = null;
    for (const block of blocks.toReversed()) {
      const shown = this.drawBlock(block);
      if (shown.parentNode !== list || shown.nextSibling !== next) list.insertBefore(shown, next);
      next = shown;
    }
    this.dropped.hidden = !this.tail.cut;
    if (follow) element.scrollTop = element.scrollHeight;
    if (flood) this.schedule(QUIET_MILLISECONDS);
  }

  private drawBlock(block: Block): HTMLElement {
    const known = this.drawn.get(block.id);
    if (known?.size === block.bytes.length) return known.element;
    const element = known?.element ?? h("pre", {class: `block ${block.direction}`});
    const text = this.mode === "text" ? toText(block.bytes) : toHex(block.bytes, block.offset);
    element.textContent = text;
    const lines = text.split("\n").reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / COLUMNS)), 0);
    // Blocks out of view are not laid out, so that they need a height.
    element.style.containIntrinsicSize = `auto ${lines * 1.5}em`;
    this.drawn.set(block.id, {element, size: block.bytes.length});
    return element;
  }
}
