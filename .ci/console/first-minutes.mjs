// first-minutes.mjs: a person who has never seen it, from the link to a setting that is installed: how many clicks, how many
// seconds. A picture of each step is beside the tables; those of the documentation are written where PICTURES says.
import assert from "node:assert/strict";
import { join } from "node:path";
import { browser, check, eventually, finish, note, profile, scratch, Table, troubles } from "./lib.mjs";

const table = new Table();
table.policies(`
[[policy]]
name = "tool-authorization"
module = "builtin:tool-authorization"
mode = "enforce"

[policy.settings]
roles = { ops = { escalate = ["create_task(priority=high)"] } }
`);
await table.start();
const backend = await table.agent("codex-backend", "coder", ["rust", "sqlite"]);
const frontend = await table.agent("claude-frontend", "coder", ["typescript"]);
const release = await table.agent("claude-release", "ops", ["packaging"]);
await frontend.call("create_task", { title: "Show the sessions of a person", assignee: "claude-frontend", priority: "medium" });
await backend.call("create_task", { title: "Move the sessions table to the new schema", assignee: "codex-backend", priority: "high" });
let last = await backend.call("send_message", { recipient: "claude-frontend", content: "The new sessions table is migrated. Old rows are copied, the tests pass." });
const talk = [
  [backend, "claude-frontend", "The index is there too: a look-up takes 40 microseconds."],
  [frontend, "codex-backend", "The page of the sessions is done; nothing reads the old table any more."],
];
for (const [from, recipient, content] of talk) last = await from.call("send_message", { recipient, content, reply_to: last.id });
for (const content of ["The sign-in page is translated.", "Its tests are green.", "The changelog has an entry."]) await frontend.call("send_message", { recipient: "claude-release", content });
// What has been read so far, its daemon does not answer.
await backend.inbox();
table.daemon("codex-backend");
const held = await release.held("Publish team-table 1.0 to the registry", { description: "Tagged, signed, and the checksums are in the release notes.", assignee: "claude-release" });
await release.question("codex-backend", "Which minimum version of SQLite do we promise in the release notes?");
await release.held("Move the documentation to its new address");
const asked = await frontend.question("codex-backend", "Should we drop the old sessions table, or keep it for one more release? Nothing reads it.", { reply_to: last.id });

const chrome = await browser();
const context = await profile(chrome, table, { colorScheme: "light" });
const page = await context.newPage();
const main = page.locator("main");
let [clicks, keys, step] = [0, 0, 0];
const click = async (target) => {
  clicks += 1;
  await target.click();
};
const type = async (field, text) => {
  keys += text.length;
  await field.fill(text);
};
const began = performance.now();
const shot = async () => page.screenshot({ path: join(scratch, `step-${(step += 1)}.png`) });
const done = async (what) => {
  await shot();
  note(`${what}: ${clicks} clicks, ${((performance.now() - began) / 1000).toFixed(1)} s so far`);
};
const picture = async (name) => process.env.PICTURES && page.screenshot({ path: join(process.env.PICTURES, name) });

await check("the link says whose it is and signs in by one button", async () => {
  await page.goto(await table.invite("anna", "operator"));
  await shot();
  await click(page.getByRole("button", { name: "Sign in as anna" }));
  await page.getByRole("heading", { name: "Needs you" }).waitFor();
  await done("signed in");
});

await check("what waits is there at once; the question is answered, and the agent has the answer", async () => {
  await click(page.getByRole("link", { name: /Should we drop the old sessions table/ }));
  await page.getByRole("heading", { level: 1, name: /Should we drop/ }).waitFor();
  await eventually("it is its own address", async () => page.url().endsWith(`/needs/${asked}`));
  await picture("console-needs.png");
  await type(page.getByLabel(/^Your reply to/), "Drop it. The backup is enough.");
  await click(page.getByRole("button", { name: "Send reply" }));
  await frontend.receives(/Drop it\. The backup is enough\./);
  await done("answered");
});

await check("the held call is approved, and the agent makes it", async () => {
  await click(page.getByRole("link", { name: /Publish team-table 1\.0/ }));
  await eventually("it is its own address", async () => page.url().endsWith(`/needs/${held}`));
  await shot();
  await click(page.getByRole("button", { name: "Approve, once" }));
  await eventually("it is decided", async () => !(await table.open()).some((row) => row.id === held));
  await release.call("create_task", { title: "Publish team-table 1.0 to the registry", description: "Tagged, signed, and the checksums are in the release notes.", assignee: "claude-release", priority: "high" });
  await done("approved");
});

await check("a setting is tried over what was recorded", async () => {
  await click(page.getByRole("navigation").getByRole("link", { name: "Policies" }).first());
  await click(main.getByRole("link", { name: "rate-limit", exact: true }));
  await type(page.getByLabel("max_messages", { exact: true }), "2");
  await shot();
  await click(page.getByRole("button", { name: "Replay the last 30 days" }));
  await page.getByRole("status").getByText(/would have come out otherwise/).waitFor();
  assert.ok((await main.getByRole("row").filter({ hasText: "claude-frontend" }).count()) > 0);
  if (process.env.PICTURES) await main.locator("details").evaluate((details) => (details.open = true));
  await picture("console-policies.png");
  await done("tried");
});

await check("it is installed in the shadow", async () => {
  await click(page.getByRole("button", { name: "Install in the shadow" }));
  await page.getByRole("heading", { level: 1, name: "rate-limit-next" }).waitFor();
  const { policies } = await table.json("policy", "list");
  assert.equal(policies.find(({ name }) => name === "rate-limit-next")?.mode, "shadow");
  await done("installed");
});

await check("all of it takes at most 12 clicks", async () => {
  note(`from the link to the installed setting: ${clicks} clicks, ${keys} characters, ${((performance.now() - began) / 1000).toFixed(1)} s of a machine that does not read`);
  assert.ok(clicks >= 8 && clicks <= 12, `${clicks} clicks`);
});

await check("no error in the browser, no violation of the content policy", () => assert.deepEqual(troubles, []));
await finish();
