// Ghost text: what the model would write at the caret, after a pause. The server is asked only while it has nothing else to do.

import { stream } from "./api.js";
import { $, announce } from "./dom.js";
import { settings } from "./settings.js";
import { keep, load } from "./store.js";

const PAUSE = 450;
const TOKENS = 12;
const MORE = 3;
// A text of so many characters takes longer to read than anyone should wait: that begins with the first key.
const LONG = 800;
// Milliseconds of silence after a refusal; each further one doubles them.
const [QUIET, QUIETEST] = [1000, 64000];

let wanted = load("suggest", true) === true;
let page = null;
let timer = 0;
let task = null;
let reading = null;
let read = null;
let quiet = { until: 0, next: QUIET };
// What could come after `ahead`, the text before the caret: {raw, done, cut, asked}.
let ahead = "";
let options = [];
let shown = 0;

/** What is drawn of one: whole words. Whether the last one is whole is known when another one or the end has come. */
function words({ raw, done, cut }) {
  const whole = raw.slice(0, Math.max(0, raw.search(/\s+\S*$/)));
  return done ? (cut && whole.trim() ? whole : raw).trimEnd() : whole;
}

/** What stands in the text, and where. */
export const text = () => (options[shown] ? words(options[shown]) : "");
export const at = () => (text() ? ahead.length : -1);

/**
 * Of the page it takes `ahead()`, the text before the caret, null where nothing can be suggested; `prompt(text, signal)`, what the
 * model is asked; `draw()`; and `take({ahead, text, asked})`, which puts a suggestion into the text.
 */
export function open(itsPage) {
  page = itsPage;
  $("suggest").checked = wanted;
  $("suggest").addEventListener("change", () => want($("suggest").checked));
  $("text").addEventListener("blur", dismiss);
  document.addEventListener("visibilitychange", dismiss);
  document.addEventListener("selectionchange", () => text() && page.ahead() !== ahead && dismiss());
  document.addEventListener("keyed", () => (quiet = { until: 0, next: QUIET }));
  // The field keeps the focus, or a phone would hide its keyboard, and all below would move up while it is pressed.
  for (const id of ["ink", "hint", "actions", "samples"]) $(id).addEventListener("pointerdown", (event) => text() && event.preventDefault());
  for (const id of ["actions", "samples"]) $(id).addEventListener("click", dismiss, true);
  $("ink").addEventListener("click", ({ target }) => target.className === "ghost" && take());
  $("take").addEventListener("click", take);
  $("other").addEventListener("click", () => turn(1));
  $("never").addEventListener("click", () => want(false));
}

function want(on) {
  wanted = $("suggest").checked = on;
  keep("suggest", on);
  dismiss();
  if (!on) announce("Suggestions are off. Settings has them.");
}

/** After an edit: shorten what stands there by what was typed of it, or ask anew after a pause. */
export function typed() {
  const now = page.ahead();
  if (text() && now?.startsWith(ahead) && text().startsWith(now.slice(ahead.length))) return shorten(now);
  dismiss();
  if (now === null || !wanted) return;
  if (now.length > LONG && !(read !== null && now.startsWith(read))) warm(now);
  timer = setTimeout(suggest, PAUSE);
}

function shorten(now) {
  const added = now.slice(ahead.length);
  const chosen = options[shown];
  options = options.filter(({ raw }) => raw.startsWith(added));
  for (const each of options) each.raw = each.raw.slice(added.length);
  shown = options.indexOf(chosen);
  ahead = now;
  if (!text() && !task) timer = setTimeout(suggest, PAUSE);
}

/** Take away what stands there, and stop what is being asked. */
export function dismiss() {
  clearTimeout(timer);
  task?.abort();
  task = null;
  const gone = text();
  [options, shown] = [[], 0];
  if (gone) show();
}

/** Handle a key. Returns whether it was for the ghost. */
export function key({ key: name, code, altKey, shiftKey, isComposing }) {
  const by = altKey && { BracketRight: 1, BracketLeft: -1 }[code];
  if (!text() || isComposing) return false;
  if (by) turn(by);
  else if (name === "Escape") dismiss();
  else if (name === "Tab" && !shiftKey && !altKey) take();
  else return false;
  return true;
}

function take() {
  const taken = { ahead, text: text(), asked: options[shown].asked };
  dismiss();
  page.take(taken);
  if (wanted) timer = setTimeout(suggest, PAUSE);
}

/** Show the next one, or the one before. When all have been seen, others are asked for. */
function turn(by) {
  if (by > 0 && shown === options.length - 1) return task ? null : ask(MORE);
  shown = (shown + by + options.length) % options.length;
  show();
  announce(text());
}

function suggest() {
  const now = page.ahead();
  if (!now?.trim() || document.hidden || Date.now() < quiet.until) return;
  ahead = now;
  ask(1);
}

async function ask(count) {
  const mine = (task = new AbortController());
  const fresh = Array.from({ length: count }, () => ({ raw: "", done: false }));
  try {
    await reading;
    const asked = await page.prompt(ahead, mine.signal);
    for await (const event of stream("generate", question(asked, TOKENS, count), mine.signal)) {
      if (mine.signal.aborted) return;
      if (event.usage) end(fresh, event.finish_reasons ?? [event.finish_reason]);
      else hear(fresh, fresh[event.index], event.text, asked);
    }
    read = ahead;
    quiet.next = QUIET;
  } catch (error) {
    hush(error);
  } finally {
    if (task === mine) task = null;
  }
}

/** Have a long text read before it is time for a suggestion. No key stops this: it is about what stands there. */
function warm(now) {
  if (reading || Date.now() < quiet.until) return;
  read = now;
  const work = async () => {
    for await (const event of stream("generate", question(await page.prompt(now), 1, 1))) if (event.usage) return;
  };
  reading = work().catch(hush).finally(() => (reading = null));
}

const question = ({ prefix, model }, length, nsamples) => {
  const { seed, ...chosen } = settings;
  return { ...chosen, prefix, model, length, nsamples, include_prefix: false, only_if_idle: true };
};

function hear(fresh, option, more, asked) {
  const text = more.replaceAll("\r", "");
  option.raw += asked.spaced && !option.asked ? text.replace(/^ /, "") : text;
  option.asked = asked;
  // The first that has a word is shown, and the others when they are asked for.
  if (words(option) && !fresh.some((each) => options.includes(each))) shown = options.push(option) - 1;
  if (option === options[shown]) show();
}

function end(fresh, reasons) {
  fresh.forEach((each, index) => Object.assign(each, { done: true, cut: reasons[index] !== "stop" }));
  const chosen = text();
  const all = [...new Set([...options, ...fresh])].filter(words);
  options = all.filter((each, index) => all.findIndex((other) => words(other) === words(each)) === index);
  shown = Math.max(0, options.findIndex((each) => words(each) === chosen));
  show();
  if (text()) announce(`Suggested: ${text()}`);
}

/** A refusal is nobody's business: be quiet for a while. Where a key is needed, until there is one. */
function hush({ name, status, wait = 0 }) {
  if (name === "AbortError") return;
  const most = status === 401 ? Infinity : Math.max(quiet.next, 1000 * wait);
  quiet = { until: Date.now() + most, next: Math.min(2 * quiet.next, QUIETEST) };
  // Somebody else was served, which is soon over.
  if (most < 4 * QUIET) timer = setTimeout(suggest, most);
}

/** Draw it, and below its end the buttons for those who have no Tab key. */
function show() {
  page.draw();
  const end = [...($("ink").querySelector(".ghost")?.getClientRects() ?? [])].at(-1);
  $("hint").hidden = !end;
  if (!end) return;
  const { left, top, width } = $("ink").getBoundingClientRect();
  $("hint").style.top = `${end.bottom - top}px`;
  $("hint").style.left = `${Math.max(0, Math.min(end.right - left, width - $("hint").offsetWidth))}px`;
  // The foot of the page may lie over it.
  $("hint").scrollIntoView({ block: "nearest" });
}
