// One message as the platform's app shows it, and what a person can do with it.

import { button, el, nodes } from "./dom.js";
import { seen } from "./dialects.js";
import { pressable } from "./buttons.js";
import { nameOf, platform } from "./state.js";

const TICKS = { sent: ["✓", "Sent"], delivered: ["✓✓", "Delivered"], read: ["✓✓", "Read"] };
const QUICK = ["👍", "❤️", "😂", "🎉", "👀"];
// Where a reaction is told by its name.
const NAMES = { thumbsup: "👍", "+1": "👍", heart: "❤️", joy: "😂", tada: "🎉", eyes: "👀", white_check_mark: "✅", hourglass_flowing_sand: "⏳" };
const NAMED = new Set(["slack", "mattermost"]);
const SHORT = { "👍": "thumbsup", "❤️": "heart", "😂": "joy", "🎉": "tada", "👀": "eyes" };

const spelled = (sign) => (NAMED.has(platform()) ? SHORT[sign] ?? sign : sign);
const drawn = (name) => NAMES[name] ?? name;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/** Make a message. `before`: the one above it; `replied`: the one that it answers; `acts`: what can be done. */
export function bubble(message, { before, replied, acts }) {
  const joined = before && before.from === message.from && before.thread === message.thread && message.at - before.at < 300;
  const kinds = ["message", message.mine ? "mine" : "theirs", message.indent ? "reply" : "", joined ? "joined" : ""];
  return el("li", { class: kinds.filter(Boolean).join(" "), id: `m-${message.id}` },
    el("span", { class: "face", "aria-hidden": "true", text: (message.from || "?")[0].toUpperCase() }),
    el("div", { class: "body" },
      el("p", { class: "from" }, el("strong", { text: message.from }), message.bot ? el("span", { class: "bot", text: "bot" }) : null,
        el("time", { text: clock.format(message.at * 1000), datetime: new Date(message.at * 1000).toISOString() })),
      replied ? quoted(replied) : null,
      content(message), file(message), place(message), foot(message), reactions(message, acts),
      keys(message, acts)),
    menu(message, acts));
}

function quoted(replied) {
  return el("a", { class: "quoted", href: `#m-${replied.id}`, on: { click: (event) => jump(event, replied.id) } },
    el("strong", { text: replied.from }), el("span", { text: replied.text.slice(0, 120) }));
}

function jump(event, id) {
  event.preventDefault();
  document.getElementById(`m-${id}`)?.scrollIntoView({ block: "center" });
}

function content(message) {
  if (Array.isArray(message.blocks) && platform() === "slack") return slack(message);
  const tree = message.text ? seen(platform(), message, nameOf) : [];
  return tree.length ? el("div", { class: "text" }, nodes(tree)) : null;
}

function slack(message) {
  const words = (one) => (one?.type === "plain_text" ? [one.text ?? ""] : seen("slack", { source: one?.text ?? "" }, nameOf));
  const made = message.blocks.map((block) => {
    if (block?.type === "header") return el("h3", { text: block.text?.text });
    if (block?.type === "divider") return el("hr");
    if (block?.type === "context") return el("small", {}, (block.elements ?? []).flatMap((one) => nodes(words(one))));
    if (block?.type === "markdown") return el("div", {}, nodes(seen("mattermost", { source: block.text ?? "" }, nameOf)));
    if (block?.type === "section") return el("div", {}, [block.text, ...(block.fields ?? [])].filter(Boolean).flatMap((one) => nodes(words(one))));
    return null;
  });
  return el("div", { class: "text" }, made);
}

function file(message) {
  return (message.files ?? []).map((one) => {
    const name = one.name || "file";
    const label = [one.mime, one.size ? size(one.size) : null].filter(Boolean).join(" · ");
    const ours = typeof one.url === "string" && new URL(one.url, location.href).origin === location.origin ? one.url : null;
    const shown = ours && /^image\/(png|jpeg|gif|webp)$/.test(one.mime ?? "");
    if (shown) return el("a", { class: "picture", href: ours, target: "_blank", rel: "noopener" }, el("img", { src: ours, alt: name, loading: "lazy" }));
    return el(ours ? "a" : "div", { class: "file", href: ours, download: ours ? name : null },
      el("span", { class: "sign", "aria-hidden": "true", text: "📄" }), el("strong", { text: name }), el("small", { text: label }));
  });
}

const size = (bytes) => (bytes < 1024 ? `${bytes} B` : bytes < 1 << 20 ? `${Math.round(bytes / 1024)} KB` : `${(bytes / (1 << 20)).toFixed(1)} MB`);

function place(message) {
  const at = message.location;
  if (!at) return null;
  const where = `${Number(at.latitude).toFixed(5)}, ${Number(at.longitude).toFixed(5)}`;
  return el("div", { class: "file" }, el("span", { class: "sign", "aria-hidden": "true", text: "📍" }),
    el("strong", { text: at.name ?? at.title ?? "Location" }), el("small", { text: [at.address, where].filter(Boolean).join(" · ") }));
}

function foot(message) {
  const [sign, word] = TICKS[message.tick] ?? [null, null];
  const history = message.history ?? message.edits ?? [];
  const changed = message.edited ? (history.length ? past(history) : el("span", { class: "edited", text: "edited" })) : null;
  const topic = message.thread && !message.indent && message.thread !== message.id ? el("span", { text: `topic ${message.thread}` }) : null;
  return el("p", { class: "foot" }, topic, changed, el("time", { text: clock.format(message.at * 1000) }),
    sign ? el("span", { class: `tick ${message.tick}`, role: "img", "aria-label": word, title: word, text: sign }) : null);
}

function past(history) {
  const rows = history.map((one) => el("li", { text: typeof one === "string" ? one : one.text ?? "" }));
  return el("details", { class: "edited" }, el("summary", { text: `edited ${history.length}×` }), el("ol", {}, rows));
}

function reactions(message, acts) {
  if (!message.reactions?.length) return null;
  const counted = new Map();
  for (const one of message.reactions) counted.set(one, (counted.get(one) ?? 0) + 1);
  return el("p", { class: "reactions" }, [...counted].map(([sign, count]) =>
    button(`${drawn(sign)} ${count}`, () => acts.react(message, sign), { "aria-label": `${drawn(sign)}, ${count}` })));
}

function keys(message, acts) {
  const rows = pressable(message);
  if (!rows.length) return null;
  return el("div", { class: "keys" }, rows.map((row) => el("div", {}, row.map((one) => (one.url
    ? el("a", { href: /^https?:/i.test(one.url) ? one.url : null, target: "_blank", rel: "noopener noreferrer", text: `${one.label} ↗` })
    : button(one.label, () => acts.press(message, one), { class: one.style || null }))))));
}

function menu(message, acts) {
  const list = el("div", { class: "acts", hidden: true, role: "group", "aria-label": `What to do with: ${message.text.slice(0, 40)}` });
  const toggle = button("⋯", () => {
    list.hidden = !list.hidden;
    toggle.setAttribute("aria-expanded", String(!list.hidden));
    if (!list.hidden) list.querySelector("button")?.focus();
  }, { "aria-expanded": "false", "aria-label": "Actions", class: "more" });
  const close = (act) => () => { toggle.click(); toggle.focus(); act(); };
  list.addEventListener("keydown", (event) => { if (event.key === "Escape") close(() => {})(); });
  list.append(...QUICK.map((sign) => button(sign, close(() => acts.react(message, spelled(sign))), { "aria-label": `React with ${sign}` })),
    ...acts.of(message).map(([word, act]) => button(word, close(() => act(message)))));
  return el("div", { class: "menu" }, toggle, list);
}
