// views.mjs: every page there is, as a person meets it: readable for everybody, at every width, in light and dark, with hostile
// words in all of its fields. The screenshots are beside the tables, in screenshots/.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { browser, check, eventually, finish, installed, live, note, person, profile, request, scratch, Table, troubles } from "./lib.mjs";
import { APPROVAL, furnish, harmless } from "./seed.mjs";

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const WIDTHS = [320, 360, 400, 640, 720, 721, 800, 900, 901, 1024, 1280, 1440, 1920, 2560];
const SIZES = [["1280-light", 1280, 800, "light"], ["1280-dark", 1280, 800, "dark"], ["320", 320, 640, "light"], ["2560", 2560, 1440, "light"]];
/** What the first page may weigh, with all that it loads. */
const WEIGHT = 100 * 1024;

const table = new Table();
table.policies(APPROVAL);
await table.start();
const seed = await furnish(table);
const at = (path) => `${table.url}/console${path}`;
const chrome = await browser();
const shots = join(scratch, "screenshots");
mkdirSync(shots, { recursive: true });
const axe = readFileSync(installed.resolve("axe-core/axe.min.js"), "utf8");

const anna = await person(chrome, table, "anna", "operator");
const session = await table.session("anna");
// A trial that has ended, with what would have come out otherwise.
const begun = await request(at("/policies/rate-limit/try"), { body: { settings: `{"max_messages": 1}` }, headers: { cookie: session, origin: table.url } });
assert.equal(begun.status, 303, begun.text);
const trial = begun.headers.location.replace("/console", "");
const escalated = (await table.json("policy", "log", "--outcome", "escalate")).decisions?.[0]?.id;
const read = (path) => request(at(path), { headers: { cookie: session } });

// NAME, ADDRESS below the console, STATUS if it is not 200
const VIEWS = [
  ["needs", "/"],
  ["needs-question", `/needs/${seed.question}`],
  ["needs-held", `/needs/${seed.held}`],
  ["needs-denied", `/needs/${seed.denied}?show=decided`],
  ["needs-answered", `/needs/${seed.answered}`],
  ["needs-decided", "/?show=decided"],
  ["members", "/members"],
  ["members-all", "/members?all=1"],
  ["board", "/board"],
  ["board-pending", "/board?status=pending"],
  ["board-empty", "/board?assignee=bob&priority=high&status=done"],
  ["task", `/tasks/${seed.task}`],
  ["task-waits", `/tasks/${seed.waits}`],
  ["threads", "/threads"],
  ["threads-of-ada", "/threads?agent=ada"],
  ["thread", `/threads/${seed.thread}`],
  ["context", "/context"],
  ["context-entry", "/context?key=design/colours"],
  ["context-hostile", "/context?key=hostile/5"],
  ["search", "/search"],
  ["search-found", "/search?q=sessions"],
  ["search-nothing", "/search?q=%3Cscript%3E%22nothing"],
  ["policies", "/policies"],
  ["policy", "/policies/tool-authorization"],
  ["policy-of-settings", "/policies/rate-limit"],
  ["trial", trial],
  ["decisions", "/decisions"],
  ["decisions-paused", "/decisions?outcome=escalate&since=7d&pause=1"],
  ["decisions-nothing", "/decisions?agent=bob&outcome=error"],
  ["decision", "/decisions/1"],
  ["decision-held", `/decisions/${escalated}`],
  ["health", "/health"],
  ["people", "/people"],
  ["no-such-page", "/no-such-page", 404],
  ["no-such-item", "/needs/999999", 404],
];

// ---- Where one gets to ----

await check("every entry of the menu leads to a page, which says in the menu where one is", async () => {
  await anna.goto(at("/"));
  const entries = await anna.locator(".nav a").evaluateAll((links) => links.map((link) => [link.firstChild.nextSibling?.textContent.trim(), link.pathname]));
  assert.ok(entries.length >= 10, `${entries.length} entries`);
  const missing = [];
  for (const [name, path] of entries) {
    const answer = await anna.goto(`${table.url}${path}`);
    if (answer.status() !== 200 || (await anna.locator(".nav a[aria-current=page]").count()) !== 1) missing.push(`${name}: ${answer.status()}`);
  }
  assert.deepEqual(missing, []);
});

await check("no link on any page is dead", async () => {
  const seen = new Map([["/", "/"]]);
  const queue = ["/", ...VIEWS.filter(([, , status]) => !status).map(([, path]) => path)];
  const dead = [];
  for (let path; (path = queue.shift()); ) {
    const answer = await read(path);
    if (answer.status !== 200) {
      dead.push(`${path} (from ${seen.get(path) ?? "the table of views"}): ${answer.status}`);
      continue;
    }
    for (const [, href] of answer.text.matchAll(/<a [^>]*href="([^"#]*)/g)) {
      const next = href.replaceAll("&amp;", "&").replace(/^\/console/, "") || "/";
      assert.match(href, /^(\/console|$)/, `${href} on ${path} leads out of the console`);
      if (seen.has(next) || seen.size > 600) continue;
      seen.set(next, path);
      queue.push(next);
    }
  }
  note(`${seen.size} addresses are linked`);
  assert.deepEqual(dead, []);
});

// ---- Each view ----

/** What of a page is wider than its place. */
const tooWide = (page) => page.evaluate(() => {
  const found = [];
  if (document.documentElement.scrollWidth > innerWidth) found.push(`the page, by ${document.documentElement.scrollWidth - innerWidth}`);
  for (const element of document.querySelectorAll(".pane, .card, .code, .board, .table td, .msg, .notice")) {
    const style = getComputedStyle(element);
    if (!["hidden", "auto"].includes(style.overflowX) && element.scrollWidth > element.clientWidth + 1 && element.clientWidth) found.push(`${element.className || element.tagName}, by ${element.scrollWidth - element.clientWidth}`);
  }
  return found.slice(0, 4);
});

const unfold = (page) => page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));

/** Holds a page against the rules for everybody's use, in light and dark. */
async function accessible(page) {
  const found = [];
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const { violations } = await page.evaluate((rules) => window.axe.run(document, { runOnly: rules, resultTypes: ["violations"] }), RULES);
    for (const { id, nodes } of violations) found.push(`${colorScheme}: ${id} ${nodes.slice(0, 2).map((node) => `${node.target.join(" ")} (${(node.any[0] ?? node.all[0] ?? node.none[0])?.message})`).join("; ")}`);
  }
  return found;
}

async function judge(page, name, path, status = 200) {
  const answer = await page.goto(path.startsWith("http") ? path : at(path));
  assert.equal(answer.status(), status);
  await harmless(page);
  for (const [size, width, height, colorScheme] of SIZES) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.screenshot({ path: join(shots, `${name}-${size}.png`), fullPage: width === 320 });
  }
  await unfold(page);
  const wide = [];
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 800 });
    const found = await tooWide(page);
    if (found.length) wide.push(`${width} px: ${found.join(", ")}`);
  }
  await page.evaluate(axe);
  const found = [];
  for (const width of [1280, 320]) {
    await page.setViewportSize({ width, height: 800 });
    for (const finding of await accessible(page)) found.push(`${width} px ${finding}`);
  }
  assert.deepEqual({ wide, found }, { wide: [], found: [] });
}

await eventually("the trial has ended", async () => /Install live/.test((await read(trial)).text));
for (const [name, path, status] of VIEWS) {
  await check(`${name}: for everybody, at every width, in light and dark`, async () => {
    await judge(anna, name, path, status);
    if (!status) assert.match(await anna.title(), /^\(\d+\) .+ · Team Table$/);
  });
}

const stranger = await profile(chrome, table);
const outside = await stranger.newPage();
for (const [name, path, status] of [
  ["signed-out", "/", 401],
  ["link", await table.invite("anna"), 200],
  ["link-not-valid", "/join/x", 404],
]) {
  await check(`${name}: for everybody, at every width, in light and dark`, () => judge(outside, name, path, status));
}

const empty = new Table("empty");
await empty.start();
const alone = await person(chrome, empty, "anna", "operator");
for (const path of ["/", "/members", "/board", "/threads", "/context", "/search", "/policies", "/decisions", "/health", "/people"]) {
  await check(`${path} of a table on which nothing happened yet: says what will be there`, async () => {
    await judge(alone, `empty${path.replaceAll("/", "-")}`, `${empty.url}/console${path}`);
  });
}

// ---- Weight ----

await check("a packed file is the plain one", async () => {
  const [, path] = /src="([^"]+htmx-[\d.]+min\.js)"/.exec((await read("/")).text);
  const plain = await request(`${table.url}${path}`, { headers: { "accept-encoding": "gzip;q=0" } });
  const packed = await fetch(`${table.url}${path}`);
  assert.equal(packed.headers.get("content-encoding"), "gzip");
  assert.equal(plain.headers["content-encoding"], undefined);
  assert.equal(await packed.text(), plain.text);
});

await check("the first page and all that it loads are below 100 KiB", async () => {
  for (const [name, page] of [["of a new table", alone], ["of a table in use", anna]]) {
    const there = page === alone ? empty : table;
    const client = await page.context().newCDPSession(page);
    await client.send("Network.enable");
    await client.send("Network.setCacheDisabled", { cacheDisabled: true });
    let bytes = 0;
    client.on("Network.loadingFinished", (event) => (bytes += event.encodedDataLength));
    await page.goto(`${there.url}/console/`);
    await live(page);
    await client.detach();
    note(`the first page ${name}: ${bytes} bytes with heads`);
    assert.ok(bytes > 50_000 && bytes < WEIGHT, `${bytes} bytes ${name}`);
  }
});

await check("files are kept by the browser: a second page loads none of them again", async () => {
  const context = await profile(chrome, table, { storageState: await anna.context().storageState() });
  const page = await context.newPage();
  await page.goto(at("/"));
  await live(page);
  await page.goto(at("/members"));
  await live(page);
  const loaded = await page.evaluate(() => performance.getEntriesByType("resource").filter((entry) => entry.name.includes("/assets/")).map((entry) => [entry.name, entry.transferSize]));
  assert.ok(loaded.length >= 4, `${loaded.length} files`);
  assert.deepEqual(loaded.filter(([, bytes]) => bytes > 0), []);
  for (const [, path] of (await read("/")).text.matchAll(/(?:src|href)="(\/console\/assets\/[^"]+)"/g)) {
    const answer = await request(`${table.url}${path}`);
    assert.match(answer.headers["cache-control"], /immutable/);
  }
  await context.close();
});

await check("no error in the browser, no violation of the content policy, on any view", () => assert.deepEqual(troubles, []));
await finish();
