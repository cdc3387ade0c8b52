// passkeys.mjs: signing in by a passkey, with an authenticator that Chromium stands in for.
import assert from "node:assert/strict";
import { browser, check, finish, person, profile, request, signIn, Table, troubles } from "./lib.mjs";

const table = new Table();
await table.certify();
await table.start();
const at = (path) => `${table.url}/console${path}`;
// Browsers have passkeys for hosts whose certificate they trust alone.
const chrome = await browser("--ignore-certificate-errors");
const post = (path, content, headers = {}) =>
  request(at(path), { body: JSON.stringify(content), headers: { origin: table.url, "content-type": "application/json", ...headers } });

const page = await person(chrome, table, "anna", "operator", [], { ignoreHTTPSErrors: true });
const devtools = await page.context().newCDPSession(page);
await devtools.send("WebAuthn.enable");
const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", {
  options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
});
const verified = (isUserVerified) => devtools.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified });
const signOut = async () => {
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Signed out" }).waitFor();
  await page.goto(at("/"));
};
const signInAs = async (name) => {
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
};

await check("over plain http no page offers a passkey", async () => {
  const plain = new Table("plain");
  await plain.start();
  const visitor = await person(chrome, plain, "anna", "operator");
  await visitor.goto(`${plain.url}/console/people`);
  await visitor.getByRole("heading", { name: "Persons" }).waitFor();
  assert.equal(await visitor.getByText("passkey").count(), 0);
  const refused = await request(`${plain.url}/console/sign-in/begin`, {
    body: JSON.stringify({ name: "anna" }), headers: { origin: plain.url, "content-type": "application/json" },
  });
  assert.ok(refused.status >= 400 && refused.status < 500, `${refused.status}`);
  await visitor.context().close();
  await plain.stop();
});

await check("a person adds a passkey, and it is listed", async () => {
  await page.goto(at("/people"));
  await page.getByRole("button", { name: "Add a passkey" }).click();
  await page.getByRole("table", { name: "Your passkeys" }).getByText(table.url).waitFor();
});

/** What the browser sent, to be sent again. */
let sent;
await check("it signs them in by their name, in whatever case; the session is as any other", async () => {
  await signOut();
  const request = page.waitForRequest((request) => request.url().endsWith("/sign-in/finish"));
  await signInAs("Anna");
  sent = (await request).postData();
  await page.getByRole("heading", { name: "Needs you" }).waitFor();
  const [cookie] = await page.context().cookies();
  assert.match(cookie.name, /^__Host-tt-/);
  assert.deepEqual([cookie.httpOnly, cookie.secure, cookie.sameSite], [true, true, "Strict"]);
  assert.equal((await table.json("person", "sessions", "--name", "anna")).sessions.length, 1);
});

await check("the same answer a second time signs nobody in", async () => {
  const again = await post("/sign-in/finish", JSON.parse(sent));
  assert.equal(again.status, 401);
  assert.equal(again.headers["set-cookie"], undefined);
});

await check("an answer to another challenge signs nobody in", async () => {
  const begun = JSON.parse((await post("/sign-in/begin", { name: "anna" })).text);
  const again = await post("/sign-in/finish", { ...JSON.parse(sent), id: begun.id });
  assert.equal(again.status, 401);
  for (const id of ["", "x", "tp_" + "A".repeat(43)]) assert.equal((await post("/sign-in/finish", { ...JSON.parse(sent), id })).status, 401);
});

/** The shape of an answer: the names of its fields and the kinds of what is in them. */
const shape = (value) =>
  Array.isArray(value) ? value.map(shape) : value && typeof value === "object" ? Object.fromEntries(Object.entries(value).sort().map(([name, value]) => [name, shape(value)])) : typeof value;

await check("a stranger does not learn which names there are", async () => {
  const begin = async (name) => JSON.parse((await post("/sign-in/begin", { name })).text);
  const [known, unknown] = [await begin("anna"), await begin("nobody")];
  assert.deepEqual(shape(unknown), shape(known));
  const fixed = ({ options }) => [options.publicKey.timeout, options.publicKey.rpId, options.publicKey.userVerification];
  assert.deepEqual(fixed(unknown), fixed(known));
  const keys = async (name) => (await begin(name)).options.publicKey.allowCredentials.map((key) => key.id);
  for (const [one, other] of [["anna", "ANNA"], ["nobody", "NOBODY"], ["nobody", "nobody"]]) assert.deepEqual(await keys(one), await keys(other), one);
  assert.notDeepEqual(await keys("nobody"), await keys("nobody else"));
  const refused = await post("/sign-in/finish", { ...JSON.parse(sent), id: unknown.id });
  assert.equal(refused.status, 401);
});

await check("who is not verified by the authenticator is not signed in, and told so", async () => {
  await signOut();
  await verified(false);
  await signInAs("anna");
  await page.getByRole("alert").waitFor();
  await verified(true);
  assert.equal((await page.context().cookies()).length, 0);
  await page.goto(at("/"));
});

await check("another page begins and finishes nothing", async () => {
  for (const path of ["/sign-in/begin", "/sign-in/finish", "/passkeys/begin", "/passkeys/finish"]) {
    for (const origin of ["https://evil.example", "http://localhost:1", undefined]) {
      const answer = await request(at(path), { body: JSON.stringify({ name: "anna" }), headers: { "content-type": "application/json", ...(origin && { origin }) } });
      assert.equal(answer.status, 403, `${path} from ${origin}`);
    }
  }
  assert.equal((await post("/passkeys/begin", {})).status, 401);
});

await check("what is no answer of a browser is refused, whatever it is", async () => {
  const session = await table.session("anna");
  for (const path of ["/sign-in/begin", "/sign-in/finish", "/passkeys/finish"]) {
    for (const body of ["", "{}", "[]", "null", `"x"`, "{", `{"id":1}`, `{"id":"x","credential":{}}`, `{"name":null}`]) {
      const answer = await request(at(path), { body, headers: { origin: table.url, cookie: session, "content-type": "application/json" } });
      assert.ok(answer.status >= 400 && answer.status < 500, `${path} ${body}: ${answer.status}`);
    }
  }
});

await check("a session that is planted before is not the one after", async () => {
  const planted = await table.session("anna");
  const [name, value] = planted.split("=");
  await page.context().addCookies([{ name, value, url: table.url, secure: true, httpOnly: true, sameSite: "Strict" }]);
  // The page that offers to sign in is for those who are not.
  await page.context().clearCookies();
  await page.goto(at("/"));
  await page.context().addCookies([{ name, value, url: table.url, secure: true, httpOnly: true, sameSite: "Strict" }]);
  await signInAs("anna");
  await page.getByRole("heading", { name: "Needs you" }).waitFor();
  assert.notEqual((await page.context().cookies())[0].value, value);
  assert.equal((await request(at("/"), { headers: { cookie: planted } })).status, 401);
});

await check("a passkey that is removed signs nobody in any more", async () => {
  await page.goto(at("/people"));
  await page.getByRole("table", { name: "Your passkeys" }).getByRole("button", { name: /^Remove/ }).click();
  await page.getByText("None yet. With one you sign in without a link.").waitFor();
  await signOut();
  await signInAs("anna");
  await page.getByRole("alert").waitFor();
  assert.equal((await page.context().cookies()).length, 0);
});

await check("a person who is removed has no passkey any more", async () => {
  await signIn(page, await table.invite("anna"));
  await page.goto(at("/people"));
  await page.getByRole("button", { name: "Add a passkey" }).click();
  await page.getByRole("table", { name: "Your passkeys" }).waitFor();
  await table.cli("person", "remove", "anna");
  await page.goto(at("/"));
  await signInAs("anna");
  await page.getByRole("alert").waitFor();
  assert.equal((await page.context().cookies()).filter((cookie) => cookie.value).length <= 1, true);
  assert.equal((await page.goto(at("/"))).status(), 401);
});

await check("no error in the browser, no violation of the content policy", () => assert.deepEqual(troubles, []));
await finish();
