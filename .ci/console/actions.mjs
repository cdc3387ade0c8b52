// actions.mjs: what a person does at the table besides deciding: tasks, messages, looking things up.
import assert from "node:assert/strict";
import { browser, check, eventually, finish, live, person, request, Table, troubles } from "./lib.mjs";
import { APPROVAL, harmless, HOSTILE } from "./seed.mjs";

const table = new Table();
table.policies(APPROVAL);
await table.start();
const at = (path) => `${table.url}/console${path}`;
const ada = await table.agent("ada", "reviewer");
const bob = await table.agent("bob", "reviewer");
const carl = await table.agent("carl", "reviewer");
const chrome = await browser();
const anna = await person(chrome, table, "anna", "operator");
const ben = await person(chrome, table, "ben", "approver", ["carl"]);
const vera = await person(chrome, table, "vera", "viewer");
const cookieOf = async (page) => (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
const post = async (page, path, body) => request(at(path), { body, headers: { origin: table.url, cookie: await cookieOf(page) } });
const taskOf = async (id) => (await ada.call("list_tasks", { limit: 50 })).tasks.find((task) => task.id === id);
const main = (page) => page.locator("main");
const comment = (page) => page.getByRole("textbox", { name: "Comment" });
const column = (page, name) => page.getByRole("region", { name, exact: true });

// ---- Tasks ----

let posted;
await check("a task that a person posts is on the board for every agent, as it was written", async () => {
  await anna.goto(at("/board"));
  await anna.getByText("New task").click();
  await anna.getByLabel("Title").fill("Mend <the> build & go");
  await anna.getByLabel("Description").fill("First line.\nSecond line <b>.");
  await main(anna).locator("form[method=post]").getByLabel("Priority").selectOption("high");
  await main(anna).locator("form[method=post]").getByLabel("Assignee").selectOption("ada");
  await anna.getByRole("button", { name: "Post task" }).click();
  await anna.getByRole("heading", { level: 1, name: "Mend <the> build & go" }).waitFor();
  posted = Number(new URL(anna.url()).pathname.split("/").at(-1));
  const task = await taskOf(posted);
  assert.deepEqual([task.title, task.description, task.priority, task.assignee], ["Mend <the> build & go", "First line.\nSecond line <b>.", "high", "ada"]);
  await ada.receives(/Mend <the> build & go/);
});

await check("a task that cannot be is not posted, and what was typed stays", async () => {
  await anna.goto(at("/board"));
  await anna.getByText("New task").click();
  await anna.getByLabel("Title").fill("Waits for nothing there is");
  await anna.getByLabel("Waits for (numbers)").fill("9999");
  await anna.getByRole("button", { name: "Post task" }).click();
  await anna.getByRole("alert").waitFor();
  assert.equal(await anna.getByLabel("Title").inputValue(), "Waits for nothing there is");
  await anna.getByLabel("Waits for (numbers)").fill("x, y");
  await anna.getByRole("button", { name: "Post task" }).click();
  await anna.getByRole("alert").filter({ hasText: "not a list of numbers" }).waitFor();
  await anna.getByLabel("Waits for (numbers)").fill(`#${posted}`);
  await anna.getByRole("button", { name: "Post task" }).click();
  await anna.getByRole("heading", { level: 1, name: "Waits for nothing there is" }).waitFor();
  await anna.getByRole("link", { name: `#${posted} Mend` }).waitFor();
});

await check("the board follows what agents do", async () => {
  await anna.goto(at("/board"));
  await live(anna);
  await column(anna, "Pending").getByText("Mend <the> build").waitFor();
  await ada.call("claim_task", { task_id: posted });
  await column(anna, "In progress").getByText("Mend <the> build").waitFor();
  await column(anna, "Pending").getByText("Mend <the> build").waitFor({ state: "detached" });
});

await check("an open task follows, too, and what is typed in its forms stays", async () => {
  await anna.goto(at(`/tasks/${posted}`));
  await live(anna);
  await comment(anna).fill("half a com");
  await ada.call("update_task", { task_id: posted, status: "blocked", result: "the disk is full" });
  await main(anna).getByText("the disk is full").waitFor();
  await anna.locator("#state").getByText("Blocked", { exact: true }).waitFor();
  assert.equal(await comment(anna).inputValue(), "half a com");
});

await check("a comment is kept with the task, and the assignee is told", async () => {
  await comment(anna).fill("Use the other disk.\n<script>alert(1)</script>");
  await anna.getByRole("button", { name: "Add comment" }).click();
  await anna.locator("#story").getByText("Use the other disk.").waitFor();
  await harmless(anna);
  assert.match(await ada.receives(/Use the other disk/), /<script>alert\(1\)<\/script>/);
  await anna.locator("#story").getByText(/anna commented/).waitFor();
});

await check("a person moves a task, with a reason that the assignee is told", async () => {
  const form = main(anna).locator("form", { hasText: "New status" });
  await anna.goto(at(`/tasks/${posted}`));
  await form.getByLabel("New status").selectOption("in_progress");
  await form.getByLabel("Why").fill("There is room again.");
  await form.getByRole("button", { name: "Move" }).click();
  await anna.locator("#state").getByText("In progress", { exact: true }).waitFor();
  assert.equal((await taskOf(posted)).status, "in_progress");
  await ada.receives(/There is room again/);
});

await check("a person gives a task to another agent; both are told", async () => {
  const form = main(anna).locator("form", { hasText: "Assignee" });
  await form.getByLabel("Assignee").selectOption("bob");
  await form.getByRole("button", { name: "Assign" }).click();
  await anna.locator("#state").getByText("assigned to bob").waitFor();
  assert.equal((await taskOf(posted)).assignee, "bob");
  await bob.receives(/Mend <the> build/);
  await ada.receives(/bob/);
});

await check("a move that is not possible any more says so and keeps the reason", async () => {
  const page = await person(chrome, table, "sven", "operator");
  await page.context().route("**/console/live?**", (route) => route.abort());
  await page.goto(at(`/tasks/${posted}`));
  await bob.call("claim_task", { task_id: posted });
  await bob.call("update_task", { task_id: posted, status: "done" });
  const form = main(page).locator("form", { hasText: "New status" });
  await form.getByLabel("Why").fill("too late");
  await form.getByLabel("New status").selectOption({ index: 0 });
  await form.getByRole("button", { name: "Move" }).click();
  await page.getByRole("alert").filter({ hasText: "Nothing was changed" }).waitFor();
  await page.getByRole("alert").getByText("too late").waitFor();
  await page.context().close();
});

await check("an approver changes the tasks of their agents and those of nobody, a viewer none", async () => {
  const task = async (assignee) => (await ada.call("create_task", { title: `of ${assignee || "nobody"}`, ...(assignee && { assignee }) })).id;
  const [theirs, others, nobodys] = [await task("carl"), await task("bob"), await task("")];
  const forms = async (page, id) => {
    await page.goto(at(`/tasks/${id}`));
    return main(page).locator("form[method=post]").count();
  };
  assert.ok((await forms(ben, theirs)) > 0);
  assert.ok((await forms(ben, nobodys)) > 0);
  assert.equal(await forms(ben, others), 0);
  for (const id of [theirs, others, nobodys]) assert.equal(await forms(vera, id), 0);
  await vera.goto(at("/board"));
  assert.equal(await main(vera).locator("form[method=post]").count(), 0);
  const forged = [["move", { status: "cancelled" }], ["assign", { assignee: "carl" }], ["comment", { text: "forged" }]];
  for (const [page, id] of [[ben, others], [vera, theirs], [vera, others], [vera, nobodys]]) {
    for (const [what, body] of forged) {
      const answer = await post(page, `/tasks/${id}/${what}`, body);
      assert.ok([403, 409].includes(answer.status), `${what}: ${answer.status}`);
    }
  }
  for (const [page, body] of [[vera, { title: "forged" }], [ben, { title: "forged", assignee: "bob" }]]) {
    const answer = await post(page, "/tasks", body);
    assert.ok([403, 409].includes(answer.status), `${answer.status}`);
  }
  const tasks = (await ada.call("list_tasks", { limit: 50 })).tasks;
  assert.deepEqual(tasks.filter((task) => JSON.stringify(task).includes("forged") || task.status === "cancelled"), []);
  assert.equal((await post(ben, `/tasks/${theirs}/assign`, { assignee: "bob" })).status, 409, "carl's work is given to bob, who does not answer to ben");
  await ben.goto(at(`/tasks/${theirs}`));
  await comment(ben).fill("from ben");
  await ben.getByRole("button", { name: "Add comment" }).click();
  await carl.receives(/from ben/);
});

await check("the board is filtered by plain forms, also without JavaScript", async () => {
  const page = await person(chrome, table, "paul", "operator", [], { javaScriptEnabled: false });
  await page.goto(at("/board"));
  await page.locator("form.filters").getByLabel("Assignee").selectOption("carl");
  await page.getByRole("button", { name: "Filter" }).click();
  await main(page).getByText("of carl").waitFor();
  assert.equal(await main(page).getByText("of bob").count(), 0);
  await page.getByText("New task").click();
  await page.getByLabel("Title").fill("posted plainly");
  await page.getByRole("button", { name: "Post task" }).click();
  await page.getByRole("heading", { level: 1, name: "posted plainly" }).waitFor();
  await page.context().close();
});

// ---- Messages ----

await check("a person writes to an agent, which answers; the answer is on the page by itself", async () => {
  await anna.goto(at("/threads"));
  await anna.getByText("Write to an agent").click();
  await anna.getByLabel("To").selectOption("ada");
  await anna.getByLabel("Message").fill("How far are you?\nRoughly.");
  await anna.getByRole("button", { name: "Send" }).click();
  await anna.getByRole("heading", { level: 1, name: /^How far are you/ }).waitFor();
  await live(anna);
  const { messages } = await ada.call("get_messages");
  const got = messages.find((message) => message.content.startsWith("How far"));
  assert.equal(got.content, "How far are you?\nRoughly.");
  await ada.call("send_message", { recipient: got.sender, content: "Half way through.", reply_to: got.id });
  await main(anna).getByText("Half way through.").waitFor();
});

await check("they go on in the thread; what an agent has read says so", async () => {
  await anna.getByLabel("Write as anna").fill("Good. Go on.");
  await anna.getByRole("button", { name: "Send" }).click();
  await main(anna).locator(".msg-person", { hasText: "Good. Go on." }).getByText("not read yet").waitFor();
  await live(anna);
  await ada.receives(/Good\. Go on\./);
  await main(anna).locator(".msg-person", { hasText: "Good. Go on." }).getByText(/, read$/).waitFor();
});

await check("an operator writes to everyone; an approver to their agents alone, a viewer to none", async () => {
  await anna.goto(at("/threads"));
  await anna.getByText("Write to an agent").click();
  await anna.getByLabel("To").selectOption("everyone");
  await anna.getByLabel("Message").fill("Lunch is at noon.");
  await anna.getByRole("button", { name: "Send" }).click();
  await anna.getByRole("heading", { level: 1, name: "Lunch is at noon." }).waitFor();
  for (const agent of [ada, bob, carl]) await agent.receives(/Lunch is at noon/);
  await ben.goto(at("/threads"));
  await ben.getByText("Write to an agent").click();
  assert.deepEqual(await ben.getByLabel("To").locator("option").allInnerTexts(), ["carl"]);
  await vera.goto(at("/threads"));
  assert.equal(await main(vera).locator("form[method=post]").count(), 0);
  for (const [page, to] of [[ben, "ada"], [ben, "*"], [vera, "carl"], [vera, "*"], [anna, "nobody-there"], [anna, "operator"]]) {
    const answer = await post(page, "/messages", { to, text: "forged" });
    assert.ok([400, 403, 404, 409].includes(answer.status), `to ${to}: ${answer.status}`);
  }
  for (const agent of [ada, bob, carl]) assert.equal((await agent.inbox()).filter((text) => /forged/.test(text)).length, 0);
});

await check("hostile words of a person are text for others, and reach the agent as they are", async () => {
  for (const words of HOSTILE.filter((words) => !/[\r\n\0]/.test(words))) {
    const answer = await post(anna, "/messages", { to: "ada", text: words.slice(0, 2_000) });
    assert.equal(answer.status, 303);
    await anna.goto(`${table.url}${answer.headers.location}`);
    await harmless(anna);
    assert.ok((await ada.inbox()).includes(words.slice(0, 2_000).trim()));
  }
  const tooLong = await post(anna, "/messages", { to: "ada", text: "x".repeat(10_001) });
  assert.equal(tooLong.status, 409);
  assert.match(tooLong.text, /x{1000}/, "what was typed is not there any more");
});

// ---- Looking things up ----

await check("a newcomer is in the list of members at once, and gone when it leaves", async () => {
  await anna.goto(at("/members"));
  await live(anna);
  const dora = await table.agent("dora", "designer", ["colours"]);
  const row = anna.getByRole("row", { name: /dora/ });
  await row.getByText("online").waitFor();
  await row.getByText("colours").waitFor();
  await dora.call("deregister");
  await row.waitFor({ state: "detached" });
  await anna.getByRole("link", { name: "Also those who have left" }).click();
  await anna.getByRole("row", { name: /dora/ }).getByText("gone").waitFor();
});

await check("a shared value and each of its versions are on the page at once", async () => {
  await anna.goto(at("/context"));
  await live(anna);
  await ada.call("share_context", { key: "state/build", value: "green" });
  await anna.getByRole("link", { name: "state/build" }).waitFor();
  await anna.getByRole("link", { name: "state/build" }).click();
  await live(anna);
  await ada.call("share_context", { key: "state/build", value: "<b>red</b>" });
  await main(anna).getByText("<b>red</b>").waitFor();
  await main(anna).getByText("version 2 by ada").waitFor();
});

await check("search finds messages, tasks and shared values, and leads to each", async () => {
  await anna.goto(at("/search"));
  for (const [words, kind, lands] of [["half way", "message", /Half way through/], ["mend build", "task", /Mend <the> build/], ["red", "context", /red/]]) {
    await anna.getByLabel("Words").fill(words);
    await anna.getByRole("button", { name: "Search" }).click();
    const hit = main(anna).locator(".item", { has: anna.getByText(kind, { exact: true }) }).first();
    await hit.locator("mark").first().waitFor();
    await hit.getByRole("link").click();
    await main(anna).getByText(lands).first().waitFor();
    await anna.goto(at("/search"));
  }
  await anna.keyboard.press("Tab");
  for (const words of [...HOSTILE.map((words) => words.slice(0, 300)), `"`, `'; DROP TABLE messages; --`, "*", "NEAR(", "a AND", "-", "^x", "\0"]) {
    const answer = await anna.goto(at(`/search?${new URLSearchParams({ q: words })}`));
    assert.ok(answer.status() < 500, `${words}: ${answer.status()}`);
    await harmless(anna);
  }
});

await check("an operator has the audit chain verified; nobody else", async () => {
  await anna.goto(at("/health"));
  await anna.getByRole("button", { name: "Verify now" }).click();
  await main(anna).getByText("intact", { exact: true }).waitFor();
  for (const page of [ben, vera]) {
    await page.goto(at("/health"));
    assert.equal(await page.getByRole("button", { name: "Verify now" }).count(), 0);
    assert.equal((await post(page, "/health/verify", {})).status, 403);
  }
});

await check("everything a person did is in the audit log under their name", async () => {
  const { rows } = await table.json("audit", "list", "--agent", "person:anna", "--limit", "200");
  const actions = new Set(rows.map((row) => row.action));
  for (const action of ["create_task", "update_task", "assign_task", "comment_task", "send_message"]) assert.ok(actions.has(action), `${action} is not among ${[...actions]}`);
});

await check("no error in the browser, no violation of the content policy", () =>
  assert.deepEqual(troubles.filter((trouble) => !/net::ERR_FAILED/.test(trouble)), []));
await finish();
