// A link that holds a prompt and its settings. They come after the #, a part that browsers never send to a server.

import { changed } from "./settings.js";

export function write(mode, model, { text, turns, seed }) {
  const fields = new URLSearchParams({ mode, model });
  for (const turn of turns ?? [text]) fields.append(turns ? "turn" : "text", turn);
  for (const [name, value] of Object.entries(changed())) if (name !== "seed") fields.set(name, value);
  if (seed !== null && seed !== undefined) fields.set("seed", seed);
  return `${location.origin}${location.pathname}#${fields}`;
}

/** What the page's address holds: {mode, model, text, turns, settings}, or null if it is not such a link. */
export function read() {
  const fields = new URLSearchParams(location.hash.slice(1));
  if (!fields.has("mode")) return null;
  const { mode, model, text = "", turn, ...settings } = Object.fromEntries(fields);
  const numbers = Object.entries(settings).map(([name, value]) => [name, value.trim() === "" ? NaN : Number(value)]);
  return { mode: mode === "chat" ? "chat" : "write", model, text, turns: fields.getAll("turn"), settings: Object.fromEntries(numbers) };
}
