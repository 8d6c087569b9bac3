// The page: its modes, buttons and keys, and what it restores when it is opened again.
//
// A mode is a module with the same exports as write.js and chat.js; `words().rows` says that it has rows of actions of its own.
// The parts of the page tell each other by events of the document: "changed" (what can be done may have changed), "grown" (a
// text became longer), "keyed" (a key was entered), "set" (a setting may have changed).

import * as actions from "./actions.js";
import { get, keyRefusal } from "./api.js";
import { offer } from "./arena.js";
import * as chat from "./chat.js";
import * as colours from "./colours.js";
import { $, announce, icon, isEnter, make } from "./dom.js";
import { examples } from "./examples.js";
import * as exchange from "./exchange.js";
import * as history from "./history.js";
import { open as install } from "./install.js";
import * as link from "./link.js";
import * as panels from "./panels.js";
import { joined } from "./pen.js";
import * as presets from "./presets.js";
import * as settings from "./settings.js";
import * as shared from "./shared.js";
import { open as openSpeech } from "./speech.js";
import * as task from "./task.js";
import { failed, open as openTrouble, trouble } from "./trouble.js";
import * as votes from "./votes.js";
import * as writing from "./write.js";

const modes = { write: writing, chat };
let mode = "write";
let served = null;
let voted = null;
// What a link held.
let received = null;

const now = () => modes[mode];
const model = () => $("model").value || undefined;
// Before the server has answered, nothing is known about its models.
const profile = () => served?.profiles[model() ?? served.model];
/** Keys as this device's keyboard names them. */
const named = (keys) => (/Mac|iPhone|iPad/.test(navigator.platform) ? keys.replace("Ctrl", "⌘").replace("Alt", "⌥") : keys);
const KEYS = [
  ["Ctrl Enter", "continue"],
  ["Ctrl Shift Enter", "try again"],
  ["Ctrl Z", "undo"],
  ["Tab", "take the suggestion"],
  ["Alt ] [", "another suggestion"],
  ["Alt S", "show surprise"],
  ["Alt ↓", "other words for the one at the caret"],
  ["Esc", "stop, or close a panel"],
];

async function open() {
  buttons();
  task.open();
  openTrouble();
  writing.open();
  chat.open();
  colours.open();
  openSpeech();
  actions.open(() => ({ mode, model: model(), pieces: now().pieces(), link: now().link() }));
  panels.open({ history: list });
  history.open(list, () => ({ mode, model: model(), ...now().entry() }));
  exchange.open(list);
  shared.open(now, model);
  keys();
  turn(mode);
  document.addEventListener("changed", refresh);
  document.addEventListener("grown", follow);
  document.addEventListener("keyed", describe);
  addEventListener("pagehide", remember);
  addEventListener("hashchange", receive);
  await receive();
  await connect();
  install();
}

/** Ask the server for its models. Nothing can be written before that. */
async function connect() {
  try {
    served = await get("version");
  } catch (error) {
    // Nothing else that fails for the same reason takes its place.
    failed(Object.assign(error, { stays: true }), connect);
    // What was written before can be read all the same.
    reopen();
    return;
  }
  failed(null);
  votes.open(served.ratings === true);
  voted = null;
  $("model").replaceChildren(...served.models.map((name) => make("option", {}, name)));
  document.body.classList.toggle("many", served.models.length > 1);
  settings.open(served.max_length);
  presets.open();
  present();
  if (received) adopt(received);
  else reopen();
  refresh();
  // Better asked for now than after a text was written.
  if (served.needs_key) failed(keyRefusal());
  if (!received && matchMedia("(hover: hover)").matches && document.activeElement === document.body) now().words().show.focus();
}

/** Ask again what a server with keys tells only those who have one, and do what was refused without. */
async function describe({ detail: again }) {
  try {
    served = await get("version");
  } catch (error) {
    failed(error, () => describe({ detail: again }));
    return;
  }
  trouble("");
  refresh();
  if (served.needs_key) failed(keyRefusal(), again);
  else again?.();
}

/** Show the text that the address holds, if it is a link: even before the server has answered, it can be read. */
async function receive() {
  // What is being written is stopped and kept.
  if (task.busy()) {
    document.addEventListener("changed", receive, { once: true });
    return task.stop();
  }
  try {
    received = await link.read();
  } catch (error) {
    received = null;
    bare();
    trouble(error.message);
    return;
  }
  if (!received) return;
  bare();
  leave();
  turn(received.mode);
  const { pieces, turns, model: by, ...more } = received;
  if (mode === "write") writing.restore({ ...joined(pieces), ...more, model: by });
  else chat.restore({ ...more, turns: turns.map((content, at) => ({ role: at % 2 ? "assistant" : "user", content, model: by })) });
  shared.show(now());
  if (served) adopt(received);
  refresh();
}

/** A reload should show the text as it is then, not as the link had it. */
const bare = () => window.history.replaceState(null, "", location.pathname + location.search);

/** Take over the model and the settings of a link. */
function adopt({ model: by, seed, settings: chosen }) {
  // The model first, since the link has what differs from its defaults.
  const there = by === undefined || choose(by);
  $("reset").click();
  const problems = settings.set({ ...chosen, ...(seed !== null && { seed }) });
  if (!there) problems.push(`This server has no model ${by}.`);
  if (mode === "chat" && !profile().turns) {
    const pieces = chat.pieces();
    turn("write");
    writing.restore(joined(pieces));
    shared.show(now());
  }
  if (problems.length) trouble(`Some of this link could not be used: ${problems.join(" ")}`);
}

/** Show what this tab showed before. What is typed while the server answers is not replaced by it. */
function reopen() {
  if (!received && !now().words().show.value) resume(history.resumed());
}

function resume(entry) {
  if (!entry) return;
  choose(entry.model);
  // A conversation with a model that is gone may have none to go on with.
  if (entry.mode === "chat" && profile()?.turns === false) {
    trouble(`This conversation needs a model that knows turns, and ${model()} continues texts: choose another one.`);
    return;
  }
  turn(entry.mode);
  now().restore(entry);
  history.hold(entry);
}

function choose(name) {
  const there = Boolean(served?.models.includes(name));
  if (there) {
    $("model").value = name;
    present();
  }
  return there;
}

/** Show the chosen model as it wants to be shown: its title, what it is, its defaults, and Chat if it knows turns. */
function present() {
  const { title, about, sampling, turns, n_ctx } = profile();
  colours.accent(profile());
  $("title").textContent = document.title = title || "GPT-2";
  $("title").title = title;
  // The one model with a title needs no second name.
  $("model").parentElement.hidden = title && served.models.length < 2;
  $("about").textContent = about;
  $("about").dataset.title = title;
  settings.follow(sampling);
  writing.present(model(), n_ctx);
  $("modes").hidden = $("for-chat").hidden = !turns;
  offer(model(), served.profiles);
  if (!turns && mode === "chat") turn("write");
}

function turn(to) {
  mode = to;
  document.querySelector(`input[name=mode][value=${to}]`).checked = true;
  $("write").hidden = to !== "write";
  $("chat").hidden = $("say").hidden = to !== "chat";
  document.body.classList.toggle("chatting", to === "chat");
  $("go").querySelector("kbd").textContent = to === "chat" ? "Enter" : named("Ctrl Enter");
  $("count").textContent = "";
  refresh();
}

function remember() {
  if (now().isEmpty()) return;
  const problem = history.remember();
  if (problem && !$("trouble").textContent) trouble(problem);
}

/** Keep what is shown, and leave it for the entry `id` of the history, or for a new text. */
function leave(id) {
  remember();
  history.leave(id);
  trouble("");
}

function list() {
  remember();
  history.list(pick);
}

let wasBusy = false;
/** Show and enable the controls that can be used now. */
function refresh() {
  const busy = task.busy();
  const beginning = !busy && served !== null && now().isEmpty();
  const { go, rows = false } = now().words();
  const [word, key] = $("go").querySelectorAll("span, kbd");
  word.textContent = go;
  $("go").title = `${go} (${key.textContent})`;
  $("go").disabled = !served;
  $("go").hidden = busy;
  $("stop").hidden = !busy;
  $("again").disabled = busy || !now().canAgain();
  $("undo").disabled = busy || !now().canUndo();
  $("actions").hidden = now().isEmpty();
  // A mode may have rows of actions of its own.
  for (const id of ["again", "undo", "votes"]) $(id).hidden = rows;
  $("new").disabled = $("modes").disabled = busy;
  $("model").disabled = busy || served?.models.length < 2;
  const asShared = shared.unchanged(now(), busy);
  $("shared").hidden = !asShared;
  document.querySelector(".bar").hidden = asShared;
  $("from-here").disabled = !served;
  $("another").hidden = !served || !now().canAgain();
  $("examples").hidden = !beginning;
  $("about").hidden = !beginning || !$("about").textContent;
  $("game").hidden = !beginning || !served.play;
  if (beginning) suggest();
  const latest = busy ? null : now().latest();
  if (JSON.stringify(latest) !== voted) {
    voted = JSON.stringify(latest);
    $("votes").replaceChildren(...(latest ? votes.buttons(latest) : []));
  }
  document.body.classList.toggle("busy", busy);
  if (wasBusy && !busy) {
    remember();
    if ([$("stop"), document.body].includes(document.activeElement)) $("go").focus();
  }
  if (!wasBusy && busy && document.activeElement === document.body) $("stop").focus();
  wasBusy = busy;
}

function suggest() {
  const chips = examples(mode, model(), profile()).map(({ name, text }) => {
    const begin = () => {
      now().begin(text);
      now().go(model());
    };
    return make("button", { onclick: begin }, name);
  });
  $("examples").replaceChildren(make("span", {}, "Or start with"), ...chips);
}

/** Scroll along with a growing text, if its end was in sight. */
function follow() {
  const page = document.documentElement;
  if (page.scrollHeight - innerHeight - scrollY < 200) scrollTo({ top: page.scrollHeight });
}

function buttons() {
  for (const button of document.querySelectorAll("[data-icon]")) button.prepend(icon(button.dataset.icon));
  $("go").onclick = () => now().go(model());
  $("again").onclick = () => now().again(model());
  $("undo").onclick = () => {
    now().undo();
    now().words().show.focus();
  };
  $("new").onclick = () => {
    leave();
    now().fresh();
    $("count").textContent = "";
    now().words().show.focus();
  };
  $("model").onchange = () => {
    present();
    refresh();
  };
  $("modes").onchange = ({ target }) => {
    leave();
    turn(target.value);
  };
}

/** Go on with an entry of the history. */
function pick(entry) {
  if (task.busy()) return;
  remember();
  trouble("");
  resume(entry);
  panels.chosen();
  announce("The earlier text is back.");
}

function keys() {
  $("other").querySelector("kbd").textContent = named("Alt ]");
  for (const [keys, does] of KEYS) {
    const each = named(keys).split(" ").flatMap((key) => [make("kbd", {}, key), " "]);
    $("keys").append(make("div", {}, make("dt", {}, ...each), make("dd", {}, does)));
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") task.busy() ? task.stop() : panels.show(null);
    if (!isEnter(event) || task.busy() || !served) return;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      if (!event.shiftKey) now().go(model());
      else if (now().canAgain()) now().again(model());
    } else if (event.target === $("say") && !event.shiftKey) {
      event.preventDefault();
      now().go(model());
    }
  });
}

open();
