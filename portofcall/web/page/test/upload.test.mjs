import assert from "node:assert/strict";
import test from "node:test";
import {load} from "./load.mjs";

const {upload} = await load("page/upload.ts");
const KiB = 1024;
const never = new AbortController().signal;
const ignore = () => {};

test("a file is sent in pieces, and progress counts what was accepted", async () => {
  const content = new Uint8Array(200 * KiB).map((_, place) => place % 251);
  const sent = [];
  const counts = [];
  const outcome = await upload(new Blob([content]), async (piece) => void sent.push(piece.slice()), never, (count) => counts.push(count));
  assert.deepEqual(outcome, {ending: "sent", sent: content.length, held: 0});
  assert.ok(Buffer.concat(sent).equals(content));
  assert.ok(sent.every(({length}) => length <= 64 * KiB));
  assert.equal(counts.at(-1), content.length);
});

test("an empty file is sent", async () => {
  assert.deepEqual(await upload(new Blob([]), assert.fail, never, assert.fail), {ending: "sent", sent: 0, held: 0});
});

test("what is not accepted is not called sent", async () => {
  let writes = 0;
  const refuse = async () => {
    if (++writes === 3) throw new Error("over");
  };
  const outcome = await upload(new Blob([new Uint8Array(300 * KiB)]), refuse, never, ignore);
  assert.deepEqual(outcome, {ending: "refused", sent: 128 * KiB, held: 0});
  assert.equal(writes, 3);
});

test("cancel acts while a write waits, and says what waits with it", {timeout: 5000}, async () => {
  const controller = new AbortController();
  let writes = 0;
  const stuck = () => {
    if (++writes < 2) return Promise.resolve();
    setTimeout(() => controller.abort());
    return new Promise(() => {});
  };
  const outcome = await upload(new Blob([new Uint8Array(300 * KiB)]), stuck, controller.signal, ignore);
  assert.deepEqual(outcome, {ending: "cancelled", sent: 64 * KiB, held: 64 * KiB});
  assert.equal(writes, 2);
});

test("a file that can't be read any more is no success", async () => {
  const broken = {stream: () => new ReadableStream({pull: (controller) => controller.error(new DOMException("changed", "NotReadableError"))})};
  assert.deepEqual(await upload(broken, assert.fail, never, ignore), {ending: "unreadable", sent: 0, held: 0});
});
