// Passkeys: shows their forms where the browser has them, and passes challenges and answers between server and browser.
"use strict";

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

async function post(address, content) {
  const answer = await fetch(address, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(content),
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(`${body.error}; ${body.hint}`);
  return body;
}

function options({ publicKey }) {
  publicKey.challenge = bytes(publicKey.challenge);
  if (publicKey.user) publicKey.user.id = bytes(publicKey.user.id);
  for (const list of [publicKey.allowCredentials, publicKey.excludeCredentials]) {
    for (const credential of list ?? []) credential.id = bytes(credential.id);
  }
  return { publicKey };
}

function answer(credential) {
  const response = {};
  for (const field of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[field]) response[field] = text(credential.response[field]);
  }
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    response,
    extensions: credential.getClientExtensionResults(),
  };
}

function bind(id, run) {
  const form = document.getElementById(id);
  if (!form || !window.PublicKeyCredential) return;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const notice = form.querySelector(".notice");
    notice.hidden = true;
    try {
      location.assign((await run(form)).to);
    } catch (error) {
      notice.textContent = error.name === "NotAllowedError" ? "The browser did not let this passkey through." : error.message;
      notice.hidden = false;
    }
  });
}

bind("passkey-sign-in", async (form) => {
  const base = form.dataset.base;
  const begun = await post(`${base}/sign-in/begin`, { name: form.elements.name.value.trim() });
  const credential = await navigator.credentials.get(options(begun.options));
  return post(`${base}/sign-in/finish`, { id: begun.id, credential: answer(credential) });
});
bind("passkey-add", async () => {
  const base = document.body.dataset.base;
  const begun = await post(`${base}/passkeys/begin`, {});
  const credential = await navigator.credentials.create(options(begun.options));
  return post(`${base}/passkeys/finish`, { id: begun.id, credential: answer(credential) });
});
