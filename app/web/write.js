// Write: one text in two inks, and the continuations to choose from.

import { stream } from "./api.js";
import { $, announce, copy, flash, make } from "./dom.js";
import { edited, runs } from "./pen.js";
import { set, settings } from "./settings.js";
import { Pace, busy, changed, run } from "./task.js";
import * as votes from "./votes.js";

const field = $("text");
let ranges = [];
let seen = "";
// What the model added, newest last: {before, after, ranges, prefix, text, model, seed}. It can be undone until the text is edited.
let steps = [];
// The continuations to choose from: {before, prefix, spaced, model, seed, texts}.
let offered = null;

export const go = (model) => run((signal) => write(model, signal));
export const goOn = go;
export const isEmpty = () => field.value === "";
export const pieces = () => runs(field.value, ranges);
const top = () => (steps.at(-1)?.after === field.value ? steps.at(-1) : null);
export const canUndo = () => Boolean(top());
export const canAgain = () => Boolean(top() || offered);
/** What a vote is about. */
export const latest = () => top();
export const words = () => ({ go: "Continue", show: field });

export function open() {
  field.addEventListener("input", () => {
    ranges = edited(ranges, seen, field.value);
    draw();
    changed();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey && canUndo() && !busy()) {
      event.preventDefault();
      undo();
    }
  });
  draw();
}

export function undo() {
  const step = top();
  steps.pop();
  show(step.before, step.ranges);
  announce("Undone.");
}

export function again(model) {
  set({ seed: null });
  if (!offered) undo();
  return go(model);
}

export function begin(text) {
  show(text, []);
}

export function fresh() {
  steps = [];
  withdraw();
  show("", []);
}

export const entry = () => ({ text: field.value, ranges, ...(offered && { offered }) });

export function restore(kept) {
  steps = [];
  withdraw();
  if (kept.prompt !== undefined && kept.text.startsWith(kept.prompt) && kept.text !== kept.prompt) steps.push(shared(kept));
  show(kept.text, kept.ranges);
  if (!kept.offered) return;
  const cards = lay(kept.offered.texts.length);
  withdraw(cards);
  offer(cards, kept.offered);
}

/** The step from a shared text's prompt to its end, to be undone and done again. */
function shared({ text, ranges, prompt, model, seed }) {
  const prefix = bare(prompt);
  const rest = text.slice(prompt.length);
  return { before: prompt, after: text, ranges: edited(ranges, text, prompt), ...said(prefix, prefix !== prompt, rest), model, seed };
}

/** The last prompt with the seed of its continuation. If there is none, the text as it is. */
export function link() {
  const step = top() ?? offered;
  return step ? { text: step.before, seed: step.seed } : { text: field.value, seed: settings.seed };
}

function show(text, newRanges) {
  field.value = text;
  ranges = newRanges;
  draw();
  changed();
}

function draw() {
  seen = field.value;
  const spans = pieces().map(({ text, model }) => make("span", { className: model ? "models" : "yours" }, text));
  if (!seen) spans.push(make("span", { className: "yours" }, "Write a beginning,"), " ", make("span", { className: "models" }, "and the model continues it."));
  $("ink").classList.toggle("invitation", !seen);
  // An empty last line only has a height if it holds a character.
  $("ink").replaceChildren(...spans, "\u200b");
}

async function write(model, signal) {
  const before = field.value;
  const old = ranges;
  const prefix = bare(before);
  const spaced = prefix !== before;
  const asked = { ...settings, prefix, model, include_prefix: false };
  if (asked.seed === null) delete asked.seed;
  const cards = settings.nsamples > 1 ? lay(settings.nsamples) : null;
  const texts = Array(settings.nsamples).fill("");
  const pace = new Pace();
  let closing = null;
  field.readOnly = true;
  withdraw(cards);
  $("write").classList.add("writing");
  try {
    for await (const event of stream("generate", asked, signal)) {
      if (event.usage) closing = event;
      if (!event.text) continue;
      pace.see();
      // A text area turns \r\n into one character, or into two lines if they arrive apart.
      const more = event.text.replaceAll("\r", "");
      const text = spaced && !texts[event.index] ? more.replace(/^ /, "") : more;
      texts[event.index] += text;
      // A word's token begins with the space before it, which would indent the card.
      if (cards) cards[event.index].words.textContent = texts[event.index].trimStart();
      else add(text);
    }
  } finally {
    field.readOnly = false;
    $("write").classList.remove("writing");
    const seed = closing?.seed ?? settings.seed;
    pace.end(closing?.usage.completion_tokens, ...reason(closing, texts, signal));
    if (cards) offer(cards, { before, prefix, spaced, model, seed, texts });
    else if (texts[0]) steps.push({ before, after: field.value, ranges: old, ...said(prefix, spaced, texts[0]), model, seed });
    announce(texts.filter(Boolean).join("\n") || $("count").textContent);
    draw();
  }
}

/** A token for a word includes the space before it, so after a trailing space the model could not continue well. */
const bare = (text) => (text.trimEnd() === "" ? text : text.replace(/ +$/, ""));

function reason(closing, texts, signal) {
  // The sentence about a refusal says the rest.
  if (!closing) return signal.aborted ? ["stopped"] : [];
  if (texts.every((text) => !text.trim())) return ["the model had nothing to add"];
  return closing.finish_reason === "timeout" ? ["time limit reached"] : [];
}

/** Append the model's words to the text. */
function add(text) {
  const start = field.value.length;
  field.value += text;
  if (ranges.at(-1)?.[1] === start) ranges = [...ranges.slice(0, -1), [ranges.at(-1)[0], start + text.length]];
  else ranges = [...ranges, [start, start + text.length]];
  seen = field.value;
  const span = $("ink").querySelector("span:last-of-type");
  if (span?.className === "models" && start > 0) span.append(text);
  else draw();
  document.dispatchEvent(new Event("grown"));
}

function sameness(same, all) {
  return `${same} of ${all} wrote this.${same === all ? " With a higher temperature they differ." : ""}`;
}

function lay(count) {
  return Array.from({ length: count }, () => {
    const words = make("p", { className: "models" });
    return { words, card: make("div", { className: "card", role: "listitem" }, words) };
  });
}

/** Replace the continuations to choose from, by default with none. */
function withdraw(cards = null) {
  offered = null;
  $("samples").hidden = !cards;
  $("samples").replaceChildren(...(cards ?? []).map(({ card }) => card));
}

/** What a vote is about: the model's own words, which begin with the space that the prompt was asked without. */
const said = (prefix, spaced, text) => ({ prefix, text: spaced && text ? ` ${text}` : text });

/** Let a person choose. Continuations that are equal are shown once. */
function offer(cards, found) {
  const { before, prefix, spaced, model, seed, texts } = found;
  if (texts.every((text) => !text)) return withdraw();
  offered = found;
  for (const [index, { card, words }] of cards.entries()) {
    const text = texts[index];
    if (texts.indexOf(text) < index) {
      card.remove();
      continue;
    }
    words.textContent = text.trimStart();
    const same = texts.filter((other) => other === text).length;
    if (same > 1) card.append(make("p", { className: "note" }, sameness(same, texts.length)));
    const take = make("button", { type: "button" }, "Take this one");
    take.addEventListener("click", () => {
      const old = ranges;
      withdraw();
      // Keep what was typed since the continuations were written.
      const start = field.value;
      add(text);
      steps.push({ before: start, after: field.value, ranges: old, ...said(prefix, spaced, text), model, seed });
      changed();
      field.focus();
    });
    const keep = make("button", { type: "button" }, "Copy");
    keep.addEventListener("click", () => copy(before + text).then(() => flash(keep, "Copied")));
    card.append(make("div", { className: "after" }, take, keep, ...votes.buttons({ ...said(prefix, spaced, text), model })));
  }
}
