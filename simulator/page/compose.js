// The field where a message is written, and what it is about: an answer, a thread, an edit.

import { any } from "./attach.js";
import { $ } from "./dom.js";
import { state } from "./state.js";

const WORDS = { reply: "Answers", thread: "In the thread of", edit: "Changes" };

/** Begin writing about a message. `kind`: reply, thread or edit. */
export function about(kind, message) {
  state.about = { kind, message };
  $("about").hidden = false;
  $("about").firstElementChild.textContent = `${WORDS[kind]}: ${message.text.slice(0, 80)}`;
  if (kind === "edit") $("text").value = message.text;
  grow();
  $("text").focus();
}

export function forget() {
  state.about = null;
  $("about").hidden = true;
}

function grow() {
  const text = $("text");
  text.style.height = "auto";
  text.style.height = `${Math.min(text.scrollHeight, 160)}px`;
}

/** Call `send(text)` for what is written: Enter sends, Shift and Enter begin a new line, Escape forgets what it is about. */
export function listen(send) {
  const text = $("text");
  text.addEventListener("input", grow);
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      $("write").requestSubmit();
    }
    if (event.key === "Escape") forget();
  });
  $("about").lastElementChild.addEventListener("click", () => { forget(); text.focus(); });
  $("write").addEventListener("submit", (event) => {
    event.preventDefault();
    const said = text.value;
    if (!said.trim() && !any()) return;
    text.value = "";
    grow();
    send(said);
  });
}
