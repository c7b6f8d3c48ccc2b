// Elements from data. Text only ever becomes a text node, and a link only ever goes to an address of a harmless kind:
// what bots write is foreign.

const SAFE = /^(https?:|mailto:|tel:)/i;
const TAGS = new Set(["b", "i", "u", "s", "code", "pre", "a", "blockquote", "span", "h3", "h4", "h5", "ul", "ol", "li", "hr", "br",
  "table", "thead", "tbody", "tr", "th", "td", "p", "div", "small"]);

export const $ = (id) => document.getElementById(id);

/** Make an element. `props`: class, text, on{event: function}, and attributes; a child that is null is left out. */
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") made.className = value;
    else if (name === "text") made.textContent = value;
    else if (name === "on") for (const [event, act] of Object.entries(value)) made.addEventListener(event, act);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export const button = (text, act, props = {}) => el("button", { type: "button", text, on: { click: act }, ...props });

/** Turn a tree of marks (dialects.js) into nodes. A tree is text, or {t: tag, c: [trees], href, cls}. */
export function nodes(tree) {
  return tree.map((one) => {
    if (typeof one === "string") return document.createTextNode(one);
    const tag = TAGS.has(one.t) ? one.t : "span";
    const made = el(tag, { class: one.cls });
    if (tag === "a") {
      if (SAFE.test(one.href ?? "")) {
        made.href = one.href;
        made.target = "_blank";
        made.rel = "noopener noreferrer";
        made.title = one.href;
      }
    }
    if (one.cls === "spoiler") veil(made);
    made.append(...nodes(one.c ?? []));
    return made;
  });
}

function veil(made) {
  const lift = () => made.classList.toggle("lifted");
  made.tabIndex = 0;
  made.setAttribute("role", "button");
  made.setAttribute("aria-label", "Hidden text");
  made.addEventListener("click", lift);
  made.addEventListener("keydown", (event) => { if (event.key === "Enter") lift(); });
}
