// Host keys, known_hosts, key files, and what is sent to the far side's shell.
import assert from "node:assert/strict";
import {execFileSync} from "node:child_process";
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import path from "node:path";
import test from "node:test";
import {loadSSH} from "./ssh_library.mjs";

const {about, baseName, describe, format, hostName, isEncrypted, isPrivateKey, judge, merge, parse, quote, readKey, remotePath, script, explainNegotiation, configuration} =
  await loadSSH("algorithms.ts", "host_key.ts", "known_hosts.ts", "files/command.ts", "keys/read.ts");

const folder = mkdtempSync(path.join(tmpdir(), "portofcall-keys-"));
process.on("exit", () => rmSync(folder, {recursive: true}));
const run = (...command) => execFileSync(command[0], command.slice(1), {cwd: folder, encoding: "utf8"});
function keygen(name, ...options) {
  run("ssh-keygen", "-q", "-N", "", "-C", "a comment", "-f", name, ...options);
  const [type, base64] = readFileSync(path.join(folder, `${name}.pub`), "utf8").split(" ");
  return {type, base64, text: readFileSync(path.join(folder, name), "utf8")};
}
const ed25519 = keygen("ed25519", "-t", "ed25519");
const ecdsa = keygen("ecdsa", "-t", "ecdsa", "-b", "384");
const rsa = keygen("rsa", "-t", "rsa", "-b", "2048");
const line = (hosts, {type, base64}) => `${hosts} ${type} ${base64}`;

test("a key is described as ssh-keygen describes it", async () => {
  for (const [name, key] of Object.entries({ed25519, ecdsa, rsa})) {
    assert.equal(await describe(key), run("ssh-keygen", "-lf", `${name}.pub`).trim().replace("a comment ", ""));
  }
});

test("a server is named as in known_hosts", () => {
  assert.equal(hostName({host: "DB.example", port: 22}), "db.example");
  assert.equal(hostName({host: "::1", port: 2222}), "[::1]:2222");
  assert.equal(hostName({target: "shell"}), "target/shell");
  assert.equal(hostName({host: "fe80::1%eth0", port: 22}), "fe80::1%eth0");
});

test("a key is never remembered for a pattern, and so for other servers", () => {
  for (const host of ["*", "?b", "a,b", "!db", "|1|a|b", "@revoked", "#db", "a b", "target/db"]) {
    assert.throws(() => hostName({host, port: 22}), /not the name of a host/, host);
  }
  for (const target of ["*", "a,b", "a ssh-ed25519 AAAA\nbank"]) {
    assert.throws(() => hostName({target}), /not the name of a host/, "named by the gateway, which may be the attacker");
  }
});

test("lines are read and written again; what can't be used is named", () => {
  const text = `# comment\n\n${line("db,10.0.0.1", ed25519)} root@db\n@revoked ${line("*", rsa)}\n`;
  const {entries, rejected} = parse(text);
  assert.deepEqual(rejected, []);
  assert.equal(format(entries), `${line("db,10.0.0.1", ed25519)}\n@revoked ${line("*", rsa)}\n`);
  assert.deepEqual(parse(format(entries)).entries, entries);
  assert.equal(merge(entries, entries).length, 2);
  const bad = ["db", "db ssh-dss AAAA", `@cert-authority ${line("*", rsa)}`, `@what ${line("*", rsa)}`,
    `db ssh-rsa ${ed25519.base64}`, "db ssh-ed25519 <>"];
  assert.deepEqual(parse(bad.join("\n")).rejected.map(({line: number}) => number), [1, 2, 3, 4, 5, 6]);
});

test("lines are found by name, pattern and hash, as OpenSSH finds them", async () => {
  const found = async (hosts, name) => (await about(parse(line(hosts, rsa)).entries, name)).length === 1;
  assert.ok(await found("a,db", "db"));
  assert.ok(await found("*.example", "db.example"));
  assert.ok(await found("DB?", "db1"));
  assert.ok(await found("[10.0.0.*]:2222", "[10.0.0.7]:2222"));
  assert.ok(!(await found("*.example,!db.example", "db.example")));
  assert.ok(!(await found("d.b", "dxb")));
  assert.ok(!(await found("db", "[db]:2222")));
  writeFileSync(path.join(folder, "hashed"), `${line("[db]:2222", rsa)}\n`);
  run("ssh-keygen", "-Hf", "hashed");
  const [hashed] = parse(readFileSync(path.join(folder, "hashed"), "utf8")).entries;
  assert.ok(hashed.hosts.startsWith("|1|"));
  assert.equal((await about([hashed], "[db]:2222")).length, 1);
  assert.equal((await about([hashed], "db")).length, 0);
  assert.equal((await about([{...hashed, hosts: "|2|a|b"}], "db")).length, 0);
});

test("a key is known, new, changed or revoked", async () => {
  const {entries} = parse(`${line("db", ed25519)}\n@revoked ${line("*", rsa)}`);
  assert.deepEqual(await judge(entries, "db", ed25519), {known: true});
  assert.deepEqual(await judge(entries, "web", ecdsa), {known: false, revoked: false, others: []});
  const changed = await judge(entries, "db", ecdsa);
  assert.deepEqual([changed.known, changed.others.length], [false, 1]);
  assert.equal((await judge(entries, "db", rsa)).revoked, true);
  assert.equal((await judge([...entries, ...parse(line("web", rsa)).entries], "web", rsa)).known, false);
});

test("known types of host keys are asked for first", async () => {
  const names = (config) => config.publicKeyAlgorithms.map(({name}) => name);
  assert.equal(names(await configuration())[0], "ssh-ed25519");
  assert.deepEqual(names(await configuration(["ssh-rsa"])).slice(0, 2), ["rsa-sha2-512", "rsa-sha2-256"]);
  assert.equal((await configuration()).keyExchangeAlgorithms[0].name, "curve25519-sha256");
});

test("a browser without Ed25519 and X25519 uses what it has", async (context) => {
  const {subtle} = globalThis.crypto;
  const generate = subtle.generateKey.bind(subtle);
  context.mock.method(subtle, "generateKey", async (algorithm, ...rest) => {
    if (algorithm === "Ed25519" || algorithm === "X25519") throw new DOMException("unrecognized name", "NotSupportedError");
    return generate(algorithm, ...rest);
  });
  const names = (algorithms) => algorithms.map(({name}) => name);
  const {publicKeyAlgorithms, keyExchangeAlgorithms} = await configuration();
  assert.ok(!names(publicKeyAlgorithms).includes("ssh-ed25519"));
  assert.ok(names(publicKeyAlgorithms).includes("ecdsa-sha2-nistp256"));
  assert.ok(!names(keyExchangeAlgorithms).some((name) => name.startsWith("curve25519")));
  assert.ok(names(keyExchangeAlgorithms).includes("ecdh-sha2-nistp256"));
  context.mock.restoreAll();
  assert.equal(names((await configuration()).keyExchangeAlgorithms)[0], "curve25519-sha256");
});

test("what a server lacks is said in words", () => {
  assert.equal(
    explainNegotiation("Failed KeyExchange negotiation: Server (a, b) Client (c, ext-info-c)"),
    "the server and this page have no key exchange in common: the server has a, b; this page has c");
  assert.equal(explainNegotiation("Connection lost."), null);
});

test("private keys are read in the formats of ssh-keygen", async () => {
  for (const [name, key] of Object.entries({ed25519, ecdsa, rsa})) {
    assert.ok(isPrivateKey(key.text));
    assert.equal(isEncrypted(key.text), false);
    const pair = await readKey(key.text, "");
    assert.equal(pair.comment, "a comment");
    assert.equal((await pair.getPublicKeyBytes()).toString("base64"), key.base64, name);
  }
  for (const [name, format] of [["rsa", "PEM"], ["rsa", "PKCS8"], ["ecdsa", "PEM"], ["ecdsa", "PKCS8"]]) {
    run("cp", name, "converted");
    run("ssh-keygen", "-q", "-p", "-N", "", "-m", format, "-f", "converted");
    const text = readFileSync(path.join(folder, "converted"), "utf8");
    assert.ok(!text.includes("OPENSSH"));
    const pair = await readKey(text, "");
    assert.equal((await pair.getPublicKeyBytes()).toString("base64"), {rsa, ecdsa}[name].base64, `${name} ${format}`);
  }
});

test("an encrypted key asks for its passphrase; a damaged one says so", async () => {
  run("cp", "ed25519", "encrypted");
  run("ssh-keygen", "-q", "-p", "-N", "secret", "-f", "encrypted");
  const text = readFileSync(path.join(folder, "encrypted"), "utf8");
  assert.equal(isEncrypted(text), true);
  await assert.rejects(readKey(text, ""), /passphrase is missing/);
  await assert.rejects(readKey(ed25519.text.replace(/b3BlbnNz/, "AAAAAAAA"), ""), /damaged/);
  assert.equal(isPrivateKey(readFileSync(path.join(folder, "rsa.pub"), "utf8")), false);
});

test("a path is one word to the far side's shell", () => {
  const names = ["a b", "it's", "$(reboot)", "`id`", "a;b", "*", "-rf", '"', "ü"];
  for (const shell of ["sh", "bash"]) {
    for (const name of names) {
      assert.equal(run(shell, "-c", script('printf %s "$1"', name)), name);
    }
  }
  assert.equal(quote("it's"), "'it'\\''s'");
});

test("paths begin in the home, and are never options", () => {
  assert.equal(remotePath(" notes "), "notes");
  assert.equal(remotePath("~/notes"), "notes");
  assert.equal(remotePath("/etc/motd"), "/etc/motd");
  assert.equal(remotePath("-rf"), "./-rf");
  for (const path of ["", "a\nb", "a\\b", "~root/x"]) assert.throws(() => remotePath(path), path);
  assert.equal(baseName("/var/log/syslog"), "syslog");
  assert.equal(baseName("/"), "file");
});
