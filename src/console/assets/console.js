// Keeps a page live and adds keys. Every page works without this file.
"use strict";

// One event stream, which rests while nobody looks: browsers allow six connections to a server over HTTP/1.1, and every open
// page would take one. A page that is looked at again gets what has changed since (Last-Event-ID, or the digests it has).
class PageStream extends EventTarget {
  constructor(address) {
    super();
    this.address = new URL(address, location.href);
    this.names = new Map();
    this.readyState = EventSource.CONNECTING;
    this.last = null;
    this.pause = 2000;
    document.addEventListener("visibilitychange", () => this.rest());
    this.open();
  }

  open() {
    if (this.last) this.address.searchParams.set("have", this.last);
    this.source = new EventSource(this.address);
    this.source.onopen = (event) => {
      this.readyState = EventSource.OPEN;
      this.pause = 2000;
      say("live");
      this.onopen?.(event);
    };
    this.source.onerror = () => {
      say("reconnecting");
      // The browser tries again by itself, unless the server refused: it may be starting.
      if (this.source.readyState === EventSource.CLOSED && !this.over) {
        clearTimeout(this.again);
        this.again = setTimeout(() => this.open(), this.pause);
        this.pause = Math.min(this.pause * 2, 60000);
      }
    };
    this.source.addEventListener("ended", () => {
      this.over = true;
      this.source.close();
      say("signed out");
    });
    for (const name of this.names.keys()) this.listen(name);
  }

  listen(name) {
    this.source.addEventListener(name, (event) => {
      this.last = event.lastEventId;
      for (const listener of this.names.get(name) ?? []) listener(event);
    });
  }

  addEventListener(name, listener) {
    if (!this.names.has(name)) {
      this.names.set(name, new Set());
      this.listen(name);
    }
    this.names.get(name).add(listener);
  }

  removeEventListener(name, listener) {
    this.names.get(name)?.delete(listener);
  }

  close() {
    this.over = true;
    this.source.close();
    this.readyState = EventSource.CLOSED;
  }

  rest() {
    if (this.over || wantsNotices()) return;
    clearTimeout(this.again);
    if (document.hidden) {
      this.source.close();
      say("resting");
    } else if (this.source.readyState === EventSource.CLOSED) {
      this.open();
    }
  }
}
if (window.htmx) htmx.createEventSource = (address) => new PageStream(address);

function say(word) {
  const live = document.querySelector(".live");
  if (!live) return;
  live.hidden = false;
  live.classList.toggle("live-lost", word !== "live" && word !== "resting");
  const text = live.querySelector(".word");
  if (text.textContent !== word) text.textContent = word;
}

// What a person has ticked and where they are stays, although the list is put in anew.
let kept = null;
document.addEventListener("htmx:sseBeforeMessage", (event) => {
  const region = event.target;
  kept = {
    ticked: [...region.querySelectorAll("input:checked")].map((input) => input.value),
    folds: [...region.querySelectorAll("details")].map((details) => details.open),
    focus: region.contains(document.activeElement) ? address(document.activeElement) : null,
  };
});
document.addEventListener("htmx:sseMessage", (event) => {
  const region = event.target;
  if (kept) {
    for (const input of region.querySelectorAll("input.pick")) input.checked = kept.ticked.includes(input.value);
    region.querySelectorAll("details").forEach((details, index) => (details.open = kept.folds[index] ?? details.open));
    const focus = kept.focus && region.querySelector(kept.focus);
    if (focus) focus.focus({ preventScroll: true });
    kept = null;
  }
  times();
  notices();
  if (region.id === "state" && region.querySelector("[data-closed]")) {
    // Decided elsewhere: the form has no use any more, what was typed in it stays.
    for (const button of document.querySelectorAll(".decide button")) button.disabled = true;
  }
});

// How an element is found again after its region was put in anew.
function address(element) {
  const quote = (text) => JSON.stringify(text);
  if (element.id) return `[id=${quote(element.id)}]`;
  if (element.getAttribute("href")) return `a[href=${quote(element.getAttribute("href"))}]`;
  if (element.name) return `[name=${quote(element.name)}][value=${quote(element.value)}]`;
  return null;
}

// Relative times, by the rule of `words::span`.
function span(milliseconds) {
  const minutes = Math.floor(Math.max(0, milliseconds) / 60000);
  if (minutes < 1) return "now";
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h`;
  return `${Math.floor(minutes / 1440)} d`;
}
function times() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const at = Date.parse(time.dateTime);
    const short = span("until" in time.dataset ? at - Date.now() : Date.now() - at);
    const words = !("when" in time.dataset) ? short : short === "now" ? "just now" : `${short} ago`;
    if (time.textContent !== words) time.textContent = words;
  }
}
setInterval(times, 30000);

// Notices on the desktop, for a page that is open. Asked for by a button, never at once.
const wantsNotices = () => {
  try {
    return localStorage.getItem("team-table-notices") === "on" && Notification.permission === "granted";
  } catch {
    return false;
  }
};
let open = null;
function notices() {
  const button = document.getElementById("notify");
  if (button && "Notification" in window) {
    button.hidden = Notification.permission === "denied";
    button.textContent = wantsNotices() ? "Notices are on" : "Notify me";
    button.setAttribute("aria-pressed", String(wantsNotices()));
  }
  const count = Number.parseInt(document.querySelector(".nav .count")?.textContent ?? "0", 10);
  if (open !== null && count > open && document.hidden && wantsNotices()) {
    const line = document.querySelector("#list .item .line")?.textContent ?? "";
    new Notification(count === 1 ? "One item waits for you" : `${count} items wait for you`, { body: line, tag: "team-table" });
  }
  open = count;
  document.title = document.title.replace(/^(\(\d+\) )?/, count > 0 ? `(${count}) ` : "");
}
document.addEventListener("click", async (event) => {
  if (event.target.id !== "notify") return;
  const on = !wantsNotices() && (await Notification.requestPermission()) === "granted";
  localStorage.setItem("team-table-notices", on ? "on" : "off");
  notices();
});

// Keys: j k move, r replies, a approves, d denies or dismisses, / searches.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox]), textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const button = (...names) => names.map((name) => document.querySelector(`.decide button[value="${name}"]`)).find(Boolean);
  const step = (by) => {
    const links = [...document.querySelectorAll("#list .item a")];
    const at = links.findIndex((link) => link.hasAttribute("aria-current"));
    return links[at < 0 ? 0 : at + by];
  };
  const actions = {
    j: () => step(1)?.click(),
    k: () => step(-1)?.click(),
    r: () => document.getElementById("reply")?.focus(),
    a: () => button("approve")?.focus(),
    d: () => button("deny", "dismiss")?.focus(),
    "/": () => {
      const field = document.querySelector("input[type=search]");
      if (field) field.focus();
      else location.assign(`${document.body.dataset.base}/search`);
    },
  };
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

// A form is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

document.addEventListener("DOMContentLoaded", () => {
  for (const hint of document.querySelectorAll(".keys")) hint.hidden = false;
  // On a narrow screen the menu is a line that scrolls.
  document.querySelector(".nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  times();
  notices();
});
