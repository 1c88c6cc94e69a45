/** A console for any TCP service. */

import type {Tunnel} from "../client/portofcall.js";
import {button, copyButton, download, h, say} from "./dom.ts";
import {failureBox} from "./failure.ts";
import {Failed, failed, openTunnel, ROOT} from "./gateway.ts";
import {Output, type Mode} from "./output.ts";
import {connectCommand, showPlace, type Place} from "./place.ts";
import {Recording} from "./recording.ts";
import {Sending} from "./sending.ts";
import {Traffic, type Flow} from "./traffic.ts";
import {bytes} from "./units.ts";
import {pieces} from "./upload.ts";

/** The longest turn of reading; then the keyboard and the screen have theirs. */
const SLICE_MILLISECONDS = 12;
const QUIET_MILLISECONDS = 1500;

export async function consoleView(place: Place, container: HTMLElement, signal: AbortSignal): Promise<void> {
  container.append(h("p", {class: "hint"}, "Connecting…"));
  const tunnel = await openTunnel(place, signal);
  await new Session(place, container, tunnel, signal).run();
}

class Session {
  private readonly output = new Output();
  private readonly recording = new Recording();
  private readonly writer: WritableStreamDefaultWriter<BufferSource>;
  private readonly sending: Sending;
  private readonly flow: Flow;
  private readonly traffic: Traffic;
  private readonly state = h("span", {class: "badge", "data-state": "open"}, "open");
  private readonly outcome = h("div", {});
  private readonly pause: HTMLButtonElement;
  private readonly endSending: HTMLButtonElement;
  private readonly disconnect: HTMLButtonElement;
  private resume = (): void => {};
  private quiet: ReturnType<typeof setTimeout> | undefined;
  private announced = 0;
  private leaving = false;

  constructor(private readonly place: Place, private readonly container: HTMLElement, private readonly tunnel: Tunnel, private readonly signal: AbortSignal) {
    this.writer = tunnel.writable.getWriter();
    // Each write reports it, and so does the end of the tunnel.
    this.writer.closed.catch(() => {});
    this.writer.ready.catch(() => {});
    this.flow = {down: 0, up: 0, waiting: () => tunnel.waitingBytes, paused: false, pauses: tunnel.pauses, downEnded: false, upEnded: false};
    this.sending = new Sending({write: (data, echo) => this.write(data, echo)});
    this.traffic = new Traffic(showPlace(place), this.flow);
    this.pause = button("Pause reading", () => this.togglePause(), {class: "secondary", "aria-pressed": "false"});
    this.endSending = button("End sending", () => void this.finish(), {class: "secondary", title: "Tell the service that nothing more comes, and go on reading"});
    this.endSending.hidden = !tunnel.halfClose;
    this.disconnect = button("Disconnect", () => this.leave(), {class: "secondary"});
    this.draw();
  }

  private draw(): void {
    const mode = (name: Mode, label: string, checked: boolean): HTMLElement =>
      h("label", {}, h("input", {type: "radio", name: "mode", value: name, checked, onchange: () => this.output.show(name)}), h("span", {}, label));
    const checksum = button("SHA-256", () => void this.showChecksum(), {class: "quiet", title: "Of the received data"});
    checksum.hidden = !globalThis.crypto?.subtle;
    this.container.replaceChildren(
      h("div", {class: "toolbar"}, this.state,
        h("fieldset", {class: "segments"}, h("legend", {class: "spoken"}, "Show as"), mode("text", "Text", true), mode("hex", "Hex", false)),
        h("span", {class: "spacer"}),
        this.pause, this.endSending, this.disconnect),
      this.output.element,
      this.sending.element,
      this.outcome,
      this.traffic.element,
      h("div", {class: "toolbar"},
        button("Save received data", () => this.save(), {class: "quiet"}), checksum,
        button("Clear", () => this.output.clear(), {class: "quiet"}),
        copyButton("Copy as command", () => connectCommand(ROOT, this.place), {class: "quiet"})),
    );
  }

  /** Read until the tunnel ends. */
  async run(): Promise<void> {
    this.signal.addEventListener("abort", () => this.traffic.destroy());
    say(`Connected to ${showPlace(this.place)}`);
    this.sending.focus();
    // A tunnel that is cut is shown at once, also when reading is paused.
    this.tunnel.closed.catch(() => {
      this.unpause();
      this.pause.disabled = true;
    });
    try {
      await this.read();
      const end = await this.tunnel.closed;
      this.over(this.leaving ? "Disconnected." : end.reason || "The service has closed the connection.");
    } catch (error) {
      if (this.signal.aborted) return;
      const problem = failed(error);
      if (this.leaving) this.over("Disconnected.");
      else if (problem instanceof Failed) this.fail(problem);
      else throw problem;
    }
  }

  private async read(): Promise<void> {
    const reader = this.tunnel.readable.getReader();
    let slice = performance.now();
    for (;;) {
      while (this.flow.paused) await new Promise<void>((resolve) => (this.resume = resolve));
      const {done, value} = await reader.read();
      if (done) break;
      this.flow.down += value.length;
      this.output.add("down", value);
      this.recording.add(value);
      this.announceSoon();
      if (performance.now() - slice > SLICE_MILLISECONDS) {
        await new Promise((resolve) => setTimeout(resolve));
        slice = performance.now();
      }
    }
    this.flow.downEnded = true;
    this.pause.disabled = true;
    if (this.leaving) return;
    this.output.note(`The service has sent its last byte. ${this.flow.upEnded ? "" : "It may still read what you send."}`);
    this.state.textContent = "service ended";
    say("The service has sent its last byte");
  }

  private async write(data: Uint8Array<ArrayBuffer>, echo: boolean): Promise<void> {
    try {
      for (const piece of pieces(data)) {
        await this.writer.write(piece);
        this.flow.up += piece.length;
        if (echo) this.output.add("up", piece);
      }
    } catch (error) {
      this.sending.end(); // run() shows why the tunnel is over
      throw error;
    }
  }

  private async finish(): Promise<void> {
    this.endSending.disabled = true;
    this.sending.end();
    try {
      await this.writer.close();
      this.flow.upEnded = true;
      this.output.note("Nothing more is sent. The service may still send.");
      say("Nothing more is sent");
    } catch {
      // The tunnel was over before; run() shows why.
    }
  }

  /** What was written before is still delivered, which may take a while. */
  private leave(): void {
    this.leaving = true;
    this.state.textContent = "closing";
    for (const control of [this.endSending, this.disconnect]) control.disabled = true;
    this.sending.end();
    this.unpause(); // the end is behind what was not read
    this.tunnel.close();
  }

  private togglePause(): void {
    this.flow.paused = !this.flow.paused;
    this.pause.textContent = this.flow.paused ? "Resume reading" : "Pause reading";
    this.pause.setAttribute("aria-pressed", String(this.flow.paused));
    say(this.flow.paused ? "Reading is paused" : "Reading goes on");
    this.resume();
  }

  private unpause(): void {
    if (this.flow.paused) this.togglePause();
  }

  /** Screen readers hear how much came once it is quiet, not each piece of a flood. */
  private announceSoon(): void {
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => {
      say(`Received ${bytes(this.flow.down - this.announced)}`);
      this.announced = this.flow.down;
    }, QUIET_MILLISECONDS);
  }

  private save(): void {
    const {limit} = this.recording;
    download(`${showPlace(this.place).replaceAll(/[:[\]]/g, "_")}.bin`, this.recording.blob);
    this.output.note(limit ? `Saved ${limit}.` : `Saved ${bytes(this.recording.total)}.`);
  }

  private async showChecksum(): Promise<void> {
    const {limit, total} = this.recording;
    const digest = await this.recording.checksum();
    this.output.note(`SHA-256 of ${limit || `all ${bytes(total)}`}: ${digest}`);
    say(`SHA-256 ${digest}`);
  }

  private over(text: string): void {
    this.close("closed");
    this.output.note(text);
    say(text);
  }

  private fail(problem: Failed): void {
    // A tunnel that never carried a byte has nothing to look at.
    if (!this.flow.down && !this.flow.up) {
      this.traffic.destroy();
      this.container.replaceChildren(failureBox(problem.failure, this.place));
      return;
    }
    this.close("failed");
    this.outcome.replaceChildren(failureBox(problem.failure, this.place));
  }

  private close(state: string): void {
    this.state.textContent = this.state.dataset.state = state;
    this.flow.downEnded = this.flow.upEnded = true;
    this.flow.paused = false;
    this.sending.end();
    this.traffic.stop();
    for (const control of [this.pause, this.endSending, this.disconnect]) control.disabled = true;
  }
}
