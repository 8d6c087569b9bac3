// Light or dark: like the device, unless a person chose.

import { $ } from "./dom.js";

export function open() {
  const root = document.documentElement;
  const choices = [...$("colours").querySelectorAll("input")];
  for (const input of choices) {
    input.checked = input.value === (root.dataset.theme ?? "auto");
    input.addEventListener("change", () => choose(input.value));
  }
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
}
