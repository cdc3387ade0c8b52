// sign-in.mjs: how a session begins and ends, and what pages of other sites can do: nothing.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import http from "node:http";
import { DatabaseSync } from "node:sqlite";
import { APPROVAL } from "./seed.mjs";
import { browser, check, eventually, finish, freePort, live, person, profile, request, signIn, Table, troubles } from "./lib.mjs";

const table = new Table();
table.policies(APPROVAL);
await table.start();
const ada = await table.agent("ada", "coder");
const chrome = await browser();
const at = (path) => `${table.url}/console${path}`;
const own = { origin: table.url };
const codeOf = (link) => link.split("/").at(-1);
const sessions = async () => (await table.json("person", "sessions")).sessions;

// ---- The link ----

await check("the invitation is printed with its link, for whom and for how long", async () => {
  const text = await table.cli("person", "invite", "anna", "--role", "operator", "--server", table.url);
  assert.match(text, /anna \(operator\), once, within 15 minutes/);
  assert.match(text, new RegExp(`${table.url}/console/join/tp_[A-Za-z0-9_-]{43}`));
});

await check("looking at a link signs nobody in and uses nothing up; pressing its button does", async () => {
  const link = await table.invite("anna");
  for (const method of ["GET", "GET", "HEAD"]) {
    const answer = await request(link, { method });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["set-cookie"], undefined);
  }
  assert.deepEqual(await sessions(), []);
  const context = await profile(chrome, table);
  const page = await context.newPage();
  await page.goto(link);
  assert.equal(await page.getByRole("heading", { level: 1 }).innerText(), "Sign in as anna");
  await page.getByRole("button", { name: "Sign in as anna" }).click();
  await page.getByRole("heading", { name: "Needs you" }).waitFor();
  assert.equal(page.url(), at("/"));
  assert.equal((await sessions()).length, 1);
  await page.goto(link);
  assert.equal(await page.getByRole("heading", { level: 1 }).innerText(), "This link is not valid (any more)");
  await context.close();
});

await check("a used link, an expired one and one that never was look alike: 404 and the same page", async () => {
  const used = await table.invite("anna");
  await request(at("/join"), { body: { code: codeOf(used) }, headers: own });
  const expired = await table.invite("anna");
  const database = new DatabaseSync(table.database);
  database.exec("UPDATE person_links SET expires_at = 1 WHERE used_at IS NULL");
  database.close();
  const never = ["x", "tp_", `tp_${"A".repeat(43)}`, "%00", "%2e%2e%2f", "é", "<script>", "a".repeat(6000)].map((code) => at(`/join/${code}`));
  const pages = new Set();
  for (const link of [used, expired, ...never]) {
    const code = codeOf(link);
    const looked = await request(encodeURI(link).replaceAll("%25", "%"));
    const followed = await request(at("/join"), { body: { code }, headers: own });
    for (const answer of [looked, followed]) {
      assert.equal(answer.status, 404, `${code.slice(0, 50)}: ${answer.status}`);
      assert.equal(answer.headers["set-cookie"], undefined);
      pages.add(answer.text);
    }
  }
  for (const body of ["", "code=", "nothing"]) {
    const answer = await request(at("/join"), { body, headers: { ...own, "content-type": "application/x-www-form-urlencoded" } });
    assert.equal(answer.status, 404);
    pages.add(answer.text);
  }
  assert.equal(pages.size, 1);
});

await check("a second link for a person voids the first, and works once", async () => {
  const [first, second] = [await table.invite("anna"), await table.invite("anna")];
  for (const [link, status] of [[first, 404], [second, 303], [second, 404]]) {
    assert.equal((await request(at("/join"), { body: { code: codeOf(link) }, headers: own })).status, status);
  }
});

await check("of many who follow one link at the same time one is signed in", async () => {
  const code = codeOf(await table.invite("anna"));
  const answers = await Promise.all(Array.from({ length: 20 }, () => request(at("/join"), { body: { code }, headers: own })));
  assert.deepEqual(answers.map((answer) => answer.status).sort(), [303, ...Array(19).fill(404)]);
});

// ---- The cookie ----

/** A cookie as a response sets it. */
function cookie(answer) {
  const [pair, ...attributes] = answer.headers["set-cookie"][0].split(/;\s*/);
  const [name, value] = pair.split("=");
  return { name, value, attributes: attributes.sort() };
}

await check("the cookie is for this path only, no script reads it, and no other site sends it", async () => {
  const code = codeOf(await table.invite("anna"));
  const set = cookie(await request(at("/join"), { body: { code }, headers: own }));
  assert.match(set.name, /^tt-[0-9a-f]{8}$/);
  assert.deepEqual(set.attributes, ["HttpOnly", `Max-Age=${30 * 86_400}`, "Path=/console", "SameSite=Strict"]);
  const page = await person(chrome, table, "anna");
  assert.equal(await page.evaluate(() => document.cookie), "");
  const [kept] = await page.context().cookies();
  assert.deepEqual([kept.httpOnly, kept.sameSite, kept.path], [true, "Strict", "/console"]);
  await page.context().close();
});

await check("a cookie that somebody planted is replaced and opens nothing", async () => {
  const context = await profile(chrome, table);
  const page = await context.newPage();
  const { name } = cookie(await request(at("/join"), { body: { code: codeOf(await table.invite("anna")) }, headers: own }));
  const planted = `tp_${"B".repeat(43)}`;
  await context.addCookies([{ name, value: planted, domain: "127.0.0.1", path: "/console" }]);
  assert.equal((await page.goto(at("/"))).status(), 401);
  await signIn(page, await table.invite("anna"));
  const values = (await context.cookies()).filter((cookie) => cookie.name === name).map((cookie) => cookie.value);
  assert.equal(values.length, 1);
  assert.notEqual(values[0], planted);
  assert.equal((await request(at("/"), { headers: { cookie: `${name}=${planted}` } })).status, 401);
  await context.close();
});

await check("a session of somebody else's that was planted does not become the person's", async () => {
  await table.invite("mallory", "viewer");
  const mallory = await table.session("mallory");
  const [name, value] = mallory.split("=");
  const context = await profile(chrome, table);
  await context.addCookies([{ name, value, domain: "127.0.0.1", path: "/console" }]);
  const page = await context.newPage();
  await signIn(page, await table.invite("anna"));
  await page.getByText("anna, operator").waitFor();
  assert.notEqual((await context.cookies())[0].value, value);
  assert.equal((await request(at("/"), { headers: { cookie: mallory } })).status, 401, "the session of before is still there");
  await context.close();
});

await check("over TLS the cookie is Secure and bound to this host", async () => {
  const safe = new Table("tls");
  await safe.certify();
  await safe.start();
  const code = codeOf(await safe.invite("anna", "operator"));
  const set = cookie(await request(`${safe.url}/console/join`, { body: { code }, headers: { origin: safe.url } }));
  assert.match(set.name, /^__Host-tt-[0-9a-f]{8}$/);
  assert.deepEqual(set.attributes, ["HttpOnly", `Max-Age=${30 * 86_400}`, "Path=/", "SameSite=Strict", "Secure"]);
  const page = await person(chrome, safe, "anna", undefined, [], { ignoreHTTPSErrors: true });
  await live(page);
  await page.reload();
  await page.getByRole("heading", { name: "Needs you" }).waitFor();
  await page.context().close();
  await safe.stop();
});

await check("behind a proxy that speaks TLS the cookie is Secure, too", async () => {
  const code = codeOf(await table.invite("anna"));
  const headers = { origin: `https://127.0.0.1:${table.port}` };
  const set = cookie(await request(at("/join"), { body: { code }, headers }));
  assert.match(set.name, /^__Host-/);
  assert.ok(set.attributes.includes("Secure"));
});

await check("a person's secret is no agent's token, and an agent's token no session", async () => {
  const secret = (await table.session("anna")).split("=")[1];
  assert.equal((await request(at("/"), { headers: { authorization: `Bearer ${secret}` } })).status, 200);
  const impostor = await table.agent("impostor");
  impostor.token = secret;
  assert.equal((await impostor.ask("heartbeat")).refused?.code, "unauthenticated");
  for (const token of [ada.token, "", "x", codeOf(await table.invite("anna"))]) {
    assert.equal((await request(at("/"), { headers: { authorization: `Bearer ${token}` } })).status, 401, `bearer ${token.slice(0, 3)}`);
  }
  const session = await table.session("anna");
  assert.equal((await request(at("/"), { headers: { cookie: session, authorization: `Bearer ${ada.token}` } })).status, 401);
});

await check("nobody gets in without a session: every page says how to sign in", async () => {
  for (const path of ["", "/", "/needs/1", "/members", "/people", "/health", "/live?view=/", "/no-such-page", "/sign-out"]) {
    const answer = await request(at(path));
    assert.ok([401, 404].includes(answer.status), `${path}: ${answer.status}`);
    if (answer.status === 401) assert.match(answer.text, /team-table person invite/);
    assert.doesNotMatch(answer.text, /ada/);
  }
  for (const path of ["/needs/1", "/needs", "/sign-out", "/people/sessions/1/revoke"]) {
    assert.equal((await request(at(path), { body: {}, headers: own })).status, 401, path);
  }
});

// ---- The end of a session ----

/** The cookie of a page's person. */
const cookieOf = async (page) => (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");

await check("who signs out is out, with this cookie for good", async () => {
  const page = await person(chrome, table, "anna");
  const before = await cookieOf(page);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Signed out" }).waitFor();
  assert.deepEqual(await page.context().cookies(), []);
  assert.equal((await page.goto(at("/"))).status(), 401);
  assert.equal((await request(at("/"), { headers: { cookie: before } })).status, 401);
  await page.context().close();
});

await check("a session that is revoked is out at once: nothing new reaches its open page, which says so", async () => {
  const page = await person(chrome, table, "rita", "viewer");
  await live(page);
  const [session] = (await table.json("person", "sessions", "--name", "rita")).sessions;
  await table.cli("person", "revoke", String(session.session));
  assert.equal((await request(at("/"), { headers: { cookie: await cookieOf(page) } })).status, 401);
  const held = await ada.held("after the revocation");
  await page.locator(".live .word", { hasText: "signed out" }).waitFor();
  assert.equal(await page.getByText("after the revocation").count(), 0);
  assert.equal((await page.reload()).status(), 401);
  await page.context().close();
  await table.cli("escalation", "resolve", String(held), "--deny");
});

await check("a person who is removed is out at once, and their open page says so though nothing happens", async () => {
  const page = await person(chrome, table, "otto", "viewer");
  await live(page);
  await table.cli("person", "remove", "otto");
  assert.equal((await request(at("/"), { headers: { cookie: await cookieOf(page) } })).status, 401);
  await page.locator(".live .word", { hasText: "signed out" }).waitFor();
  assert.equal((await page.reload()).status(), 401);
  await page.context().close();
});

await check("a person ends one of their own sessions on the page, and nobody else's", async () => {
  const page = await person(chrome, table, "vera", "viewer");
  const other = await table.session("vera");
  const annas = await table.session("anna");
  await page.goto(at("/people"));
  const rows = page.getByRole("table", { name: "Sessions" }).getByRole("row").filter({ hasText: "a program" });
  assert.equal(await rows.count(), 1);
  await rows.getByRole("button").click();
  await eventually("the session ends", async () => (await request(at("/"), { headers: { cookie: other } })).status === 401);
  const [anna] = (await table.json("person", "sessions", "--name", "anna")).sessions;
  const forged = await request(at(`/people/sessions/${anna.session}/revoke`), { body: {}, headers: { ...own, cookie: await cookieOf(page) } });
  assert.equal(forged.status, 404);
  assert.equal((await request(at("/"), { headers: { cookie: annas } })).status, 200);
  await page.context().close();
});

await check("a removed person's name is not given again, and their link is void", async () => {
  await assert.rejects(table.cli("person", "invite", "otto", "--role", "viewer"));
  const link = await table.invite("nora", "viewer");
  await table.cli("person", "remove", "nora");
  assert.equal((await request(link)).status, 404);
});

// ---- Other sites ----

await check("no address leads to another site", async () => {
  const session = await table.session("anna");
  const paths = [
    "//evil.example", "//evil.example/", "/\\evil.example", "/%2f%2fevil.example", "/%5cevil.example", "/..//evil.example",
    "/?next=https://evil.example", "/needs/1?next=//evil.example", "/join/x?next=//evil.example", "/https://evil.example",
  ];
  for (const path of paths) {
    for (const headers of [{}, { cookie: session }]) {
      const answer = await request(at(path), { headers });
      assert.equal(answer.headers.location, undefined, path);
    }
  }
  const code = codeOf(await table.invite("anna"));
  const body = { code, next: "https://evil.example", return_to: "//evil.example", redirect: "https://evil.example" };
  const joined = await request(at("/join?next=//evil.example"), { body, headers: { ...own, referer: "https://evil.example/" } });
  assert.deepEqual([joined.status, joined.headers.location], [303, "/console/"]);
  const held = await ada.held("no address leads to another site");
  const decided = await request(at(`/needs/${held}?next=//evil.example`), { body: { do: "deny", ...body }, headers: { ...own, cookie: session } });
  assert.equal(decided.status, 303);
  assert.match(decided.headers.location, /^\/console\//);
});

const elsewhere = await freePort();
/** A page of another site on this machine: its cookies are the console's, for browsers leave ports out. */
let foreign;
const site = http.createServer((_, answer) => {
  answer.setHeader("content-type", "text/html");
  answer.end(foreign);
});
await new Promise((resolve) => site.listen(elsewhere, "127.0.0.1", resolve));

await check("what another page sends is refused and changes nothing", async () => {
  const session = await table.session("anna");
  const held = await ada.held("what another page sends");
  const code = codeOf(await table.invite("anna"));
  const host = `127.0.0.1:${table.port}`;
  const senders = {
    "another site": { origin: "https://evil.example" },
    "no origin": {},
    "an opaque origin": { origin: "null" },
    "another port": { origin: `http://127.0.0.1:${elsewhere}` },
    "another port of localhost": { origin: `http://localhost:${elsewhere}` },
    "this port by another name": { origin: `http://localhost:${table.port}` },
    "our name in another": { origin: `http://${host}.evil.example` },
    "our name as a user": { origin: `http://${host}@evil.example` },
    "our name in a path": { origin: `http://evil.example/${host}` },
    "cross-site, says the browser": { ...own, "sec-fetch-site": "cross-site" },
    "same-site, says the browser": { ...own, "sec-fetch-site": "same-site" },
    "none, says the browser": { ...own, "sec-fetch-site": "none" },
    "an empty bearer": { origin: "https://evil.example", authorization: "Bearer " },
    "a basic password": { origin: "https://evil.example", authorization: "Basic dTpw" },
  };
  for (const [who, headers] of Object.entries(senders)) {
    for (const [path, body] of [[`/needs/${held}`, { do: "approve" }], ["/needs", { do: "approve", item: held }], ["/sign-out", {}], ["/join", { code }]]) {
      const answer = await request(at(path), { body, headers: { ...headers, cookie: session } });
      const refused = who === "an empty bearer" ? [401, 403] : [403];
      // A link is followed by whoever has it; an empty bearer takes nothing from that.
      assert.ok(refused.includes(answer.status), `${who}, ${path}: ${answer.status}`);
      assert.equal(answer.headers["set-cookie"], undefined);
    }
  }
  assert.deepEqual((await table.open()).map((row) => row.id), [held]);
  assert.equal((await request(at("/"), { headers: { cookie: session } })).status, 200);
  assert.equal((await request(at("/join"), { body: { code }, headers: own })).status, 303);
  await table.cli("escalation", "resolve", String(held), "--deny");
});

await check("the form of a page on another port of this machine is refused by the real browser", async () => {
  const held = await ada.held("the form of a page on another port");
  const page = await person(chrome, table, "anna");
  foreign = `<form method=post action="${at(`/needs/${held}`)}"><input name=do value=approve></form><script>document.forms[0].submit()</script>`;
  const answered = page.waitForResponse((response) => response.request().method() === "POST");
  await page.goto(`http://127.0.0.1:${elsewhere}/`);
  const response = await answered;
  assert.equal(response.status(), 403);
  // Without the cookie, nothing would have been tried.
  assert.match((await response.request().allHeaders()).cookie ?? "", /^tt-/);
  await page.getByRole("heading", { name: "this form was sent by another page" }).waitFor();
  assert.deepEqual((await table.open()).map((row) => row.id), [held]);
  await page.context().close();
  await table.cli("escalation", "resolve", String(held), "--deny");
});

await check("no other page reads ours, frames it, or loads its files with the person's cookie", async () => {
  const page = await person(chrome, table, "anna");
  foreign = "<p>elsewhere</p>";
  await page.goto(`http://127.0.0.1:${elsewhere}/`);
  for (const path of ["/", "/people", "/live?view=/"]) {
    const read = await page.evaluate((address) => fetch(address, { credentials: "include" }).then((answer) => answer.text(), () => "refused"), at(path));
    assert.equal(read, "refused");
    const opaque = await page.evaluate((address) => fetch(address, { credentials: "include", mode: "no-cors" }).then((answer) => answer.text(), () => "refused"), at(path));
    assert.ok(opaque === "" || opaque === "refused", opaque);
  }
  const framed = await page.evaluate((address) => new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.src = address;
    frame.onload = () => { try { resolve(frame.contentDocument === null ? "closed" : "blank"); } catch { resolve("closed"); } };
    document.body.append(frame);
  }), at("/"));
  assert.equal(framed, "closed");
  const frame = page.frames().find((frame) => frame !== page.mainFrame());
  assert.doesNotMatch(await frame.content(), /Needs you/);
  await page.context().close();
  // Its refusals are what was asked for.
  troubles.length = 0;
});

await check("every response has the content policy and may neither be framed, guessed at, nor kept", async () => {
  const session = await table.session("anna");
  const asset = /\/console(\/assets\/[^"]+)/.exec((await request(at("/"), { headers: { cookie: session } })).text)[1];
  const asked = [
    ["/"], ["/members"], ["/people"], ["/health"], ["/no-such-page"], ["/needs/999"], ["/needs/x"], ["/needs/99999999999999999999"], [asset],
    ["/assets/x/console.css"], ["/join/x"], ["/live?view=/nothing"],
    ["/", { method: "HEAD" }], ["/", { method: "OPTIONS" }], ["/", { method: "PUT", headers: own }], ["/", { method: "DELETE" }],
    ["/needs/x", { body: { do: "deny" }, headers: own }], ["/needs/999", { body: { do: "deny" }, headers: own }], ["/needs", { body: {}, headers: own }],
    ["/sign-out", { body: {} }],
  ];
  for (const signedIn of [true, false]) {
    for (const [path, options = {}] of asked) {
      const headers = { ...options.headers, ...(signedIn && { cookie: session }) };
      const answer = await request(at(path), { ...options, headers });
      const what = `${options.method ?? (options.body ? "POST" : "GET")} ${path}: ${answer.status}`;
      const policy = answer.headers["content-security-policy"];
      assert.match(policy ?? "", /^default-src 'none';/, what);
      assert.match(policy, /frame-ancestors 'none'/, what);
      assert.match(policy, /form-action 'self'/, what);
      assert.doesNotMatch(policy, /unsafe|https?:|\*/, what);
      assert.equal(answer.headers["x-frame-options"], "DENY", what);
      assert.equal(answer.headers["x-content-type-options"], "nosniff", what);
      assert.equal(answer.headers["access-control-allow-credentials"], undefined, what);
      assert.ok(answer.status < 500, what);
      if (path !== asset) assert.equal(answer.headers["cache-control"], "no-store", what);
    }
  }
});

await check("what the server refuses before the console sees it is no page: another site, a foreign name, too large a form", async () => {
  const session = await table.session("anna");
  const refused = [
    [403, { headers: { origin: "https://evil.example" } }],
    [403, { headers: { host: `evil.example:${table.port}` } }],
    [413, { body: { text: "x".repeat(1_200_000) }, headers: { ...own, connection: "close" } }],
  ];
  for (const [status, options] of refused) {
    const answer = await request(at("/needs/1"), { ...options, headers: { ...options.headers, cookie: session } });
    assert.equal(answer.status, status);
    assert.match(answer.headers["content-type"], /^text\/plain/);
    assert.doesNotMatch(answer.text, /Needs you/);
  }
});

await check("a browser that asks whether another page may send the cookie (preflight) is not told so", async () => {
  for (const origin of ["https://evil.example", `http://localhost:${elsewhere}`]) {
    const headers = { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization" };
    const answer = await request(at("/needs/1"), { method: "OPTIONS", headers });
    assert.equal(answer.headers["access-control-allow-credentials"], undefined);
    if (origin.includes("evil")) assert.equal(answer.headers["access-control-allow-origin"], undefined);
  }
});

await check("no secret is in the server's log, nor in what the browser is told of the session", async () => {
  assert.doesNotMatch(readFileSync(table.log, "utf8"), /tp_[A-Za-z0-9_-]{20}/);
});

site.close();
await check("no error in the browser, no violation of the content policy", () => assert.deepEqual(troubles, []));
await finish();
