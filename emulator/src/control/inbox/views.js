"use strict";

// Users, requests, clock and faults. What is common to all pages is in inbox.js.

const API = "/_emulator/v1/";

/** Calls a control endpoint; a refusal is shown and gives nothing. */
async function call(method, path, body) {
  const response = await fetch(API + path, { method, body: body === undefined ? undefined : JSON.stringify(body) });
  const data = await response.json();
  if (response.ok) return data;
  toast(data.errorMessage);
  return null;
}

const quietButton = (label, name, onclick) =>
  make("button", { class: "quiet", type: "button", "aria-label": `${label} ${name}`, onclick }, label);

/** Replaces the table of a view when its data has changed, so that focus and selection stay otherwise. */
function fill(view, data, build) {
  const table = view.querySelector("[data-table]");
  const text = JSON.stringify(data);
  view.querySelector("[data-none]").hidden = data.length > 0;
  table.hidden = !data.length;
  if (table.dataset.shown === text) return;
  const hadFocus = table.contains(document.activeElement) && document.activeElement !== table;
  table.dataset.shown = text;
  table.replaceChildren(...build(data));
  if (hadFocus && !table.contains(document.activeElement)) view.querySelector("h1").focus();
}

function table(names, rows) {
  return [make("table", {},
    make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name || make("span", { class: "unseen" }, "Actions"))))),
    make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((cell, at) =>
      make("td", { class: at === cells.length - 1 ? "act" : null, "data-name": names[at] }, cell || "–"))))))];
}

function userRow(user) {
  const verified = [user.verifiedEmail && user.email, user.verifiedPhone && user.phone].filter(Boolean);
  const tenants = user.userTenants.map(({ tenantName, roleNames }) => tenantName + (roleNames.length ? ` (${roleNames.join(", ")})` : ""));
  return [
    user.loginIds.join(", "), user.name, user.status + (user.test ? ", test user" : ""), verified.join(", "),
    user.roleNames.join(", "), tenants.join(", "),
    quietButton("Delete", user.loginIds[0], () => call("DELETE", `users?loginId=${encodeURIComponent(user.loginIds[0])}`)),
  ];
}

function requestRow(request) {
  const status = request.status ?? "no response";
  const why = [request.errorCode, request.fault && `fault: ${request.fault}`].filter(Boolean).join(", ");
  const headers = request.headers.map(([name, value]) => `${name}: ${value}`).join("\n");
  const body = typeof request.body === "string" ? request.body : JSON.stringify(request.body, null, 2);
  return make("details", { class: "call", "data-id": request.id },
    make("summary", {},
      make("span", { class: `status ${request.status < 400 ? "ok" : "bad"}` }, String(status)),
      make("span", { class: "path" }, `${request.method} ${request.path}${request.query ? `?${request.query}` : ""}`),
      why ? make("span", { class: "why" }, why) : null,
      make("time", { datetime: request.at }, timeText(request.at))),
    make("pre", {}, body ? `${headers}\n\n${body}` : headers));
}

/** What each view loads and draws. */
const VIEWS = {
  messages: null,
  users: async (view) => {
    const response = await call("GET", "users");
    const byName = (one, other) => one.loginIds[0].localeCompare(other.loginIds[0]);
    if (response) fill(view, response.users.sort(byName), (users) => table(["Login IDs", "Name", "Status", "Verified", "Roles", "Tenants", ""], users.map(userRow)));
  },
  requests: async (view) => {
    const response = await call("GET", "journal");
    if (!response) return;
    const open = new Set([...view.querySelectorAll("details[open]")].map((entry) => entry.dataset.id));
    fill(view, response.requests.slice(-200).reverse(), (requests) => requests.map(requestRow));
    for (const entry of view.querySelectorAll("details")) entry.open = entry.open || open.has(entry.dataset.id);
  },
  clock: async () => {
    const response = await call("GET", "clock");
    if (!response) return;
    state.now = Date.parse(response.now);
    state.skew = state.now - Date.now();
    state.frozen = response.frozen;
    showClock();
  },
  faults: async (view) => {
    const response = await call("GET", "faults");
    if (!response) return;
    const choice = view.querySelector("select");
    if (!choice.options.length) choice.append(make("option", { value: "" }, "every request"), ...response.operations.map((id) => make("option", {}, id)));
    fill(view, response.faults, (faults) => table(["Where", "What happens", "How often", "Has hit", ""], faults.map((fault) => [
      fault.operation || fault.path || "every request",
      fault.effect + (fault.afterHandling ? ", after it took effect" : ""),
      fault.times === null ? "always" : `${fault.times} times`, String(fault.hits),
      quietButton("Remove", fault.operation || fault.path || "fault", () => call("DELETE", `faults/${fault.id}`)),
    ])));
  },
};

function showClock() {
  const time = byId("clock-now");
  const text = new Date(now()).toISOString().replace("T", " ").slice(0, 19) + " UTC";
  if (time.textContent !== text) time.textContent = text;
  const skewed = Math.abs(state.skew) > 2000;
  byId("clock-kind").textContent = state.frozen ? "stands still" : skewed ? "moved" : "real time";
  byId("freeze").textContent = state.frozen ? "Resume" : "Freeze";
}

const current = () => (location.hash.slice(1) in VIEWS ? location.hash.slice(1) : "messages");

let drawing = false;
let stale = false;
/** One load at a time; what happens meanwhile asks for one more. */
async function draw() {
  if (drawing) { stale = true; return; }
  drawing = true;
  try {
    do {
      stale = false;
      const name = current();
      if (VIEWS[name]) await VIEWS[name](byId(name));
    } while (stale);
  } catch {
    live("off", "Not reachable");
  } finally {
    drawing = false;
  }
}

function show(moveFocus) {
  const name = current();
  document.body.classList.toggle("on-messages", name === "messages");
  for (const link of document.querySelectorAll(".views a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  for (const view of document.querySelectorAll(".view")) view.hidden = view.id !== name;
  drawList();
  if (moveFocus && name !== "messages") byId(`${name}-title`).focus();
  draw();
}

byId("add-user").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const user = Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
  if (await call("POST", "users", user)) { form.reset(); toast("User added"); }
});
byId("clear-requests").addEventListener("click", () => call("DELETE", "journal"));
for (const button of document.querySelectorAll("[data-advance]")) {
  button.addEventListener("click", () => call("POST", "clock", { advanceSeconds: Number(button.dataset.advance) }));
}
byId("freeze").addEventListener("click", () => call("POST", "clock", { frozen: !state.frozen }));
byId("real").addEventListener("click", () => call("POST", "clock", { real: true }));
byId("set-clock").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (await call("POST", "clock", { set: new FormData(event.target).get("set") })) event.target.reset();
});
byId("add-fault").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const effects = {
    503: { respond: { status: 503 } }, 429: { rateLimited: { retryAfterSeconds: 5 } }, delay: { delayMillis: 2000 },
    hold: { hold: true }, blackHole: { blackHole: true }, cut: { cutBodyAfter: 10 }, reset: { reset: true },
  };
  const fault = { ...effects[form.get("effect")], afterHandling: form.has("afterHandling") };
  if (form.get("operation")) fault.operation = form.get("operation");
  if (form.get("times")) fault.times = Number(form.get("times"));
  if (await call("POST", "faults", fault)) toast("Fault added");
});
addEventListener("hashchange", () => show(true));
document.addEventListener("changed", draw);
setInterval(() => { if (current() === "clock") showClock(); }, 500);
show(false);
