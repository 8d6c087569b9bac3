// Ghost text: what the model would write at the caret, after a pause. The server is asked only while it has nothing else to do.

import { stream } from "./api.js";
import { $, announce } from "./dom.js";
import { settings } from "./settings.js";
import { keep, load } from "./store.js";

const PAUSE = 450;
const TOKENS = 12;
const MORE = 3;
// A text of so many characters takes longer to read than anyone should wait: that begins with the first letter.
const LONG = 800;
// Milliseconds of silence after a refusal; each further one doubles them.
const [QUIET, QUIETEST] = [4000, 64000];

let wanted = load("suggest", true) === true;
let host = null;
let timer = 0;
let task = null;
let reading = null;
let read = "";
let quiet = { until: 0, next: QUIET };
// The alternatives to what comes after `ahead`, the text before the caret: {raw, done, begun}.
let ahead = "";
let options = [];
let shown = 0;

/** What is drawn of an alternative: whole words. Whether the last one is whole is known when another one or the end has come. */
const words = ({ raw, done, cut }) => {
  const whole = raw.slice(0, Math.max(0, raw.search(/\s+\S*$/)));
  return done ? (cut && whole.trim() ? whole : raw).trimEnd() : whole;
};

/** What stands at the caret. */
export const text = () => (options[shown] ? words(options[shown]) : "");

/**
 * `page.ahead()` is the text before the caret, null where nothing can be suggested. `page.prompt(text, tokens, signal)` is what the
 * model is asked, {prefix, spaced, model}. `page.draw()` draws the text anew, and `page.take({ahead, text, …})` puts one into it.
 */
export function open(page) {
  host = page;
  $("suggest").checked = wanted;
  $("suggest").addEventListener("change", () => want($("suggest").checked));
  $("text").addEventListener("blur", dismiss);
  document.addEventListener("visibilitychange", () => document.hidden && dismiss());
  document.addEventListener("selectionchange", () => text() && host.ahead() !== ahead && dismiss());
  document.addEventListener("keyed", () => (quiet = { until: 0, next: QUIET }));
  // A tap takes it. The field keeps the focus, or a phone would hide its keyboard.
  for (const target of [$("ink"), $("hint")]) target.addEventListener("pointerdown", (event) => event.preventDefault());
  $("ink").addEventListener("click", (event) => event.target.className === "ghost" && take());
  $("take").addEventListener("click", take);
  $("other").addEventListener("click", () => turn(1));
  $("never").addEventListener("click", () => {
    want(false);
    announce("Suggestions are off. Settings has them.");
  });
}

function want(on) {
  wanted = $("suggest").checked = on;
  keep("suggest", on);
  dismiss();
}

/** After an edit: shorten what stands there by what was typed of it, or ask anew after a pause. */
export function typed() {
  const now = host.ahead();
  if (now?.startsWith(ahead) && text().startsWith(now.slice(ahead.length)) && text()) return shorten(now);
  dismiss();
  if (now === null || !wanted) return;
  if (now.length > LONG && !(read && now.startsWith(read))) warm(now);
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

/** Take what stands there away, and stop what is being asked. */
export function dismiss() {
  clearTimeout(timer);
  task?.abort();
  task = null;
  const gone = text();
  [options, shown] = [[], 0];
  if (gone) show();
}

/** Handle a key. Returns whether it was for the ghost. */
export function key(event) {
  if (!text() || event.isComposing || event.ctrlKey || event.metaKey) return false;
  const by = event.altKey ? { BracketRight: 1, BracketLeft: -1 }[event.code] : 0;
  if (event.key === "Tab" && !event.shiftKey && !event.altKey) take();
  else if (event.key === "Escape") dismiss();
  else if (by) turn(by);
  else return false;
  return true;
}

function take() {
  const taken = { ahead, text: text(), ...options[shown].asked };
  dismiss();
  host.take(taken);
  if (wanted) timer = setTimeout(suggest, PAUSE);
}

/** Show the next alternative, or the one before. When the last has been seen, others are asked for. */
function turn(by) {
  if (by > 0 && shown === options.length - 1 && !task) return void ask(MORE);
  shown = (shown + by + options.length) % options.length;
  show();
  announce(text());
}

function suggest() {
  const now = host.ahead();
  if (!now?.trim() || document.hidden || Date.now() < quiet.until) return;
  ahead = now;
  ask(1);
}

async function ask(count) {
  const mine = (task = new AbortController());
  const fresh = Array.from({ length: count }, () => ({ raw: "", done: false }));
  try {
    await reading;
    const asked = await host.prompt(ahead, TOKENS, mine.signal);
    for await (const event of stream("generate", question(asked, TOKENS, count), mine.signal)) {
      if (mine.signal.aborted) return;
      if (event.usage) end(fresh, event.finish_reasons ?? [event.finish_reason]);
      else if (event.text) hear(fresh, fresh[event.index], event.text, asked);
    }
    read = ahead;
    quiet.next = QUIET;
  } catch (error) {
    hush(error);
  } finally {
    if (task === mine) task = null;
  }
}

/** Have a long text read before it is time for a suggestion. This is not stopped by a key: it is about what stands there. */
function warm(now) {
  if (reading || host.ahead() === null || Date.now() < quiet.until) return;
  read = now;
  reading = (async () => {
    const asked = await host.prompt(now, 1);
    for await (const event of stream("generate", question(asked, 1, 1))) if (event.usage) return;
  })()
    .catch(hush)
    .finally(() => (reading = null));
}

function question({ prefix, model }, length, nsamples) {
  const { seed, ...chosen } = settings;
  return { ...chosen, prefix, model, length, nsamples, include_prefix: false, only_if_idle: true };
}

function hear(fresh, option, more, asked) {
  const text = more.replaceAll("\r", "");
  option.raw += asked.spaced && !option.asked ? text.replace(/^ /, "") : text;
  option.asked = asked;
  if (!words(option) || fresh.some((each) => options.includes(each) && each !== option)) return options.includes(option) && show();
  if (!options.includes(option)) shown = options.push(option) - 1;
  show();
}

function end(fresh, reasons) {
  fresh.forEach((each, at) => Object.assign(each, { done: true, cut: reasons[at] !== "stop" }));
  const chosen = text();
  const all = [...new Set([...options, ...fresh])].filter(words);
  options = all.filter((each, at) => all.findIndex((other) => words(other) === words(each)) === at);
  shown = Math.max(0, options.findIndex((each) => words(each) === chosen));
  show();
  if (text()) announce(`Suggested: ${text()}`);
}

/** A refusal is nobody's business: be quiet for a while. Where a key is needed, until there is one. */
function hush(error) {
  if (error.name === "AbortError") return;
  quiet = { until: error.status === 401 ? Infinity : Date.now() + quiet.next, next: Math.min(2 * quiet.next, QUIETEST) };
}

/** Draw it, and below its end the buttons for those who have no Tab key. */
function show() {
  host.draw();
  const end = [...($("ink").querySelector(".ghost")?.getClientRects() ?? [])].at(-1);
  $("hint").hidden = !end;
  if (!end) return;
  const sheet = $("ink").getBoundingClientRect();
  $("hint").style.top = `${end.bottom - sheet.top}px`;
  $("hint").style.left = `${Math.max(0, Math.min(end.right - sheet.left, sheet.width - $("hint").offsetWidth))}px`;
}
