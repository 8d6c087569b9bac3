// Light or dark: like the device, unless a person chose. And the model's own colour.

import { $ } from "./dom.js";

export function open() {
  const root = document.documentElement;
  const choices = [...$("colours").querySelectorAll("input")];
  for (const input of choices) {
    input.checked = input.value === (root.dataset.theme ?? "auto");
    input.addEventListener("change", () => choose(input.value));
  }
  frame();
}

/** Write the model's words in its own colour, if it has one. */
export function accent({ accent: light, accent_on_dark: dark }) {
  const { style } = document.documentElement;
  if (light) style.setProperty("--pen", `light-dark(${light}, ${dark})`);
  else style.removeProperty("--pen");
}

function choose(theme) {
  const root = document.documentElement;
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
  const chosen = document.documentElement.dataset.theme;
  for (const meta of document.querySelectorAll("meta[name=theme-color]"))
    meta.content = (chosen ?? (meta.media.includes("dark") ? "dark" : "light")) === "dark" ? "#16171b" : "#fcfaf5";
}
