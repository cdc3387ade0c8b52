// lib.mjs: what the themes of this folder share: checks, a table with its real server, agents that call it over MCP, and
// persons in Debian's Chromium. The environment names BINARY, NODE_CLIENTS (where playwright-core is), CHROMIUM and SCRATCH.
import { spawn, execFile } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, openSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

// Absolute, so that it is the one whose version was asked for.
export const binary = process.env.BINARY;
export const scratch = process.env.SCRATCH ?? mkdtempSync(join(tmpdir(), "console-"));
// Playwright and axe are installed where run says, not beside this file.
export const installed = createRequire(join(process.env.NODE_CLIENTS, "package.json"));
const { chromium } = installed("playwright-core");
export const theme = basename(process.argv[1], ".mjs");
/** How long anything may take, in ms: long, because two cores are shared with whatever else runs. */
export const patience = 30_000;

// ---- Checks ----

let failed = 0;
/** One line: ok, or FAILED and why. What needs a step that failed says so itself. */
export async function check(title, judge) {
  try {
    await judge();
    console.log(`ok ${theme}: ${title}`);
  } catch (error) {
    failed += 1;
    const why = String(error?.message ?? error).replace(/\x1b\[[0-9;]*m/g, "").replace(/\s+/g, " ").slice(0, 600);
    console.log(`FAILED ${theme}: ${title}: ${why}`);
    if (process.env.VERBOSE) console.error(error);
  }
}

/** The first answer that is not empty; fails when there is none in time. */
export async function eventually(what, ask, within = patience) {
  const end = Date.now() + within;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`in vain: ${what}`);
    await sleep(20);
  }
}

/** Ends what was started and the process, with status 3 when anything failed. */
export async function finish() {
  for (const browser of browsers) await browser.close();
  for (const table of tables) await table.stop();
  process.exit(failed > 0 ? 3 : 0);
}
// A theme that breaks off leaves no process behind.
const browsers = [];
const tables = [];
process.on("exit", () => tables.forEach((table) => table.kill()));
process.on("uncaughtException", (error) => {
  console.log(`FAILED ${theme}: to its end: ${error.stack.replace(/\s+/g, " ").slice(0, 900)}`);
  process.exit(3);
});

// ---- HTTP, with every header as it is given ----

const agents = { "http:": new http.Agent({ keepAlive: true }), "https:": new https.Agent({ keepAlive: true, rejectUnauthorized: false }) };

/** `{ status, headers, text }`. A body that is an object is sent as a form. */
export function request(address, { method, headers = {}, body } = {}) {
  const url = new URL(address);
  const form = body !== undefined && typeof body !== "string";
  const text = form ? new URLSearchParams(body).toString() : body;
  const fields = { ...(form && { "content-type": "application/x-www-form-urlencoded" }), ...headers };
  if (text !== undefined) fields["content-length"] = Buffer.byteLength(text);
  return new Promise((resolve, reject) => {
    const options = { method: method ?? (text === undefined ? "GET" : "POST"), headers: fields, agent: agents[url.protocol], timeout: patience };
    const asked = (url.protocol === "https:" ? https : http).request(rawTarget(address, url, options), (answer) => {
      const chunks = [];
      answer.on("data", (chunk) => chunks.push(chunk));
      answer.on("end", () => resolve({ status: answer.statusCode, headers: answer.headers, text: Buffer.concat(chunks).toString() }));
      answer.on("error", reject);
    });
    asked.on("timeout", () => asked.destroy(new Error(`${address} does not answer`)));
    asked.on("error", reject);
    asked.end(text);
  });
}
// The path as it is written: `URL` would take `//` and `..` for something else.
function rawTarget(address, url, options) {
  const path = /^https?:\/\/[^/]*(.*)$/.exec(address)[1] || "/";
  return { hostname: url.hostname, port: url.port, path, ...options };
}

/** An event stream that a program reads, with the session's cookie: calls `heard` with each chunk. */
export function listen(address, headers, heard) {
  const url = new URL(address);
  const asked = http.get(rawTarget(address, url, { headers: { ...headers, accept: "text/event-stream" }, agent: false }), (answer) => {
    answer.setEncoding("utf8");
    answer.on("data", heard);
    answer.on("error", () => {});
  });
  asked.on("error", () => {});
  return asked;
}

// ---- The table ----

/** Below the range that outgoing connections take theirs from, so that it stays free over a restart. */
export async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const free = await new Promise((resolve) => {
      const probe = createServer().once("error", () => resolve(false));
      probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

/** A scratch database, its policies, and the server on it. */
export class Table {
  constructor(name = theme) {
    this.home = mkdtempSync(join(scratch, `${name}-`));
    this.log = join(this.home, "log");
    this.database = join(this.home, "table.db");
    this.daemons = [];
    this.environment = {
      PATH: process.env.PATH, HOME: this.home, USER: "owner", NO_COLOR: "1",
      TEAM_TABLE_DB: this.database, TEAM_TABLE_TRANSPORT: "streamable-http", TEAM_TABLE_HOST: "127.0.0.1",
    };
    tables.push(this);
  }

  /** What differs from the policies' defaults, written before the server is started. */
  policies(toml) {
    mkdirSync(join(this.home, "policies"), { recursive: true });
    writeFileSync(join(this.home, "policies", "policy-set.toml"), toml);
  }

  /** Has the server speak https, with a certificate that nobody vouches for. */
  async certify() {
    const [key, certificate] = ["key.pem", "cert.pem"].map((file) => join(this.home, file));
    const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    await promisify(execFile)("openssl", ["req", "-x509", ...kind, "-keyout", key, "-out", certificate, ...names]);
    chmodSync(key, 0o600);
    this.environment.TEAM_TABLE_TLS_CERT = certificate;
    this.environment.TEAM_TABLE_TLS_KEY = key;
  }

  async start() {
    this.port ??= await freePort();
    const [scheme, host] = this.environment.TEAM_TABLE_TLS_CERT ? ["https", "localhost"] : ["http", "127.0.0.1"];
    this.url = `${scheme}://${host}:${this.port}`;
    this.server = spawn(binary, { env: { ...this.environment, TEAM_TABLE_PORT: String(this.port) }, stdio: ["ignore", "ignore", openSync(this.log, "a")] });
    const { server } = this;
    await eventually("the server comes up", async () => {
      if (server.exitCode !== null) throw new Error(`the server ended: ${readFileSync(this.log, "utf8").slice(-600)}`);
      return request(`${this.url}/readyz`).then((answer) => answer.status === 200, () => false);
    });
    return this;
  }

  /** Ends the server and waits for its end. */
  async halt() {
    if (!this.server || this.server.exitCode !== null) return;
    const exit = new Promise((resolve) => this.server.once("exit", resolve));
    this.server.kill("SIGTERM");
    const status = await Promise.race([exit, sleep(patience, "none", { ref: false })]);
    if (status !== 0) throw new Error(`the server stopped with status ${status}`);
  }

  async stop() {
    await this.halt();
    this.kill();
  }

  kill() {
    this.server?.kill("SIGKILL");
    for (const daemon of this.daemons) daemon.kill("SIGKILL");
  }

  /** What a command prints; fails with what it says when its status is not 0. */
  async cli(...words) {
    const { stdout } = await promisify(execFile)(binary, words, { env: this.environment });
    return stdout;
  }

  async json(...words) {
    return JSON.parse(await this.cli("--json", ...words));
  }

  /** The link of an invitation. */
  async invite(name, role, decides = []) {
    const words = [...(role ? ["--role", role] : []), ...(decides.length ? ["--agents", decides.join(",")] : [])];
    return (await this.json("person", "invite", name, ...words, "--server", this.url)).link;
  }

  /** The cookie of a new session, for programs. */
  async session(name, role, decides) {
    const code = (await this.invite(name, role, decides)).split("/").at(-1);
    const answer = await request(`${this.url}/console/join`, { body: { code }, headers: { origin: this.url, "user-agent": "a program" } });
    if (answer.status !== 303) throw new Error(`no session: ${answer.status} ${answer.text}`);
    return answer.headers["set-cookie"][0].split(";")[0];
  }

  /** An agent that has taken its seat. */
  async agent(name, role = "agent", capabilities = []) {
    const agent = new Agent(this, name);
    agent.token = (await agent.call("register", { role, capabilities })).token;
    return agent;
  }

  /** Answers an agent's inbox until the theme ends: what is a question comes before a person. */
  daemon(name) {
    const daemon = spawn(binary, ["poll", name], { env: this.environment, stdio: ["ignore", openSync(this.log, "a"), openSync(this.log, "a")] });
    this.daemons.push(daemon);
    return daemon;
  }

  /** The open escalations, newest first. */
  async open() {
    return (await this.json("escalation", "list")).escalations;
  }
}

const CALLER = {
  register: "name", deregister: "name", heartbeat: "name", send_message: "sender", broadcast: "sender", create_task: "creator",
};

/** An agent: an MCP client of its own. */
export class Agent {
  constructor(table, name) {
    Object.assign(this, { table, name });
  }

  /** The result of a call, or what it was refused with, under `refused`. */
  async ask(tool, given = {}) {
    const message = {
      jsonrpc: "2.0", id: 1, method: "tools/call",
      params: { name: tool, arguments: { [CALLER[tool] ?? "agent_name"]: this.name, ...given } },
    };
    const answer = await request(`${this.table.url}/mcp`, {
      body: JSON.stringify(message),
      headers: {
        "content-type": "application/json", accept: "application/json, text/event-stream", "mcp-protocol-version": "2025-06-18",
        ...(this.token && { authorization: `Bearer ${this.token}` }),
      },
    });
    const { result, error } = JSON.parse(answer.text);
    if (error) throw new Error(`${tool}: ${JSON.stringify(error)}`);
    return result.isError ? { refused: result.structuredContent } : result.structuredContent;
  }

  async call(tool, given) {
    const result = await this.ask(tool, given);
    if (result.refused) throw new Error(`${this.name} ${tool}: ${JSON.stringify(result.refused)}`);
    return result;
  }

  /** Calls what a policy holds; the number of the item that a person decides. */
  async held(title, more = {}) {
    const { refused } = await this.ask("create_task", { title, priority: "high", ...more });
    if (refused?.code !== "approval_required") throw new Error(`not held: ${JSON.stringify(refused)}`);
    return Number(refused.escalation_id ?? (await this.table.open())[0].id);
  }

  /** Sends a message to an agent whose daemon answers; the number of the item, once there is one. */
  async question(recipient, content, more = {}) {
    const message = await this.call("send_message", { recipient, content, ...more });
    const row = await eventually("the question is before a person", async () =>
      (await this.table.open()).find((row) => row.message_id === message.id));
    return row.id;
  }

  /** The texts of the messages that came since it read last. */
  async inbox() {
    return (await this.call("get_messages")).messages.map((message) => message.content);
  }

  async receives(pattern) {
    return eventually(`${this.name} is told ${pattern}`, async () => (await this.inbox()).find((text) => pattern.test(text)));
  }
}

// ---- Persons ----

export async function browser(...more) {
  const it = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", ...more] });
  browsers.push(it);
  return it;
}

/** What no page may do: an error in the browser's console, a violation of the content policy, a response without one. */
export const troubles = [];

/** A browser's profile of one person. */
export async function profile(browser, table, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(patience);
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`content policy violated: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile ?? ""}`);
    });
  });
  context.on("console", (message) => {
    // Chromium says so of every page with such a status: a page that refuses is meant to be one.
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) troubles.push(`${message.page()?.url()}: ${message.text()}`);
  });
  context.on("weberror", (error) => troubles.push(`${error.page()?.url()}: ${error.error()}`));
  context.on("response", (response) => {
    if (!response.url().startsWith(`${table.url}/console`)) return;
    const policy = response.headers()["content-security-policy"] ?? "";
    if (!policy.startsWith("default-src 'none'")) troubles.push(`${response.url()} has the content policy "${policy}"`);
  });
  return context;
}

/** Signs in by the link, as a person does. */
export async function signIn(page, link) {
  await page.goto(link);
  await page.getByRole("button", { name: /^Sign in as/ }).click();
  await page.getByRole("button", { name: "Sign out" }).waitFor();
}

/** A person with a browser of their own: the page they are on. */
export async function person(browser, table, name, role, decides, options) {
  const context = await profile(browser, table, options);
  const page = await context.newPage();
  await signIn(page, await table.invite(name, role, decides));
  return page;
}

/** Waits until the page's event stream is open. */
export async function live(page) {
  await page.locator(".live .word", { hasText: /^live$/ }).waitFor();
}

export async function visit(page, path, table) {
  const answer = await page.goto(`${table.url}/console${path}`);
  return answer;
}

export function note(text) {
  console.log(`   ${theme}: ${text}`);
}

export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** p50 and p95 of times in ms, in words. */
export function spread(values) {
  return `p50 ${percentile(values, 0.5).toFixed(1)} ms, p95 ${percentile(values, 0.95).toFixed(1)} ms of ${values.length}`;
}
