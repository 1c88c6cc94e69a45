/** Shows the last bytes of a conversation, as text or hex; draws only what changed, and not too often. */

import {h} from "./dom.ts";
import {MOST_BYTES, Tail, toHex, toText, type Block, type Direction} from "./tail.ts";
import {bytes} from "./units.ts";

export type Mode = "text" | "hex";

/** The least time between two drawings. */
const DRAW_MILLISECONDS = 100;
/** How near to the end the reader has to be, so that the end stays in view. */
const NEAR_PIXELS = 48;

export class Output {
  readonly element = h("div", {class: "output", tabIndex: 0, role: "log", "aria-live": "off", "aria-label": "What came in and what was sent"});
  private readonly dropped = h("p", {class: "output-note", hidden: true}, `Only the last ${bytes(MOST_BYTES)} are shown; everything is counted.`);
  private tail = new Tail();
  private readonly drawn = new Map<number, {element: HTMLElement; size: number}>();
  private mode: Mode = "text";
  private scheduled = false;
  private lastDrawn = 0;
  private notes: HTMLElement[] = [];

  constructor() {
    this.element.append(this.dropped);
  }

  add(direction: Direction, data: Uint8Array): void {
    this.tail.add(direction, data);
    this.schedule();
  }

  /** Show a line about the conversation, behind everything. */
  note(text: string): void {
    this.notes.push(h("p", {class: "output-note"}, text));
    this.schedule();
  }

  show(mode: Mode): void {
    this.mode = this.element.dataset.mode = mode;
    for (const {element} of this.drawn.values()) element.remove();
    this.drawn.clear();
    this.schedule();
  }

  clear(): void {
    this.element.replaceChildren(this.dropped);
    this.drawn.clear();
    this.tail.blocks = [];
    this.notes = [];
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    const wait = Math.max(0, this.lastDrawn + DRAW_MILLISECONDS - performance.now());
    setTimeout(() => requestAnimationFrame(() => {
      this.scheduled = false;
      this.draw();
      this.lastDrawn = performance.now();
    }), wait);
  }

  private draw(): void {
    const {element, tail} = this;
    const follow = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PIXELS;
    const blocks = tail.blocks;
    const kept = new Set(blocks.map(({id}) => id));
    for (const [id, {element: old}] of this.drawn) {
      if (kept.has(id)) continue;
      old.remove();
      this.drawn.delete(id);
    }
    for (const block of blocks) {
      const known = this.drawn.get(block.id);
      if (known?.size === block.bytes.length) continue;
      const shown = known?.element ?? h("pre", {class: `block ${block.direction}`});
      shown.textContent = this.render(block);
      if (!known) element.append(shown);
      this.drawn.set(block.id, {element: shown, size: block.bytes.length});
    }
    element.append(...this.notes);
    this.notes = [];
    this.dropped.hidden = !tail.cut;
    if (follow) element.scrollTop = element.scrollHeight;
  }

  private render({bytes: data, offset}: Block): string {
    return this.mode === "text" ? toText(data) : toHex(data, offset);
  }
}
