import assert from "node:assert/strict";
import test from "node:test";
import {load} from "./load.mjs";

const {bytes, milliseconds, percentile, rate, summarize} = await load("page/units.ts");

test("numbers have three digits and a unit", () => {
  assert.deepEqual([0, 1023, 1024, 10 * 1024, 200 * 2 ** 20, 2 ** 50].map(bytes), ["0 B", "1023 B", "1.00 KiB", "10.0 KiB", "200 MiB", "1024 TiB"]);
  assert.equal(rate(1536), "1.50 KiB/s");
  assert.deepEqual([0.123, 99.5, 1234.5].map(milliseconds), ["0.12 ms", "99.50 ms", "1235 ms"]);
});

test("percentiles are values that were measured", () => {
  assert.equal(percentile([1, 2, 3, 4], 0.5), 2);
  assert.equal(percentile([1, 2, 3, 4], 0.99), 4);
  assert.equal(percentile([7], 0), 7);
  assert.ok(Number.isNaN(percentile([], 0.5)));
});

test("lost pings count, and don't distort the round trips", () => {
  assert.deepEqual(summarize([3, null, 1, 2]), {sent: 4, lost: 1, min: 1, median: 2, p99: 3});
});
