import assert from "node:assert/strict";
import test from "node:test";
import {load} from "./load.mjs";

const {connectCommand, parseLink, parseLogin, parsePlace, PlaceError, showPlace} = await load("page/place.ts");

test("a place is host:port, with IPv6 in brackets, or the name of a target", () => {
  assert.deepEqual(parsePlace(" db.example:5432 "), {host: "db.example", port: 5432});
  assert.deepEqual(parsePlace("[2001:db8::1]:22"), {host: "2001:db8::1", port: 22});
  assert.deepEqual(parsePlace("db"), {target: "db"});
  for (const text of ["db.example:5432", "[2001:db8::1]:22", "db"]) assert.equal(showPlace(parsePlace(text)), text);
});

test("with a default port, a text without one is a host", () => {
  assert.deepEqual(parsePlace("db.example", 22), {host: "db.example", port: 22});
  assert.deepEqual(parsePlace("db", 22, ["db"]), {target: "db"});
  assert.deepEqual(parsePlace("[::1]", 22), {host: "::1", port: 22});
  assert.deepEqual(parsePlace("db.example:2222", 22), {host: "db.example", port: 2222});
});

test("anything else says what was expected", () => {
  for (const text of ["", "a:0", "a:65536", "::1", "::1:22", "a b", "-x", "h?ticket=a.b", "h:1?ticket=a.b", "https://h/"]) {
    assert.throws(() => parsePlace(text), PlaceError, text);
    if (/[?/ ]/.test(text)) assert.throws(() => parsePlace(text, 22), PlaceError, text);
  }
});

test("a login is user@host, or a command of ssh", () => {
  const read = (text) => Object.values(parseLogin(text));
  assert.deepEqual(read("db.example:5432"), ["", "db.example:5432", false]);
  assert.deepEqual(read(" root@db "), ["root", "db", true]);
  assert.deepEqual(read("ssh root@db:2222"), ["root", "db:2222", true]);
  assert.deepEqual(read("ssh db"), ["", "db", true]);
  assert.deepEqual(read("ssh -p 2222 root@db"), ["root", "db:2222", true]);
  assert.deepEqual(read("ssh -p2222 -l root 2001:db8::1"), ["root", "[2001:db8::1]:2222", true]);
  assert.deepEqual(read("ssh root@[::1] -p 23"), ["root", "[::1]:23", true]);
  assert.deepEqual(read("ssh://root@db:2222/"), ["root", "db:2222", true]);
  assert.deepEqual(read("a@b@db"), ["a@b", "db", true]);
  assert.deepEqual(read("sshd:22"), ["", "sshd:22", false]);
});

const at = (hash, pathname = "/", search = "") => parseLink({hash, pathname, search});

test("links name an action, a place and perhaps a ticket", () => {
  assert.deepEqual(at("#tcp/db.example:5432"), {action: "tcp", text: "db.example:5432", ticket: "", address: "/#tcp/db.example:5432"});
  assert.equal(at("#ssh/root@db:22").text, "root@db:22");
  assert.deepEqual(at("", "/gateway/ssh/db.example"), {action: "banner", text: "db.example", ticket: "", address: "/gateway/ssh/db.example"});
  for (const [hash, path] of [["", "/"], ["#", "/"], ["#x", "/ping/a:1"], ["#tcp/%", "/"], ["#tcp/a&b=c", "/"], ["#tcp/a%20b:1", "/"]]) {
    assert.equal(at(hash, path), null, hash);
  }
});

test("a link's ticket is never in its text or its address", () => {
  for (const link of [
    at("#ping/[::1]:22&ticket=a.b.c"),
    at("#ping/[::1]:22?ticket=a.b.c"),
    at("#ping/[::1]:22", "/", "?ticket=a.b.c"),
  ]) assert.deepEqual(link, {action: "ping", text: "[::1]:22", ticket: "a.b.c", address: "/#ping/%5B::1%5D:22"});
  assert.deepEqual(at("", "/ping/h:1", "?ticket=a.b.c"), {action: "ping", text: "h:1", ticket: "a.b.c", address: "/ping/h:1"});
  for (const hash of ["#tcp/h:1%3Fticket=a.b.c", "#ssh/h%26ticket=a.b.c", "#tcp/h:1&ticket=a&ticket=b", "#tcp/h&x=y&ticket=a.b.c", "#ticket=a.b.c"]) {
    assert.equal(at(hash), null, hash);
  }
});

test("the command opens the same tunnel, and is safe to paste", () => {
  const root = new URL("https://gateway.example/");
  assert.equal(connectCommand(root, {host: "db", port: 1}), "portofcall connect wss://gateway.example db 1");
  assert.equal(connectCommand(new URL("http://g:8080/x/"), {target: "db"}), "portofcall connect ws://g:8080/x/ --target db");
  assert.equal(connectCommand(root, {host: "a;reboot'", port: 1}), "portofcall connect wss://gateway.example 'a;reboot'\\''' 1");
});
