// The page: shows the runs, and asks the server for news as long as there is one.

const EVERY = 2000;
const PATIENCE = 15000;
const state = JSON.parse($("data").textContent);
let chosen = 0;
let version = "";

const STATES = { waiting: "waiting", training: "training", finished: "finished", stopped: "stopped", failed: "failed" };

function show() {
  const runs = state.runs;
  const run = runs[chosen];
  $("title").textContent = runs.length > 1 ? `${runs.length} runs` : run.title;
  document.title = [progress(run), runs.map(({ title }) => title).join(", ")].filter(Boolean).join(" · ");
  $("state").textContent = stateLine(run);
  $("verdict").textContent = run.verdict;
  $("verdict").className = run.state === "failed" || run.trend === "diverged" ? "lead failed" : "lead";
  $("facts").replaceChildren(...facts(run).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  drawChart(runs);
  drawSamples(run);
  $("next").hidden = !run.commands.length;
  $("commands").replaceChildren(...run.commands.flatMap(command));
  $("talk").hidden = !state.live || run.saved === null;
  $("prompt").placeholder = run.turns ? "Say something, and the newest save answers." : "Write a beginning, and the newest save continues it.";
  if (!$("go").disabled) $("go").textContent = run.turns ? "Ask" : "Continue";
}

function progress(run) {
  return run.state === "training" && run.steps ? `${Math.floor((100 * run.step) / run.steps)}${THIN}%` : "";
}

function stateLine(run) {
  const left = run.seconds_left === null ? "" : `about ${duration(run.seconds_left)} left`;
  return [STATES[run.state], run.state === "training" ? progress(run) : "", left].filter(Boolean).join(" · ");
}

function facts(run) {
  const last = (points) => (points.length ? points.at(-1)[1].toFixed(3) : null);
  return [
    ["Step", run.steps ? `${number(run.step)} of ${number(run.steps)}` : number(run.step)],
    ["Training loss", last(run.train)],
    ["Validation loss", validation(run)],
    ["Times through the text", run.epochs === null ? null : run.epochs.toFixed(1)],
    ["Speed", run.tokens_per_second === null ? null : `${number(run.tokens_per_second)} tokens/s`],
    ["Memory", run.memory === null ? null : bytes(run.memory) + (run.device_memory ? `, GPU${THIN}${bytes(run.device_memory)}` : "")],
    ["Time", run.seconds ? duration(run.seconds) : null],
    ["Last save", run.saved === null ? "none yet" : `step${THIN}${number(run.saved)}`],
  ].filter(([, value]) => value !== null);
}

function validation({ validation: points, best }) {
  if (!points.length) return null;
  const [step, loss] = points.at(-1);
  const lowest = Math.min(...points.map(([, each]) => each));
  if (step === best) return points.length > 1 ? `${loss.toFixed(3)}, the lowest so far` : loss.toFixed(3);
  return `${loss.toFixed(3)}; lowest ${lowest.toFixed(3)} at step${THIN}${number(best)}`;
}

function command([label, words]) {
  const copy = make("button", { type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    const copied = await navigator.clipboard?.writeText(words).then(() => true, () => false);
    copy.textContent = copied ? "Copied" : "Select it, then copy";
    setTimeout(() => (copy.textContent = "Copy"), 1600);
  });
  return [make("dt", {}, label), make("dd", {}, make("code", {}, ...words.split(" ").flatMap((word) => [make("span", {}, word), " "])), copy)];
}

function drawRuns() {
  $("runs").hidden = state.runs.length < 2;
  $("runs").replaceChildren(...state.runs.map((run, index) => {
    const radio = make("input", { type: "radio", name: "run", checked: index === chosen });
    radio.addEventListener("change", () => {
      chosen = index;
      show();
    });
    return make("label", {}, radio, make("span", {}, run.title));
  }));
}

/** Ask again and again. A server that cannot be reached may come back: with a computer that slept, or a network. */
async function follow() {
  let wait = EVERY;
  try {
    const response = await fetch("state.json", { headers: version ? { "If-None-Match": version } : {}, cache: "no-store", signal: AbortSignal.timeout(20000) });
    if (response.status === 200) {
      version = response.headers.get("ETag") ?? "";
      state.runs = await response.json();
      show();
    } else if (response.status !== 304) throw new Error(String(response.status));
    $("state").classList.remove("failed");
    if ($("state").dataset.lost) show();
    delete $("state").dataset.lost;
  } catch {
    wait = PATIENCE;
    $("state").dataset.lost = "yes";
    $("state").classList.add("failed");
    $("state").textContent = "The connection is lost: this page tries again by itself.";
  }
  setTimeout(follow, document.hidden ? PATIENCE : wait);
}

$("scale").addEventListener("click", () => {
  logScale = !logScale;
  $("scale").setAttribute("aria-pressed", logScale);
  drawChart(state.runs);
});
$("chart").addEventListener("pointermove", pointAt);
$("chart").addEventListener("pointerdown", pointAt);
$("chart").addEventListener("pointerleave", leaveChart);
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  talk(state.runs[chosen]);
});
$("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("ask").requestSubmit();
});
new ResizeObserver(() => drawChart(state.runs)).observe(document.documentElement);
drawRuns();
show();
if (state.live) follow();
