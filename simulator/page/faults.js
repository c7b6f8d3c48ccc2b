// Setting what goes wrong, and what is set.

import { ask } from "./api.js";
import { $, button, el } from "./dom.js";
import { state } from "./state.js";

// Which field of a script the seconds stand for; none: they do not matter.
const KINDS = [
  { id: "lost", label: "Answer is lost (the message arrives)", script: { kind: "accept_then_drop" }, words: "The platform does what the bot asked; the connection closes without an answer." },
  { id: "unreachable", label: "Connection breaks before", script: { kind: "drop_before_accept" }, words: "Nothing arrives, nothing is answered." },
  { id: "429", label: "429, wait", script: { kind: "rate_limited", window: true }, seconds: "retry_after_s", words: "Refused with the wait, as is everything until it is over." },
  { id: "500", label: "500, server error", script: { kind: "server_error", status: 500 }, words: "Refused; nothing arrives." },
  { id: "503", label: "503, after it arrived", script: { kind: "accept_then_error", status: 503 }, words: "The message arrives; the answer says that it did not." },
  { id: "slow", label: "Slow", script: { kind: "slow" }, seconds: "delay_s", words: "The call waits so long, then goes well." },
  { id: "held", label: "Answer waits until released", script: { kind: "accept_then_hold" }, words: "The message and its receipts come before the answer." },
  { id: "token", label: "Token is not accepted", script: { kind: "error", error: "invalid_auth" }, words: "As if the token had expired." },
  { id: "gone", label: "Chat does not exist", script: { kind: "error", error: "chat_not_found" }, words: "Refused for good." },
  { id: "blocked", label: "The person blocked the bot", script: { kind: "error", error: "blocked" }, words: "Refused for good." },
  { id: "twice", label: "What people write comes twice", script: { kind: "duplicate" }, words: "The bot is told twice, by webhook or socket." },
  { id: "swapped", label: "The next two change places", script: { kind: "reorder" }, words: "The bot is told of the next message after the one that follows it." },
  { id: "cut", label: "Sockets are cut", order: "drop", words: "Every open socket of this bot is closed at once." },
];

const chosen = () => KINDS.find((one) => one.id === $("fault").value) ?? KINDS[0];

function explain() {
  const kind = chosen();
  $("fault-words").textContent = kind.words;
  $("seconds-label").hidden = !kind.seconds;
  $("times").parentElement.hidden = Boolean(kind.order);
}

async function set(note) {
  const kind = chosen();
  try {
    if (kind.order) {
      await ask("sockets", { channel: state.channel, order: kind.order });
      note("The sockets were cut.");
      return;
    }
    const times = $("times").value ? Number($("times").value) : null;
    const seconds = kind.seconds ? { [kind.seconds]: Number($("seconds").value) } : {};
    await ask("faults", { channel: state.channel, times, ...kind.script, ...seconds });
  } catch (error) { note(error.message); }
}

export function listen(note) {
  $("fault").replaceChildren(...KINDS.map((one) => el("option", { value: one.id, text: one.label })));
  $("fault").addEventListener("change", explain);
  $("fault-form").addEventListener("submit", (event) => { event.preventDefault(); set(note); });
  explain();
}

const same = (one, script) => Object.entries(one.script ?? {}).every(([name, value]) => script[name] === value);

export function show(note) {
  const act = (doing) => () => doing().catch((error) => note(error.message));
  $("faults").replaceChildren(...state.world.faults.map((fault) => {
    const kind = KINDS.find((one) => one.script && same(one, fault.script));
    const left = fault.script.times === null ? "until removed" : `${Math.max(0, fault.script.times - fault.hits)} to come`;
    const spent = fault.script.times !== null && fault.hits >= fault.script.times && !fault.holding;
    return el("li", { class: spent ? "spent" : null },
      el("strong", { text: kind?.label ?? fault.script.kind }), el("small", { text: `hit ${fault.hits}×, ${left}${fault.holding ? `, ${fault.holding} held` : ""}` }),
      fault.holding ? button("Release", act(() => ask("release", { fault: fault.id }))) : null,
      button("✕", act(() => ask(`faults/${fault.id}`, null, "DELETE")), { "aria-label": `Remove: ${kind?.label ?? fault.script.kind}` }));
  }));
}
