#!/usr/bin/env node
// Starts the program of the package for this platform, which npm has installed beside this one.
"use strict";
const { spawn } = require("node:child_process");
const { constants } = require("node:os");

const platform = `${process.platform}-${process.arch}`;
let program;
try {
  program = require.resolve(`@team-table/${platform}/bin/team-table${process.platform === "win32" ? ".exe" : ""}`);
} catch {
  console.error(`team-table: there is no package for ${platform}, or it was left out (--omit=optional)`);
  process.exit(1);
}
const child = spawn(program, process.argv.slice(2), { stdio: "inherit", windowsHide: true });
// A terminal sends SIGINT to the program itself.
process.on("SIGINT", () => {});
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`team-table: ${error.message}`);
  process.exit(1);
});
child.on("exit", (status, signal) => process.exit(status ?? 128 + constants.signals[signal]));
