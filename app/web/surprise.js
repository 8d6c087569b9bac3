// Surprise: how likely the model found each word, and what it would have written in its place.

import { post, stream } from "./api.js";
import { $, announce, make } from "./dom.js";
import { place } from "./ink.js";
import { characters } from "./sight.js";
import { busy } from "./task.js";
import { failed, trouble } from "./trouble.js";

// A word has a tint for each of these that it is less likely than.
const LIKELY = [0.5, 0.1, 0.01, 0.001];
// Milliseconds without a change, after which a text is scored again.
const PAUSE = 1000;
// Milliseconds between two drawings, while scores come.
const SHOWN = 150;
const OTHERS = 10;
// More than are shown, since some are parts of a character.
const ASKED = 20;
const END = "<|endoftext|>";
// A word, in scripts without spaces a character, or several signs.
const WORD = /[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Thai}]\p{M}*|[\p{L}\p{M}\p{N}]+(?:['’][\p{L}\p{M}]+)*|[^\s\p{L}\p{M}\p{N}]+/gu;

const field = $("text");
const panel = $("others");
let page = null;
let on = false;
let timer = 0;
let task = null;
// A word is {start, end, from, first, tint, share}: its letters, where its tokens begin, and where the first of them ends.
let scored = { text: null };

const current = () => on && field.value === scored.text && page.model() === scored.model;

/** The words to tint, as long as the text is the one that was scored. */
export const words = () => (current() ? scored.words : []);

/**
 * Of the page it takes `sight(text, signal)`, from where on the model sees a text; `model()`, its name; `draw()`; and
 * `choose(from, text)`, which puts another word there and goes on, or ends the text there if that is null.
 */
export function open(itsPage) {
  page = itsPage;
  $("surprise").addEventListener("click", turn);
  field.addEventListener("click", () => on && press());
  document.addEventListener("changed", later);
  panel.addEventListener("keydown", move);
}

function turn() {
  on = !on;
  $("surprise").setAttribute("aria-pressed", on);
  $("legend").hidden = !on;
  page.draw();
  score();
}

/** Handle a key. Returns whether it was for this. */
export function key({ code, altKey, ctrlKey }) {
  if (!altKey || ctrlKey) return false;
  if (code === "KeyS") turn();
  else if (on && code === "ArrowDown") press(true);
  else return false;
  return true;
}

function later() {
  if (!on || current()) return;
  panel.hidePopover?.();
  clearTimeout(timer);
  timer = setTimeout(score, PAUSE);
}

async function score() {
  const text = field.value;
  const model = page.model();
  task?.abort();
  if (!on || busy() || !text.trim() || (current() && scored.done)) return;
  const { signal } = (task = new AbortController());
  $("legend").ariaBusy = true;
  try {
    const seen = await page.sight(text, signal);
    const asked = { model, prompt: text.slice(seen), echo: true, logprobs: 0, max_tokens: 0 };
    const scores = { logprobs: [], offsets: [] };
    let drawn = performance.now();
    const show = (done) => {
      scored = { text, model, seen, done, words: tinted(text, seen, scores, done) };
      drawn = performance.now();
      page.draw();
    };
    for await (const { choices } of stream("v1/completions", asked, signal)) {
      const found = choices[0]?.logprobs;
      if (!found) continue;
      scores.logprobs.push(...found.token_logprobs);
      scores.offsets.push(...found.text_offset);
      if (performance.now() - drawn > SHOWN) show(false);
    }
    show(true);
  } catch (error) {
    if (error.name !== "AbortError") failed(error, score);
  } finally {
    if (task.signal === signal) $("legend").ariaBusy = false;
  }
}

/** The words of a text with their shares, as far as they are known. A word is as likely as all its tokens, one after the other. */
function tinted(text, seen, { logprobs, offsets }, done) {
  const place = characters(text.slice(seen));
  const starts = [...offsets.map((offset) => seen + place(offset)), text.length];
  const likely = (to) => {
    let sum = 0;
    for (; token < logprobs.length && starts[token] < to; token++) sum += logprobs[token] ?? NaN;
    return sum;
  };
  const known = done ? text.length : starts.at(-2);
  const found = [];
  let token = 0;
  for (const { 0: word, index: start } of text.matchAll(WORD)) {
    const end = start + word.length;
    if (start < seen) continue;
    if (end > known) break;
    while (starts[token + 1] <= start && starts[token] < start) token++;
    const from = starts[token];
    // One that begins within a token of the last is a part of that.
    const whole = from > start && found.length ? found.at(-1) : { start, from, first: starts.find((each) => each > Math.max(from, start)) ?? end, logprob: 0 };
    if (whole !== found.at(-1)) found.push(whole);
    Object.assign(whole, { end, logprob: whole.logprob + likely(end) });
  }
  return found.map(({ logprob, ...word }) => {
    const share = Math.exp(logprob);
    return { ...word, share, tint: LIKELY.filter((least) => share < least).length };
  });
}

/** Show what the model would have written in place of the word at the caret. */
async function press(byKey = false) {
  const { selectionStart: at, selectionEnd } = field;
  const word = at === selectionEnd && words().find(({ start, end }) => start <= at && at <= end);
  if (!word || busy()) return;
  const { text, model, seen } = scored;
  const said = Number.isNaN(word.share) ? "begins the text" : `was ${percent(word.share)} likely`;
  const list = make("ol");
  panel.replaceChildren(make("p", { id: "others-title" }, make("q", {}, text.slice(word.start, word.end)), ` ${said}. Instead:`), list);
  panel.showPopover();
  stand(place(word.start, word.end));
  try {
    const asked = { model, prompt: text.slice(seen, word.from), max_tokens: 1, min_tokens: 1, temperature: 0, logprobs: ASKED };
    const { choices } = await post("v1/completions", asked);
    const own = text.slice(word.from, word.first);
    const others = Object.entries(choices[0].logprobs.top_logprobs[0]).filter(([token]) => token !== own && !token.startsWith("bytes:"));
    list.append(...others.slice(0, OTHERS).map((other) => line(other, word.from, own)));
    stand(place(word.start, word.end));
    if (byKey) list.querySelector("button").focus();
    else announce(panel.textContent);
  } catch (error) {
    panel.hidePopover();
    trouble(error.message, null, error);
  }
}

function line([token, logprob], from, own) {
  const button = make("button", { type: "button" }, make("span", {}, shown(token, own)), make("span", { className: "share" }, percent(Math.exp(logprob))));
  button.addEventListener("click", () => {
    panel.hidePopover();
    field.focus();
    page.choose(from, token === END ? null : token);
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
  const buttons = [...panel.querySelectorAll("button")];
  buttons.at((buttons.indexOf(document.activeElement) + by) % buttons.length).focus();
}

/** Let the list stand below the word, or above it where there is more room. */
function stand({ left, top, bottom }) {
  const { style, offsetWidth: width, offsetHeight: height } = panel;
  const y = bottom + height + 8 < innerHeight || top < height ? Math.min(bottom + 4, innerHeight - height - 8) : top - height - 4;
  style.left = `${Math.max(8, Math.min(left - 12, innerWidth - width - 8))}px`;
  style.top = `${Math.max(8, y)}px`;
}
