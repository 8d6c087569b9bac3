// A link that holds a text in both inks, and its settings. They come after the #, a part that browsers never send to a server.

import { chunks } from "./chunks.js";

const DAMAGED = "This link is damaged, perhaps cut by the app that it was sent with: ask for it again.";
// A short link can unpack to gigabytes.
const MOST_BYTES = 1_000_000;

/** The address of `content`: {mode, model, pieces or turns, prompt, seed, settings}. */
export async function write({ pieces, ...content }) {
  const parts = pieces && alternating(pieces);
  const packed = await pack(new TextEncoder().encode(JSON.stringify({ ...content, parts })), new CompressionStream("deflate-raw"));
  return `${location.origin}${location.pathname}#t=${base64(packed)}`;
}

/** The texts of the pieces, a person's and the model's by turns, so that they need no names. The first is a person's. */
function alternating(pieces) {
  const parts = [""];
  for (const { text, model } of pieces) {
    if (model !== (parts.length % 2 === 0)) parts.push("");
    parts[parts.length - 1] += text;
  }
  return parts;
}

/** What the page's address holds, as write() was told it, or null if it is no such link. Throws a sentence if it is damaged. */
export async function read() {
  const fields = new URLSearchParams(location.hash.slice(1));
  if (fields.has("mode")) return older(fields);
  if (!fields.has("t")) return null;
  try {
    const packed = Uint8Array.from(atob(fields.get("t").replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
    return checked(JSON.parse(new TextDecoder().decode(await pack(packed, new DecompressionStream("deflate-raw")))));
  } catch {
    throw new Error(DAMAGED);
  }
}

function checked({ mode, model, parts, turns, prompt = "", seed = null, settings = {}, ...more }) {
  const strings = (list) => Array.isArray(list) && list.every((each) => typeof each === "string");
  const right = strings(mode === "chat" ? turns : parts) && strings([prompt, model ?? "", more.system ?? ""]) && typeof settings === "object";
  if (!right) throw new Error(DAMAGED);
  const pieces = parts?.map((text, at) => ({ text, model: at % 2 === 1 })).filter(({ text }) => text);
  return { ...more, mode: mode === "chat" ? "chat" : "write", model, pieces, turns, prompt, seed, settings: { ...settings } };
}

/** Links of earlier versions had a prompt or turns, and settings, as fields. */
function older(fields) {
  const { mode, model, text = "", turn, seed, ...settings } = Object.fromEntries(fields);
  const number = (value) => (value.trim() === "" ? NaN : Number(value));
  const numbers = Object.entries(settings).map(([name, value]) => [name, number(value)]);
  return {
    mode: mode === "chat" ? "chat" : "write",
    model,
    pieces: text ? [{ text, model: false }] : [],
    turns: fields.getAll("turn"),
    prompt: text,
    seed: seed === undefined ? null : number(seed),
    settings: Object.fromEntries(numbers),
  };
}

/** The bytes after they went through a stream that packs or unpacks them. */
async function pack(bytes, through) {
  let all = new Blob();
  for await (const part of chunks(new Blob([bytes]).stream().pipeThrough(through))) {
    all = new Blob([all, part]);
    if (all.size > MOST_BYTES) throw new Error(DAMAGED);
  }
  return new Uint8Array(await all.arrayBuffer());
}

/** Base64 with the letters that may stand in an address. */
function base64(bytes) {
  const letters = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
