// Surprise: how likely the model found each word, and what it would have written in its place.

import { post } from "./api.js";
import { $, announce, make } from "./dom.js";
import { place } from "./ink.js";
import { characters } from "./sight.js";
import { busy } from "./task.js";
import { trouble } from "./trouble.js";

// A word has a tint for each of these that it is less likely than.
const LIKELY = [0.5, 0.1, 0.01, 0.001];
// Milliseconds without a change, after which a text is scored again.
const PAUSE = 1000;
const OTHERS = 10;
// More than are shown, since some are parts of a character.
const ASKED = 20;
const END = "<|endoftext|>";
const WORD = /[\p{L}\p{M}\p{N}]+(?:['’][\p{L}\p{M}]+)*|[^\s\p{L}\p{M}\p{N}]+/gu;

const field = $("text");
let host = null;
let on = false;
let timer = 0;
let task = null;
// A word is {start, end, from, first, tint, share}: its letters, where its tokens begin and the first of them ends.
let scored = { text: "", seen: 0, words: [] };

/** The words to tint, as long as the text is the one that was scored. */
export const words = (text) => (on && text === scored.text ? scored.words : []);

/**
 * `page.sight(text, signal)` is where what the model sees of a text begins, `page.model()` the model's name, `page.draw()` draws the
 * text anew, and `page.choose(from, text)` puts another word there and goes on, or ends the text there if that is null.
 */
export function open(page) {
  host = page;
  $("surprise").addEventListener("click", turn);
  field.addEventListener("click", () => on && press());
  document.addEventListener("changed", later);
  $("model").addEventListener("change", () => {
    scored = { text: "", seen: 0, words: [] };
    later();
  });
  $("others").addEventListener("keydown", move);
  $("others").addEventListener("toggle", ({ newState }) => newState === "closed" && document.activeElement === document.body && field.focus());
}

function turn() {
  on = !on;
  $("surprise").setAttribute("aria-pressed", on);
  $("legend").hidden = !on;
  announce(on ? "Each word shows how likely the model found it." : "The words are plain again.");
  host.draw();
  score();
}

/** Handle a key. Returns whether it was for this. */
export function key(event) {
  if (!event.altKey || event.ctrlKey || event.metaKey) return false;
  if (event.code === "KeyS") turn();
  else if (on && event.code === "ArrowDown") press(true);
  else return false;
  return true;
}

function later() {
  if (!on || busy() || field.value === scored.text) return;
  $("others").hidePopover();
  clearTimeout(timer);
  timer = setTimeout(score, PAUSE);
}

async function score() {
  const text = field.value;
  task?.abort();
  if (!on || busy() || !text.trim() || text === scored.text) return;
  const { signal } = (task = new AbortController());
  try {
    const seen = await host.sight(text, signal);
    const asked = { model: host.model(), prompt: text.slice(seen), echo: true, logprobs: 0, max_tokens: 0 };
    const { choices } = await post("v1/completions", asked, signal);
    scored = { text, seen, words: tinted(text, seen, choices[0].logprobs) };
    host.draw();
  } catch (error) {
    if (error.name !== "AbortError") trouble(error.message, null, error);
  }
}

/** The words of a text with their shares. A word is as likely as its tokens one after the other. */
function tinted(text, seen, { token_logprobs: logprobs, text_offset: offsets }) {
  const place = characters(text.slice(seen));
  const starts = [...offsets.map((offset) => seen + place(offset)), text.length];
  const found = [];
  let token = 0;
  for (const { 0: word, index: start } of text.matchAll(WORD)) {
    const end = start + word.length;
    if (start < seen) continue;
    while (token < logprobs.length && starts[token + 1] <= start && starts[token] < start) token++;
    const from = starts[token];
    const first = starts.find((each, at) => at > token && each > Math.max(from, start)) ?? end;
    let logprob = 0;
    for (; token < logprobs.length && starts[token] < end; token++) logprob += logprobs[token] ?? NaN;
    const share = Math.exp(logprob);
    found.push({ start, end, from, first, share, tint: LIKELY.filter((least) => share < least).length });
  }
  return found;
}

/** Show what the model would have written in place of the word at the caret. */
async function press(byKey = false) {
  const { selectionStart: at, selectionEnd } = field;
  const word = at === selectionEnd && words(field.value).find(({ start, end }) => start <= at && at <= end);
  if (!word || busy()) return;
  const { text, seen } = scored;
  const list = make("ol");
  const said = Number.isNaN(word.share) ? "begins the text" : `was ${percent(word.share)} likely`;
  $("others").replaceChildren(make("p", { id: "others-title" }, make("q", {}, text.slice(word.start, word.end)), ` ${said}. Instead:`), list);
  $("others").showPopover();
  stand(place(word.start, word.end));
  try {
    const asked = { model: host.model(), prompt: text.slice(seen, word.from), max_tokens: 1, min_tokens: 1, temperature: 0, logprobs: ASKED };
    const { choices } = await post("v1/completions", asked);
    const top = Object.entries(choices[0].logprobs.top_logprobs[0] ?? {});
    const own = text.slice(word.from, word.first);
    list.append(...top.filter(([token]) => token !== own && !token.startsWith("bytes:")).slice(0, OTHERS).map((other) => line(other, word.from, own)));
    stand(place(word.start, word.end));
    if (byKey) list.querySelector("button")?.focus();
    announce($("others-title").textContent);
  } catch (error) {
    $("others").hidePopover();
    trouble(error.message, null, error);
  }
}

function line([token, logprob], from, own) {
  const button = make("button", { type: "button" }, make("span", {}, shown(token, own)), make("span", { className: "share" }, percent(Math.exp(logprob))));
  button.addEventListener("click", () => {
    $("others").hidePopover();
    field.focus();
    host.choose(from, token === END ? null : token);
  });
  return make("li", {}, button);
}

/** A token as it is listed. One that joins the word before it begins with dots. */
function shown(token, own) {
  if (token === END) return "the end";
  if (!token.trim()) return token.includes("\n") ? "a new line" : "a space";
  return /^\s/.test(own) && /^[\p{L}\p{N}]/u.test(token) ? `…${token}` : token.trim();
}

function percent(share) {
  if (share < 0.001) return "under 0.1 %";
  return `${(100 * share).toFixed(share < 0.095 ? 1 : 0)} %`;
}

function move(event) {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  const buttons = [...$("others").querySelectorAll("button")];
  buttons.at((buttons.indexOf(document.activeElement) + by) % buttons.length)?.focus();
}

/** Let the list stand below the word, or above it where there is no room. */
function stand({ left, top, bottom }) {
  const { style, offsetWidth, offsetHeight } = $("others");
  const below = bottom + offsetHeight + 12 < innerHeight || top < offsetHeight;
  style.left = `${Math.max(8, Math.min(left - 12, innerWidth - offsetWidth - 8))}px`;
  style.top = `${Math.max(8, below ? Math.min(bottom + 4, innerHeight - offsetHeight - 8) : top - offsetHeight - 4)}px`;
}
