// Read aloud, with a voice of this device: no text leaves it. The word that is spoken is marked.

import { $, make, tool } from "./dom.js";
import { keep, load } from "./store.js";

const synth = window.speechSynthesis;
// Some voices fall silent after a quarter of a minute, so each sentence is said by itself.
const SENTENCE = /[^.!?…\n]+[.!?…"'”’)]*\s*/g;
// {element, text, ended}
let reading = null;

const voices = () => synth?.getVoices().filter(({ localService }) => localService) ?? [];
const voice = () =>
  voices().find(({ voiceURI }) => voiceURI === load("voice")) ?? voices().find(({ lang }) => lang.startsWith("en")) ?? voices()[0];

export function open() {
  list();
  // Browsers find the voices late.
  synth?.addEventListener?.("voiceschanged", list);
  $("voice").onchange = ({ target }) => keep("voice", target.value);
  document.addEventListener("changed", () => reading && reading.element.textContent !== reading.text && stop());
  // It would go on after the page is gone.
  addEventListener("pagehide", stop);
}

/** Offer the voices in the settings, and to read aloud where there is one. */
function list() {
  $("voices").hidden = !voice();
  $("voice").replaceChildren(...voices().map(({ name, lang, voiceURI }) => make("option", { value: voiceURI }, `${name} (${lang})`)));
  $("voice").value = voice()?.voiceURI ?? "";
  for (const each of document.querySelectorAll(".aloud")) each.hidden = !voice();
}

/** A button that reads aloud what `element()` shows, and stops it. */
export function button(element) {
  const show = (on) => press.setAttribute("aria-pressed", on);
  const press = tool("Read aloud", "aloud", () => show(toggle(element(), () => show(false))));
  press.classList.add("aloud");
  press.hidden = !voice();
  show(false);
  return press;
}

/** Read what `element` shows aloud, or stop if it is being read. Returns whether it began; `ended()` is called at its end. */
function toggle(element, ended) {
  const text = element.textContent;
  const again = reading?.element === element;
  stop();
  const sentences = [...text.matchAll(SENTENCE)].filter(([sentence]) => /[\p{L}\p{N}]/u.test(sentence));
  if (again || !voice() || !sentences.length) return false;
  reading = { element, text, ended };
  for (const found of sentences) say(found, found === sentences.at(-1));
  return true;
}

function stop() {
  synth?.cancel();
  CSS.highlights?.delete("spoken");
  const over = reading;
  reading = null;
  over?.ended();
}

function say({ 0: sentence, index }, isLast) {
  const mine = reading;
  const utterance = new SpeechSynthesisUtterance(sentence);
  utterance.voice = voice();
  utterance.lang = voice().lang;
  // A voice that does not tell where it is marks nothing.
  utterance.addEventListener("boundary", ({ name, charIndex }) => {
    const [word] = sentence.slice(charIndex).match(/^\S+/) ?? [];
    if (reading === mine && name !== "sentence" && word) mark(index + charIndex, word.length);
  });
  for (const over of isLast ? ["error", "end"] : ["error"]) utterance.addEventListener(over, () => reading === mine && stop());
  synth.speak(utterance);
}

/** Mark the word at this place of the text, without a change of the document. */
function mark(at, length) {
  const { element, text } = reading;
  if (!CSS.highlights || element.textContent !== text) return;
  const range = new Range();
  const walk = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  let start = 0;
  for (let node = walk.nextNode(); node; start += node.length, node = walk.nextNode()) {
    const [first, last] = [at - start, at + length - start];
    if (first >= 0 && first < node.length) range.setStart(node, first);
    if (last > 0 && last <= node.length) range.setEnd(node, last);
  }
  CSS.highlights.set("spoken", new Highlight(range));
}
