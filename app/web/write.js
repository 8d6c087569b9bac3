// Write: one text in two inks, and the model goes on where the caret is.

import { stream } from "./api.js";
import * as cards from "./cards.js";
import { $, announce } from "./dom.js";
import * as ghost from "./ghost.js";
import * as ink from "./ink.js";
import { edited, inserted, runs } from "./pen.js";
import { set, settings, used } from "./settings.js";
import * as sight from "./sight.js";
import * as surprise from "./surprise.js";
import { Pace, busy, changed, run } from "./task.js";

const field = $("text");
let ranges = [];
let seen = "";
// What the model added, newest last: {before, from, after, prefix, text, model, seed}. `before` and `from` are states, {text, ranges,
// at}: what an undo brings back, and what the model wrote after. It can be undone until the text is edited.
let steps = [];
// The model's ranges in texts that the browser's own undo may bring back, the latest last.
const former = new Map();
const MOST_FORMER = 200;
// The continuations to choose from: {before, at, prefix, spaced, model, seed, texts}.
let offered = null;
// The text at whose end the model has come to an end.
let ended = null;
let reader = { model: undefined, window: 1024 };
let unseen = 0;
let tip = 0;
let looking = 0;

export const go = (model) => run((signal) => write(model, signal));
export const goOn = go;
export const isEmpty = () => field.value === "";
export const pieces = () => runs(field.value, ranges);
const state = () => ({ text: field.value, ranges, at: field.selectionEnd });
const top = () => (steps.at(-1)?.after === field.value ? steps.at(-1) : null);
export const canUndo = () => Boolean(top());
export const canAgain = () => Boolean(top() || offered);
/** What a vote is about. */
export const latest = () => top() && { text: top().text, prefix: top().prefix, model: top().model };
export const words = () => ({ go: "Continue", show: field });

/** The model that is chosen, and the tokens that its window holds. */
export function present(model, window) {
  reader = { model, window };
  ghost.dismiss();
  draw();
  changed();
}

export function open() {
  field.addEventListener("input", typed);
  field.addEventListener("compositionend", ghost.typed);
  field.addEventListener("keydown", keys);
  ghost.open({ ahead, prompt, draw, take });
  surprise.open({ sight: look, model: () => reader.model, draw, choose });
  document.addEventListener("changed", () => {
    $("ended").hidden = busy() || field.value !== ended;
    clearTimeout(looking);
    looking = setTimeout(reveal, 400);
  });
  $("anyway").addEventListener("click", () => run((signal) => write(reader.model, signal, { anyway: true })));
  $("begin-another").addEventListener("click", beginAnother);
  draw();
}

function typed({ inputType, isComposing }) {
  const { selectionEnd: at, value } = field;
  const back = inputType.startsWith("history") && former.get(value);
  keep();
  ranges = back || edited(ranges, seen, value, at);
  if (at <= offered?.at) offered.at = Math.max(0, offered.at + value.length - seen.length);
  seen = value;
  // What an input method composes is not written yet. Keyboards on screens compose every word.
  if (isComposing && matchMedia("(hover: hover)").matches) ghost.dismiss();
  else ghost.typed();
  draw();
  changed();
}

/** Remember which part of the text before an edit was the model's. */
function keep() {
  if (!ranges.length) return;
  former.delete(seen);
  former.set(seen, ranges);
  if (former.size > MOST_FORMER) former.delete(former.keys().next().value);
}

function keys(event) {
  const undoes = event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey && canUndo();
  if (busy() || !(undoes || ghost.key(event) || surprise.key(event))) return;
  event.preventDefault();
  event.stopPropagation();
  if (undoes) undo();
}

export function undo() {
  show(steps.pop().before);
  announce("Undone.");
}

export function again(model) {
  set({ seed: null });
  if (offered) {
    field.setSelectionRange(offered.at, offered.at);
    return go(model);
  }
  const { before, from, anyway } = steps.pop();
  show(from);
  return run((signal) => write(model, signal, { before, anyway }));
}

export function begin(text) {
  show({ text, ranges: [] });
}

export function fresh() {
  steps = [];
  withdraw();
  show({ text: "", ranges: [] });
}

export const entry = () => ({ text: field.value, ranges, ...(offered && { offered }) });

export function restore(kept) {
  steps = [];
  withdraw();
  if (kept.prompt !== undefined && kept.text.startsWith(kept.prompt) && kept.text !== kept.prompt) steps.push(shared(kept));
  show(kept);
  if (kept.offered) offer(cards.lay(kept.offered.texts.length), { at: kept.text.length, ...kept.offered });
}

/** The step from a shared text's prompt to its end, to be undone and done again. */
function shared({ text, ranges: all, prompt, model, seed }) {
  const prefix = bare(prompt);
  const from = { text: prompt, ranges: edited(all, text, prompt), at: prompt.length };
  return { before: from, from, after: text, ...said({ prefix, spaced: prefix !== prompt, model }, text.slice(prompt.length)), seed };
}

/** The last prompt with the seed of its continuation. Without one, or if text comes after it, the text as it is. */
export function link() {
  const { before, at, seed } = top()?.from ? { ...top(), before: top().from.text, at: top().from.at } : offered ?? {};
  return before !== undefined && !before.slice(at).trim() ? { text: before, seed } : { text: field.value, seed: settings.seed };
}

/** The first thing that a person wrote, once more. */
function beginAnother() {
  const [first] = pieces();
  $("new").click();
  begin(first?.model === false ? first.text.trimEnd() : "");
  go(reader.model);
}

function show({ text, ranges: newRanges, at = text.length }) {
  field.value = text;
  field.setSelectionRange(at, at);
  ranges = newRanges;
  ghost.dismiss();
  draw();
  changed();
}

function draw() {
  seen = field.value;
  const growing = writing();
  const ghostly = growing ? { caret: tip } : { caret: ghost.at(), ghost: ghost.text() };
  ink.draw(seen, ranges, { unseen, words: surprise.words(), growing, ...ghostly });
}

const writing = () => $("write").classList.contains("writing");
/** From which character on the model sees a text that it is to continue. */
const look = (text, signal) => sight.begin(text, { ...reader, length: settings.length }, signal);

/** Draw what the model does not see of the text before the caret in a fainter ink. */
async function reveal() {
  const before = state();
  const from = await look(before.text.slice(0, before.at)).catch(() => unseen);
  if (!busy() && before.text === field.value) fade(from);
}

function fade(from) {
  $("sight").hidden = !from;
  $("sight").textContent = `The model no longer sees what is in the faint ink: its window holds ${reader.window.toLocaleString("en")} tokens.`;
  if (from === unseen) return;
  unseen = from;
  draw();
}

/** The text before the caret, or null where no suggestion belongs: elsewhere than in the field, or within a word. */
function ahead() {
  const { value, selectionStart, selectionEnd } = field;
  const idle = !busy() && document.activeElement === field && selectionStart === selectionEnd;
  return idle && !/^[\p{L}\p{N}]/u.test(value.slice(selectionEnd)) ? value.slice(0, selectionEnd) : null;
}

/** A token for a word includes the space before it, so after a trailing space the model could not continue well. */
const bare = (text) => (text.trimEnd() === "" ? text : text.replace(/ +$/, ""));

/** What the model is asked to continue `text`. */
async function prompt(text, signal) {
  const whole = bare(text);
  const from = await look(whole, signal);
  return { prefix: whole.slice(from), spaced: whole !== text, model: reader.model, from };
}

/** `before` is the state that an undo brings back. After an end marker, the model writes on `anyway`, in a new paragraph. */
async function write(model, signal, { before = state(), anyway = false } = {}) {
  const from = state();
  const texts = Array(settings.nsamples).fill("");
  const pace = new Pace();
  let [asked, closing, laid] = [{}, null, null];
  begun(from.at, anyway);
  try {
    asked = await prompt(field.value.slice(0, tip), signal);
    fade(asked.from);
    if (texts.length > 1) laid = cards.lay(texts.length);
    for await (const event of stream("generate", request({ ...asked, model }, anyway), signal)) {
      if (event.usage) closing = event;
      if (!event.text) continue;
      pace.see();
      // A text area turns \r\n into one character, or into two lines if they arrive apart.
      const more = event.text.replaceAll("\r", "");
      const text = asked.spaced && !texts[event.index] ? more.replace(/^ /, "") : more;
      texts[event.index] += text;
      if (laid) cards.fill(laid[event.index], texts[event.index]);
      else add(text);
    }
  } finally {
    const seed = closing?.seed ?? settings.seed;
    if (closing) used(seed);
    pace.end(closing?.usage.completion_tokens, ...reason(closing, texts, signal));
    if (laid) offer(laid, { before: field.value, at: tip, ...asked, seed, texts });
    else if (texts[0]) finish({ before, from, anyway, seed }, asked, texts[0]);
    field.readOnly = false;
    $("write").classList.remove("writing");
    if (anyway && !texts[0]) show(from);
    if (closing?.finish_reason === "stop" && !laid) ended = field.value;
    announce(texts.filter(Boolean).join("\n") || $("count").textContent);
    draw();
  }
}

/** The model is about to write at `at`. */
function begun(at, anyway) {
  field.readOnly = true;
  ghost.dismiss();
  withdraw();
  ended = null;
  tip = at;
  $("write").classList.add("writing");
  draw();
  if (anyway) add(/\n\n/.test(field.value) ? "\n\n" : "\n");
}

function request({ prefix, model }, anyway) {
  const { seed, ...chosen } = settings;
  return { ...chosen, ...(seed !== null && { seed }), ...(anyway && { min_tokens: 1 }), prefix, model, include_prefix: false };
}

function reason(closing, texts, signal) {
  // The sentence about a refusal says the rest.
  if (!closing) return signal.aborted ? ["stopped"] : [];
  if (texts.every((text) => !text.trim())) return ["the model had nothing to add"];
  return closing.finish_reason === "timeout" ? ["time limit reached"] : [];
}

/** Let the caret stand after what was written, with a space before the word that follows, and remember how to undo it. */
function finish(step, asked, text) {
  if (/[\p{L}\p{N}]$/u.test(text) && /^[\p{L}\p{N}]/u.test(field.value.slice(tip))) add(" ");
  field.setSelectionRange(tip, tip);
  steps.push({ ...step, after: field.value, ...said(asked, text) });
}

/** Put the model's words where it is writing. */
function add(text) {
  field.setRangeText(text, tip, tip);
  ranges = inserted(ranges, tip, text.length);
  tip += text.length;
  seen = field.value;
  ink.grow(text);
  document.dispatchEvent(new Event("grown"));
}

/** Put words of the model's at `at`, all at once. */
function put(text, at, asked, seed) {
  const before = { ...state(), at };
  tip = at;
  add(text);
  finish({ before, from: before, seed }, asked, text);
  draw();
  changed();
}

/** Take a suggestion. */
const take = ({ ahead, text, asked }) => put(text, ahead.length, asked, null);

/** Put another word of the model's in place of what comes after `from`, and go on. Without a text, end there. */
function choose(from, text) {
  const before = state();
  const kept = { text: before.text.slice(0, from), ranges: edited(ranges, before.text, before.text.slice(0, from)) };
  show({ text: kept.text + (text ?? ""), ranges: text ? inserted(kept.ranges, from, text.length) : kept.ranges });
  if (text === null) steps.push({ before, from: before, after: field.value, prefix: kept.text, text: "" });
  else return run((signal) => write(reader.model, signal, { before }));
  changed();
}

function withdraw() {
  offered = null;
  cards.lay(0);
}

/** What a vote is about: the model's own words, which begin with the space that the prompt was asked without. */
const said = ({ prefix, spaced, model }, text) => ({ prefix, text: spaced && text ? ` ${text}` : text, model });

function offer(laid, found) {
  if (found.texts.every((text) => !text)) return withdraw();
  offered = found;
  cards.offer(laid, found.texts, {
    about: (text) => said(found, text),
    whole: (text) => found.before.slice(0, found.at) + text + found.before.slice(found.at),
    take: (text) => {
      const { at, seed } = found;
      withdraw();
      put(text, at, found, seed);
      field.focus();
    },
  });
}
