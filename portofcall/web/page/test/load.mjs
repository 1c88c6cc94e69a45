// Imports a module of src/ as it will be in the bundle.
import path from "node:path";
import {fileURLToPath} from "node:url";
import * as esbuild from "esbuild";

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..", "src");

/** `copy` is a name for one more instance of the module. */
export async function load(name, copy = "") {
  const options = {entryPoints: [path.join(root, name)], bundle: true, format: "esm", write: false, target: "es2022"};
  const {outputFiles} = await esbuild.build(options);
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}#${copy}`);
}
