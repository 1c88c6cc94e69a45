// The SSH library of the page with some of the page's modules, as they are in the bundle, and a connection in memory.
import path from "node:path";
import {fileURLToPath} from "node:url";
import * as esbuild from "esbuild";
import {nodeOnly} from "../node-only.mjs";

// By this the library knows a browser.
globalThis.self ??= globalThis;

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..", "src", "ssh");

/** All that these modules export, with one and the same library as `ssh`. */
export async function loadSSH(...names) {
  const contents = ['export * as ssh from "@microsoft/dev-tunnels-ssh"; export {Buffer as Bytes} from "buffer";',
    ...names.map((name) => `export * from "./${name}";`)].join("\n");
  const options = {stdin: {contents, resolveDir: root}, bundle: true, format: "esm", write: false, target: "es2022", ...nodeOnly};
  const {outputFiles} = await esbuild.build({...options, define: {...nodeOnly.define, BCRYPT_WORKER: '"none"'}});
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);
}

/** Two streams, each of which reads what the other writes. */
export function pair({ssh, Bytes}) {
  class End extends ssh.BaseStream {
    async write(data) {
      this.other.onData(Bytes.from(data)); // the library writes into the same memory again
    }
    async close() {
      if (this.disposed) return;
      this.disposed = true;
      this.other.onEnd();
    }
    dispose() {
      void this.close();
    }
  }
  const [one, other] = [new End(), new End()];
  one.other = other;
  other.other = one;
  return [one, other];
}

/** Connect a client to a server, which lets everybody in, and open a channel that echoes. */
export async function connect(library, {prepare = () => {}, prepareServer = () => {}, connected = () => {}} = {}) {
  const {ssh} = library;
  const config = () => new ssh.SshSessionConfiguration();
  const server = new ssh.SshServerSession(config());
  server.credentials = {publicKeys: [await ssh.SshAlgorithms.publicKey.ecdsaSha2Nistp256.generateKeyPair()]};
  server.onAuthenticating((event) => (event.authenticationPromise = Promise.resolve({})));
  server.onChannelOpening(({channel}) => {
    channel.onDataReceived((data) => {
      const size = data.length;
      void channel.send(library.Bytes.from(data)).then(() => channel.adjustWindow(size), () => {});
    });
  });
  prepareServer(server);
  const client = new ssh.SshClientSession(config());
  client.onAuthenticating((event) => (event.authenticationPromise = Promise.resolve({})));
  prepare(client);
  const [here, there] = pair(library);
  await Promise.all([client.connect(here), server.connect(there)]);
  connected(client);
  await client.authenticate({username: "pilot", password: "x"});
  return {client, server, channel: await client.openChannel()};
}
