// Uploads: what is on the server already is never removed.
import assert from "node:assert/strict";
import {test} from "node:test";
import {load} from "./load.mjs";

const {Exists, upload} = await load("ssh/files/copy.ts");

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
