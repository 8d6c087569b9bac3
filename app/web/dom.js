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

/** Whether a key press is Enter itself, not one that accepts what an input method offers. Safari tells only by the code 229. */
export const isEnter = ({ key, isComposing, keyCode }) => key === "Enter" && !isComposing && keyCode !== 229;

/** Have screen readers say this sentence. */
export function announce(sentence) {
  $("said").textContent = sentence;
}

const address = (name) => new URL(`icons.svg#${name}`, import.meta.url);

/** An icon of icons.svg. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", address(name));
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** A button for one of the rows of actions: a word, and on a phone an icon in its place. */
export function tool(label, name, work) {
  return make("button", { className: "tool", onclick: work }, icon(name), make("span", {}, label));
}

/** Show `sentence` on a button for a moment, in place of its label, and a check mark in place of its icon. */
export function flash(button, sentence) {
  const label = button.querySelector("span") ?? button;
  const use = button.querySelector("use");
  button.calm?.();
  const [name, shape] = [label.textContent, use?.getAttribute("href")];
  label.textContent = sentence;
  use?.setAttribute("href", address("done"));
  announce(sentence);
  const timer = setTimeout(() => button.calm(), 1600);
  button.calm = () => {
    clearTimeout(timer);
    label.textContent = name;
    use?.setAttribute("href", shape);
    button.calm = null;
  };
}

/** Call `keep()` on Enter in `field`, and `leave()` on Escape. The keys do nothing else, such as press what has the focus then. */
export function ask(field, keep, leave) {
  field.addEventListener("keydown", (event) => {
    const act = event.key === "Escape" ? leave : isEnter(event) && !event.shiftKey && keep;
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  });
}

/** Save a blob as a file. */
export function download(blob, name) {
  const href = URL.createObjectURL(blob);
  make("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60000);
}

/** Copy a string, or one that is on its way: Safari allows it only in the very moment of a press. */
export async function copy(string) {
  if (navigator.clipboard && window.ClipboardItem) {
    const text = Promise.resolve(string).then((found) => new Blob([found], { type: "text/plain" }));
    return navigator.clipboard.write([new ClipboardItem({ "text/plain": text })]);
  }
  // Without HTTPS, and in browsers of before 2024, there is only the old way to copy.
  const field = make("textarea", { value: await string });
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  if (!copied) throw new Error("Your browser does not allow this page to copy: select the text and copy it yourself.");
}
