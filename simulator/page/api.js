// The control API, and the stream that tells what changed.

export async function ask(path, body, method) {
  const options = body ? { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) } : { method };
  const answer = await fetch(`/_sim/${path}`, options);
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error ?? `The simulator answered ${answer.status}`);
  return told;
}

/** Follow what one person sees of one bot. `take`: {begin, screen, world, log, lost}. Returns what ends it. */
export function follow(channel, person, take) {
  const stream = new EventSource(`/_sim/live?${new URLSearchParams({ channel, as: person })}`);
  for (const name of ["begin", "screen", "world", "log"]) {
    stream.addEventListener(name, (event) => take[name](JSON.parse(event.data)));
  }
  stream.addEventListener("error", () => take.lost());
  return () => stream.close();
}

/** Hear which bots there are, now and whenever that changes. Returns the stream. */
export function bots(take, lost) {
  const stream = new EventSource("/_sim/live");
  stream.addEventListener("world", (event) => take(JSON.parse(event.data).channels));
  stream.addEventListener("error", lost);
  return stream;
}
