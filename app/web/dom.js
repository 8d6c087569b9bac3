// The document: finding and making elements, saying things aloud. Text goes in as text, never as markup.

export const $ = (id) => document.getElementById(id);

/** An element with properties; `aria-…` and `data-…` among them become attributes, children are elements or strings. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** For those who hear the page. */
export function announce(sentence) {
  $("said").textContent = sentence;
}

/** Put `sentence` on a button for a moment, in place of its name. */
export function flash(button, sentence) {
  button.dataset.name ??= button.textContent;
  button.textContent = sentence;
  announce(sentence);
  clearTimeout(button.timer);
  button.timer = setTimeout(() => (button.textContent = button.dataset.name), 1600);
}

export async function copy(string) {
  if (navigator.clipboard) return navigator.clipboard.writeText(string);
  // Without HTTPS there is no clipboard but the old way to it.
  const field = make("textarea", { value: string });
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  if (!copied) throw new Error("The browser does not let the page copy: select the text and copy it yourself.");
}
