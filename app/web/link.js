// A link that holds a prompt and its settings. They stand after the #, which no browser sends to a server.

import { changed } from "./settings.js";

export function write(mode, model, { text, turns, seed }) {
  const fields = new URLSearchParams({ mode, model });
  for (const turn of turns ?? [text]) fields.append(turns ? "turn" : "text", turn);
  for (const [name, value] of Object.entries(changed())) if (name !== "seed") fields.set(name, value);
  if (seed !== null && seed !== undefined) fields.set("seed", seed);
  return `${location.origin}${location.pathname}#${fields}`;
}

/** What the address says: {mode, model, text, turns, settings}, or null where it says nothing. */
export function read() {
  const fields = new URLSearchParams(location.hash.slice(1));
  if (!fields.has("mode")) return null;
  const { mode, model, text = "", turn, ...settings } = Object.fromEntries(fields);
  const numbers = Object.entries(settings).map(([name, value]) => [name, value.trim() === "" ? NaN : Number(value)]);
  return { mode: mode === "chat" ? "chat" : "write", model, text, turns: fields.getAll("turn"), settings: Object.fromEntries(numbers) };
}
