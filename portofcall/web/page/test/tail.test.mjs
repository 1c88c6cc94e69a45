import assert from "node:assert/strict";
import test from "node:test";
import {load} from "./load.mjs";

const {BLOCK_BYTES, MOST_BYTES, Tail, parseHex, toHex, toText} = await load("page/tail.ts");
const bytes = (text) => new TextEncoder().encode(text);
const joined = (tail) => Buffer.concat(tail.blocks.map((block) => block.bytes));

test("bytes of one direction are joined, and each block knows its place", () => {
  const tail = new Tail();
  tail.add("down", bytes("ab"));
  tail.add("down", bytes("cd"));
  tail.add("up", bytes("x"));
  tail.add("down", bytes("e"));
  const shown = tail.blocks.map(({direction, offset, bytes: data}) => [direction, offset, Buffer.from(data).toString()]);
  assert.deepEqual(shown, [["down", 0, "abcd"], ["up", 0, "x"], ["down", 4, "e"]]);
});

test("only the last bytes are kept, however they come", () => {
  for (const size of [1000, BLOCK_BYTES + 1, MOST_BYTES, 3 * MOST_BYTES + 7]) {
    const tail = new Tail();
    const all = Buffer.alloc(Math.max(4 * MOST_BYTES, size));
    for (let place = 0; place < all.length; place++) all[place] = place % 251;
    for (let start = 0; start < all.length; start += size) tail.add("down", new Uint8Array(all.subarray(start, start + size)));
    const kept = joined(tail);
    assert.ok(kept.length <= MOST_BYTES && kept.length > MOST_BYTES - 2 * BLOCK_BYTES, `${size}: ${kept.length}`);
    assert.ok(kept.equals(all.subarray(all.length - kept.length)));
    assert.equal(tail.blocks.at(-1).offset + tail.blocks.at(-1).bytes.length, all.length);
    assert.ok(tail.cut);
  }
});

test("blocks end with a line, or at least with a character", () => {
  const tail = new Tail();
  tail.add("down", bytes(`${"x".repeat(BLOCK_BYTES - 10)}\n${"y".repeat(100)}`));
  assert.equal(tail.blocks[0].bytes.at(-1), 10);
  const wide = new Tail();
  wide.add("down", bytes("€".repeat(BLOCK_BYTES)));
  assert.ok(wide.blocks.length > 2);
  for (const {bytes: data} of wide.blocks) assert.ok(!toText(data).includes("\ufffd"));
});

test("control characters, and those that forge what is shown, are visible", () => {
  assert.equal(toText(bytes("a\r\n\tb\x1b[31m\0")), "a⇤↵\n⇥\tb⟨1b⟩[31m⟨00⟩");
  assert.equal(toText(bytes("\u202etxt\u200b\x7f\x9b")), "⟨202e⟩txt⟨200b⟩⟨7f⟩⟨9b⟩");
  assert.equal(toText(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61)), "⟨feff⟩a");
});

test("a hex dump has offset, bytes and ASCII", () => {
  assert.equal(
    toHex(bytes("ahoy, Port of Call\n"), 0x10),
    "00000010  61 68 6f 79 2c 20 50 6f  72 74 20 6f 66 20 43 61  ahoy, Port of Ca\n" +
      `00000020  6c 6c 0a${" ".repeat(41)} ll·\n`,
  );
});

test("hex is pairs of digits", () => {
  assert.deepEqual(parseHex("48 65 0x6C\n6c6F"), bytes("Hello"));
  for (const text of ["", "4", "4g", "48 6"]) assert.equal(parseHex(text), null, text);
});
