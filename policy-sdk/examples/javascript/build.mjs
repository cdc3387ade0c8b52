// Builds the policy: `node build.mjs OUT.wasm`.
import { readFile, writeFile } from "node:fs/promises";
import { componentize } from "@bytecodealliance/componentize-js";

const here = (name) => new URL(name, import.meta.url).pathname;

const { component, imports } = await componentize({
  sourcePath: here("policy.js"),
  witPath: here("../../wit/v1"),
  worldName: "escalation",
  // All that would import WASI. A policy may import nothing: it has no clock, no randomness, no files and no network.
  disableFeatures: ["random", "stdio", "clocks", "http", "fetch-event"],
});
if (imports.length > 0) throw new Error(`the component imports ${imports.map(String).join(", ")}`);

/** A custom section: id 0, the size of what follows, the size of the name, the name, the content. */
function customSection(name, content) {
  const leb128 = (number) => (number < 0x80 ? [number] : [(number & 0x7f) | 0x80, ...leb128(number >>> 7)]);
  const body = Buffer.concat([Buffer.from(leb128(Buffer.byteLength(name))), Buffer.from(name), content]);
  return Buffer.concat([Buffer.from([0, ...leb128(body.length)]), body]);
}

// The host runs these before it activates the policy.
const cases = customSection("team-table:cases", await readFile(here("cases.toml")));
await writeFile(process.argv[2], Buffer.concat([component, cases]));
