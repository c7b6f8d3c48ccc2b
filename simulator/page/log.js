// What the bot called and what it was told, the newest first.

import { $, el } from "./dom.js";

const KEPT = 200;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const WAYS = { call: ["←", "the bot called"], webhook: ["→", "told by webhook"], socket: ["⇢", "told by socket"] };

export const clear = () => $("log").replaceChildren();

export function add(entries) {
  $("log").prepend(...entries.map(row).reverse());
  while ($("log").children.length > KEPT) $("log").lastElementChild.remove();
}

function verdict(entry) {
  if (entry.way === "socket") return ["", "told"];
  if (entry.status === 0) return ["bad", entry.fault ? "dropped" : "no answer"];
  return [entry.status < 300 && !entry.error ? "good" : entry.status === 429 ? "wait" : "bad", String(entry.status)];
}

function row(entry) {
  const [sign, way] = WAYS[entry.way];
  const [mood, status] = verdict(entry);
  const more = [entry.error, entry.wait_s ? `wait ${entry.wait_s} s` : null, entry.fault ? `fault: ${entry.fault}` : null,
    entry.outcome && entry.outcome !== "acked" ? entry.outcome : null, entry.try > 1 ? `try ${entry.try}` : null].filter(Boolean);
  return el("li", { class: mood }, el("details", {},
    el("summary", {}, el("span", { class: "way", role: "img", "aria-label": way, title: way, text: sign }),
      el("span", { class: "what", text: entry.what }), el("span", { class: "status", text: status }),
      el("small", { text: [entry.at ? clock.format(entry.at * 1000) : null, entry.ms === undefined ? null : `${entry.ms} ms`, ...more].filter(Boolean).join(" · ") })),
    el("pre", { text: JSON.stringify(entry.detail, null, 1) })));
}
