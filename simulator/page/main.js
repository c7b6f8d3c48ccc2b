// Puts the parts together: what comes by the stream is shown, what a person does is told to the simulator.

import { ask, bots, follow } from "./api.js";
import { $ } from "./dom.js";
import { channel, keep, open, platform, state } from "./state.js";
import * as attach from "./attach.js";
import * as chat from "./chat.js";
import * as compose from "./compose.js";
import * as faults from "./faults.js";
import * as log from "./log.js";
import * as side from "./side.js";

const ONE_EACH = new Set(["telegram", "whatsapp"]);
let end = null;

const note = (words) => { $("note").textContent = words; };

async function say(more) {
  const body = { channel: state.channel, as: state.person, chat: state.chat || null, wait: true, ...more };
  try {
    const done = await ask("say", body);
    const bad = (done.statuses ?? []).filter((status) => status < 200 || status > 299);
    const silent = more.kind !== "react" && !done.kinds.length && !state.world.listeners && platform() !== "telegram";
    note(bad.length ? `The bot's webhook answered ${bad.map((one) => one || "nothing").join(", ")}; the platform tries again.`
      : silent && !done.message_id ? "The platform tells the bot nothing of this." : "");
  } catch (error) { note(error.message); }
}

const written = {
  reply: (text, message) => ({ text, reply_to: message.id, ...(message.thread ? { thread: message.thread } : {}) }),
  thread: (text, message) => ({ text, thread: message.thread ?? message.id }),
  edit: (text, message) => ({ text, kind: "edit", target: message.id }),
};

/** Send files with what is said: in one message, or in one each where that is all a message holds. */
async function sendFiles(files, said) {
  if (!ONE_EACH.has(platform())) return say({ ...said, files });
  for (const [index, file] of files.entries()) await say({ ...said, ...(index ? { text: "" } : {}), files: [file] });
}

async function send(text) {
  const named = document.body.dataset.kind !== "private" && $("mention").checked ? { mention: true } : {};
  const { kind, message } = state.about ?? {};
  compose.forget();
  const files = kind === "edit" ? [] : await attach.take();
  if (files.length) return sendFiles(files, { ...named, ...(kind ? written[kind](text, message) : { text }) });
  if (kind) return say({ ...(kind === "edit" ? {} : named), ...written[kind](text, message) });
  return say(text.startsWith("/") && text.length > 1 ? { kind: "command", text } : { text, ...named });
}

const acts = chat.acts({
  react: (message, sign) => say({ kind: "react", target: message.id, text: sign }),
  press: (message, one) => say({ kind: "press", target: message.id, text: one.value, payload: one.payload ?? (platform() === "whatsapp" ? { title: one.label } : null) }),
  reply: (message) => compose.about("reply", message),
  thread: (message) => compose.about("thread", message),
  edit: (message) => compose.about("edit", message),
  remove: (message) => say({ kind: "delete", target: message.id }),
});

function draw() {
  chat.show(acts);
  side.show(go);
  faults.show(note);
  $("mention-label").hidden = document.body.dataset.kind === "private";
}

const take = {
  begin: () => { log.clear(); note(""); },
  screen: (screen) => { state.screen = screen; draw(); },
  world: (world) => { state.world = world; draw(); },
  log: (entries) => log.add(entries),
  lost: () => note("No connection to the simulator; trying again."),
};

/** Look at another bot, person or chat. */
async function go(change) {
  const moved = (change.channel ?? state.channel) !== state.channel || (change.person ?? state.person) !== state.person;
  state.channel = change.channel ?? state.channel;
  state.person = change.person ?? state.person;
  state.chat = change.chat ?? state.chat;
  compose.forget();
  attach.forget();
  keep();
  try {
    if (change.join) await ask("chats", { channel: state.channel, name: state.chat, members: [state.person] });
    if (moved || !end) await begin();
  } catch (error) { note(error.message); }
  view("phone");
  if (state.screen) draw();
}

async function begin() {
  end?.();
  state.screen = null;
  await ask("people", { channel: state.channel, name: state.person });
  end = follow(state.channel, state.person, take);
}

function view(name) {
  document.body.dataset.view = name;
  for (const one of document.querySelectorAll(".tabs button")) one.toggleAttribute("aria-current", one.dataset.to === name);
}

for (const one of document.querySelectorAll(".tabs button")) one.addEventListener("click", () => view(one.dataset.to));
attach.listen();
compose.listen(send);
side.listen(go);
faults.listen(note);

/** Wait for the bots, and look at the one of the address, else at the first. */
function first() {
  const stream = bots((channels) => {
    state.world = { ...state.world, channels };
    if (!channels.length) {
      draw();
      return;
    }
    stream.close();
    go({ channel: channel()?.name ?? channels[0].name });
  }, take.lost);
}

first();
