"use strict";

const SVG = "http://www.w3.org/2000/svg";
const SIGNS = {
  email: ["M3 6.5A2 2 0 0 1 5 4.5h10a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z", "m3.5 6 6.5 5 6.5-5"],
  sms: ["M4 4.5h12a1.5 1.5 0 0 1 1.5 1.5v6.5a1.5 1.5 0 0 1-1.5 1.5H9.5L6 17v-3H4A1.5 1.5 0 0 1 2.5 12.5V6A1.5 1.5 0 0 1 4 4.5z", "M6.5 9.25h.01M10 9.25h.01M13.5 9.25h.01"],
  whatsapp: ["M10 3a7 7 0 0 0-6 10.6L3 17l3.5-.9A7 7 0 1 0 10 3z", "M7.5 7.5c.2 2.5 2.3 4.7 5 5"],
};
const CHANNELS = { email: "Email", sms: "Text message", whatsapp: "WhatsApp" };
const PURPOSES = {
  "sign-up": "Sign-up", "sign-in": "Sign-in", "sign-up-or-in": "Sign-up or in", "step-up": "Step-up", mfa: "Second factor",
  "update-email": "New email address", "update-phone": "New phone number",
};

const byId = (id) => document.getElementById(id);
const state = { messages: [], total: 0, selected: null, query: "", skew: 0, frozen: false, now: 0, seen: new Set(), loaded: false };

/** Makes an element; text goes in as text, never as markup. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function sign(channel) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  for (const line of SIGNS[channel] || SIGNS.email) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", line);
    svg.append(path);
  }
  return make("span", { class: `sign ${channel}`, title: CHANNELS[channel] || channel }, svg);
}

/** The emulator's time, which may be ahead of this machine's or stand still. */
const now = () => (state.frozen ? state.now : Date.now() + state.skew);

function stateOf(message) {
  if (message.state === "pending" && now() >= Date.parse(message.expiresAt)) return "expired";
  return message.state;
}

function stateText(message) {
  const what = stateOf(message);
  if (what === "used") return "Used";
  if (what === "expired") return "Expired";
  const left = Math.max(0, Math.ceil((Date.parse(message.expiresAt) - now()) / 1000));
  if (left >= 3600) return `${Math.floor(left / 3600)} h ${Math.floor((left % 3600) / 60)} min left`;
  return `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")} left`;
}

function timeText(text) {
  const at = new Date(text);
  const today = new Date(now()).toDateString() === at.toDateString();
  return today
    ? at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" })
    : at.toLocaleString([], { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
}

function matches(message) {
  const words = state.query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return true;
  const text = [
    message.to, message.loginId, message.subject, message.text, message.channel, CHANNELS[message.channel], message.purpose,
    message.templateId, message.locale, message.providerId, stateOf(message),
    ...Object.entries(message.templateOptions).flat(),
  ].filter(Boolean).join("\n").toLowerCase();
  return words.every((word) => text.includes(word));
}

const shown = () => state.messages.filter(matches);
const selected = () => state.messages.find((message) => message.id === state.selected);

function drawList() {
  const list = byId("messages");
  const visible = shown();
  list.replaceChildren(...visible.map((message) => {
    const chosen = message.id === state.selected;
    const fresh = state.loaded && !state.seen.has(message.id);
    const row = make("li", {
      class: `row${fresh ? " fresh" : ""}${stateOf(message) === "pending" ? "" : " done"}`,
      id: `message-${message.id}`, role: "option", "aria-selected": String(chosen),
      onclick: () => choose(message.id, true),
    },
      sign(message.channel),
      make("span", { class: "to" }, message.to),
      make("time", { datetime: message.sentAt, title: message.sentAt }, timeText(message.sentAt)),
      make("span", { class: "what" }, message.channel === "email" ? message.subject : PURPOSES[message.purpose] || message.purpose),
      make("span", { class: `tag ${stateOf(message)}`, "data-state": message.id }, stateText(message)),
    );
    return row;
  }));
  state.messages.forEach((message) => state.seen.add(message.id));
  if (selected()) list.setAttribute("aria-activedescendant", `message-${state.selected}`);
  else list.removeAttribute("aria-activedescendant");
  const any = state.messages.length > 0;
  byId("none").hidden = !any || visible.length > 0;
  const older = state.total - state.messages.length;
  byId("more").hidden = older <= 0;
  byId("more").textContent = `${older} older ${older === 1 ? "message is" : "messages are"} not shown.`;
  const here = document.body.classList.contains("on-messages");
  byId("empty").hidden = any || !state.loaded || !here;
  byId("main").hidden = !any || !here;
  byId("clear").hidden = !any;
  const unread = state.messages.filter((message) => stateOf(message) === "pending").length;
  const title = document.querySelector(".views [aria-current]").textContent;
  document.title = `${unread ? `(${unread}) ` : ""}${title} · Magic-link emulator`;
}

function linked(text, link) {
  const at = text.indexOf(link);
  if (at < 0) return [text];
  return [text.slice(0, at), anchor(link, link, ""), text.slice(at + link.length)];
}

/** Only links to pages are links: what an app's scheme or a script's would do is not for this page. */
function anchor(link, label, kind) {
  if (!/^https?:\/\//i.test(link)) return make("span", { class: "code" }, label === link ? link : "No link to a page");
  return make("a", { href: link, class: kind, target: "_blank", rel: "noopener noreferrer" }, label);
}

function facts(rows) {
  return make("dl", { class: "facts" }, ...rows.filter(([, value]) => value).map(([name, value, code]) =>
    make("div", {}, make("dt", {}, name), make("dd", { class: code ? "code" : null }, value))));
}

function drawDetail() {
  const detail = byId("detail");
  const message = selected();
  if (!message) {
    document.body.classList.remove("reading");
    detail.replaceChildren(make("p", { class: "pick" }, "Pick a message to read it."));
    return;
  }
  const pending = stateOf(message) === "pending";
  const options = Object.entries(message.templateOptions);
  const link = anchor(message.link, pending ? "Open the link" : "Open the link anyway", `main${pending ? "" : " spent"}`);
  link.id = "open";
  detail.replaceChildren(
    make("button", { class: "copy back", type: "button", onclick: back }, "← All messages"),
    make("h2", { class: "title" }, message.subject || PURPOSES[message.purpose]),
    make("div", { class: "head" },
      sign(message.channel),
      make("span", { class: "who" }, `To ${message.to}`,
        make("small", {}, `${CHANNELS[message.channel]}, ${new Date(message.sentAt).toLocaleString()}`)),
      make("span", { class: `tag ${stateOf(message)}`, "data-state": message.id }, stateText(message)),
    ),
    make("div", { class: "letter" },
      make("p", { class: "text" }, ...linked(message.text, message.link)),
      make("div", { class: "actions" }, link,
        make("button", { class: "copy", type: "button", onclick: () => copy(message.link, "Link") }, "Copy link"),
        make("button", { class: "copy", type: "button", onclick: () => copy(message.token, "Token") }, "Copy token")),
    ),
    ...(options.length ? [make("h3", {}, "Template options"), facts(options.map(([name, value]) => [name, value || "(empty)"]))] : []),
    make("h3", {}, "Details"),
    facts([
      ["Purpose", PURPOSES[message.purpose] || message.purpose],
      ["Login ID", message.loginId],
      ["Template", message.templateId],
      ["Language", message.locale],
      ["Connector", message.providerId],
      ["Expires", new Date(message.expiresAt).toLocaleString()],
      ["Token", message.token, true],
    ]),
  );
}

function choose(id, open) {
  state.selected = id;
  if (open) document.body.classList.add("reading");
  drawList();
  drawDetail();
  const row = byId(`message-${id}`);
  if (row) row.scrollIntoView({ block: "nearest" });
  if (open) byId("detail").scrollTop = 0;
}

function back() {
  document.body.classList.remove("reading");
  byId("messages").focus();
}

function move(step) {
  const visible = shown();
  if (!visible.length) return;
  const at = visible.findIndex((message) => message.id === state.selected);
  const next = at < 0 ? 0 : Math.min(visible.length - 1, Math.max(0, at + step));
  choose(visible[next].id, false);
}

let toastTimer = 0;
function toast(text) {
  const element = byId("toast");
  element.textContent = text;
  element.classList.add("show");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => element.classList.remove("show"), 1600);
}

async function copy(text, name) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Not a secure context, or no permission: the older way.
    const area = make("textarea", { "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast(`${name} copied`);
}

async function load() {
  const response = await fetch("/_emulator/v1/messages?limit=500", { headers: { accept: "application/json" } });
  if (!response.ok) throw new Error(`status ${response.status}`);
  const body = await response.json();
  state.now = Date.parse(body.now);
  state.skew = state.now - Date.now();
  state.frozen = body.frozen;
  const before = selected();
  state.messages = body.messages;
  state.total = body.total;
  const wide = matchMedia("(min-width: 781px)").matches;
  if (!selected()) state.selected = wide && body.messages.length ? body.messages[0].id : null;
  drawList();
  const after = selected();
  if (!before || !after || JSON.stringify(before) !== JSON.stringify(after) || !state.loaded) drawDetail();
  state.loaded = true;
  drawList();
}

let loading = false;
let again = false;
/** One load at a time; what happens meanwhile asks for one more. */
async function refresh() {
  if (loading) { again = true; return; }
  loading = true;
  try {
    do { again = false; await load(); } while (again);
  } catch {
    live("off", "Not reachable");
  } finally {
    loading = false;
  }
}

function live(kind, text) {
  const element = byId("live");
  element.className = `live ${kind}`;
  element.lastElementChild.textContent = text;
}

function follow() {
  const events = new EventSource("/_emulator/v1/events");
  events.addEventListener("outbox", () => { live("on", "Live"); refresh(); });
  events.addEventListener("changed", () => document.dispatchEvent(new Event("changed")));
  events.addEventListener("error", () => live("off", "Reconnecting"));
}

/** The countdowns move without new data. */
function tick() {
  for (const element of document.querySelectorAll("[data-state]")) {
    const message = state.messages.find((known) => String(known.id) === element.dataset.state);
    if (!message) continue;
    const text = stateText(message);
    if (element.textContent === text) continue;
    const expired = element.classList.contains("pending") && stateOf(message) !== "pending";
    element.textContent = text;
    element.className = `tag ${stateOf(message)}`;
    if (expired && message.id === state.selected) drawDetail();
  }
}

async function about() {
  const status = await (await fetch("/_emulator/v1/status")).json();
  byId("project").textContent = status.projectId;
  byId("env").textContent =
    `DESCOPE_BASE_URI=${location.origin}\nDESCOPE_PROJECT_ID=${status.projectId}\nDESCOPE_MANAGEMENT_KEY=${status.managementKey}`;
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  const typing = event.target.closest("input, select, textarea");
  const view = document.querySelectorAll(".views a")["12345".indexOf(event.key)];
  if (view && !typing) { view.click(); return; }
  if (event.key === "?" && !typing) { byId("keys").showModal(); return; }
  if (!document.body.classList.contains("on-messages")) return;
  const search = byId("search");
  if (event.target === search) {
    if (event.key === "Escape") { search.value = ""; state.query = ""; drawList(); search.blur(); byId("messages").focus(); }
    if (event.key === "Enter" || event.key === "ArrowDown") { event.preventDefault(); byId("messages").focus(); move(0); }
    return;
  }
  const message = selected();
  const onControl = event.target.closest("button, a");
  switch (event.key) {
    case "/": event.preventDefault(); search.focus(); search.select(); break;
    case "j": case "ArrowDown": event.preventDefault(); move(1); break;
    case "k": case "ArrowUp": event.preventDefault(); move(-1); break;
    case "Enter":
      if (onControl) return;
      // On a narrow page the first Enter reads the message, the second opens the link.
      if (message && getComputedStyle(byId("detail")).display === "none") choose(message.id, true);
      else if (message) byId("open")?.click();
      break;
    case "o": if (message) { if (!byId("open")) drawDetail(); byId("open")?.click(); } break;
    case "c": if (message) copy(message.link, "Link"); break;
    case "t": if (message) copy(message.token, "Token"); break;
    case "Escape": back(); break;
    default:
  }
}

byId("search").addEventListener("input", (event) => { state.query = event.target.value; drawList(); });
byId("clear").addEventListener("click", async () => {
  const response = await fetch("/_emulator/v1/messages", { method: "DELETE" });
  if (response.ok) toast("Inbox cleared");
});
byId("help").addEventListener("click", () => byId("keys").showModal());
byId("keys-close").addEventListener("click", () => byId("keys").close());
document.querySelector("[data-copy]").addEventListener("click", () => copy(byId("env").textContent, "Settings"));
document.addEventListener("keydown", keys);
setInterval(tick, 500);
about().catch(() => live("off", "Not reachable"));
follow();
