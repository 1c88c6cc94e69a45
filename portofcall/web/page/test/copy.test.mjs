// Copying: what is on the server already is never removed, and what it sends is bounded.
import assert from "node:assert/strict";
import {test} from "node:test";
import {load} from "./load.mjs";

const {download, Exists, upload} = await load("ssh/files/copy.ts");

/** A server that ends its commands as `status` says; null keeps them running until their channel is closed. */
function server(status) {
  const commands = [];
  const open = async () => {
    let end;
    const channel = {hasEnded: false, ended: new Promise((resolve) => (end = resolve))};
    const finish = (code) => {
      channel.hasEnded = true;
      end({status: code, signal: undefined, lost: false});
    };
    return Object.assign(channel, {
      run: async (command) => {
        commands.push(command);
        const code = status(command);
        if (code !== null) finish(code);
      },
      send: async () => {}, // the window has room
      end: async () => {},
      close: async () => finish(undefined),
    });
  };
  return {commands, open};
}

const isUpload = (command) => command.includes("exec cat >");
const isRemoval = (command) => command.includes("rm -f");
const file = new Blob(["x".repeat(2 << 20)]);

test("a file that exists is neither sent nor removed", async () => {
  const {commands, open} = server(() => 17);
  const copying = {open, signal: new AbortController().signal, progress: () => assert.fail("nothing is sent")};
  await assert.rejects(upload(file, "name", false, copying), Exists);
  assert.equal(commands.length, 1);
});

test("an upload that is cancelled before the server has answered removes nothing", async () => {
  const {commands, open} = server((command) => (isRemoval(command) ? 0 : null));
  const cancelling = new AbortController();
  const copying = {open, signal: cancelling.signal, progress: () => cancelling.abort()};
  setTimeout(() => cancelling.abort(), 20);
  await assert.rejects(upload(file, "name", false, copying));
  assert.ok(!commands.some(isRemoval), commands.join("\n"));
});

test("a cancelled upload removes the file that it has made", async () => {
  const {commands, open} = server((command) => (isUpload(command) ? null : 0));
  const cancelling = new AbortController();
  await assert.rejects(upload(file, "name", false, {open, signal: cancelling.signal, progress: () => cancelling.abort()}));
  assert.ok(commands.some(isRemoval));
});

test("a cancelled upload leaves a file that it was to overwrite", async () => {
  const {commands, open} = server((command) => (isUpload(command) ? null : 0));
  const cancelling = new AbortController();
  await assert.rejects(upload(file, "name", true, {open, signal: cancelling.signal, progress: () => cancelling.abort()}));
  assert.ok(!commands.some(isRemoval));
});

/** A server that answers its commands with these pieces. */
function speaking(pieces) {
  return async () => {
    let end;
    const channel = {hasEnded: false, ended: new Promise((resolve) => (end = resolve)), end: async () => {}};
    channel.close = async () => {
      channel.hasEnded = true;
      end({status: undefined, signal: undefined, lost: false});
    };
    channel.run = async (command, output) => {
      for (const piece of pieces(command)) {
        if (channel.hasEnded) return;
        output(piece, () => {});
      }
      channel.hasEnded = true;
      end({status: 0, signal: undefined, lost: false});
    };
    return channel;
  };
}

const text = (words) => new TextEncoder().encode(words);
const copying = (pieces) => ({open: speaking(pieces), signal: new AbortController().signal, progress: () => {}});

test("a download that never ends is given up, 64 MiB after the size that the server told", async () => {
  let sent = 0;
  function* endless() {
    for (const piece = new Uint8Array(4 << 20); ; sent += piece.length) yield piece;
  }
  await assert.rejects(
    download("name", copying((command) => (command.includes("wc -c") ? [text("  5\n")] : endless()))),
    /more than the 5 bytes of the file/);
  assert.ok(sent <= 68 << 20, `${sent} bytes`);
});

test("a size that is none is an error", async () => {
  for (const size of ["", "-1\n", "1e9\n", "9".repeat(30), "5\nx"]) {
    await assert.rejects(download("name", copying(() => [text(size)])), /does not tell the size/);
  }
});

test("a file that grows while it is read is taken as it is", async () => {
  const {bytes, content} = await download("name", copying((command) => [text(command.includes("wc -c") ? "5" : "more than five")]));
  assert.equal(bytes, 14);
  assert.equal(await content.text(), "more than five");
});

test("what the server says of a failure is bounded", async () => {
  const open = speaking(() => []);
  const failing = async () => {
    const channel = await open();
    const {run} = channel;
    channel.ended = channel.ended.then((ended) => ({...ended, status: 1}));
    channel.run = async (command, output, errors) => {
      errors(text(`sh: 1: \u202e${"x".repeat(4000)}`), () => {});
      return run(command, output);
    };
    return channel;
  };
  await assert.rejects(download("name", {...copying(() => []), open: failing}), ({message}) => /^x+…$/.test(message) && message.length < 600);
});
