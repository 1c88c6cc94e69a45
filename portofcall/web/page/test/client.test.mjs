import assert from "node:assert/strict";
import {beforeEach, test} from "node:test";
import {load} from "./load.mjs";

const text = (bytes) => new TextDecoder().decode(bytes);
const bytes = (data) => new TextEncoder().encode(data);

/** A WebSocketStream whose other end is the test. */
class FakeStream {
  static last;
  constructor(url, {protocols, signal}) {
    FakeStream.last = this;
    Object.assign(this, {url, protocols, sent: [], reads: 0, closes: 0});
    this.closed = new Promise((resolve, reject) => Object.assign(this, {end: resolve, cut: reject}));
    this.closed.catch(() => {});
    const readable = new ReadableStream(
      {
        start: (controller) => (this.controller = controller),
        pull: () => void this.reads++,
      },
      {highWaterMark: 0},
    );
    const writable = new WritableStream({write: async (message) => {
      await this.gate;
      this.sent.push(message);
    }});
    this.opened = signal?.aborted ? Promise.reject(signal.reason) : Promise.resolve({readable, writable, protocol: FakeStream.protocol});
  }
  close() {
    this.closes++;
    this.controller.close();
    this.end({closeCode: 1000, reason: ""});
  }
}

/** A WebSocket whose other end is the test. */
class FakeSocket {
  static OPEN = 1;
  static last;
  constructor(url, protocols) {
    FakeSocket.last = this;
    Object.assign(this, {url, protocols, sent: [], bufferedAmount: 0, protocol: "portofcall.v1", readyState: FakeSocket.OPEN, closes: []});
    queueMicrotask(() => this.onopen());
  }
  send(data) {
    this.sent.push(data);
  }
  close(code) {
    this.readyState = 2;
    this.closes.push(code);
  }
}

/** Open a tunnel in a browser without WebSocketStream. */
async function openPlain() {
  delete globalThis.WebSocketStream;
  globalThis.WebSocket = FakeSocket;
  // The module looks for it once.
  const {open} = await load("client/open.ts", "without WebSocketStream");
  const tunnel = await open("http://g/", "a", 1);
  return {tunnel, last: FakeSocket.last};
}

let client;

beforeEach(async () => {
  FakeStream.protocol = "portofcall.v1";
  globalThis.WebSocketStream = FakeStream;
  client ??= await load("client/open.ts");
});

test("the URL has the target, and the ticket is a subprotocol", async () => {
  await client.open("https://gateway.example/prefix", "2001:db8::1", 22, {ticket: "a.b-c_d"});
  assert.equal(FakeStream.last.url, "wss://gateway.example/prefix/api/connect?host=2001%3Adb8%3A%3A1&port=22");
  assert.deepEqual(FakeStream.last.protocols, ["portofcall.v1", "binary", "portofcall.bearer.a.b-c_d"]);
  await client.open("http://g/", null, null, {target: "db"});
  assert.equal(FakeStream.last.url, "ws://g/api/connect?target=db");
});

test("invalid arguments are TypeErrors that name the field", async () => {
  const cases = [
    [["ftp://g/", "a", 1], /^gateway:/],
    [["http://g/", "", 1], /^host:/],
    [["http://g/", "a", 0], /^port:/],
    [["http://g/", "a", "22"], /^port:/],
    [["http://g/", "a", 1, {target: "db"}], /^target:/],
    [["http://g/", "a", 1, {ticket: "a b"}], /^ticket:/],
  ];
  for (const [args, message] of cases) await assert.rejects(client.open(...args), {name: "TypeError", message});
});

test("nothing is read before somebody reads", async () => {
  const tunnel = await client.open("http://g/", "a", 1);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(FakeStream.last.reads, 0);
  const reader = tunnel.readable.getReader();
  const first = reader.read();
  FakeStream.last.controller.enqueue(bytes("ahoy").buffer);
  assert.equal(text((await first).value), "ahoy");
  assert.equal(tunnel.pauses, true);
});

test("each direction ends by itself", async () => {
  const tunnel = await client.open("http://g/", "a", 1);
  const {last} = FakeStream;
  const writer = tunnel.writable.getWriter();
  await writer.write(bytes("GET"));
  await writer.close();
  assert.equal(text(last.sent[0]), "GET");
  assert.deepEqual(JSON.parse(last.sent[1]), {type: "eof"});
  const answer = new Response(tunnel.readable).text();
  last.controller.enqueue(bytes("200").buffer);
  last.controller.enqueue('{"type":"eof"}');
  assert.equal(await answer, "200");
  last.end({closeCode: 1000, reason: ""});
  assert.deepEqual(await tunnel.closed, {code: 1000, slug: "", reason: ""});
});

test("without portofcall.v1 one direction can't end alone", async () => {
  FakeStream.protocol = "binary";
  const tunnel = await client.open("http://g/", "a", 1);
  assert.equal(tunnel.halfClose, false);
  await assert.rejects(tunnel.writable.close(), {slug: "no-half-close"});
});

test("a tunnel that was cut fails with code, slug and reason, everywhere", async () => {
  const tunnel = await client.open("http://g/", "a", 1);
  const reading = tunnel.readable.getReader().read();
  FakeStream.last.controller.close();
  FakeStream.last.end({closeCode: 4403, reason: "blocked: 10.0.0.1 is private"});
  const expected = {name: "TunnelError", code: 4403, slug: "blocked", reason: "10.0.0.1 is private"};
  await assert.rejects(tunnel.closed, expected);
  await assert.rejects(reading, expected);
  await assert.rejects(tunnel.writable.getWriter().write(bytes("x")), expected);
});

test("a write that the browser refuses fails like the tunnel, not with the browser's own error", async () => {
  const tunnel = await client.open("http://g/", "a", 1);
  const {last} = FakeStream;
  last.gate = Promise.reject(new DOMException("the connection was closed", "NetworkError"));
  const written = tunnel.writable.getWriter().write(bytes("ahoy"));
  last.end({closeCode: 1011, reason: "backend-reset: the backend reset the connection"});
  await assert.rejects(written, {name: "TunnelError", code: 1011, slug: "backend-reset"});
  assert.equal(tunnel.waitingBytes, 0);
});

test("a write after a clean end has a slug, too", async () => {
  const tunnel = await client.open("http://g/", "a", 1);
  FakeStream.last.end({closeCode: 1000, reason: ""});
  await tunnel.closed;
  await assert.rejects(tunnel.writable.getWriter().write(bytes("ahoy")), {name: "TunnelError", code: 1000, slug: "closed"});
});

test("a connection that is lost is 1006", async () => {
  const tunnel = await client.open("http://g/", "a", 1);
  FakeStream.last.cut(Object.assign(new Error(), {closeCode: 1006, reason: ""}));
  await assert.rejects(tunnel.closed, {code: 1006, slug: "connection-lost"});
});

test("a signal aborts the opening and the tunnel", async () => {
  const reason = new Error("enough");
  await assert.rejects(client.open("http://g/", "a", 1, {signal: AbortSignal.abort(reason)}), reason);
  const controller = new AbortController();
  const tunnel = await client.open("http://g/", "a", 1, {signal: controller.signal});
  const reading = tunnel.readable.getReader().read();
  controller.abort(reason);
  await assert.rejects(reading, reason);
  assert.equal(FakeStream.last.closes, 1);
});

test("large chunks are cut, and what waits is counted", async () => {
  const tunnel = await client.open("http://g/", "a", 1);
  let open;
  FakeStream.last.gate = new Promise((resolve) => (open = resolve));
  const written = tunnel.writable.getWriter().write(new Uint8Array(600 << 10));
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(tunnel.waitingBytes, 256 << 10);
  open();
  await written;
  assert.deepEqual(FakeStream.last.sent.map(({length}) => length >> 10), [256, 256, 88]);
  assert.equal(tunnel.waitingBytes, 0);
});

test("without WebSocketStream, writes wait for the buffer to drain", async () => {
  const {tunnel, last} = await openPlain();
  assert.equal(tunnel.pauses, false);
  const writer = tunnel.writable.getWriter();
  last.bufferedAmount = 2 << 20;
  let done = false;
  const written = writer.write(bytes("ahoy")).then(() => (done = true));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(done, false);
  assert.equal(tunnel.waitingBytes, 2 << 20);
  last.bufferedAmount = 0;
  await written;
  last.onmessage({data: bytes("back").buffer});
  const reader = tunnel.readable.getReader();
  assert.equal(text((await reader.read()).value), "back");
  tunnel.close();
  last.onclose({code: 1000, reason: ""});
  assert.equal((await reader.read()).done, true);
  assert.equal((await tunnel.closed).code, 1000);
});

test("without WebSocketStream, what nobody reads is bounded, and can still be read", async () => {
  const {tunnel, last} = await openPlain();
  const mebibyte = new ArrayBuffer(1 << 20);
  for (let count = 0; count < 70; count++) last.onmessage({data: mebibyte});
  assert.deepEqual(last.closes, [4000]);
  const reader = tunnel.readable.getReader();
  let read = 0;
  const rest = (async () => {
    for (;;) read += (await reader.read()).value.length;
  })();
  await assert.rejects(rest, {name: "TunnelError", code: 4000, slug: "unread-overflow"});
  assert.equal(read, 63 << 20);
  await assert.rejects(tunnel.closed, {slug: "unread-overflow", reason: /more than 64 MiB/});
});

test("without WebSocketStream, many small messages count with what they cost", async () => {
  const {last} = await openPlain();
  const byte = new ArrayBuffer(1);
  let count = 0;
  while (!last.closes.length && count < 1e6) {
    last.onmessage({data: byte});
    count++;
  }
  assert.equal(count, Math.floor((64 << 20) / 129) + 1);
});

test("without WebSocketStream, what is read makes room", async () => {
  const {tunnel, last} = await openPlain();
  const reader = tunnel.readable.getReader();
  for (let count = 0; count < 200; count++) {
    last.onmessage({data: new ArrayBuffer(1 << 20)});
    await reader.read();
  }
  assert.deepEqual(last.closes, []);
});

test("without WebSocketStream, a write fails when the browser would discard it, or did", async () => {
  const expected = {name: "TunnelError", code: 4403, slug: "blocked"};
  const end = {code: 4403, reason: "blocked: no"};
  const closing = await openPlain();
  closing.last.readyState = 2;
  const discarded = closing.tunnel.writable.getWriter().write(bytes("ahoy"));
  closing.last.onclose(end);
  await assert.rejects(discarded, expected);
  assert.deepEqual(closing.last.sent, []);
  const full = await openPlain();
  full.last.bufferedAmount = 2 << 20;
  const waiting = full.tunnel.writable.getWriter().write(bytes("ahoy"));
  await new Promise((resolve) => setTimeout(resolve, 10));
  full.last.onclose(end);
  await assert.rejects(waiting, expected);
});
