// policies.mjs: an operator tries other settings over what was recorded, installs them in the shadow, lets them decide, goes back;
// and what the policies decided, as a person looks it up.
import assert from "node:assert/strict";
import { browser, check, eventually, finish, live, note, person, request, Table, troubles } from "./lib.mjs";
import { harmless } from "./seed.mjs";

const table = new Table();
await table.start();
const at = (path) => `${table.url}/console${path}`;
const ada = await table.agent("ada", "coder");
const bob = await table.agent("bob", "reviewer");
const chrome = await browser();
const anna = await person(chrome, table, "anna", "operator");
const ben = await person(chrome, table, "ben", "approver", ["ada", "bob"]);
const vera = await person(chrome, table, "vera", "viewer");
const main = (page) => page.locator("main");
const cookieOf = async (page) => (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
const post = async (page, path, body = {}) => request(at(path), { body, headers: { origin: table.url, cookie: await cookieOf(page) } });
const modes = async () => Object.fromEntries((await table.json("policy", "list")).policies.map(({ name, mode }) => [name, mode]));
const field = (page, name = "max_messages") => page.getByLabel(name, { exact: true });
const press = (page, name) => main(page).getByRole("button", { name, exact: true }).click();
// The window is the one of the facts that were recorded.
const STRICT = "1";

// What was recorded: six messages of ada's, one of bob's.
for (let number = 1; number <= 6; number += 1) await ada.call("send_message", { recipient: "bob", content: `Step ${number} is done.` });
await bob.call("send_message", { recipient: "ada", content: "Seen." });

// ---- Trying ----

await check("the list says of each policy its mode and what it does; one opens it from there", async () => {
  await anna.goto(at("/policies"));
  for (const name of Object.keys(await modes())) await main(anna).getByRole("rowheader", { name, exact: true }).waitFor();
  await main(anna).getByRole("link", { name: "rate-limit", exact: true }).click();
  await anna.getByRole("heading", { level: 1, name: "rate-limit" }).waitFor();
  // What the policy says of its settings: the default, and what it is.
  assert.equal(await field(anna).inputValue(), "30");
  await main(anna).getByText(/Messages, direct and broadcast/).waitFor();
});

for (const text of ["x", "0", "1.5", "99999999999999999999"]) {
  await check(`a setting that the policy does not take (${JSON.stringify(text)}) is refused beside its field, tried or installed`, async () => {
    const before = await modes();
    for (const [action, more] of [["try", {}], ["install", { mode: "shadow" }], ["install", { mode: "enforce" }]]) {
      const answer = await post(anna, `/policies/rate-limit/${action}`, { "setting.max_messages": text, ...more });
      assert.ok(answer.status >= 400 && answer.status < 500, `${action}: ${answer.status}`);
      assert.match(answer.text, /aria-invalid="true"/);
      assert.ok(answer.text.includes(`value="${text}"`), "what was typed is lost");
    }
    assert.deepEqual(await modes(), before);
  });
}

await check("a field that is not right is marked, and what was typed stays", async () => {
  await anna.goto(at("/policies/rate-limit"));
  await field(anna).fill("0");
  // The browser would hold it back; a form of an older page would not.
  await field(anna).evaluate((input) => (input.form.noValidate = true));
  await main(anna).getByRole("button", { name: "Replay the last 30 days" }).click();
  await anna.getByRole("alert").filter({ hasText: "1 field is not right" }).waitFor();
  assert.equal(await field(anna).inputValue(), "0");
  assert.equal(await field(anna).getAttribute("aria-invalid"), "true");
});

let trial;
await check("other settings are replayed over what was recorded: what would have come out otherwise, with links", async () => {
  await anna.goto(at("/policies/rate-limit"));
  await field(anna).fill(STRICT);
  const began = performance.now();
  await main(anna).getByRole("button", { name: "Replay the last 30 days" }).click();
  await anna.getByRole("heading", { level: 1, name: /^Trial of other settings/ }).waitFor();
  trial = new URL(anna.url()).pathname.replace("/console", "");
  await anna.getByRole("status").getByText(/5 of \d+ decisions would have come out otherwise/).waitFor();
  note(`a trial took ${Math.round(performance.now() - began)} ms with its page`);
  const rows = main(anna).getByRole("row").filter({ hasText: "send_message" });
  assert.equal(await rows.count(), 5);
  await rows.first().getByRole("link").click();
  await anna.getByRole("heading", { level: 1, name: /send_message by ada/ }).waitFor();
  await anna.goBack();
  await harmless(anna);
});

await check("facts that were not recorded cannot be replayed: the trial says so", async () => {
  await anna.goto(at("/policies/rate-limit"));
  await field(anna).fill(STRICT);
  await field(anna, "window_seconds").fill("86400");
  await main(anna).getByRole("button", { name: "Replay the last 30 days" }).click();
  const text = await eventually("the trial ends", async () => /replayed\)/.test(await main(anna).textContent()) && main(anna).getByRole("status").textContent());
  note(`with another window: ${text.replace(/\s+/g, " ").slice(0, 200)}`);
  assert.match(text, /\d+ not replayed: /);
});

await check("a trial changes nothing", async () => {
  assert.equal((await modes())["rate-limit-next"], undefined);
  await ada.call("send_message", { recipient: "bob", content: "Still allowed." });
});

// ---- Who may ----

await check("an approver and a viewer read it all and see no form; a forged one changes nothing", async () => {
  const before = await table.json("policy", "list");
  for (const page of [ben, vera]) {
    for (const path of ["/policies", "/policies/rate-limit", trial, "/decisions", "/decisions/1"]) {
      assert.equal((await page.goto(at(path))).status(), 200);
      assert.equal(await main(page).locator("form[method=post]").count(), 0, path);
    }
    for (const [action, body] of [
      ["try", { settings: STRICT }], ["install", { settings: STRICT, mode: "shadow" }], ["install", { settings: STRICT, mode: "enforce" }],
      ["disable"], ["enable"], ["promote"], ["replace"], ["rollback"], ["remove"],
    ]) {
      const answer = await post(page, `/policies/rate-limit/${action}`, body);
      assert.ok([403, 409].includes(answer.status), `${action}: ${answer.status}`);
    }
    assert.ok([403, 409].includes((await post(page, `${trial}/stop`)).status));
  }
  const after = await table.json("policy", "list");
  assert.equal(after.digest, before.digest);
  assert.equal(after.generation, before.generation);
});

await check("another site's form, and one without a session, change nothing", async () => {
  const before = await modes();
  const headers = { cookie: await cookieOf(anna), origin: "https://evil.example" };
  assert.equal((await request(at("/policies/rate-limit/disable"), { body: { x: "1" }, headers })).status, 403);
  assert.equal((await request(at("/policies/rate-limit/disable"), { body: { x: "1" }, headers: { origin: table.url } })).status, 401);
  assert.deepEqual(await modes(), before);
});

await check("a policy, an action and a trial that do not exist say so", async () => {
  assert.equal((await anna.goto(at("/policies/nothing-of-it"))).status(), 404);
  assert.equal((await anna.goto(at("/trials/999"))).status(), 404);
  const answer = await post(anna, "/policies/rate-limit/nothing-of-it");
  assert.ok([404, 409].includes(answer.status), `${answer.status}`);
  assert.match(answer.text, /there is no such form/);
});

// ---- Installing ----

await check("installed in the shadow: it is in the list beside the live one and decides nothing", async () => {
  await anna.goto(at(trial));
  await press(anna, "Install in the shadow");
  await anna.getByRole("heading", { level: 1, name: "rate-limit-next" }).waitFor();
  assert.deepEqual([(await modes())["rate-limit-next"], (await modes())["rate-limit"]], ["shadow", "enforce"]);
  await anna.goto(at("/policies"));
  await main(anna).getByRole("row").filter({ hasText: "rate-limit-next" }).getByText("shadow").waitFor();
  await main(anna).getByRole("row").filter({ hasText: "rate-limit-next" }).getByText("anna").waitFor();
  await ada.call("send_message", { recipient: "bob", content: "The shadow would refuse this." });
});

await check("its verdict is with the decision, marked as the shadow's", async () => {
  await anna.goto(at("/decisions"));
  await main(anna).getByRole("row").filter({ hasText: "send_message" }).first().getByRole("link").first().click();
  const verdict = main(anna).getByRole("table", { name: "Verdicts" }).getByRole("row").filter({ hasText: "rate-limit-next" });
  await verdict.getByText("shadow").waitFor();
  await verdict.getByText("deny", { exact: true }).waitFor();
});

await check("it decides instead of the live one: the next call of an agent is refused by it", async () => {
  await anna.goto(at("/policies/rate-limit-next"));
  await press(anna, "Let it decide instead of rate-limit");
  await main(anna).getByText("enforce").first().waitFor();
  const now = await modes();
  note(`after the promotion: ${JSON.stringify(now)}`);
  assert.equal(Object.entries(now).filter(([name, mode]) => name.startsWith("rate-limit") && mode === "enforce").length, 1);
  const carl = await table.agent("carl", "coder");
  await carl.call("send_message", { recipient: "bob", content: "one" });
  const { refused } = await carl.ask("send_message", { recipient: "bob", content: "two" });
  assert.ok(refused, "the second message went through");
  assert.match(JSON.stringify(refused), /rate/i);
});

const strict = () => modes().then((all) => ["rate-limit-next", "rate-limit"].find((name) => all[name] === "enforce"));
await check("it is switched off and on again, with effect on the next call", async () => {
  const dora = await table.agent("dora", "coder");
  const name = await strict();
  await anna.goto(at(`/policies/${name}`));
  await press(anna, "Switch it off");
  await main(anna).getByText("off", { exact: true }).first().waitFor();
  for (const text of ["one", "two", "three"]) await dora.call("send_message", { recipient: "bob", content: text });
  await press(anna, "Let it decide");
  await main(anna).getByText("enforce", { exact: true }).first().waitFor();
  assert.ok((await dora.ask("send_message", { recipient: "bob", content: "four" })).refused);
});

await check("settings are installed live from their trial, with effect on the next call", async () => {
  const eve = await table.agent("eve", "coder");
  const name = await strict();
  await anna.goto(at(`/policies/${name}`));
  assert.equal(await field(anna).inputValue(), STRICT);
  await field(anna).fill("2");
  await main(anna).getByRole("button", { name: "Replay the last 30 days" }).click();
  await press(anna, "Install live");
  await anna.getByRole("heading", { level: 1, name, exact: true }).waitFor();
  assert.equal(await field(anna).inputValue(), "2");
  await eve.call("send_message", { recipient: "bob", content: "one" });
  await eve.call("send_message", { recipient: "bob", content: "two" });
  assert.ok((await eve.ask("send_message", { recipient: "bob", content: "three" })).refused);
});

await check("a module without one before it is not rolled back, and the page says why", async () => {
  const before = await table.json("policy", "list");
  const name = await strict();
  await anna.goto(at(`/policies/${name}`));
  assert.equal(await main(anna).getByRole("button", { name: "Back to the module before" }).count(), 0);
  const answer = await post(anna, `/policies/${name}/rollback`);
  assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status}`);
  assert.match(answer.text, /Nothing was changed/);
  assert.equal((await table.json("policy", "list")).digest, before.digest);
});

await check("taken out of the set file, what the file said goes; the built-in one is as it was delivered", async () => {
  const name = await strict();
  await anna.goto(at(`/policies/${name}`));
  await press(anna, "Take it out of the set file");
  await eventually("it is out of the set", async () => {
    const all = await modes();
    return name === "rate-limit-next" ? !all[name] : all[name] === "enforce";
  });
  note(`after the removal: ${JSON.stringify(await modes())}`);
});

await check("the history and the audit log name the person", async () => {
  for (const words of [["policy", "history"], ["audit", "list"]]) {
    const text = JSON.stringify(await table.json(...words));
    assert.match(text, /person:anna/);
    assert.doesNotMatch(text, /person:(ben|vera)[^}]*policy/);
  }
  assert.match(await table.cli("policy", "history"), /person:anna/);
  await anna.goto(at("/policies"));
  await main(anna).getByRole("region", { name: "Changes" }).getByText(/person:anna|anna/).first().waitFor();
  assert.match(await table.cli("audit", "verify"), /./);
});

// ---- Decisions ----

await check("decisions are filtered by plain fields, which are in the address and stay", async () => {
  await anna.goto(at("/decisions"));
  const filters = anna.locator("form.filters");
  await filters.getByLabel("Agent").selectOption("carl");
  await filters.getByLabel("Outcome").selectOption("deny");
  await filters.getByLabel("Action").fill("send_message");
  await filters.getByLabel("Since").selectOption("1h");
  await filters.getByRole("button", { name: "Filter" }).click();
  await anna.waitForURL(/agent=carl/);
  const address = new URL(anna.url()).searchParams;
  assert.deepEqual(["agent", "outcome", "action", "since"].map((name) => address.get(name)), ["carl", "deny", "send_message", "1h"]);
  assert.equal(await main(anna).locator("#list tbody tr").count(), 1);
  assert.equal(await filters.getByLabel("Agent").inputValue(), "carl");
  await anna.reload();
  assert.equal(await main(anna).locator("#list tbody tr").count(), 1);
});

await check("one decision: the verdicts, the facts in words, what was asked", async () => {
  await main(anna).locator("#list tbody a").first().click();
  await anna.getByRole("heading", { level: 1, name: /send_message by carl/ }).waitFor();
  await main(anna).getByText("nothing was done").waitFor();
  await main(anna).getByRole("table", { name: "Verdicts" }).getByText("deny", { exact: true }).waitFor();
  await main(anna).getByRole("heading", { name: "The facts" }).waitFor();
  assert.ok((await main(anna).locator("section[aria-labelledby=h-facts] tr").count()) > 0);
  await main(anna).getByLabel("The question as JSON").getByText(/send_message/).waitFor();
});

await check("the chart says in words what it shows", async () => {
  await anna.goto(at("/decisions?since=1h"));
  const words = await anna.getByRole("img", { name: /^Decisions over time: / }).getAttribute("aria-label");
  assert.match(words, /\d+ allow/);
  assert.match(words, /\d+ deny/);
  assert.ok((await anna.locator(".chart svg rect").count()) > 0);
});

await check("the list follows an agent's call; a page that is paused shows one moment", async () => {
  const paused = await anna.context().newPage();
  await paused.goto(at("/decisions?agent=bob&pause=1"));
  const before = await paused.locator("#list").innerHTML();
  await anna.goto(at("/decisions?agent=bob"));
  await live(anna);
  const rows = await anna.locator("#list tbody tr").count();
  const began = performance.now();
  await bob.call("share_context", { key: "seen/by", value: "everyone" });
  await eventually("the call is in the list", async () => (await anna.locator("#list tbody tr").count()) > rows, 10_000);
  note(`a call is in the list after ${Math.round(performance.now() - began)} ms`);
  assert.equal(await paused.locator("#list").innerHTML(), before);
  await paused.getByRole("link", { name: "Go on" }).click();
  await paused.locator("#list").getByText("share_context").waitFor();
  await paused.close();
});

await check("no error in the browser, no violation of the content policy", () => assert.deepEqual(troubles, []));
await finish();
