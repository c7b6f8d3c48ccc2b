// Files that are to be sent: chosen with the button, dropped on the phone or pasted; held until the message is sent.

import { $, button, el } from "./dom.js";

let held = [];

export const any = () => held.length > 0;

/** Return what is held as the control API takes it, and hold nothing more. */
export async function take() {
  const files = held;
  hold([]);
  return Promise.all(files.map(async (file) => ({ name: file.name, content_base64: await base64(file), ...(file.type ? { mime_type: file.type } : {}) })));
}

export const forget = () => hold([]);

function hold(files) {
  held = files;
  $("held").hidden = !files.length;
  $("held").replaceChildren(...files.map((file) => el("li", {}, el("span", { text: file.name }),
    button("✕", () => { hold(held.filter((one) => one !== file)); $("text").focus(); }, { "aria-label": `Leave out ${file.name}` }))));
}

function base64(file) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => done(reader.result.slice(reader.result.indexOf(",") + 1)));
    reader.addEventListener("error", () => failed(reader.error));
    reader.readAsDataURL(file);
  });
}

function add(files) {
  hold([...held, ...files]);
  $("text").focus();
}

export function listen() {
  const phone = $("phone"), chosen = $("files");
  const carries = (event) => event.dataTransfer?.types.includes("Files");
  $("attach").addEventListener("click", () => chosen.click());
  chosen.addEventListener("change", () => { add(chosen.files); chosen.value = ""; });
  phone.addEventListener("dragover", (event) => { if (carries(event)) { event.preventDefault(); phone.classList.add("over"); } });
  phone.addEventListener("dragleave", (event) => { if (!phone.contains(event.relatedTarget)) phone.classList.remove("over"); });
  phone.addEventListener("drop", (event) => {
    phone.classList.remove("over");
    if (!carries(event)) return;
    event.preventDefault();
    add(event.dataTransfer.files);
  });
  $("text").addEventListener("paste", (event) => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    add(event.clipboardData.files);
  });
}
