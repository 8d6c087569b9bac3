// Chat: turns, each in its speaker's ink. The server formats them for the model's template.

import { stream } from "./api.js";
import { $, announce, make } from "./dom.js";
import { set, settings } from "./settings.js";
import { Pace, changed, run } from "./task.js";
import * as votes from "./votes.js";

const field = $("say");
// {role: "user" | "assistant", content, model}, alternating.
let turns = [];

export const isEmpty = () => turns.length === 0;
export const canUndo = () => turns.length > 0;
export const canAgain = () => turns.at(-1)?.role === "assistant";
export const words = () => ({ go: "Send", show: field });
export const pieces = () =>
  turns.flatMap(({ role, content }, at) => [
    ...(at ? [{ text: "\n\n", model: false }] : []),
    { text: content, model: role === "assistant" },
  ]);
/** What a vote is about: the last reply. */
export const latest = () =>
  canAgain() ? { text: turns.at(-1).content, prefix: turns.at(-2)?.content ?? "", model: turns.at(-1).model } : null;

export function open() {
  field.addEventListener("input", grow);
  draw();
}

function grow() {
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight, 200)}px`;
  changed();
}

export function go(model) {
  const content = field.value.trim();
  if (content) {
    turns.push({ role: "user", content });
    field.value = "";
    grow();
    draw();
  } else if (turns.at(-1)?.role !== "user") return;
  return run((signal) => reply(model, signal));
}

/** Go on with a conversation that was shared. */
export const goOn = () => field.focus();

export function again(model) {
  set({ seed: null });
  turns.pop();
  draw();
  return run((signal) => reply(model, signal));
}

/** Remove the last exchange, and put its message back into the field to be changed. */
export function undo() {
  if (canAgain()) turns.pop();
  field.value = turns.pop()?.content ?? "";
  grow();
  draw();
  announce("Undone.");
  changed();
}

export function begin(text) {
  field.value = text;
  grow();
}

export function fresh() {
  turns = [];
  field.value = "";
  grow();
  draw();
  changed();
}

export const entry = () => ({ turns });

export function restore(kept) {
  turns = kept.turns;
  draw();
  changed();
}

export const link = () => ({ turns: turns.map(({ content }) => content), seed: settings.seed });

function draw() {
  $("turns").replaceChildren(...turns.map(line));
  $("silence").hidden = turns.length > 0;
}

function line({ role, content, model }) {
  const mine = role === "user";
  return make(
    "li", { className: mine ? "yours" : "models" },
    make("span", { className: "who" }, mine ? "You" : model ?? "Model"),
    make("p", {}, content),
  );
}

async function reply(model, signal) {
  const { temperature, length, top_p, top_k, repetition_penalty, seed } = settings;
  const asked = {
    model,
    messages: turns.map(({ role, content }) => ({ role, content })),
    max_completion_tokens: length,
    stream_options: { include_usage: true },
    temperature, top_p, top_k, repetition_penalty,
    ...(seed !== null && { seed }),
  };
  const turn = { role: "assistant", content: "", model };
  const item = line(turn);
  const words = item.querySelector("p");
  const pace = new Pace();
  let tokens;
  item.classList.add("writing");
  $("turns").append(item);
  document.dispatchEvent(new Event("grown"));
  try {
    for await (const event of stream("v1/chat/completions", asked, signal)) {
      tokens = event.usage?.completion_tokens ?? tokens;
      const text = event.choices[0]?.delta.content;
      if (!text) continue;
      pace.see();
      const more = turn.content ? text : text.trimStart();
      turn.content += more;
      words.append(more);
      document.dispatchEvent(new Event("grown"));
    }
  } finally {
    turn.content = turn.content.trimEnd();
    if (turn.content) turns.push(turn);
    pace.end(tokens, ...(signal.aborted ? ["stopped"] : turn.content ? [] : ["the model had nothing to say"]));
    announce(turn.content || $("count").textContent);
    draw();
  }
}
