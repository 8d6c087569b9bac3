// The settings for generating: their panel, with an explanation of each, and their values.

import { $, make } from "./dom.js";
import { keep, load } from "./store.js";

// Name, least, most, step, first value, what it does, and the value that switches it off with the word for that.
const FIELDS = [
  ["temperature", 0, 2, 0.05, 0.7, "Higher is more surprising. At 0 the likeliest token is always chosen."],
  ["length", 10, 1000, 10, 120, "The most tokens to write, each about three quarters of a word. A text may end earlier."],
  ["nsamples", 1, 6, 1, 1, "Continuations to choose from. Chat always writes one."],
  ["top_p", 0.05, 1, 0.05, 0.8, "Choose among the likeliest tokens that together have this probability.", 1, "all"],
  ["top_k", 0, 200, 1, 0, "Choose among this many of the likeliest tokens.", 0, "all"],
  ["min_p", 0, 1, 0.01, 0, "Leave out tokens less likely than this share of the likeliest.", 0, "off"],
  ["repetition_penalty", 1, 2, 0.05, 1, "Above 1, tokens that you or the model have used become less likely.", 1, "off"],
  ["presence_penalty", -2, 2, 0.1, 0, "Makes tokens that the model wrote less likely, or below 0 more likely.", 0, "off"],
  ["frequency_penalty", -2, 2, 0.1, 0, "The same, anew each time that they are written.", 0, "off"],
].map(([name, least, most, step, start, says, off, word]) => ({ name, least, most, step, start, says, off, word }));
/** The names of the settings that decide how a token is chosen. */
export const CHOICE = FIELDS.map(({ name }) => name).filter((name) => name !== "length" && name !== "nsamples");
const SEED = { name: "seed", least: 0, most: 2 ** 32 - 1, step: 1 };
// Those after it are seldom needed.
const PLAIN = 4;
const inputs = {};
/** The values by name, as the API takes them. `seed` is null when the server draws one each time, `stop` when nothing is to end a text. */
export const settings = builtIn();
/** What the model uses unless something else is chosen. */
export let usual = builtIn();

function builtIn() {
  return { ...Object.fromEntries(FIELDS.map(({ name, start }) => [name, start])), stop: null, seed: null };
}

/** Build the panel with the values that were chosen last. `longest` is the server's limit of tokens. */
export function open(longest) {
  const length = FIELDS.find(({ name }) => name === "length");
  length.most = Math.min(length.most, longest);
  length.start = Math.min(length.start, longest);
  const sliders = FIELDS.map(slider);
  const more = make("details", { id: "more" }, make("summary", {}, "More ways to choose"), ...sliders.slice(PLAIN));
  $("fields").append(...sliders.slice(0, PLAIN), more, stopField(), seedField());
  $("reset").onclick = () => set(usual);
  // Earlier versions stored all values, so one that is built in was not chosen.
  const first = builtIn();
  const chosen = Object.entries(load("settings", {})).filter(([name, value]) => !same(value, first[name]));
  usual = first;
  set(first);
  set(Object.fromEntries(chosen));
  more.open = FIELDS.slice(PLAIN).some(({ name }) => name in changed());
}

/** Take a model's own defaults for all that nobody has chosen. */
export function follow(defaults) {
  const chosen = changed();
  usual = ownOf(defaults);
  for (const field of FIELDS) {
    const value = usual[field.name];
    field.least = inputs[field.name].input.min = Math.min(field.least, value);
    field.most = inputs[field.name].input.max = Math.max(field.most, value);
  }
  set({ ...usual, ...chosen });
}

/** The values for a model beside the chosen one: what was chosen, else its own defaults. */
export const beside = (defaults) => ({ ...ownOf(defaults), ...changed() });

function ownOf(defaults) {
  const own = builtIn();
  for (const { name, most } of FIELDS) {
    if (defaults[name] === undefined) continue;
    // The API writes "all tokens" as 0, too.
    own[name] = name === "top_p" && defaults[name] === 0 ? 1 : name === "length" ? Math.min(defaults[name], most) : defaults[name];
  }
  return own;
}

function slider({ name, least, most, step, says, off, word }) {
  const label = name === "nsamples" ? "Samples" : name[0].toUpperCase() + name.slice(1).replaceAll("_", " ");
  const input = make("input", { type: "range", min: least, max: most, step, oninput: () => set({ [name]: Number(input.value) }) });
  const output = make("output");
  const show = (value) => {
    input.value = value;
    output.value = value === off ? word : value;
    input.setAttribute("aria-valuetext", output.value);
  };
  return field(name, label, { input, show, says }, output);
}

function field(name, label, { input, show, says }, ...more) {
  const id = `set-${name}`;
  const note = make("p", { id: `${id}-says`, className: "note" }, says);
  input.id = id;
  input.setAttribute("aria-describedby", note.id);
  inputs[name] = { input, show };
  return make("div", { className: "field" }, make("label", { for: id }, label), ...more, input, note);
}

/** A field for words. `read(words)` gives the value, or undefined if `wrong` is to be said, and `written(value)` the words. */
function words(name, label, input, { read, written, says, wrong }) {
  const judge = (right) => {
    input.setAttribute("aria-invalid", !right);
    input.nextSibling.textContent = right ? says : wrong;
    return right;
  };
  const show = (value) => judge((input.value = written(value)) !== undefined);
  input.onchange = () => judge(read(input.value) !== undefined) && set({ [name]: read(input.value) });
  return field(name, label, { input, show, says });
}

const isStop = (stops) => Array.isArray(stops) && stops.length <= 4 && stops.every((stop) => typeof stop === "string" && stop.length <= 1000);

const stopField = () =>
  words("stop", "Stop before", make("textarea", { rows: 2, placeholder: "nothing" }), {
    read(lines) {
      const stops = lines.split("\n").filter(Boolean).map((line) => line.replaceAll("\\n", "\n"));
      return isStop(stops) ? (stops.length ? stops : null) : undefined;
    },
    written: (stops) => (stops ?? []).map((stop) => stop.replaceAll("\n", "\\n")).join("\n"),
    says: "A text ends before any of these, one on each line. A line end is written as \\n.",
    wrong: "Give at most 4 lines, each of at most 1000 characters.",
  });

function seedField() {
  const line = words("seed", "Seed", make("input", { type: "text", inputMode: "numeric", placeholder: "random each time" }), {
    read: (digits) => (digits.trim() ? (fits(SEED, Number(digits)) ? Number(digits) : undefined) : null),
    written: (seed) => seed ?? "",
    says: "The same prompt, settings and seed give the same text. “Again” takes a new seed.",
    wrong: `A seed is a whole number from 0 to ${SEED.most}.`,
  });
  line.append(make("p", { id: "used" }));
  return line;
}

/** Show the seed of the text that was written last, and offer to keep it. */
export function used(seed) {
  $("used")?.replaceChildren(`The last one was ${seed}. `, make("button", { onclick: () => set({ seed }) }, "Keep it"));
}

/** Change some values. Returns a sentence for each one that is not allowed; those keep their old value. */
export function set(values) {
  // As long as the server cannot be reached, what was chosen is not known, and must not be stored anew.
  if (!inputs.seed) return [];
  const problems = Object.entries(values).flatMap(([name, value]) => put(name, value));
  keep("settings", changed());
  document.dispatchEvent(new Event("set"));
  return problems;
}

function put(name, value) {
  const field = [...FIELDS, SEED].find((each) => each.name === name);
  const right = name === "stop" ? value === null || isStop(value) : field && (fits(field, value) || (name === "seed" && value === null));
  if (!right) return [field ? `${name} must be between ${field.least} and ${field.most}.` : name === "stop" ? "stop must be up to 4 texts." : `There is no setting called ${name}.`];
  settings[name] = value;
  inputs[name].show(value);
  return [];
}

function fits({ least, most, step }, value) {
  return Number.isFinite(value) && value >= least && value <= most && (step < 1 || Number.isInteger(value));
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** The values that differ from the model's defaults. */
export function changed() {
  return Object.fromEntries(Object.entries(settings).filter(([name, value]) => !same(value, usual[name])));
}
