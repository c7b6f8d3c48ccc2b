// What is looked at: which bot, as whom, which chat, and what the message being written is about. Kept in the address, so that
// a view can be linked to and survives a reload.

const given = new URLSearchParams(location.hash.slice(1));

export const state = {
  channel: given.get("channel") ?? "",
  person: given.get("as") ?? "alice",
  chat: given.get("chat") ?? "",
  screen: null,
  world: { channels: [], faults: [], listeners: 0 },
  about: null,
};

export function keep() {
  const shown = { channel: state.channel, as: state.person, ...(state.chat ? { chat: state.chat } : {}) };
  history.replaceState(null, "", `#${new URLSearchParams(shown)}`);
}

export const channel = () => state.world.channels.find((one) => one.name === state.channel) ?? null;
export const platform = () => channel()?.platform ?? "";

/** The chat that is open: the one that was asked for, by id or name, else the private one. */
export function open() {
  const chats = state.screen?.chats ?? [];
  const wanted = state.chat.replace(/^#/, "");
  return wanted ? chats.find((one) => [one.chat, one.name].includes(wanted)) ?? null
    : chats.find((one) => one.kind === "private") ?? null;
}

/** Return the name of an id: the bot's, a person's or a chat's. */
export function nameOf(id) {
  const bot = state.screen?.bot;
  if (bot && [bot.user_id, bot.username].includes(id)) return bot.name;
  if (id === state.screen?.user_id || id === state.screen?.as) return state.screen.as;
  return channel()?.chats.find((one) => one.chat === id)?.name ?? (channel()?.people.includes(id) ? id : undefined);
}
