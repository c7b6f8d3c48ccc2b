// Which bot, as whom, in which chat.

import { $, button, el } from "./dom.js";
import { channel, open, state } from "./state.js";

let options = "";

export function show(go) {
  const names = JSON.stringify(state.world.channels.map((one) => [one.name, one.platform]));
  if (names !== options) {
    options = names;
    $("channel").replaceChildren(...state.world.channels.map((one) => el("option", { value: one.name, text: `${one.name} (${one.platform})` })));
  }
  $("channel").value = state.channel;
  if (document.activeElement !== $("person")) $("person").value = state.person;
  $("people").replaceChildren(...(channel()?.people ?? []).map((one) => el("option", { value: one })));
  const at = open();
  const chats = [...(state.screen?.chats ?? [])].sort((one, other) => (other.kind === "private") - (one.kind === "private"));
  $("chats").replaceChildren(...chats.map((one) => el("li", {}, entry(one, one === at, go))));
  facts();
}

function entry(chat, current, go) {
  const last = chat.messages.at(-1);
  const made = button("", () => go({ chat: chat.kind === "private" ? "" : chat.name }), { "aria-current": current ? "true" : null });
  made.append(el("strong", { text: chat.kind === "private" ? chat.name : `# ${chat.name}` }),
    el("small", { text: last ? `${last.from}: ${last.text.slice(0, 60)}` : "empty" }));
  return made;
}

function facts() {
  const bot = channel();
  const hears = bot?.webhook_url ? "hears by webhook" : "has no webhook";
  const sockets = state.world.listeners;
  $("facts").textContent = bot ? `The bot ${hears}${sockets ? ` and by ${sockets} socket${sockets > 1 ? "s" : ""}` : ""}.` : "";
}

export function listen(go) {
  $("channel").addEventListener("change", () => go({ channel: $("channel").value, chat: "" }));
  $("person-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if ($("person").value.trim()) go({ person: $("person").value.trim() });
  });
  $("person").addEventListener("change", () => $("person-form").requestSubmit());
  $("chat-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = $("new-chat").value.trim();
    $("new-chat").value = "";
    if (name) go({ chat: name.replace(/^#/, ""), join: true });
  });
}
