// live.mjs: pages follow the table: how fast, over a restart of the server, after they were hidden.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { browser, check, eventually, finish, live, note, person, spread, Table, troubles } from "./lib.mjs";
import { APPROVAL } from "./seed.mjs";

const EVENTS = 50;

const table = new Table();
table.policies(APPROVAL);
await table.start();
const at = (path) => `${table.url}/console${path}`;
const coders = await Promise.all(["ada", "carl", "edith"].map((name) => table.agent(name, "coder")));
const [ada] = coders;
await table.agent("bob", "reviewer");
const chrome = await browser();
const anna = await person(chrome, table, "anna", "operator");
const items = anna.locator("#list .item");
const item = (text) => items.filter({ hasText: text });
const clock = () => performance.timeOrigin + performance.now();

/** Has the page note when it shows each of `event 1`, `event 2`, …: when it is in the document, and in the frame after that. */
const observe = (page) => page.evaluate(() => {
  window.arrivals = {};
  const now = () => performance.timeOrigin + performance.now();
  new MutationObserver(() => {
    for (const [, number] of document.querySelector("main").textContent.matchAll(/event (\d+),/g)) {
      if (window.arrivals[number]) continue;
      const arrival = (window.arrivals[number] = { document: now() });
      requestAnimationFrame(() => requestAnimationFrame(() => (arrival.frame = now())));
    }
  }).observe(document.querySelector("main"), { childList: true, subtree: true, characterData: true });
});

for (const [path, what, act] of [
  ["/", "a held call in the list", (agent, text) => agent.ask("create_task", { title: text, priority: "high" })],
  ["/threads", "a message in the list of threads", (agent, text) => agent.call("send_message", { recipient: "bob", content: text })],
]) {
  await check(`${EVENTS} events appear, each by itself: ${what}`, async () => {
    await anna.goto(at(path));
    await live(anna);
    await observe(anna);
    const [inDocument, inFrame] = [[], []];
    for (let number = 1; number <= EVENTS; number += 1) {
      await act(coders[number % coders.length], `event ${number}, ${what}`);
      const acknowledged = clock();
      const arrival = await eventually(`event ${number} is shown`, () =>
        anna.evaluate((number) => window.arrivals[number]?.frame && window.arrivals[number], number));
      inDocument.push(arrival.document - acknowledged);
      inFrame.push(arrival.frame - acknowledged);
      // Not in step with what the server does by the clock.
      await sleep(Math.random() * 300);
    }
    note(`${what}, from the acknowledged call to the document: ${spread(inDocument)}; to the frame: ${spread(inFrame)}`);
  });
}

await check("two hundred events at once end in a page that shows the last of them", async () => {
  await anna.goto(at("/threads"));
  await live(anna);
  await Promise.all(coders.map(async (agent) => {
    for (let number = 0; number < 66; number += 1) await agent.call("send_message", { recipient: "bob", content: `burst ${agent.name} ${number}` });
  }));
  await ada.call("send_message", { recipient: "bob", content: "the last of the burst" });
  await anna.getByText("the last of the burst").waitFor();
});

await check("a page that was open over a restart says so, and shows what happened meanwhile", async () => {
  for (const row of await table.open()) await table.cli("escalation", "resolve", String(row.id), "--deny");
  const [one] = [await ada.held("before the restart"), await ada.held("stays over the restart")];
  await anna.goto(at("/"));
  await live(anna);
  await anna.evaluate(() => (window.notReloaded = true));
  await item("before the restart").waitFor();
  await table.halt();
  await anna.locator(".live .word", { hasText: "reconnecting" }).waitFor();
  await table.cli("escalation", "resolve", String(one), "--deny");
  await table.start();
  await item("before the restart").waitFor({ state: "detached" });
  await live(anna);
  await ada.held("after the restart");
  await item("after the restart").waitFor();
  assert.equal(await items.count(), 2);
  assert.equal(await anna.evaluate(() => window.notReloaded), true);
});

/** What a browser tells a page in a tab that nobody looks at; in a headless browser no tab is one. */
const look = (page, hidden) => page.evaluate((hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  Object.defineProperty(document, "visibilityState", { value: hidden ? "hidden" : "visible", configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}, hidden);

await check("a page that nobody looks at rests, and shows what happened when it is looked at again", async () => {
  const streams = new Set();
  anna.on("request", (request) => { if (request.url().includes("/console/live?")) streams.add(request); });
  for (const end of ["requestfinished", "requestfailed"]) anna.on(end, (request) => streams.delete(request));
  await anna.goto(at("/"));
  await live(anna);
  await eventually("one stream is open", () => streams.size === 1);
  await look(anna, true);
  await anna.locator(".live .word", { hasText: "resting" }).waitFor();
  await eventually("no stream is open", () => streams.size === 0);
  const id = await ada.held("while nobody looked");
  await table.cli("escalation", "resolve", String(id), "--deny");
  await ada.held("still there when somebody looks");
  assert.equal(await item("still there").count(), 0);
  await look(anna, false);
  await item("still there").waitFor();
  assert.equal(await item("while nobody looked").count(), 0);
  await live(anna);
  await eventually("one stream is open again", () => streams.size === 1);
});

await check("of ten tabs nine rest: the tenth is served", async () => {
  const pages = [];
  for (let number = 0; number < 10; number += 1) {
    const page = await anna.context().newPage();
    await page.goto(at("/"));
    await live(page);
    await look(page, true);
    await page.locator(".live .word", { hasText: "resting" }).waitFor();
    pages.push(page);
  }
  await look(pages[9], false);
  await live(pages[9]);
  await ada.held("for the tenth tab");
  await pages[9].locator("#list .item", { hasText: "for the tenth tab" }).waitFor();
  for (const page of pages) await page.close();
});

await check("times on an open page go on by themselves", async () => {
  await anna.clock.install();
  await anna.goto(at("/"));
  const time = item("for the tenth tab").locator("time");
  await time.filter({ hasText: "now" }).waitFor();
  await anna.clock.fastForward("05:10");
  await time.filter({ hasText: "5 min" }).waitFor();
});

await check("no error in the browser, no violation of the content policy", () =>
  // What the restart cut off.
  assert.deepEqual(troubles.filter((trouble) => !/net::ERR_(CONNECTION|INCOMPLETE|EMPTY)/.test(trouble)), []));
await finish();
