// load.mjs: what open pages cost those who work: agents' calls with and without them, in turns, and how soon a page gets what
// happened. Numbers are printed and hold for a release binary; what is checked is that no call fails and nothing is missed.
// It is no theme of a whole run: `.ci/console/run BINARY load`.
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { check, eventually, finish, listen, note, request, spread, Table } from "./lib.mjs";
import { APPROVAL } from "./seed.mjs";

const [AGENTS, PAGES, PERSONS] = [30, 200, 20];
const [ROUNDS, SECONDS] = [3, 10];
/** ms between two calls of an agent, on average. */
const PACE = 500;
/** ms between two messages whose way to the pages is measured. */
const MARK = 400;
/** What shows messages, and what else is open. */
const SHOWS = "/threads";
const VIEWS = [SHOWS, "/", "/members", "/board", "/context", "/health", "/people", "/threads?agent=agent-1", "/board?status=pending", "/members?all=1"];
const clock = () => performance.timeOrigin + performance.now();

// A process of its own: what the pages read must not hold up the clock that measures the calls.
if (process.argv[2] === "pages") {
  let bytes = 0;
  process.on("message", (pages) => {
    for (const { address, cookie, shows } of pages) {
      let isOpen = false;
      const seen = new Set();
      listen(address, { cookie }, (chunk) => {
        bytes += chunk.length;
        if (!isOpen) process.send({ opened: address });
        isOpen = true;
        if (!shows) return;
        for (const [, mark] of chunk.matchAll(/mark (\d+),/g)) {
          if (!seen.has(mark)) process.send({ mark: Number(mark), at: clock() });
          seen.add(mark);
        }
      });
    }
  });
  process.on("disconnect", () => process.exit(0));
  setInterval(() => process.send({ bytes }), 200);
} else {
  await measure();
}

async function measure() {
  const table = new Table();
  table.policies(APPROVAL);
  await table.start();
  const agents = await Promise.all(Array.from({ length: AGENTS }, (_, index) => table.agent(`agent-${index}`)));
  const marker = await table.agent("marker");
  const cookies = [];
  for (let person = 0; person < PERSONS; person += 1) cookies.push(await table.session(`person-${person}`, "operator"));
  for (const agent of agents) await agent.call("create_task", { title: `the task of ${agent.name}`, description: "x".repeat(400) });

  const kinds = [
    (agent, number) => agent.call("send_message", { recipient: `agent-${(number * 7) % AGENTS}`, content: `${agent.name} says ${number}: ${"words ".repeat(20)}` }),
    (agent) => agent.call("get_messages"),
    (agent) => agent.call("list_tasks"),
    (agent, number) => agent.call("share_context", { key: `state/${agent.name}`, value: `${number}` }),
    (agent) => agent.call("list_members"),
  ];
  let marks = 0;
  const sent = new Map();
  const ticks = () => {
    const fields = readFileSync(`/proc/${table.server.pid}/stat`, "utf8").split(") ")[1].split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  };

  /** Lets the agents work for a while; the times of their calls. */
  async function work() {
    const [times, end, cpu] = [[], Date.now() + SECONDS * 1000, ticks()];
    const loops = agents.map(async (agent, index) => {
      await sleep(Math.random() * PACE);
      for (let number = index; Date.now() < end; number += 1) {
        const began = clock();
        await kinds[number % kinds.length](agent, number);
        times.push(clock() - began);
        await sleep(Math.random() * 2 * PACE);
      }
    });
    const marking = (async () => {
      while (Date.now() < end) {
        const mark = (marks += 1);
        // The receipt of the answer may come after the page has it.
        sent.set(mark, { at: Infinity });
        await marker.call("send_message", { recipient: "agent-0", content: `mark ${mark}, of the load` });
        sent.set(mark, { at: clock() });
        await sleep(MARK / 2 + Math.random() * MARK);
      }
    })();
    await Promise.all([...loops, marking]);
    return { times, cpu: ticks() - cpu };
  }

  /** Opens the pages as browsers do: the page, then the stream that it names. */
  async function open() {
    const pages = [];
    for (let index = 0; index < PAGES; index += 1) {
      const [cookie, view] = [cookies[index % PERSONS], VIEWS[Math.floor(index / PERSONS) % VIEWS.length]];
      const page = await request(`${table.url}/console${view}`, { headers: { cookie } });
      assert.equal(page.status, 200, `${view}: ${page.status}`);
      const stream = /sse-connect="([^"]+)"/.exec(page.text)[1].replaceAll("&amp;", "&");
      pages.push({ address: table.url + stream, cookie, shows: view === SHOWS });
    }
    const child = fork(process.argv[1], ["pages"]);
    const arrivals = [];
    let [opened, bytes] = [0, 0];
    child.on("message", (message) => {
      if (message.opened) opened += 1;
      if (message.mark) arrivals.push(message);
      bytes = message.bytes ?? bytes;
    });
    child.send(pages);
    await eventually("all pages are open", () => opened === PAGES);
    const showing = pages.filter((page) => page.shows).length;
    return { arrivals, showing, read: () => bytes, close: () => child.disconnect() };
  }

  const without = { times: [], cpu: 0 };
  const beside = { times: [], cpu: 0, waits: [], bytes: 0 };
  for (let round = 1; round <= ROUNDS; round += 1) {
    await check(`round ${round}: ${AGENTS} agents work without pages`, async () => {
      const { times, cpu } = await work();
      without.times.push(...times);
      without.cpu += cpu;
    });
    await check(`round ${round}: they work beside ${PAGES} pages, which get everything`, async () => {
      const pages = await open();
      const first = marks + 1;
      const { times, cpu } = await work();
      beside.times.push(...times);
      beside.cpu += cpu;
      const expected = (marks - first + 1) * pages.showing;
      await eventually("every page has every message", () => pages.arrivals.filter((arrival) => arrival.mark >= first).length >= expected);
      for (const { mark, at } of pages.arrivals) if (mark >= first) beside.waits.push(Math.max(0, at - sent.get(mark).at));
      beside.bytes += pages.read();
      pages.close();
    });
  }
  const seconds = ROUNDS * SECONDS;
  const rate = (times) => `${(times.length / seconds).toFixed(0)} calls a second`;
  note(`without pages: ${spread(without.times)} calls, ${rate(without.times)}, ${(without.cpu / seconds).toFixed(2)} cores`);
  note(`beside ${PAGES} pages of ${PERSONS} persons on ${VIEWS.length} views: ${spread(beside.times)} calls, ${rate(beside.times)}, ${(beside.cpu / seconds).toFixed(2)} cores`);
  note(`from an acknowledged message to the stream of a page that shows it: ${spread(beside.waits)}`);
  note(`all pages read ${(beside.bytes / seconds / 1024).toFixed(0)} KiB a second`);
  note(`memory of the server: ${/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${table.server.pid}/status`, "utf8"))[1]} KiB`);
  await finish();
}
