// What a server can do to the page: as much as a connection and its channels let it.
import assert from "node:assert/strict";
import test from "node:test";
import {loadSSH} from "./ssh_library.mjs";

const library = await loadSSH("connection.ts", "transport.ts", "mends/interactive.ts", "server_text.ts");
const {ssh, Bytes, Connection, InfoRequest, NotTrusted, serverText, TunnelStream} = library;

/** Two ends of a tunnel, as portofcall.js gives one. */
function tunnels() {
  let over;
  const closed = new Promise((resolve) => (over = resolve));
  const [up, down] = Array.from({length: 2}, () => {
    let control;
    const readable = new ReadableStream({start: (controller) => void (control = controller)});
    const writable = new WritableStream({write: (chunk) => control.enqueue(new Uint8Array(chunk))});
    void closed.then(() => control.close());
    return {readable, writable};
  });
  const end = (from, to) => ({readable: from.readable, writable: to.writable, closed, close: over});
  return [end(down, up), end(up, down)];
}

/** Connect to a server that lets everybody in, and return both sides. */
async function connected(options = {}) {
  const [here, there] = tunnels();
  const server = new ssh.SshServerSession(new ssh.SshSessionConfiguration());
  server.credentials = {publicKeys: [await ssh.SshAlgorithms.publicKey.ecdsaSha2Nistp256.generateKeyPair()]};
  const asked = [];
  server.onAuthenticating((event) => {
    asked.push(event.username);
    event.authenticationPromise = options.authenticate?.() ?? Promise.resolve({});
  });
  const serving = server.connect(new TunnelStream(there));
  serving.catch(() => {});
  const opening = Connection.open(here, {trust: async () => true, ...options});
  return {server, asked, opening};
}

async function signedIn() {
  const {server, opening} = await connected();
  const connection = await opening;
  const authentication = await connection.authentication(() => {});
  assert.deepEqual(await authentication.none("pilot"), {done: true});
  return {server, connection};
}

test("nothing about the user is sent to a server that is not trusted", async () => {
  const {asked, opening} = await connected({trust: async () => false});
  await assert.rejects(opening, NotTrusted);
  assert.deepEqual(asked, []);
});

test("a server that never exchanges keys is given up", async (context) => {
  context.mock.timers.enable({apis: ["setTimeout"]});
  const [here, there] = tunnels();
  const reading = there.readable.getReader();
  const opening = assert.rejects(Connection.open(here, {trust: async () => true}), /did not exchange keys within 60 seconds/);
  assert.match(new TextDecoder().decode((await reading.read()).value), /^SSH-2\.0-/);
  context.mock.timers.tick(60_000);
  await opening;
  await there.closed;
});

test("a server can open no channel", async () => {
  const {server, connection} = await signedIn();
  await assert.rejects(server.openChannel("x11"), ({reason}) => reason === 1); // administratively prohibited
  assert.ok(await connection.channel(), "the page still can");
  await connection.close();
});

test("a server that ignores the window is cut off", async () => {
  const {server, connection} = await signedIn();
  const opened = new Promise((resolve) => server.onChannelOpening(({channel}) => resolve(channel)));
  server.onChannelOpening(({channel}) => channel.onRequest((event) => (event.isAuthorized = true)));
  const channel = await connection.channel();
  let received = 0;
  await channel.run("flood", (data) => (received += data.length), () => {}); // never says that it was taken
  const flood = await opened;
  flood.remoteWindowSize = 1 << 30;
  flood.send(Bytes.alloc(8 << 20)).catch(() => {});
  assert.equal(await connection.closed, "the server sent more than it was allowed to");
  assert.ok(received <= 1 << 20, `${received} bytes`);
});

test("a server that asks again before it has an answer gets none", async () => {
  const {server, opening} = await connected({authenticate: () => new Promise(() => {})});
  const connection = await opening;
  const authentication = await connection.authentication(() => {});
  let asked = 0;
  const answering = authentication.interactive("pilot", () => {
    asked++;
    return new Promise(() => {});
  });
  const rejected = assert.rejects(answering, /asked again/);
  for (let time = 0; time < 50; time++) await server.sendMessage(Object.assign(new InfoRequest(), {questions: [{text: "?", echo: true}]}));
  await rejected;
  assert.equal(asked, 1);
  await connection.close();
});

test("text of a server is bounded, and has nothing that hides or turns it", () => {
  assert.equal(serverText("a\u001b]0;b\u0007c\u202ed\u2066e\r\nf\rg\u0085", 100), "a]0;bcde\nf\ng");
  assert.equal(serverText("x".repeat(1 << 20), 10), "xxxxxxxxxx…");
});
