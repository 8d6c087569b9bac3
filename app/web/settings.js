// How texts are written: the settings, the panel that explains them, and their place in a link.

import { $, make } from "./dom.js";
import { keep, load } from "./store.js";

const FIELDS = [
  {
    name: "temperature", label: "Temperature", least: 0, most: 2, step: 0.05, start: 0.7,
    says: "How much is left to chance. At 0 the likeliest word always comes; above 1 it gets wild.",
  },
  {
    name: "length", label: "Length", least: 10, most: 1000, step: 10, start: 120,
    says: "At most so many tokens, about three quarters of a word each. A text may end sooner by itself.",
  },
  {
    name: "top_p", label: "Top p", least: 0.05, most: 1, step: 0.05, start: 0.8,
    says: "Choose among the likeliest tokens that make up this share of what could come. 1 is all of them.",
  },
  {
    name: "top_k", label: "Top k", least: 0, most: 200, step: 1, start: 0,
    says: "Choose among this many of the likeliest tokens. 0 is all of them.",
  },
  {
    name: "repetition_penalty", label: "Repetition penalty", least: 1, most: 2, step: 0.05, start: 1,
    says: "Above 1, what has been said becomes less likely to be said again.",
  },
  {
    name: "nsamples", label: "Samples", least: 1, most: 6, step: 1, start: 1,
    says: "How many continuations to write side by side, for you to choose from. Chat has one.",
  },
];
const SEED = { name: "seed", label: "Seed", least: 0, most: 2 ** 32 - 1, step: 1 };
const inputs = {};
/** By name; `seed` is null where a new one is drawn each time. */
export const settings = defaults();

function defaults() {
  return { ...Object.fromEntries(FIELDS.map(({ name, start }) => [name, start])), seed: null };
}

/** Build the panel, and take up what was last set. `longest` is the server's limit. */
export function open(longest) {
  const length = FIELDS.find(({ name }) => name === "length");
  length.most = Math.min(length.most, longest);
  length.start = Math.min(length.start, longest);
  $("fields").append(...FIELDS.map(slider), seedField());
  $("fields").addEventListener("submit", (event) => event.preventDefault());
  $("reset").addEventListener("click", () => set(defaults()));
  const kept = load("settings", {});
  set(settings);
  set(kept);
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
  const input = make("input", { type: "text", inputMode: "numeric", id: "set-seed", placeholder: "drawn anew each time" });
  const says = "The same prompt, settings and seed write the same text. “Again” draws a new one.";
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

/** Change some. What does not fit is left as it was; returns a sentence for each of those. */
export function set(values) {
  const problems = [];
  for (const [name, value] of Object.entries(values)) {
    const field = [...FIELDS, SEED].find((each) => each.name === name);
    if (!field || !(fits(field, value) || (name === "seed" && value === null))) {
      problems.push(field ? `${name} should be from ${field.least} to ${field.most}.` : `There is no setting ${name}.`);
      continue;
    }
    settings[name] = value;
    inputs[name].input.value = value ?? "";
    if (inputs[name].output) inputs[name].output.value = String(value);
  }
  keep("settings", settings);
  return problems;
}

function fits({ least, most, step }, value) {
  return Number.isFinite(value) && value >= least && value <= most && (step < 1 || Number.isInteger(value));
}

/** Those that differ from the defaults. */
export function changed() {
  const usual = defaults();
  return Object.fromEntries(Object.entries(settings).filter(([name, value]) => value !== usual[name]));
}
