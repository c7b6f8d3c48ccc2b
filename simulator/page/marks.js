// Text with signs becomes a tree of marks: text, or {t: tag, c: [trees], href, cls}. Knows no platform: the rules are handed in
// by dialects.js. Pure, so that it runs without a browser.

export const mark = (t, c, more = {}) => ({ t, c, ...more });

/** Parse one stretch of text. `rules`: [{re (with flags g or gu), node(match, inner)}]; the earliest match wins, then the first rule. */
export function inline(text, rules, leaf = (plain) => plain) {
  const found = [];
  let at = 0;
  while (at < text.length) {
    const next = earliest(text, rules, at);
    if (!next) break;
    const [match, rule] = next;
    if (match.index > at) found.push(leaf(text.slice(at, match.index)));
    found.push(rule.node(match, (inner) => inline(inner, rules, leaf)));
    at = match.index + match[0].length;
  }
  if (at < text.length) found.push(leaf(text.slice(at)));
  return found;
}

function earliest(text, rules, at) {
  let best = null;
  for (const rule of rules) {
    rule.re.lastIndex = at;
    const match = rule.re.exec(text);
    if (match && match[0] && (!best || match.index < best[0].index)) best = [match, rule];
  }
  return best;
}

/** Parse lines into blocks. `shape`: which blocks there are: {quote: RegExp, heading, lists, tables, fence, small, rule}. */
export function blocks(text, shape, words) {
  const lines = text.split("\n");
  const found = [];
  let plain = [];
  // Empty lines beside a block are its own distance.
  const flush = () => {
    const said = plain.join("\n").replace(/^(?:[ \t]*\n)+|(?:\n[ \t]*)+$/g, "");
    if (said.trim()) found.push(mark("div", words(said), { cls: "words" }));
    plain = [];
  };
  for (let at = 0; at < lines.length;) {
    const [node, used] = fenced(lines, at, shape) ?? block(lines, at, shape, words) ?? [null, 0];
    if (used) { flush(); found.push(node); at += used; } else plain.push(lines[at++]);
  }
  flush();
  return found;
}

function fenced(lines, at, shape) {
  if (!shape.fence || !lines[at].trimStart().startsWith("```")) return null;
  const first = lines[at].trimStart().slice(3);
  if (first.endsWith("```") && first.length > 3) return [mark("pre", [mark("code", [first.slice(0, -3)])]), 1];
  let end = at + 1;
  while (end < lines.length && !lines[end].trimEnd().endsWith("```")) end++;
  if (end >= lines.length) return null;
  const last = lines[end].trimEnd().slice(0, -3);
  const named = /^[\w+#.-]*$/.test(first.trim()) && shape.fence === "named";
  const body = [...(named || !first ? [] : [first]), ...lines.slice(at + 1, end), ...(last ? [last] : [])];
  return [mark("pre", [mark("code", [(shape.leaf ?? ((one) => one))(body.join("\n"))])]), end - at + 1];
}

function block(lines, at, shape, words) {
  const run = (re) => { let end = at; while (end < lines.length && re.test(lines[end])) end++; return lines.slice(at, end); };
  if (shape.quote?.test(lines[at])) {
    const quoted = run(shape.quote);
    return [mark("blockquote", blocks(quoted.map((line) => line.replace(shape.quote, "")).join("\n"), { ...shape, quote: null }, words)), quoted.length];
  }
  const heading = shape.heading?.exec(lines[at]);
  if (heading) return [mark(`h${Math.min(5, heading[1].length + 2)}`, words(heading[2])), 1];
  const small = shape.small?.exec(lines[at]);
  if (small) return [mark("small", words(small[1])), 1];
  if (shape.rule?.test(lines[at])) return [mark("hr", []), 1];
  return list(lines, at, shape, words) ?? table(lines, at, shape, words);
}

const ITEM = /^(\s*)([-*+•]|\d{1,3}[.)])\s+(.*)$/;

function list(lines, at, shape, words) {
  if (!shape.lists || !ITEM.test(lines[at])) return null;
  const ordered = /\d/.test(ITEM.exec(lines[at])[2]);
  const items = [];
  let end = at;
  for (; end < lines.length; end++) {
    const item = ITEM.exec(lines[end]);
    if (item && item[1].length < 2) items.push({ first: item[2], text: item[3], inner: [] });
    else if (items.length && /^\s{2,}\S/.test(lines[end])) items.at(-1).inner.push(lines[end].replace(/^ {2,4}/, ""));
    else break;
  }
  const made = items.map((item) => mark("li", [...words(item.text), ...(item.inner.length ? blocks(item.inner.join("\n"), shape, words) : [])]));
  return [mark(ordered ? "ol" : "ul", made), end - at];
}

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));

function table(lines, at, shape, words) {
  if (!shape.tables || !lines[at].includes("|") || !/^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)+\|?\s*$/.test(lines[at + 1] ?? "")) return null;
  let end = at + 2;
  while (end < lines.length && lines[end].includes("|")) end++;
  const row = (line, tag) => mark("tr", cells(line).map((cell) => mark(tag, words(cell))));
  const body = lines.slice(at + 2, end).map((line) => row(line, "td"));
  return [mark("table", [mark("thead", [row(lines[at], "th")]), mark("tbody", body)]), end - at];
}
