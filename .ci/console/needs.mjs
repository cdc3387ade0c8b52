// needs.mjs: what waits for a person, and deciding it.
import assert from "node:assert/strict";
import { browser, check, eventually, finish, live, person, profile, request, signIn, Table, troubles } from "./lib.mjs";
import { APPROVAL, harmless, HOSTILE, LONG_LINE } from "./seed.mjs";

const table = new Table();
table.policies(APPROVAL);
await table.start();
const at = (path) => `${table.url}/console${path}`;
const ada = await table.agent("ada", "coder");
const carl = await table.agent("carl", "coder");
await table.agent("bob", "reviewer");
await table.agent("dora", "reviewer");
table.daemon("bob");
table.daemon("dora");
const chrome = await browser();
const anna = await person(chrome, table, "anna", "operator");
await live(anna);

const items = (page) => page.locator("#list .item");
const item = (page, text) => items(page).filter({ hasText: text });
/** The title of the item that the page shows. */
const shown = (page, text) => page.locator("#h-item", { hasText: text });
const record = async (id) => (await table.json("escalation", "show", String(id))).escalation;
const status = async (id) => (await record(id)).status;
const cookieOf = async (page) => (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
const post = async (page, path, body) =>
  request(at(path), { body, headers: { origin: table.url, cookie: await cookieOf(page) } });
/** Decides everything that is left over, so that the next check begins with an empty list. */
async function clear() {
  for (const row of await table.open()) {
    await table.cli("escalation", "resolve", String(row.id), row.hook === "escalation" ? "--dismiss" : "--deny");
  }
  for (const agent of [ada, carl]) await agent.inbox();
}
/** A page whose event stream never comes: it shows what was there when it was loaded. */
async function asleep(name, role, decides) {
  const page = await person(chrome, table, name, role, decides);
  await page.context().route("**/console/live?**", (route) => route.abort());
  return page;
}
/** The form that decides the item which the page shows. */
const decide = (page) => page.locator("form.decide");

// ---- One item ----

await check("an empty list says what will come", async () => {
  await anna.getByRole("heading", { name: "Nothing waits for you." }).waitFor();
});

await check("a question appears by itself, with its number in the menu and in the title", async () => {
  await ada.question("bob", "Should we use PostgreSQL?");
  await item(anna, "Should we use PostgreSQL?").waitFor();
  assert.match(await anna.locator(".nav .count").innerText(), /^1/);
  await eventually("the title counts", async () => (await anna.title()).startsWith("(1) "));
});

await check("a reply reaches the agent as it was written, from bob, marked as the person's", async () => {
  await item(anna, "PostgreSQL").getByRole("link").click();
  await decide(anna).getByLabel("Your reply to ada").fill("PostgreSQL: we run it.\n<b>Two lines</b> & more.");
  await decide(anna).getByRole("button", { name: "Send reply" }).click();
  await anna.getByRole("heading", { name: "Nothing waits for you." }).waitFor();
  const { messages } = await ada.call("get_messages");
  const reply = messages.find((message) => message.content.startsWith("PostgreSQL"));
  assert.equal(reply?.content, "PostgreSQL: we run it.\n<b>Two lines</b> & more.");
  assert.equal(reply.sender, "bob");
});

await check("an empty reply is not sent, and says so", async () => {
  const id = await ada.question("bob", "Which port?");
  await anna.goto(at(`/needs/${id}`));
  await decide(anna).getByRole("button", { name: "Send reply" }).click();
  await anna.getByRole("alert").filter({ hasText: "the reply is empty" }).waitFor();
  assert.equal(await status(id), "open");
});

await check("a question that is dismissed is closed, and the asker is told", async () => {
  const [row] = await table.open();
  await anna.goto(at(`/needs/${row.id}`));
  await decide(anna).getByRole("button", { name: "Dismiss without reply" }).click();
  await anna.getByRole("heading", { name: "Nothing waits for you." }).waitFor();
  await ada.receives(/closed your question without an answer/);
});

await check("a held call that is approved passes, once", async () => {
  await anna.goto(at("/"));
  await live(anna);
  const id = await ada.held("Publish 1.0");
  await item(anna, "Publish 1.0").getByRole("link").click();
  assert.match(await anna.locator("pre.code").innerText(), /"title": "Publish 1.0"/);
  await decide(anna).getByRole("button", { name: "Approve, once" }).click();
  await anna.getByRole("heading", { name: "Nothing waits for you." }).waitFor();
  assert.equal(await status(id), "approved");
  await ada.receives(/approved: repeat the same call within an hour/);
  await ada.call("create_task", { title: "Publish 1.0", priority: "high" });
  await ada.held("Publish 1.0");
});

await check("a held call that is denied stays undone, and the note reaches the agent", async () => {
  const [row] = await table.open();
  await anna.goto(at(`/needs/${row.id}`));
  await decide(anna).getByLabel(/^Note to ada/).fill("Not before <Friday> & the tests.");
  await decide(anna).getByRole("button", { name: "Deny" }).click();
  await anna.getByRole("heading", { name: "Nothing waits for you." }).waitFor();
  assert.match(await ada.receives(/was denied/), /Note: Not before <Friday> & the tests\./);
});

await check("what was decided is in its list, with who decided it", async () => {
  await anna.goto(at("/?show=decided"));
  await item(anna, "PostgreSQL").filter({ hasText: "resolved by anna" }).waitFor();
  await item(anna, "Publish 1.0").filter({ hasText: "denied by anna" }).waitFor();
});

// ---- Several ----

await check("several at once are decided alike; the buttons appear when an item is ticked", async () => {
  await clear();
  await anna.goto(at("/"));
  await live(anna);
  const ids = [];
  for (const title of ["one of several", "two of several", "three of several"]) ids.push(await ada.held(title));
  await item(anna, "three of several").waitFor();
  const approve = anna.locator(".bulk").getByRole("button", { name: "Approve" });
  assert.equal(await approve.isVisible(), false);
  for (const title of ["one of", "three of"]) await item(anna, title).getByRole("checkbox").check();
  await approve.click();
  await item(anna, "one of several").waitFor({ state: "detached" });
  await item(anna, "three of several").waitFor({ state: "detached" });
  await item(anna, "two of several").waitFor();
  assert.deepEqual([await status(ids[0]), await status(ids[1]), await status(ids[2])], ["approved", "open", "approved"]);
});

await check("of several of both kinds those are decided that can be, and the others are named", async () => {
  const question = await ada.question("bob", "Is this of both kinds?");
  await item(anna, "of both kinds").waitFor();
  for (const text of ["two of several", "of both kinds"]) await item(anna, text).getByRole("checkbox").check();
  await anna.locator(".bulk").getByRole("button", { name: "Approve" }).click();
  await anna.getByRole("heading", { name: "1 item was not decided" }).waitFor();
  assert.equal(await status(question), "open");
  assert.equal((await table.open()).length, 1);
  await anna.getByRole("link", { name: "Needs you" }).click();
  await item(anna, "of both kinds").waitFor();
});

await check("the lists of questions and of held calls have those only", async () => {
  await ada.held("among the calls");
  await anna.goto(at("/?show=calls"));
  await item(anna, "among the calls").waitFor();
  assert.equal(await items(anna).count(), 1);
  await anna.getByRole("link", { name: /^Questions/ }).click();
  await item(anna, "of both kinds").waitFor();
  assert.equal(await items(anna).count(), 1);
});

// ---- Live ----

await check("what is decided elsewhere disappears from the list by itself", async () => {
  await clear();
  await anna.goto(at("/"));
  await live(anna);
  await anna.evaluate(() => (window.notReloaded = true));
  const id = await ada.held("decided elsewhere");
  await item(anna, "decided elsewhere").waitFor();
  await table.cli("escalation", "resolve", String(id), "--approve");
  await item(anna, "decided elsewhere").waitFor({ state: "detached" });
  await eventually("the menu counts none", async () => (await anna.locator(".nav .count").count()) === 0);
  await eventually("the title counts none", async () => (await anna.title()) === "Needs you · Team Table");
  assert.equal(await anna.evaluate(() => window.notReloaded), true);
});

await check("an open item that is decided elsewhere says so and takes no decision any more; what was typed stays", async () => {
  const id = await ada.question("bob", "Is this decided elsewhere?");
  await anna.goto(at(`/needs/${id}`));
  await live(anna);
  await decide(anna).getByLabel("Your reply to ada").fill("half a thou");
  await table.cli("escalation", "resolve", String(id), "--reply", "No.");
  await anna.locator("#state").getByText("resolved by operator").waitFor();
  assert.equal(await decide(anna).getByRole("button", { name: "Send reply" }).isDisabled(), true);
  assert.equal(await decide(anna).getByLabel("Your reply to ada").inputValue(), "half a thou");
  await anna.getByRole("link", { name: "Next open item" }).click();
  await anna.getByRole("heading", { name: "Nothing waits for you." }).waitFor();
});

await check("typed text, the place in it and ticked items stay while the list changes", async () => {
  const id = await ada.question("bob", "Do you type slowly?");
  await ada.held("to be ticked");
  await anna.goto(at(`/needs/${id}`));
  await live(anna);
  await item(anna, "to be ticked").getByRole("checkbox").check();
  const field = decide(anna).getByLabel("Your reply to ada");
  await field.pressSequentially("I am typ");
  await ada.held("comes meanwhile");
  await item(anna, "comes meanwhile").waitFor();
  await anna.keyboard.type("ing.");
  assert.equal(await field.inputValue(), "I am typing.");
  assert.equal(await item(anna, "to be ticked").getByRole("checkbox").isChecked(), true);
});

await check("who is in the list with the keyboard stays there while it changes", async () => {
  const link = item(anna, "to be ticked").getByRole("link");
  await link.focus();
  await ada.held("another one meanwhile");
  await item(anna, "another one meanwhile").waitFor();
  assert.match(await anna.evaluate(() => document.activeElement.textContent), /to be ticked/);
  const box = item(anna, "comes meanwhile").getByRole("checkbox");
  await box.focus();
  await ada.held("and one more");
  await item(anna, "and one more").waitFor();
  assert.equal(await box.evaluate((box) => box === document.activeElement), true);
});

await check("the item beside the list stays while others come, and says when it is decided elsewhere", async () => {
  await clear();
  const id = await ada.held("beside the list");
  await anna.goto(at("/"));
  await live(anna);
  await shown(anna, "beside the list").waitFor();
  await decide(anna).getByLabel(/^Note to ada/).fill("a note that stays");
  await ada.held("newer than it");
  await item(anna, "newer than it").waitFor();
  await item(anna, "beside the list").locator("a[aria-current]").waitFor();
  await shown(anna, "beside the list").waitFor();
  await table.cli("escalation", "resolve", String(id), "--deny");
  await anna.locator("#state").getByText("denied by operator").waitFor();
  assert.equal(await decide(anna).getByRole("button", { name: "Deny" }).isDisabled(), true);
  assert.equal(await decide(anna).getByLabel(/^Note to ada/).inputValue(), "a note that stays");
});

// ---- Decided twice ----

await check("a form that is too old says so and keeps the text", async () => {
  await clear();
  const page = await asleep("sven", "operator");
  const id = await ada.question("bob", "Is this form too old?");
  await page.goto(at(`/needs/${id}`));
  await decide(page).getByLabel("Your reply to ada").fill("Written for <nothing>.");
  await table.cli("escalation", "resolve", String(id), "--reply", "Too late.");
  await decide(page).getByRole("button", { name: "Send reply" }).click();
  await page.getByRole("alert").filter({ hasText: "already by operator" }).waitFor();
  await page.getByRole("alert").getByText("Written for <nothing>.").waitFor();
  assert.equal((await ada.inbox()).filter((text) => text.includes("Written for")).length, 0);
  await page.context().close();
});

await check("of two persons who decide at the same time one wins, the other is told who", async () => {
  const pages = [await asleep("tom", "operator"), await asleep("uma", "operator")];
  for (let round = 0; round < 5; round += 1) {
    const id = await ada.held(`at the same time, round ${round}`);
    for (const page of pages) await page.goto(at(`/needs/${id}`));
    await Promise.all(pages.map((page, index) => {
      const answered = page.waitForResponse((response) => response.request().method() === "POST");
      return Promise.all([answered, decide(page).getByRole("button", { name: index ? "Deny" : "Approve, once" }).click()]);
    }));
    for (const page of pages) await page.waitForLoadState();
    const row = await record(id);
    assert.ok(["tom", "uma"].includes(row.resolved_by), row.resolved_by);
    const loser = pages[row.resolved_by === "tom" ? 1 : 0];
    await loser.getByRole("alert").filter({ hasText: `already by ${row.resolved_by}` }).waitFor();
    assert.equal(row.status, row.resolved_by === "tom" ? "approved" : "denied");
    const told = (await ada.inbox()).filter((text) => text.includes(`escalation ${id}`));
    assert.equal(told.length, 1);
  }
  for (const page of pages) await page.context().close();
});

await check("twenty forms for one item at once: one decides it", async () => {
  const id = await ada.question("bob", "Twenty at once?");
  const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => post(anna, `/needs/${id}`, { do: "reply", text: `answer ${index}` })));
  assert.deepEqual(answers.map((answer) => answer.status).sort(), [303, ...Array(19).fill(409)]);
  await ada.receives(/^answer/);
  assert.equal((await ada.inbox()).filter((text) => text.startsWith("answer")).length, 0);
});

// ---- Roles ----

await check("an approver sees and decides what their agents are asked, and nothing else", async () => {
  await clear();
  const theirs = await carl.held("carl asks");
  const others = await ada.held("ada asks");
  const page = await person(chrome, table, "ben", "approver", ["carl"]);
  await item(page, "carl asks").waitFor();
  assert.equal(await items(page).count(), 1);
  assert.match(await page.locator(".nav .count").innerText(), /^1/);
  assert.equal((await page.goto(at(`/needs/${others}`))).status(), 404);
  for (const path of [`/needs/${others}`, "/needs"]) {
    const forged = await post(page, path, { do: "approve", item: others });
    assert.ok([403, 404, 409].includes(forged.status), `${forged.status}`);
  }
  assert.equal(await status(others), "open");
  await page.goto(at(`/needs/${theirs}`));
  await decide(page).getByRole("button", { name: "Approve, once" }).click();
  await page.getByRole("heading", { name: "Nothing waits for you." }).waitFor();
  assert.equal(await status(theirs), "approved");
  await page.context().close();
});

await check("a viewer sees everything and decides nothing", async () => {
  const [row] = await table.open();
  const page = await person(chrome, table, "vera", "viewer");
  await item(page, "ada asks").getByRole("link").click();
  await page.getByText("You may look at this").waitFor();
  assert.equal(await page.locator("main form button, main textarea, main input:not([type=hidden])").count(), 0);
  for (const path of [`/needs/${row.id}`, "/needs"]) {
    const forged = await post(page, path, { do: "approve", item: row.id });
    assert.ok([403, 409].includes(forged.status), `${path}: ${forged.status}`);
  }
  assert.equal(await status(row.id), "open");
  await page.context().close();
});

await check("who is given another agent, or loses one, sees so at the next look", async () => {
  const page = await person(chrome, table, "greta", "approver", ["carl"]);
  await page.getByRole("heading", { name: "Nothing waits for you." }).waitFor();
  await table.cli("person", "invite", "greta", "--agents", "carl,ada");
  await page.reload();
  await item(page, "ada asks").waitFor();
  await table.cli("person", "invite", "greta", "--agents", "carl");
  await page.reload();
  await page.getByRole("heading", { name: "Nothing waits for you." }).waitFor();
  await page.context().close();
});

// ---- Ways to use it ----

await check("by the keyboard alone: j k move, r replies, a approves, d denies, Tab and Enter do the rest", async () => {
  await clear();
  const first = await ada.held("keyboard, first");
  const second = await ada.held("keyboard, second");
  const question = await ada.question("bob", "By the keyboard?");
  await anna.goto(at("/"));
  const { keyboard } = anna;
  await shown(anna, "By the keyboard?").waitFor();
  await keyboard.press("j");
  await shown(anna, "keyboard, second").waitFor();
  await keyboard.press("j");
  await shown(anna, "keyboard, first").waitFor();
  await keyboard.press("j");
  await keyboard.press("k");
  await shown(anna, "keyboard, second").waitFor();
  await keyboard.press("a");
  assert.equal(await anna.evaluate(() => document.activeElement.value), "approve");
  await keyboard.press("Enter");
  await shown(anna, "keyboard, first").waitFor();
  assert.equal(await status(second), "approved");
  await keyboard.press("d");
  await keyboard.press("Shift+Tab");
  await keyboard.press("Shift+Tab");
  assert.equal(await anna.evaluate(() => document.activeElement.id), "note");
  await keyboard.type("a j k r d note");
  await keyboard.press("Tab");
  await keyboard.press("Tab");
  await keyboard.press("Enter");
  await shown(anna, "By the keyboard?").waitFor();
  assert.equal(await status(first), "denied");
  assert.match(await ada.receives(/was denied/), /a j k r d note/);
  await keyboard.press("r");
  await keyboard.type("Yes, all of it.");
  await keyboard.press("Tab");
  await keyboard.press("Enter");
  await anna.getByRole("heading", { name: "Nothing waits for you." }).waitFor();
  assert.equal(await status(question), "resolved");
});

await check("from the top of the page Tab reaches the content at once, and every control of an item", async () => {
  await ada.held("tabbed");
  await anna.goto(at("/"));
  await shown(anna, "tabbed").waitFor();
  await anna.keyboard.press("Tab");
  assert.equal(await anna.evaluate(() => document.activeElement.textContent), "Skip to content");
  await anna.keyboard.press("Enter");
  const reached = [];
  for (let step = 0; step < 40; step += 1) {
    await anna.keyboard.press("Tab");
    const [name, hidden] = await anna.evaluate(() => {
      const { activeElement } = document;
      const box = activeElement.getBoundingClientRect();
      const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
      return [activeElement.textContent.trim() || activeElement.name, !(activeElement.contains(top) || top?.contains(activeElement))];
    });
    if (name === "Skip to content" || (await anna.evaluate(() => document.activeElement === document.body))) break;
    assert.equal(hidden, false, `${name} has the focus and is covered`);
    reached.push(name);
  }
  for (const name of ["item", "Approve, once", "Deny"]) assert.ok(reached.includes(name), `${name} is not reached: ${reached}`);
});

await check("without JavaScript everything is possible", async () => {
  await clear();
  const question = await ada.question("bob", "Without JavaScript?");
  const [one, two, three] = [await ada.held("plain one"), await ada.held("plain two"), await ada.held("plain three")];
  const page = await person(chrome, table, "paul", "operator", [], { javaScriptEnabled: false });
  assert.equal(await items(page).count(), 4);
  assert.equal(await page.locator("#notify").isVisible(), false);
  await item(page, "plain one").getByRole("link").click();
  await decide(page).getByLabel(/^Note to ada/).fill("a plain note");
  await decide(page).getByRole("button", { name: "Deny" }).click();
  await page.goto(at("/"));
  for (const title of ["plain two", "plain three"]) await item(page, title).getByRole("checkbox").check();
  await page.locator(".bulk").getByRole("button", { name: "Approve" }).click();
  await shown(page, "Without JavaScript?").waitFor();
  await decide(page).getByLabel("Your reply to ada").fill("As plain forms.");
  await decide(page).getByRole("button", { name: "Send reply" }).click();
  await page.getByRole("heading", { name: "Nothing waits for you." }).waitFor();
  const became = await Promise.all([question, one, two, three].map(status));
  assert.deepEqual(became, ["resolved", "denied", "approved", "approved"]);
  assert.ok((await ada.inbox()).includes("As plain forms."));
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Signed out" }).waitFor();
  await page.context().close();
});

await check("on a phone: the list, an item, back, and deciding", async () => {
  await clear();
  const id = await ada.held("on a phone");
  await ada.question("bob", `In the train? ${LONG_LINE.slice(0, 300)}`);
  const options = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
  const page = await person(chrome, table, "pia", "operator", [], options);
  const fits = async () => assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "wider than the screen");
  await item(page, "on a phone").waitFor();
  assert.equal(await decide(page).isVisible(), false);
  await fits();
  await item(page, "on a phone").getByRole("link").tap();
  await decide(page).getByRole("button", { name: "Approve, once" }).waitFor();
  assert.equal(await item(page, "on a phone").isVisible(), false);
  await fits();
  await page.getByRole("link", { name: "Back to the list" }).tap();
  await item(page, "In the train?").getByRole("link").tap();
  await decide(page).getByLabel("Your reply to ada").fill("From the train.");
  await fits();
  const small = await page.evaluate(() => [...document.querySelectorAll("a, button, input:not([type=hidden]), textarea, summary")].filter((element) => {
    const box = element.getBoundingClientRect();
    return box.width > 1 && (box.width < 24 || box.height < 24) && !element.closest("p, td") && !element.matches("input");
  }).map((element) => element.outerHTML.slice(0, 90)));
  assert.deepEqual(small, []);
  await decide(page).getByRole("button", { name: "Send reply" }).tap();
  await shown(page, "on a phone").waitFor();
  await decide(page).getByRole("button", { name: "Approve, once" }).tap();
  await page.getByRole("heading", { name: "Nothing waits for you." }).waitFor();
  assert.equal(await status(id), "approved");
  await page.context().close();
});

await check("notices on the desktop are asked for by the button only, then come for a page that nobody sees", async () => {
  await clear();
  const context = await profile(chrome, table);
  await context.addInitScript(() => {
    window.asked = 0;
    window.shownNotices = [];
    window.Notification = class {
      static permission = window.origin !== "null" && localStorage.getItem("permission") || "default";
      static async requestPermission() {
        window.asked += 1;
        localStorage.setItem("permission", "granted");
        return (this.permission = "granted");
      }
      constructor(title, options) { window.shownNotices.push([title, options.body]); }
    };
  });
  const page = await context.newPage();
  await signIn(page, await table.invite("nils", "operator"));
  await live(page);
  await ada.held("no notice for this one");
  await item(page, "no notice").waitFor();
  assert.deepEqual(await page.evaluate(() => [window.asked, window.shownNotices.length]), [0, 0]);
  await page.getByRole("button", { name: "Notify me" }).click();
  await page.getByRole("button", { name: "Notices are on" }).waitFor();
  assert.equal(await page.evaluate(() => window.asked), 1);
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { value: true, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await ada.held("a notice for this one");
  const [title, body] = await eventually("a notice comes", () => page.evaluate(() => window.shownNotices[0]));
  assert.equal(title, "2 items wait for you");
  assert.match(body, /a notice for this one/);
  await page.reload();
  await page.getByRole("button", { name: "Notices are on" }).waitFor();
  await page.getByRole("button", { name: "Notices are on" }).click();
  await page.getByRole("button", { name: "Notify me" }).waitFor();
  await context.close();
});

// ---- Hostile words ----

await check("hostile words are text: in the list, in the thread, in arguments, in a reply and in what came of it", async () => {
  await clear();
  for (const [index, words] of HOSTILE.entries()) {
    await ada.call("send_message", { recipient: "bob", content: `${words.slice(0, 9_900)} ok? (${index})` });
    await ada.held(`${index} ${words.slice(0, 150)}`, { description: words.slice(0, 4_000) });
  }
  const rows = await eventually("all of them wait", async () => {
    const rows = await table.open();
    return rows.length === 2 * HOSTILE.length && rows;
  });
  await anna.goto(at("/"));
  await live(anna);
  await harmless(anna);
  for (const row of rows) {
    await anna.goto(at(`/needs/${row.id}`));
    for (const fold of await anna.locator("details > summary").all()) await fold.click();
    await harmless(anna);
    assert.ok(await anna.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    if (row.hook === "escalation") {
      const index = Number(/\((\d+)\)$/.exec(row.arguments.content)[1]);
      await decide(anna).getByLabel("Your reply to ada").fill(HOSTILE[index].slice(0, 500));
      await decide(anna).getByRole("button", { name: "Send reply" }).click();
    } else {
      await decide(anna).getByLabel(/^Note to ada/).fill(row.arguments.title.replace(/[\r\n]/g, " "));
      await decide(anna).getByRole("button", { name: "Deny" }).click();
    }
    await anna.waitForURL((url) => !url.pathname.endsWith(`/${row.id}`));
    await anna.goto(at(`/needs/${row.id}?show=decided`));
    await harmless(anna);
  }
  const page = await anna.content();
  assert.doesNotMatch(page, /<script>document/);
});

await check("marks stand for what cannot be seen", async () => {
  await ada.question("bob", "Is invoice\u202Egnp.exe\u202C a picture?\u0000");
  await anna.goto(at("/"));
  const line = item(anna, "invoice").locator(".line");
  await line.waitFor();
  assert.match(await line.innerText(), /invoice\s*U\+202E\s*gnp\.exe\s*U\+202C\s*a picture\?\s*U\+0000/);
});

await check("a long text is folded, and whole when it is opened", async () => {
  const id = await ada.question("bob", `Long? ${LONG_LINE.slice(0, 9_900)}`);
  await anna.goto(at(`/needs/${id}`));
  const text = anna.locator(".msg-asked .fold .text");
  assert.equal(await text.isVisible(), false);
  await anna.getByText("Show all 9906 characters").click();
  assert.equal((await text.innerText()).length, 9_906);
});

await check("no error in the browser, no violation of the content policy", () =>
  // A stream that a check cut off.
  assert.deepEqual(troubles.filter((trouble) => !/net::ERR_FAILED/.test(trouble)), []));
await finish();
