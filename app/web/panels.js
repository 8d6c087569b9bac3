// The panels over the page: one at a time, at its side, or from below on a phone.

import { $ } from "./dom.js";

const names = ["history", "settings"];
const narrow = matchMedia("(max-width: 46rem)");
let fills = {};

/** `fillers` holds, by a panel's name, what fills it each time it is opened. */
export function open(fillers) {
  fills = fillers;
  for (const name of names) {
    $(`open-${name}`).onclick = () => show($(name).hidden ? name : null);
    $(name).querySelector(".close").onclick = () => show(null);
  }
  // Beside a sheet, only the bare page can be pressed.
  document.addEventListener("click", ({ target }) => {
    if (target.matches(":root, body.covered")) chosen();
  });
  narrow.onchange = cover;
}

const shown = () => names.find((name) => !$(name).hidden);

/** Show the panel of this name, or none. The focus goes into it and comes back to its button. */
export function show(name) {
  const before = shown();
  for (const each of names) {
    $(each).hidden = each !== name;
    $(`open-${each}`).setAttribute("aria-expanded", each === name);
  }
  cover();
  if (name) fills[name]?.();
  if (name) $(`${name}-title`).focus();
  else if (before) $(`open-${before}`).focus();
}

/** After something was chosen in a panel: on a phone it covers what was chosen. */
export function chosen() {
  if (narrow.matches) show(null);
}

/** Below a sheet, the page cannot be reached by touch or by keyboard. */
function cover() {
  const covered = Boolean(shown()) && narrow.matches;
  document.body.classList.toggle("covered", covered);
  for (const part of document.querySelectorAll("header, main, footer")) part.inert = covered;
}
