// Builds the page: portofcall/web/static/ from src/. Run by setup.py, or by hand with `npm run build`.
import {cp, mkdir, readFile, readdir, rename, rm, writeFile} from "node:fs/promises";
import path from "node:path";
import {fileURLToPath} from "node:url";
import {promisify} from "node:util";
import zlib from "node:zlib";
import * as esbuild from "esbuild";
import {nodeOnly} from "./node-only.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const destination = path.resolve(process.argv[2] ?? path.join(here, "..", "static"));
/** Smaller files gain nothing; whether they shrink at all depends on the hashes in them. */
const leastCompressed = 200;
const folder = `${destination}.${process.pid}`;
const source = (name) => path.join(here, "src", name);
const common = {
  absWorkingDir: here, bundle: true, format: "esm", platform: "browser", target: "es2022", charset: "utf8",
  outdir: folder, metafile: true, logLevel: "warning", legalComments: "none",
};

try {
  await mkdir(folder, {recursive: true});
  const hashed = {entryNames: "[name]-[hash]", chunkNames: "[name]-[hash]", assetNames: "[name]-[hash]"};
  const worker = await esbuild.build({
    ...common, ...hashed, ...nodeOnly, minify: true, entryPoints: {bcrypt: source("ssh/keys/bcrypt_worker.ts")},
  });
  const page = await esbuild.build({
    ...common, ...hashed, ...nodeOnly, minify: true, splitting: true, loader: {".svg": "file"},
    define: {...nodeOnly.define, BCRYPT_WORKER: JSON.stringify(built(worker.metafile, "ssh/keys/bcrypt_worker.ts", ".js"))},
    entryPoints: {app: source("page/main.ts"), icon: source("page/icon.svg")},
  });
  // Others import it under this name, and may read it.
  await esbuild.build({...common, entryPoints: {portofcall: source("client/open.ts")}});
  await cp(source("client/portofcall.d.ts"), path.join(folder, "portofcall.d.ts"));
  await rm(path.join(folder, built(page.metafile, "page/icon.svg", ".js")));

  const names = {
    script: built(page.metafile, "page/main.ts", ".js"),
    style: built(page.metafile, "page/main.ts", ".css"),
    icon: Object.keys(page.metafile.outputs).map((name) => path.basename(name)).find((name) => name.endsWith(".svg")),
  };
  const template = await readFile(source("page/index.html"), "utf8");
  const html = template.replace(/\{\{(\w+)\}\}/g, (_, key) => names[key]);
  await writeFile(path.join(folder, "index.html"), html);
  await writeFile(path.join(folder, "licenses.txt"), await licences(page.metafile, worker.metafile));
  await compress();
  await rm(destination, {recursive: true, force: true});
  await rename(folder, destination);
} finally {
  await rm(folder, {recursive: true, force: true});
}

/** The name of the output that an entry point was built to. */
function built({outputs}, entry, suffix) {
  const [name, output] = Object.entries(outputs).find(([, {entryPoint}]) => entryPoint?.endsWith(entry));
  return path.basename(suffix === ".css" ? output.cssBundle : name);
}

/** The licences of all packages of which something is in the bundle. */
async function licences(...metafiles) {
  const packages = new Set();
  for (const name of metafiles.flatMap(({inputs}) => Object.keys(inputs))) {
    const match = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(name);
    if (match) packages.add(match[1]);
  }
  const texts = [];
  for (const name of [...packages].sort()) {
    const root = path.join(here, "node_modules", name);
    const about = JSON.parse(await readFile(path.join(root, "package.json"), "utf8"));
    texts.push(`${name} ${about.version} (${about.license})\n\n${await licence(root, about)}`);
  }
  return `The page of Port of Call contains the following software.\n\n${texts.join("\n\n")}`;
}

/** The licence of a package: its file, the end of its README, or what its package.json declares. */
async function licence(root, about) {
  const files = await readdir(root);
  const file = files.find((entry) => /^licen[cs]e/i.test(entry));
  if (file) return readFile(path.join(root, file), "utf8");
  const readme = files.includes("README.md") ? await readFile(path.join(root, "README.md"), "utf8") : "";
  const section = /^#+ LICENSE\s+([^]*Permission is hereby granted[^]*)$/m.exec(readme);
  if (section) return section[1];
  return declared(root, about);
}

/** For a package without a licence text: what it declares, whose copyright its files state, and the text of that licence. */
async function declared(root, {name, license, author, main, repository}) {
  const [copyright] = /Copyright \(c\) .*/.exec(await readFile(path.join(root, main ?? "index.js"), "utf8")) ?? [];
  if (license !== "MIT" || !copyright) throw new Error(`${name} has no licence text, and declares ${license}, ${copyright}`);
  const text = await readFile(source("licences/mit.txt"), "utf8");
  return `This package contains no licence text. Its package.json declares the MIT licence, the author ${author} and the source\n`
    + `${repository}; its files begin with the copyright notice below, which is\n`
    + `followed here by the text of the MIT licence.\n\n${copyright}\n\n${text}`;
}

/** Put a gzip and a brotli variant beside each file that gets smaller by it. */
async function compress() {
  const gzip = promisify(zlib.gzip);
  const brotli = promisify(zlib.brotliCompress);
  for (const name of await readdir(folder)) {
    if (name === "index.html") continue; // the gateway adapts it to the depth of the path
    const file = path.join(folder, name);
    const data = await readFile(file);
    if (data.length < leastCompressed) continue;
    for (const [suffix, small] of [[".gz", await gzip(data, {level: 9})], [".br", await brotli(data)]]) {
      if (small.length < data.length * 0.9) await writeFile(file + suffix, small);
    }
  }
}
