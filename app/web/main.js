// The page: its modes, buttons, panels and keys, and what it restores when it is opened again.

import { get } from "./api.js";
import * as chat from "./chat.js";
import { $, announce, copy, flash, make } from "./dom.js";
import { examples } from "./examples.js";
import * as history from "./history.js";
import * as link from "./link.js";
import { joined } from "./pen.js";
import * as settings from "./settings.js";
import * as task from "./task.js";
import * as votes from "./votes.js";
import * as writing from "./write.js";

const modes = { write: writing, chat };
const narrow = matchMedia("(max-width: 46rem)");
let mode = "write";
let served = null;
let voted = null;

const now = () => modes[mode];
const model = () => $("model").value || undefined;
const profile = () => served.profiles[model() ?? served.model];
const mac = /Mac|iPhone|iPad/.test(navigator.platform);

async function open() {
  buttons();
  task.open();
  writing.open();
  chat.open();
  theme();
  panels();
  keys();
  document.addEventListener("changed", refresh);
  document.addEventListener("grown", follow);
  document.addEventListener("keyed", describe);
  addEventListener("pagehide", remember);
  addEventListener("hashchange", opened);
  await connect();
}

/** Ask the server for its models. Nothing can be written before that. */
async function connect() {
  try {
    served = await get("version");
  } catch (error) {
    task.trouble(error.message, connect, error.status);
    return;
  }
  task.trouble("");
  votes.open(served.ratings === true);
  $("model").replaceChildren(...served.models.map((name) => make("option", {}, name)));
  $("model").disabled = served.models.length < 2;
  settings.open(served.max_length);
  present();
  // What is typed while the server answers is not replaced by the text of before.
  if (!opened() && !now().words().show.value) resume(history.resumed());
  refresh();
  if (matchMedia("(hover: hover)").matches && document.activeElement === document.body) now().words().show.focus();
}

/** Ask again what a server with keys tells only those who have one. */
async function describe() {
  if (!served) return;
  served = await get("version").catch(() => served);
  refresh();
}

/** Restore what the address holds, if it is a link. Returns whether it is one. */
function opened() {
  const said = link.read();
  if (!said || task.busy()) return false;
  // A reload should show the text as it is then, not as the link had it.
  window.history.replaceState(null, "", location.pathname + location.search);
  // The model first, since the link has what differs from its defaults.
  const there = !said.model || choose(said.model);
  $("reset").click();
  const problems = settings.set(said.settings);
  if (!there) problems.push(`This server has no model ${said.model}.`);
  history.leave();
  turn(profile().turns ? said.mode : "write");
  if (mode === "write") writing.restore({ text: said.text || said.turns.join("\n"), ranges: [] });
  else chat.restore({ turns: said.turns.map((content, at) => ({ role: at % 2 ? "assistant" : "user", content, model: model() })) });
  if (problems.length) task.trouble(`Some of this link could not be used: ${problems.join(" ")}`);
  return true;
}

function resume(entry) {
  if (!entry) return;
  choose(entry.model);
  // A conversation with a model that is gone may have none to go on with.
  if (entry.mode === "chat" && !profile().turns) return;
  turn(entry.mode);
  now().restore(entry);
}

function choose(name) {
  const there = served.models.includes(name);
  if (there) {
    $("model").value = name;
    present();
  }
  return there;
}

/** Show the chosen model as it wants to be shown: its title, what it is, its defaults, and Chat if it knows turns. */
function present() {
  const { title, about, sampling, turns } = profile();
  $("title").textContent = document.title = title || "GPT-2";
  $("title").title = title;
  $("about").textContent = about;
  settings.follow(sampling);
  $("modes").hidden = !turns;
  if (!turns && mode === "chat") turn("write");
}

function turn(to) {
  mode = to;
  document.querySelector(`input[name=mode][value=${to}]`).checked = true;
  $("write").hidden = to !== "write";
  $("chat").hidden = $("say").hidden = to !== "chat";
  $("count").textContent = "";
  refresh();
}

function remember() {
  if (now().isEmpty()) return;
  history.remember({ mode, model: model(), ...now().entry() }, joined(now().pieces()).text);
}

let wasBusy = false;
/** Show and enable the controls that can be used now. */
function refresh() {
  const busy = task.busy();
  const empty = now().isEmpty();
  $("go").firstElementChild.textContent = now().words().go;
  $("go").disabled = !served;
  $("go").hidden = busy;
  $("stop").hidden = !busy;
  $("again").disabled = busy || !now().canAgain();
  $("undo").disabled = busy || !now().canUndo();
  for (const id of ["copy", "image", "link"]) $(id).disabled = empty;
  for (const control of [$("new"), $("model"), ...document.querySelectorAll("input[name=mode]")]) control.disabled = busy;
  $("model").disabled ||= served?.models.length < 2;
  $("examples").hidden = !empty || busy || !served;
  $("about").hidden = $("examples").hidden || !$("about").textContent;
  if (!$("examples").hidden) suggest();
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
    const chip = make("button", { type: "button" }, name);
    chip.addEventListener("click", () => {
      now().begin(text);
      now().go(model());
    });
    return chip;
  });
  $("examples").replaceChildren(make("span", {}, "Or start with"), ...chips);
}

/** Scroll along with a growing text, if its end was in sight. */
function follow() {
  const page = document.documentElement;
  if (page.scrollHeight - innerHeight - scrollY < 200) scrollTo({ top: page.scrollHeight });
}

function buttons() {
  $("go").addEventListener("click", () => now().go(model()));
  $("again").addEventListener("click", () => now().again(model()));
  $("undo").addEventListener("click", () => {
    now().undo();
    now().words().show.focus();
  });
  $("new").addEventListener("click", () => {
    remember();
    history.leave();
    now().fresh();
    $("count").textContent = "";
    now().words().show.focus();
  });
  $("model").addEventListener("change", () => {
    present();
    refresh();
  });
  for (const input of document.querySelectorAll("input[name=mode]"))
    input.addEventListener("change", () => {
      remember();
      history.leave();
      turn(input.value);
    });
  act("copy", "Copied", () => copy(joined(now().pieces()).text));
  act("link", "Link copied", () => copy(link.write(mode, model(), now().link())));
  act("image", "Saved", async () => {
    const { picture } = await import("./image.js");
    const address = URL.createObjectURL(await picture(now().pieces(), model()));
    make("a", { href: address, download: "gpt-2.png" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  });
}

function act(id, done, work) {
  $(id).addEventListener("click", async () => {
    try {
      await work();
      flash($(id), done);
    } catch (error) {
      task.trouble(error.message);
    }
  });
}

function panels() {
  const names = ["history", "settings"];
  const show = (name, focus) => {
    const before = names.find((each) => !$(each).hidden);
    for (const each of names) {
      $(each).hidden = each !== name;
      $(`open-${each}`).setAttribute("aria-expanded", each === name);
    }
    document.body.classList.toggle("aside", Boolean(name));
    if (name === "history") history.list(pick);
    if (name) $(`${name}-title`).focus();
    else if (before && focus) $(`open-${before}`).focus();
  };
  const pick = (entry) => {
    if (task.busy()) return;
    remember();
    history.leave(entry.id);
    resume(entry);
    if (narrow.matches) show(null, true);
    announce("The earlier text is back.");
  };
  history.open(() => history.list(pick));
  for (const name of names) {
    $(`open-${name}`).addEventListener("click", () => show($(name).hidden ? name : null, true));
    $(name).querySelector(".close").addEventListener("click", () => show(null, true));
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !task.busy()) show(null, true);
  });
}

function keys() {
  for (const key of document.querySelectorAll("kbd.mod")) key.textContent = mac ? "⌘" : "Ctrl";
  $("go").lastElementChild.textContent = mac ? "⌘ Enter" : "Ctrl Enter";
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && task.busy()) task.stop();
    if (event.key !== "Enter" || event.isComposing || task.busy() || !served) return;
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

function theme() {
  const root = document.documentElement;
  const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const say = () => $("theme").setAttribute("aria-pressed", dark());
  $("theme").addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // The choice lasts until the page is closed.
    }
    say();
  });
  say();
}

open();
