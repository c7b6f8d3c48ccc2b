// How each platform's app shows what was sent, as trees of marks. Pure; the rules are those of the platforms' own pages on
// formatting, as far as a chat needs them. Called by message.js.

import { blocks, inline, mark } from "./marks.js";

const URL_RE = /\bhttps?:\/\/[^\s<>|]+[^\s<>|).,:;!?"'\]*_~]/g;
const link = (href, label) => mark("a", label, { href });
const wrap = (t, more) => ({ node: (match, inner) => mark(t, inner(match[1]), more) });
const code = (re) => ({ re, node: (match) => mark("code", [match[1]]) });
const bare = { re: URL_RE, node: (match) => link(match[0], [match[0]]) };

// Telegram: the text and its entities, in UTF-16 units as JavaScript counts.

const ENTITIES = {
  bold: ["b"], italic: ["i"], underline: ["u"], strikethrough: ["s"], code: ["code"], pre: ["pre"], spoiler: ["span", "spoiler"],
  blockquote: ["blockquote"], expandable_blockquote: ["blockquote"], mention: ["span", "name"], text_mention: ["span", "name"],
  hashtag: ["span", "name"], cashtag: ["span", "name"], bot_command: ["span", "name"],
};

export function entities(text, given) {
  const sorted = given.toSorted((one, other) => one.offset - other.offset || other.length - one.length);
  return nest(text, 0, text.length, sorted);
}

function nest(text, from, to, sorted) {
  const found = [];
  let at = from;
  for (let index = 0; index < sorted.length; index++) {
    const entity = sorted[index];
    if (entity.offset < at || entity.offset >= to) continue;
    const end = Math.min(to, entity.offset + entity.length);
    if (entity.offset > at) found.push(text.slice(at, entity.offset));
    const inside = sorted.slice(index + 1).filter((one) => one.offset < end);
    found.push(one(entity, text.slice(entity.offset, end), nest(text, entity.offset, end, inside)));
    at = end;
  }
  if (at < to) found.push(text.slice(at, to));
  return found;
}

function one(entity, covered, inside) {
  if (entity.type === "text_link") return link(entity.url, inside);
  if (entity.type === "url") return link(/^[a-z]+:/i.test(covered) ? covered : `http://${covered}`, inside);
  if (entity.type === "email") return link(`mailto:${covered}`, inside);
  const [tag, cls] = ENTITIES[entity.type] ?? ["span", undefined];
  return mark(tag, inside, cls ? { cls } : {});
}

// Slack: mrkdwn, where < > & are written out and links, people and channels stand in <…>.

const unescape = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
const around = (sign) => new RegExp(`(?<![\\w${sign}])${sign}(?=\\S)([^\\n]*?\\S)${sign}(?![\\w${sign}])`, "gu");

export function mrkdwn(text, names) {
  const rules = [
    { re: /```([\s\S]+?)```/g, node: (match) => mark("pre", [mark("code", [unescape(match[1].replace(/^\n|\n$/g, ""))])]) },
    { re: /`([^`\n]+)`/g, node: (match) => mark("code", [unescape(match[1])]) },
    { re: /<([@#!]?)([^<>|\s]+)(?:\|([^<>]*))?>/g, node: (match, inner) => angled(match, inner, names) },
    { re: around("\\*"), ...wrap("b") }, { re: around("_"), ...wrap("i") }, { re: around("~"), ...wrap("s") },
    { re: /(?<!\w):([a-z0-9_+-]+):(?!\w)/g, node: (match) => mark("span", [`:${match[1]}:`], { cls: "emoji" }) },
  ];
  return blocks(text, { quote: /^&gt; ?|^> ?/, fence: "plain", leaf: unescape }, (words) => inline(words, rules, unescape));
}

function angled(match, inner, names) {
  const [, kind, about, label] = match;
  if (kind === "@") return mark("span", [`@${names(about) ?? label ?? about}`], { cls: "name" });
  if (kind === "#") return mark("span", [`#${label ?? names(about) ?? about}`], { cls: "name" });
  if (kind === "!") return mark("span", [`@${label ?? about.replace(/\^.*/, "")}`], { cls: "name" });
  return link(unescape(about), label ? inner(label) : [unescape(about)]);
}

// Discord and Mattermost: Markdown, each with its own extras.

const ESCAPE = { re: /\\([\\`*_{}[\]()#+\-.!~|<>:])/g, node: (match) => match[1] };
const CODE = { re: /(`+)([\s\S]*?[^`])\1(?!`)/g, node: (match) => mark("code", [match[2]]) };
const LINK = { re: /\[([^\]\n]+)\]\(<?(https?:\/\/[^\s)>]+)>?(?:\s+"[^"]*")?\)/g, node: (match, inner) => link(match[2], inner(match[1])) };
const ANGLE = { re: /<(https?:\/\/[^>\s]+)>/g, node: (match) => link(match[1], [match[1]]) };
const BOTH = { re: /\*\*\*(?=\S)([\s\S]*?\S)\*\*\*/g, node: (match, inner) => mark("b", [mark("i", inner(match[1]))]) };
const BOLD = { re: /\*\*(?=\S)([\s\S]*?\S)\*\*(?!\*)/g, ...wrap("b") };
const STAR = { re: /(?<!\*)\*(?=[^\s*])([^*]*?[^\s*])\*(?!\*)/g, ...wrap("i") };
const LOW = { re: /(?<![\w_])_(?=[^\s_])([^_]*?[^\s_])_(?![\w_])/g, ...wrap("i") };
const STRIKE = { re: /~~(?=\S)([\s\S]*?\S)~~/g, ...wrap("s") };

export function discord(text, names) {
  const rules = [
    ESCAPE, CODE, LINK, ANGLE, BOTH, BOLD, { re: /__(?=\S)([\s\S]*?\S)__/g, ...wrap("u") }, STAR, LOW, STRIKE,
    { re: /\|\|([\s\S]+?)\|\|/g, ...wrap("span", { cls: "spoiler" }) },
    { re: /<(@[!&]?|#)(\d+)>/g, node: (match) => mark("span", [`${match[1][0]}${names(match[2]) ?? match[2]}`], { cls: "name" }) },
    bare,
  ];
  const shape = { quote: /^> ?/, heading: /^(#{1,3}) (.+)$/, small: /^-# (.+)$/, lists: true, fence: "named" };
  return blocks(text, shape, (words) => inline(words, rules));
}

export function mattermost(text, names) {
  const rules = [
    ESCAPE, CODE, LINK, ANGLE, BOTH, BOLD, { re: /__(?=\S)([\s\S]*?\S)__/g, ...wrap("b") }, STAR, LOW, STRIKE,
    { re: /(?<!\w)@([a-z0-9._-]*[a-z0-9_-])/g, node: (match) => mark("span", [match[0]], names(match[1]) ? { cls: "name" } : {}) },
    bare,
  ];
  const shape = { quote: /^> ?/, heading: /^(#{1,6}) (.+?)(?: #+)?$/, lists: true, tables: true, fence: "named", rule: /^ {0,3}([-*_])( *\1){2,} *$/ };
  return blocks(text, shape, (words) => inline(words, rules));
}

// WhatsApp: four signs.

export function whatsapp(text) {
  const rules = [
    { re: /```([\s\S]+?)```/g, node: (match) => mark("code", [match[1]]) }, code(/`([^`\n]+)`/g),
    { re: around("\\*"), ...wrap("b") }, { re: around("_"), ...wrap("i") }, { re: around("~"), ...wrap("s") }, bare,
  ];
  return blocks(text, { quote: /^> /, lists: true }, (words) => inline(words, rules));
}

/** Return the tree of a message. `names`: id → name of a person or chat, undefined where nobody has it. */
export function seen(platform, message, names) {
  const source = message.source ?? message.text;
  if (platform === "telegram") return [mark("div", message.entities?.length ? entities(message.text, message.entities) : [message.text], { cls: "words" })];
  if (platform === "slack") return mrkdwn(source, names);
  if (platform === "discord") return discord(source, names);
  if (platform === "mattermost") return mattermost(source, names);
  return whatsapp(source);
}
