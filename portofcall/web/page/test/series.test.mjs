import assert from "node:assert/strict";
import test from "node:test";
import {load} from "./load.mjs";

const {judge, KEPT, RECENT, Series} = await load("page/series.ts");
const start = Date.UTC(2026, 0, 1);

/** Make a series of so many pings, of which the first half takes 1 ms, the second 3 ms, and the very first is lost. */
function seriesOf(count) {
  const series = new Series();
  for (let index = 0; index < count; index++) {
    const trip = index === 0 ? null : index < count / 2 ? 1 : 3;
    series.add({at: start + 1000 * index, trip, slug: trip === null ? "refused" : ""});
  }
  return series;
}

test("a short series is covered by all figures", () => {
  const series = seriesOf(4);
  assert.deepEqual(series.summary, {sent: 4, lost: 1, min: 1, median: 3, p99: 3});
  assert.equal(series.limits, "");
  assert.equal(series.csv.split("\r\n")[1], "2026-01-01T00:00:00.000Z,,refused");
  assert.equal(series.csv.split("\r\n")[2], "2026-01-01T00:00:01.000Z,1,");
});

test("sent and loss count all pings, and the page says what is about the last ones", () => {
  const series = seriesOf(3 * RECENT);
  assert.deepEqual(series.summary, {sent: 3 * RECENT, lost: 1, min: 3, median: 3, p99: 3});
  assert.equal(series.recent.length, RECENT);
  assert.match(series.limits, /about the last 3600\.$/);
  assert.equal(series.csv.split("\r\n").length, 3 * RECENT + 2);
});

test("the file is bounded, and the page says so", () => {
  const series = seriesOf(KEPT + 5);
  assert.equal(series.summary.sent, KEPT + 5);
  assert.equal(series.csv.split("\r\n").length, KEPT + 2);
  assert.match(series.limits, /CSV file has the last 86400\.$/);
});

test("a blip is a loss, a limit is a pause, and what will not change by itself is the end", () => {
  const verdicts = {
    lost: ["refused", "connect-timeout", "unreachable-gateway", "draining", "internal-error"],
    wait: ["too-many-requests"],
    stop: ["unauthorized", "blocked", "origin-refused", "unknown-target", "invalid-target", "redirected"],
  };
  for (const [verdict, slugs] of Object.entries(verdicts)) for (const slug of slugs) assert.equal(judge({slug, sentence: "", code: 0}), verdict, slug);
  assert.equal(judge({slug: "http-error", sentence: "", code: 502}), "lost");
  assert.equal(judge({slug: "http-error", sentence: "", code: 403}), "stop");
});
