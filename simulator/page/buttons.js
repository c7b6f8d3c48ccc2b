// What can be pressed under a message, whatever the platform calls it: rows of {label, value, url, payload}. Pure.

const text = (one) => (typeof one === "string" ? one : one?.text ?? one?.content ?? one?.name ?? "");

function plain(one) {
  const label = text(one.label ?? one.title ?? one.text ?? one.name ?? one.reply?.title ?? one.id);
  const value = one.callback_data ?? one.custom_id ?? one.reply?.id ?? one.value ?? one.data ?? one.id ?? label;
  return { label, value: String(value), url: one.url ?? null, style: String(one.style ?? "") };
}

/** Discord: rows (type 1) of buttons (2) and menus (3). */
function components(rows) {
  return rows.filter((row) => row?.type === 1).map((row) => row.components.flatMap((one) => {
    if (one.type === 2) return [plain(one)];
    return (one.options ?? []).map((option) => ({ label: option.label, value: one.custom_id, payload: { component_type: one.type, values: [option.value] } }));
  }));
}

/** Slack: elements of the blocks of type `actions`, and of sections with an accessory. */
function actions(blocks) {
  const rows = blocks.map((block) => (block?.type === "actions" ? block.elements : block?.accessory ? [block.accessory] : []) ?? []);
  return rows.map((row) => row.flatMap((one) => {
    if (one.type === "button") return [{ ...plain(one), payload: { type: "button", action_id: one.action_id, value: one.value ?? "", text: one.text } }];
    return (one.options ?? []).map((option) => ({ label: text(option.text), value: one.action_id, payload: { type: one.type, action_id: one.action_id, selected_option: option } }));
  }));
}

export function pressable(message) {
  const given = message.buttons ?? [];
  const rows = given.some((one) => one?.type === 1) ? components(given)
    : given.every(Array.isArray) ? given.map((row) => row.map(plain))
      : given.map((one) => (one?.buttons ? one.buttons.map(plain) : [plain(one)]));
  return [...rows, ...(Array.isArray(message.blocks) ? actions(message.blocks) : [])].filter((row) => row.length);
}
