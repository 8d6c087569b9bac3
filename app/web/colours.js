// Light or dark: like the device, unless a person chose. And the model's own colour.

import { $ } from "./dom.js";

const root = document.documentElement;

export function open() {
  $("colours").querySelector(`[value=${root.dataset.theme ?? "auto"}]`).checked = true;
  $("colours").onchange = ({ target }) => choose(target.value);
  frame();
}

/** Write the model's words in its own colour, if it has one. */
export function accent({ accent: light, accent_on_dark: dark }) {
  root.style.setProperty("--pen", light ? `light-dark(${light}, ${dark})` : "");
}

function choose(theme) {
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
  try {
    // theme.js reads this before the first paint.
    if (theme === "auto") localStorage.removeItem("theme");
    else localStorage.setItem("theme", theme);
  } catch {
    // The choice lasts until the page is closed.
  }
  frame();
}

/** The browser's own frame takes the colour of the paper. */
function frame() {
  const { theme } = root.dataset;
  for (const meta of document.querySelectorAll("meta[name=theme-color]"))
    meta.content = (theme ?? (meta.media.includes("dark") ? "dark" : "light")) === "dark" ? "#16171b" : "#fcfaf5";
}
