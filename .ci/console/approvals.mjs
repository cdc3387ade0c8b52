// approvals.mjs: a call that two persons must approve.
import assert from "node:assert/strict";
import { browser, check, finish, live, person, request, Table, troubles } from "./lib.mjs";
import { APPROVAL } from "./seed.mjs";

const table = new Table();
table.policies(APPROVAL.replace(`mode = "enforce"`, `mode = "enforce"\napprovals = 2`));
await table.start();
const at = (path) => `${table.url}/console${path}`;
const ada = await table.agent("ada", "coder");
const chrome = await browser();
const anna = await person(chrome, table, "anna", "operator");
const ben = await person(chrome, table, "ben", "approver", ["ada"]);
const main = (page) => page.locator("main");
const cookieOf = async (page) => (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
const decide = async (page, id, what, text = "") => request(at(`/needs/${id}`), { body: { do: what, text }, headers: { origin: table.url, cookie: await cookieOf(page) } });
const isOpen = async (id) => (await table.open()).some((row) => row.id === id);
const retry = (title) => ada.ask("create_task", { title, priority: "high" });

let first;
await check("the item says how many persons it needs", async () => {
  first = await ada.held("Publish the release");
  await anna.goto(at(`/needs/${first}`));
  await main(anna).getByText("0 of 2 approvals").waitFor();
  await main(anna).getByText("needs 2 persons").waitFor();
});

await check("after the first person it stays open, and the page of the other shows who approved, by itself", async () => {
  await ben.goto(at(`/needs/${first}`));
  await live(ben);
  await anna.getByLabel(/^Note to ada/).fill("Fine with me.");
  await anna.getByRole("button", { name: "Approve, once" }).click();
  await main(anna).getByText("1 of 2 approvals").waitFor();
  await main(ben).getByText("1 of 2 approvals").waitFor();
  await main(ben).locator("#state, main").getByText(/anna/).first().waitFor();
  await main(ben).getByText(/Fine with me\./).waitFor();
  assert.ok(await isOpen(first));
  assert.equal((await retry("Publish the release")).refused?.code, "approval_required");
});

await check("the same person does not count twice", async () => {
  const answer = await decide(anna, first, "approve", "again");
  assert.equal(answer.status, 409);
  assert.match(answer.text, /Nothing was changed/);
  assert.match(answer.text, /1 of 2 approvals/);
  assert.ok(await isOpen(first));
});

await check("the second person's approval lets the call through, once", async () => {
  await ben.getByRole("button", { name: "Approve, once" }).click();
  await ben.getByRole("heading", { name: "Nothing waits for you." }).waitFor();
  assert.equal(await isOpen(first), false);
  assert.equal((await retry("Publish the release")).refused, undefined);
  assert.equal((await retry("Publish the release")).refused?.code, "approval_required");
  const text = JSON.stringify(await table.json("audit", "list"));
  for (const name of ["anna", "ben"]) assert.match(text, new RegExp(`person:${name}`));
});

await check("one who denies it is enough, also after an approval", async () => {
  const id = await ada.held("Delete the database");
  assert.equal((await decide(anna, id, "approve")).status, 303);
  await ben.goto(at(`/needs/${id}`));
  await ben.getByLabel(/^Note to ada/).fill("Never.");
  await ben.getByRole("button", { name: "Deny", exact: true }).last().click();
  await ben.waitForURL((url) => !url.pathname.endsWith(`/${id}`));
  assert.equal(await isOpen(id), false);
  assert.equal((await decide(anna, id, "approve")).status, 409);
  await ben.goto(at(`/needs/${id}`));
  await main(ben).getByText(/denied by ben/).first().waitFor();
  assert.ok((await retry("Delete the database")).refused);
});

await check("the policy's page says so", async () => {
  await anna.goto(at("/policies/tool-authorization"));
  await main(anna).getByText("a call that it holds needs 2 persons").waitFor();
});

await check("no error in the browser, no violation of the content policy", () => assert.deepEqual(troubles, []));
await finish();
