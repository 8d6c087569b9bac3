// What the model sees: of a text that is longer than its window, the end.

import { post } from "./api.js";

// Tokens by which a text may become longer when its beginning is cut off, as a word without the space before it.
const SPARE = 1 / 64;
// By this part of the window the beginning moves, so that it stays for a while and what has been read of the text can be reused.
const STEP = 1 / 8;
const bytes = (text) => new TextEncoder().encode(text).length;

// What was found last: the model saw `text` from `from` on, in `tokens` tokens.
let known = { model: null, text: "", from: 0, tokens: 0 };

/** The most tokens that a text may have, so that `length` more fit: half of the window at least. */
const budget = (window, length) => window - Math.min(length, window >> 1) - Math.ceil(window * SPARE);

/** The character of `text` from which on the model sees it, when it writes `length` tokens. */
export async function begin(text, { model, window, length }, signal) {
  const most = budget(window, length);
  // A token has at least a byte.
  if (bytes(text) <= most) return 0;
  if (known.model === model && text.startsWith(known.text) && known.tokens + bytes(text.slice(known.text.length)) <= most) return known.from;
  const asked = { model, prompt: text, add_special_tokens: false, return_text_offsets: true };
  const { count, text_offsets: offsets } = await post("tokenize", asked, signal);
  const step = Math.ceil(window * STEP);
  const dropped = count <= most ? 0 : Math.min(Math.ceil((count - most) / step) * step, count - 1);
  const from = dropped ? wordFrom(text, characters(text)(offsets[dropped])) : 0;
  known = { model, text, from, tokens: count - dropped };
  return from;
}

/** Where the next word begins, unless that is far. */
function wordFrom(text, at) {
  const ahead = /^\S{0,40}\s+/.exec(text.slice(at));
  if (!at || /\s/.test(text[at - 1]) || !ahead || at + ahead[0].length === text.length) return at;
  return at + ahead[0].length;
}

/** Turns a number of characters as the server counts them into a number of JavaScript's, which counts an emoji as two. */
export function characters(text) {
  const wide = [...text.matchAll(/[\u{10000}-\u{10ffff}]/gu)].map(({ index }, before) => index - before);
  return (count) => {
    let more = 0;
    while (wide[more] < count) more++;
    return count + more;
  };
}
