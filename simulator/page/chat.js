// The open chat: its messages, kept in place while nothing about them changes, so that a menu stays open and a selection stays.

import { $, el } from "./dom.js";
import { bubble } from "./message.js";
import { open, platform, state } from "./state.js";

const FOLDING = new Set(["slack", "mattermost"]);
const LABELS = { telegram: "Telegram", slack: "Slack", discord: "Discord", mattermost: "Mattermost", whatsapp: "WhatsApp" };
let shown = new Map();
let lull = 0;

const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export function show(acts) {
  const list = $("messages"), chat = open();
  const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 60;
  head(chat);
  const messages = chat?.messages ?? [];
  const found = new Map();
  const children = [];
  let before = null, date = "";
  for (const message of messages) {
    const today = day.format(message.at * 1000);
    if (today !== date && !message.indent) children.push(el("li", { class: "day", text: today }));
    date = message.indent ? date : today;
    const replied = message.reply_to ? messages.find((one) => one.id === message.reply_to) : null;
    const key = JSON.stringify([message, replied?.text, before?.from, before?.at]);
    const old = shown.get(message.id);
    const made = old?.key === key ? old.node : bubble(message, { before, replied: replied ?? null, acts });
    found.set(message.id, { key, node: made });
    children.push(made);
    before = message;
  }
  if (!children.length) children.push(el("li", { class: "day", text: state.channel ? "Nothing was said here yet." : "No bot is registered yet." }));
  shown = found;
  if (children.length !== list.children.length || children.some((one, index) => list.children[index] !== one)) list.replaceChildren(...children);
  types(chat);
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function head(chat) {
  const bot = state.screen?.bot;
  const name = chat ? chat.name : state.chat || bot?.name || "–";
  document.body.dataset.platform = platform();
  document.body.dataset.kind = chat?.kind ?? (state.chat ? "group" : "private");
  document.title = `${name} – simulated phone`;
  $("title").textContent = document.body.dataset.kind === "private" ? name : `# ${name}`;
  $("avatar").textContent = (name.replace(/^#/, "")[0] ?? "?").toUpperCase();
  $("platform").textContent = LABELS[platform()] ?? platform();
  const members = chat && chat.kind !== "private" ? [...chat.members, bot?.name].filter(Boolean).join(", ") : `@${bot?.username ?? ""} · bot`;
  $("subtitle").textContent = members;
}

function types(chat) {
  clearTimeout(lull);
  const left = (chat?.typing_until ?? 0) * 1000 - Date.now();
  $("typing").hidden = left <= 0;
  $("typing").querySelector("em").textContent = `${state.screen?.bot.name ?? ""} is typing`;
  if (left > 0) lull = setTimeout(() => { $("typing").hidden = true; }, left);
}

/** What can be done with a message beside reactions: [word, act]. */
export function acts(does) {
  return {
    react: does.react,
    press: does.press,
    of: (message) => [
      ["Reply", does.reply],
      ...(FOLDING.has(platform()) && !message.indent ? [["Reply in thread", does.thread]] : []),
      ...(message.mine ? [["Edit", does.edit], ["Delete", does.remove]] : []),
    ],
  };
}
