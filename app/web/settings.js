// The settings for generating: their panel, with an explanation of each, and their values.

import { $, make } from "./dom.js";
import { keep, load } from "./store.js";

const FIELDS = [
  {
    name: "temperature", label: "Temperature", least: 0, most: 2, step: 0.05, start: 0.7,
    says: "Higher values make the text more surprising. At 0 the most likely token is always chosen.",
  },
  {
    name: "length", label: "Length", least: 10, most: 1000, step: 10, start: 120,
    says: "The most tokens to write. A token is about three quarters of a word. A text may end earlier.",
  },
  {
    name: "top_p", label: "Top p", least: 0.05, most: 1, step: 0.05, start: 0.8,
    says: "Choose among the most likely tokens that together have this probability. 1 means all tokens.",
  },
  {
    name: "top_k", label: "Top k", least: 0, most: 200, step: 1, start: 0,
    says: "Choose among this many of the most likely tokens. 0 means all tokens.",
  },
  {
    name: "repetition_penalty", label: "Repetition penalty", least: 1, most: 2, step: 0.05, start: 1,
    says: "Values above 1 make tokens less likely once they have been used.",
  },
  {
    name: "nsamples", label: "Samples", least: 1, most: 6, step: 1, start: 1,
    says: "How many continuations to write for you to choose from. Chat always writes one.",
  },
];
const SEED = { name: "seed", label: "Seed", least: 0, most: 2 ** 32 - 1, step: 1 };
const inputs = {};
/** The values by name. `seed` is null when the server chooses a new one each time. */
export const settings = builtIn();
let usual = builtIn();

function builtIn() {
  return { ...Object.fromEntries(FIELDS.map(({ name, start }) => [name, start])), seed: null };
}

/** Build the panel with the values that were chosen last. `longest` is the server's limit of tokens. */
export function open(longest) {
  const length = FIELDS.find(({ name }) => name === "length");
  length.most = Math.min(length.most, longest);
  length.start = Math.min(length.start, longest);
  $("fields").append(...FIELDS.map(slider), seedField());
  $("fields").addEventListener("submit", (event) => event.preventDefault());
  $("reset").addEventListener("click", () => set(usual));
  // Earlier versions stored all values, so one that is built in was not chosen.
  const first = builtIn();
  const chosen = Object.entries(load("settings", {})).filter(([name, value]) => value !== first[name]);
  usual = first;
  set(first);
  set(Object.fromEntries(chosen));
}

/** Take a model's own defaults for all that nobody has chosen. */
export function follow(defaults) {
  const chosen = changed();
  usual = builtIn();
  for (const field of FIELDS) {
    let value = defaults[field.name];
    if (value === undefined) continue;
    // The API writes "all tokens" as 0, too.
    if (field.name === "top_p" && value === 0) value = 1;
    if (field.name === "length") value = Math.min(value, field.most);
    usual[field.name] = value;
    field.least = inputs[field.name].input.min = Math.min(field.least, value);
    field.most = inputs[field.name].input.max = Math.max(field.most, value);
  }
  set({ ...usual, ...chosen });
}

function slider(field) {
  const { name, label, least, most, step, says } = field;
  const input = make("input", { type: "range", id: `set-${name}`, min: least, max: most, step });
  const output = make("output", { for: input.id });
  input.setAttribute("aria-describedby", `${input.id}-says`);
  input.addEventListener("input", () => set({ [name]: Number(input.value) }));
  inputs[name] = { input, output };
  const line = make("label", { for: input.id }, label);
  return make("div", { className: "field" }, line, output, input, explanation(input.id, says));
}

function seedField() {
  const input = make("input", { type: "text", inputMode: "numeric", id: "set-seed", placeholder: "random each time" });
  const says = "The same prompt, settings and seed give the same text. “Again” takes a new seed.";
  input.setAttribute("aria-describedby", "set-seed-says");
  input.addEventListener("change", () => {
    const seed = input.value.trim() === "" ? null : Number(input.value);
    const right = seed === null || fits(SEED, seed);
    input.setAttribute("aria-invalid", !right);
    $("set-seed-says").textContent = right ? says : `A seed is a whole number from 0 to ${SEED.most}.`;
    if (right) set({ seed });
  });
  inputs.seed = { input };
  return make("div", { className: "field" }, make("label", { for: "set-seed" }, SEED.label), input, explanation("set-seed", says));
}

const explanation = (id, says) => make("p", { id: `${id}-says`, className: "note" }, says);

/** Change some values. Returns a sentence for each one that is not allowed; those keep their old value. */
export function set(values) {
  const problems = [];
  for (const [name, value] of Object.entries(values)) {
    const field = [...FIELDS, SEED].find((each) => each.name === name);
    if (!field || !(fits(field, value) || (name === "seed" && value === null))) {
      problems.push(field ? `${name} must be between ${field.least} and ${field.most}.` : `There is no setting called ${name}.`);
      continue;
    }
    settings[name] = value;
    inputs[name].input.value = value ?? "";
    if (inputs[name].output) inputs[name].output.value = String(value);
  }
  keep("settings", changed());
  return problems;
}

function fits({ least, most, step }, value) {
  return Number.isFinite(value) && value >= least && value <= most && (step < 1 || Number.isInteger(value));
}

/** The values that differ from the model's defaults. */
export function changed() {
  return Object.fromEntries(Object.entries(settings).filter(([name, value]) => value !== usual[name]));
}
