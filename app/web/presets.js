// Presets: settings under a name. Three follow the model's own defaults, the others are a person's.

import { $, make } from "./dom.js";
import { CHOICE, set, settings, usual } from "./settings.js";
import { keep, load } from "./store.js";

const own = () => [load("presets", [])].flat().filter((each) => typeof each?.name === "string" && each.values);
const say = (sentence) => ($("preset-says").textContent = sentence);

function builtIn() {
  const balanced = Object.fromEntries(CHOICE.map((name) => [name, usual[name]]));
  const { temperature, top_p } = usual;
  const tempered = (value) => Math.round(value * 20) / 20;
  return [
    { name: "Careful", values: { ...balanced, temperature: tempered(Math.min(0.4, temperature * 0.6)), top_p: Math.min(0.7, top_p) } },
    { name: "Balanced", values: balanced },
    { name: "Wild", values: { ...balanced, temperature: tempered(Math.min(2, Math.max(1.1, temperature * 1.6))), top_p: Math.max(0.95, top_p) } },
  ];
}

/** Set up the presets above the settings. */
export function open() {
  $("preset").onsubmit = (event) => {
    event.preventDefault();
    say(save($("preset-name").value.trim()));
    draw();
  };
  document.addEventListener("set", draw);
  draw();
}

/** Keep all settings but the seed under this name. Returns a sentence if that cannot be done. */
function save(name) {
  if (!name) return "Give the preset a name.";
  if (builtIn().some((each) => each.name === name)) return `${name} is built in: choose another name.`;
  const { seed, ...values } = settings;
  if (!keep("presets", [...without(name), { name, values }])) return "This browser's storage is full: delete some of the history.";
  $("preset-name").value = "";
  return "";
}

const without = (gone) => own().filter(({ name }) => name !== gone);

function draw() {
  const chips = [...builtIn(), ...own()].map(({ name, values }, at) => {
    const chosen = Object.entries(values).every(([each, value]) => JSON.stringify(settings[each]) === JSON.stringify(value));
    const choose = () => {
      say(set(values).join(" "));
      $("presets").children[at].firstChild.focus();
    };
    const remove = () => {
      keep("presets", without(name));
      draw();
      $("preset-name").focus();
    };
    const chip = make("span", {}, make("button", { "aria-pressed": chosen, onclick: choose }, name));
    if (at > 2) chip.append(make("button", { "aria-label": `Delete the preset ${name}`, onclick: remove }, "×"));
    return chip;
  });
  $("presets").replaceChildren(...chips);
}
