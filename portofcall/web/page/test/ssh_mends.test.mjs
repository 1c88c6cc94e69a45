// Each mend of dev-tunnels-ssh: what the library does by itself, and what it does once mended.
import assert from "node:assert/strict";
import test from "node:test";
import {connect, loadSSH} from "./ssh_library.mjs";

const library = await loadSSH("mends/banner.ts", "mends/curve25519.ts", "mends/ed25519.ts", "mends/interactive.ts", "mends/rekey.ts");
const {ssh, Bytes} = library;
const hex = (text) => Bytes.from(text.replaceAll(" ", ""), "hex");

/** What a message is on the wire, in hex. */
function written(message) {
  const writer = new ssh.SshDataWriter(Bytes.alloc(256));
  message.write(writer);
  return writer.toBuffer().toString("hex");
}

/** Send bytes through the echo, and count those that come back. */
async function echoed(channel, count) {
  let received = 0;
  const complete = new Promise((resolve, reject) => {
    channel.onDataReceived((data) => {
      received += data.length;
      channel.adjustWindow(data.length);
      if (received >= count) resolve();
    });
    channel.onClosed(({error}) => reject(error ?? new Error("closed")));
  });
  complete.catch(() => {});
  const sending = channel.send(Bytes.alloc(count)).catch(() => {});
  await Promise.race([complete, new Promise((_, reject) => setTimeout(reject, 5000, new Error("nothing came")))]);
  await sending;
  return received;
}

async function rekeyFrom(session) {
  const [init] = await session.kexService.startKeyExchange(false);
  await session.sendMessage(init);
}

test("the library alone ends the session when the server changes keys", async () => {
  const {client, server} = await connect(library);
  const closed = new Promise((resolve) => client.onClosed(({message}) => resolve(message)));
  await rekeyFrom(server);
  assert.equal(await closed, "Key exchange was not started.");
});

test("mended, a server may change keys as often as it likes", async () => {
  const {client, server, channel} = await connect(library, {prepare: library.mendServerRekey});
  const before = client.algorithms;
  for (let time = 0; time < 3; time++) {
    await rekeyFrom(server);
    assert.equal(await echoed(channel, 100_000), 100_000);
  }
  assert.notEqual(client.algorithms, before);
  await client.close(11);
});

test("another host key in the middle ends the session", async () => {
  const {client, server} = await connect(library, {prepare: library.mendServerRekey});
  const closed = new Promise((resolve) => client.onClosed(({message}) => resolve(message)));
  server.credentials = {publicKeys: [await ssh.SshAlgorithms.publicKey.ecdsaSha2Nistp256.generateKeyPair()]};
  await rekeyFrom(server);
  assert.equal(await closed, "the host key changed in the middle of the session");
});

test("the client changes keys after so many bytes, behind what waits to be sent", async () => {
  const sent = [];
  const {client, channel} = await connect(library, {
    prepare: library.mendServerRekey,
    prepareServer: library.mendServerRekey, // the library's server can't be asked either
    connected: (session) => {
      library.mendClientRekey(session, 200_000);
      const {protocol} = session;
      const send = protocol.sendMessage;
      protocol.sendMessage = function (message, ...rest) {
        sent.push(message.messageType);
        return send.call(this, message, ...rest);
      };
    },
  });
  const busy = setInterval(() => void channel.request(new ssh.ChannelRequestMessage("noise", false)).catch(() => {}), 0);
  assert.equal(await echoed(channel, 1_000_000), 1_000_000);
  clearInterval(busy);
  const INIT = 20;
  const NEW_KEYS = 21;
  let changes = 0;
  for (let index = 0; index < sent.length; index++) {
    if (sent[index] !== INIT) continue;
    changes++;
    for (index++; index < sent.length && sent[index] !== NEW_KEYS; index++) {
      assert.ok(sent[index] < 50, `message ${sent[index]} between KEXINIT and NEWKEYS`);
    }
  }
  assert.ok(changes >= 2, `${changes} changes of keys`);
  await client.close(11);
});

test("the exchange hash takes Curve25519's values as they are, and those of others as mpints", async () => {
  const hashed = async (rawValues) => {
    const session = new ssh.SshClientSession(new ssh.SshSessionConfiguration());
    library.mendExchangeHash(session);
    session.remoteVersion = ssh.SshVersionInfo.tryParse("SSH-2.0-x");
    session.kexService.exchangeContext = {clientKexInitPayload: hex("14"), serverKexInitPayload: hex("14")};
    const exchange = {rawValues, sign: async (data) => data};
    const data = await session.kexService.computeExchangeHash(exchange, hex("aa"), hex("80 01"), hex("00 02"), hex("03"));
    return data.toString("hex").split("00000001aa")[1];
  };
  assert.equal(await hashed(true), "00000002 8001 00000002 0002 00000001 03".replaceAll(" ", ""));
  assert.equal(await hashed(false), "00000003 008001 00000001 02 00000001 03".replaceAll(" ", ""));
});

test("two ends with Curve25519 agree on a secret", async () => {
  const [one, other] = [new library.Curve25519().createKeyExchange(), new library.Curve25519().createKeyExchange()];
  const [ours, theirs] = [await one.startKeyExchange(), await other.startKeyExchange()];
  assert.equal(ours.length, 32);
  assert.deepEqual(await one.decryptKeyExchange(theirs), await other.decryptKeyExchange(ours));
  await assert.rejects(one.decryptKeyExchange(Bytes.alloc(32)), "a value of small order");
});

test("Ed25519 signs as RFC 8032 says", async () => {
  const seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
  const raw = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  const signature = hex(
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
    + "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b");
  const key = new library.Ed25519KeyPair();
  await key.setRaw(raw, seed);
  assert.deepEqual(await key.sign(Bytes.alloc(0)), signature);
  const publicKey = new library.Ed25519().createKeyPair();
  await publicKey.setPublicKeyBytes(await key.getPublicKeyBytes());
  assert.equal(publicKey.hasPrivateKey, false);
  assert.equal(await publicKey.verify(Bytes.alloc(0), signature), true);
  assert.equal(await publicKey.verify(Bytes.alloc(1), signature), false);
  await assert.rejects(publicKey.setRaw(raw.slice(1)), /has 32 bytes/);
});

test("a request for keyboard-interactive has all its fields", () => {
  const text = (value) => value.length.toString(16).padStart(8, "0") + Bytes.from(value).toString("hex");
  const fields = ["pilot", "ssh-connection", "keyboard-interactive", "", ""].map(text).join("");
  assert.equal(written(new library.InteractiveRequest("pilot")), `32${fields}`);
  const short = new ssh.AuthenticationRequestMessage();
  Object.assign(short, {username: "pilot", serviceName: "ssh-connection", methodName: "keyboard-interactive"});
  assert.equal(written(short), `32${fields}`.slice(0, -16), "the library's own has two less");
});

test("questions are texts and echo flags in turn", () => {
  const questions = [{text: "Password: ", echo: false}, {text: "Code: ", echo: true}];
  const sent = Object.assign(new library.InfoRequest(), {name: "n", instruction: "i", questions});
  const read = new library.InfoRequest();
  read.read(new ssh.SshDataReader(hex(written(sent))));
  assert.deepEqual([read.name, read.instruction, read.questions], ["n", "i", questions]);
  const library_ = new ssh.AuthenticationInfoRequestMessage();
  const misread = () => {
    library_.read(new ssh.SshDataReader(hex(written(sent))));
    return library_.prompts[1].prompt;
  };
  let second;
  try {
    second = misread();
  } catch {
    second = null;
  }
  assert.notEqual(second, "Code: ", "the library's own reads something else");
  assert.equal(written(new library.InfoResponse(["a", ""])), "3d 00000002 00000001 61 00000000".replaceAll(" ", ""));
});

test("more questions than anybody asks are refused", () => {
  const sent = Object.assign(new library.InfoRequest(), {questions: Array(33).fill({text: "", echo: true})});
  assert.throws(() => new library.InfoRequest().read(new ssh.SshDataReader(hex(written(sent)))), /33 questions/);
});

test("a banner is read", () => {
  const banner = new library.BannerMessage();
  banner.read(new ssh.SshDataReader(hex("35 00000004 41686f79 00000000")));
  assert.equal(banner.text, "Ahoy");
  const config = new ssh.SshSessionConfiguration();
  assert.equal(config.messages.get(53), undefined, "the library's own drops it");
  library.mendBanner(config);
  assert.equal(config.messages.get(53), library.BannerMessage);
});
