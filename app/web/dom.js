// The document: finding and making elements, and telling screen readers. Text is inserted as text, never as markup.

export const $ = (id) => document.getElementById(id);

/** A new element. Properties with a hyphen, such as `aria-label`, become attributes. Children are elements or strings. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** Have screen readers say this sentence. */
export function announce(sentence) {
  $("said").textContent = sentence;
}

/** Show `sentence` on a button for a moment, in place of its label. */
export function flash(button, sentence) {
  button.dataset.name ??= button.textContent;
  button.textContent = sentence;
  announce(sentence);
  clearTimeout(button.timer);
  button.timer = setTimeout(() => (button.textContent = button.dataset.name), 1600);
}

export async function copy(string) {
  if (navigator.clipboard) return navigator.clipboard.writeText(string);
  // Without HTTPS, browsers offer only the old way to copy.
  const field = make("textarea", { value: string });
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  if (!copied) throw new Error("Your browser does not allow this page to copy: select the text and copy it yourself.");
}
