// esbuild options for dev-tunnels-ssh, which is written for Node and works in browsers once these are replaced.
import {readFile} from "node:fs/promises";
import path from "node:path";
import {fileURLToPath} from "node:url";

const shim = (name) => path.join(path.dirname(fileURLToPath(import.meta.url)), "src", "ssh", "shims", name);
const REPLACED = [
  [/^\.\/node\/node[A-Z]/, "empty.js"],
  [/^(crypto|fs|node-rsa)$/, "empty.js"],
  [/^stream$/, "stream.js"],
  [/^vscode-jsonrpc$/, "jsonrpc.js"],
  [/^tweetnacl$/, "tweetnacl.js"],
];

export const nodeOnly = {
  define: {global: "globalThis", process: "undefined"},
  plugins: [{
    name: "node-only",
    setup(build) {
      for (const [filter, name] of REPLACED) build.onResolve({filter}, () => ({path: shim(name)}));
      // Buffer is used without an import in sshChannel.js, authenticationService.js and all of -keys.
      build.onLoad({filter: /@microsoft\/dev-tunnels-ssh.*\.js$/}, async ({path: file}) => ({
        contents: `var Buffer = require("buffer").Buffer;\n${await readFile(file, "utf8")}`,
      }));
    },
  }],
};
