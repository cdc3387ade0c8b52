// story.mjs BINARY PORT TRANSPORT: tells story.json with the official TypeScript SDK; the twin of story.py.
import { spawn } from "node:child_process";
import { openSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const [binary, port, transport] = process.argv.slice(2);
// The SDK is installed where run says, not beside this file.
const sdk = createRequire(join(process.env.NODE_CLIENTS, "package.json"));
const load = (path) => import(pathToFileURL(sdk.resolve(`@modelcontextprotocol/sdk/${path}`)));
const { Client } = await load("client/index.js");
const { StdioClientTransport } = await load("client/stdio.js");
const { SSEClientTransport } = await load("client/sse.js");
const { StreamableHTTPClientTransport } = await load("client/streamableHttp.js");
const { McpError } = await load("types.js");
const { version } = sdk("./node_modules/@modelcontextprotocol/sdk/package.json");

const title = `typescript sdk ${version} ${transport}`;
const story = JSON.parse(readFileSync(new URL("story.json", import.meta.url)));
const home = mkdtempSync(join(tmpdir(), "story-"));
const log = join(home, "server.log");
const patience = 25_000; // ms a call may take; waits that are answered ask for 30 s
const url = `http://127.0.0.1:${port}`;

let server;
async function start() {
  const env = {
    ...process.env, TEAM_TABLE_DB: join(home, "table.db"), TEAM_TABLE_TRANSPORT: "streamable-http",
    TEAM_TABLE_HOST: "127.0.0.1", TEAM_TABLE_PORT: port,
  };
  server = spawn(binary, { env, stdio: ["ignore", "ignore", openSync(log, "a")] });
  for (const deadline = Date.now() + patience; Date.now() < deadline && server.exitCode === null; await sleep(50)) {
    if (await fetch(`${url}/readyz`).then((answer) => answer.ok, () => false)) return;
  }
  throw new Error(`the server does not come up: ${readFileSync(log, "utf8").slice(-400)}`);
}
async function stop() {
  const exit = new Promise((resolve) => server.once("exit", resolve));
  server.kill("SIGTERM");
  const status = server.exitCode ?? (await Promise.race([exit, sleep(15_000, "none", { ref: false })]));
  if (status !== 0) throw new Error(`the server stopped with status ${status}: ${readFileSync(log, "utf8").slice(-400)}`);
}

const kept = {};
const clients = {};
async function connect(name) {
  const token = kept[`${name}_token`];
  const requestInit = { headers: token ? { Authorization: `Bearer ${token}` } : {} };
  const way = {
    stdio: () => new StdioClientTransport({
      command: binary, env: { TEAM_TABLE_DB: join(home, "table.db"), TEAM_TABLE_TOKEN: token ?? "" },
      stderr: openSync(log, "a"),
    }),
    sse: () => new SSEClientTransport(new URL(`${url}/sse`), { requestInit }),
    http: () => new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit }),
  }[transport]();
  clients[name] = new Client({ name, version: "1" });
  await clients[name].connect(way);
  await clients[name].listTools(); // as an agent does: from then on results are held to their schemas
}
const hangUp = () => Promise.all(Object.values(clients).map((client) => client.close()));

const show = (value) => JSON.stringify(value);
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const fill = (value) =>
  Array.isArray(value) ? value.map(fill) : typeof value === "string" && value[0] === "$" ? kept[value.slice(1)] : value;

// Where `actual` is not what is expected: objects may have more members, all else is equal.
function mismatch(expected, actual, at = "result") {
  if (isObject(expected) && "~" in expected) {
    const found = typeof actual === "string" && new RegExp(expected["~"]).test(actual);
    return found ? undefined : `${at} is ${show(actual)}, not like ${expected["~"]}`;
  }
  const alike = Array.isArray(expected)
    ? Array.isArray(actual) && actual.length === expected.length
    : isObject(expected) && isObject(actual);
  if (!alike) return fill(expected) === actual ? undefined : `${at} is ${show(actual)}, not ${show(fill(expected))}`;
  return Object.entries(expected).map(([key, value]) => mismatch(value, actual[key], `${at}.${key}`)).find(Boolean);
}

// What is wrong with the result of a tool call.
function judge(step, result) {
  const body = result.structuredContent;
  if (mismatch(body, JSON.parse(result.content[0].text))) return "content and structuredContent differ";
  if (Boolean(result.isError) !== Boolean(step.error)) return `answered ${show(body)}`;
  if (step.error && !(body.code === step.error && body.error && body.hint)) return `refused with ${show(body)}`;
  return mismatch(step.expect ?? {}, body);
}

async function ask(step) {
  const client = clients[step.by];
  if (step.tools) return mismatch(step.tools, (await client.listTools()).tools.map((tool) => tool.name).sort());
  const args = Object.fromEntries(Object.entries(step.args ?? {}).map(([name, value]) => [name, fill(value)]));
  let progress = 0;
  const options = { timeout: patience, ...(step.progress && { onprogress: () => (progress += 1) }) };
  let result;
  try {
    result = await client.callTool({ name: step.tool, arguments: args }, undefined, options);
  } catch (error) {
    if (!(error instanceof McpError)) throw error;
    return error.code === step.protocol_error ? undefined : `JSON-RPC error ${error.code}: ${error.message}`;
  }
  if (step.protocol_error) return `answered ${show(result)}`;
  const wrong = judge(step, result);
  if (wrong) return wrong;
  for (const [name, key] of Object.entries(step.keep ?? {})) kept[name] = result.structuredContent[key];
  return step.progress && !progress ? "no progress was reported" : undefined;
}

let failed = 0;
async function check(step) {
  const later = step.meanwhile && sleep(step.meanwhile.after * 1000).then(() => check(step.meanwhile));
  const wrong = await ask(step).then(async (wrong) => (await later, wrong)).catch((error) => String(error));
  if (wrong) failed += 1;
  console.log(`${wrong ? "FAILED" : "ok"} ${title}: ${step.check}${wrong ? `: ${wrong}` : ""}`);
  return !wrong;
}

try {
  if (transport !== "stdio") await start();
  for (const step of story) {
    if (step.connect) {
      for (const name of step.connect) await connect(name);
    } else if (!step.restart) {
      if (!(await check(step)) && step.keep) break; // the rest builds on it
    } else if (transport === "http") { // the clients do not notice
      await stop();
      await start();
    } else { // their connection is the server's process
      await hangUp();
      if (server) await stop().then(start);
      for (const name of Object.keys(clients)) await connect(name);
    }
  }
  await hangUp();
  if (server) await stop();
} finally {
  server?.kill("SIGKILL");
  rmSync(home, { recursive: true });
}
process.exit(failed > 0 ? 1 : 0);
