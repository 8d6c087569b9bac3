// The chart: losses over steps. One run has a colour each for training and validation; several have a colour each.

const WIDTH = () => Math.max(320, Math.min(1040, $("chart").clientWidth || 1040));
const MARGIN = { left: 46, right: 12, top: 10, bottom: 26 };
// The first steps are left out of the axis, or all the others would be a line at its bottom.
const SETTLED = 0.05;
const COLOURS = 5;
let logScale = false;
let shownRuns = [];
let plane = null;

function curves(runs) {
  return runs.flatMap((run, index) => {
    const alone = runs.length === 1;
    const dash = index >= COLOURS ? " dash" : "";
    const prefix = alone ? "" : `${run.title}, `;
    return [
      { name: `${prefix}training`, points: run.train, look: `c${(alone ? 0 : index) % COLOURS}${dash} train`, dots: false },
      { name: `${prefix}validation`, points: run.validation, look: `c${(alone ? 1 : index) % COLOURS}${dash}`, dots: run.validation.length < 60 },
    ].filter(({ points }) => points.length);
  });
}

function extent(lines) {
  const steps = lines.flatMap(({ points }) => points.map(([step]) => step));
  const last = Math.max(...steps, 1);
  const first = logScale ? Math.max(1, Math.min(...steps)) : 0;
  const settled = lines.flatMap(({ points }) => {
    const late = points.filter(([step]) => logScale || step >= SETTLED * last);
    return (late.length > 1 ? late : points).map(([, loss]) => loss);
  });
  const [low, high] = [Math.min(...settled), Math.max(...settled)];
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  const cut = lines.some(({ points }) => points.some(([, loss]) => loss > high + room));
  return { first, last, low: low - room, high: high + room, cut };
}

function scales({ first, last, low, high }, width, height) {
  const span = width - MARGIN.left - MARGIN.right;
  const along = logScale
    ? (step) => Math.log(Math.max(step, first) / first) / Math.log(last / first || 2)
    : (step) => (step - first) / (last - first || 1);
  return {
    x: (step) => MARGIN.left + span * along(step),
    y: (loss) => MARGIN.top + (height - MARGIN.top - MARGIN.bottom) * (1 - (loss - low) / (high - low)),
  };
}

function ticks(low, high, most) {
  const raw = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + 1e-9; at += step) found.push(Number(at.toPrecision(12)));
  return found;
}

function stepTicks({ first, last }, width) {
  if (!logScale) return ticks(0, last, width / 110).filter(Number.isInteger);
  const found = [];
  for (let power = 1; power <= last; power *= 10) found.push(...[1, 2, 5].map((factor) => factor * power));
  const fitting = found.filter((step) => step >= first && step <= last);
  return fitting.length > width / 60 ? fitting.filter((step) => String(step)[0] === "1") : fitting;
}

function drawChart(runs) {
  shownRuns = runs;
  const lines = curves(runs);
  $("legend").replaceChildren(...lines.map(legendEntry));
  if (!lines.length) {
    plane = null;
    $("chart").replaceChildren();
    $("caption").textContent = "No loss is known yet.";
    return;
  }
  const width = WIDTH();
  const height = Math.round(Math.max(220, Math.min(400, width * 0.45)));
  const bounds = extent(lines);
  const { x, y } = scales(bounds, width, height);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": spoken(runs) });
  for (const loss of ticks(bounds.low, bounds.high, height / 60)) {
    svg.append(draw("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(loss), y2: y(loss) }));
    svg.append(draw("text", { x: MARGIN.left - 8, y: y(loss) + 4, "text-anchor": "end" }, String(loss)));
  }
  for (const step of stepTicks(bounds, width)) {
    svg.append(draw("text", { x: x(step), y: height - 6, "text-anchor": x(step) > width - 30 ? "end" : "middle" }, number(step)));
  }
  svg.append(draw("clipPath", { id: "inside" }, draw("rect", { x: MARGIN.left, y: 0, width: width - MARGIN.left, height: height - MARGIN.bottom })));
  const inside = draw("g", { "clip-path": "url(#inside)" });
  if (runs.length === 1 && runs[0].best) inside.append(draw("line", { class: "best", x1: x(runs[0].best), x2: x(runs[0].best), y1: MARGIN.top, y2: height - MARGIN.bottom }));
  for (const { points, look, dots } of lines) {
    inside.append(draw("polyline", { class: look, points: points.map(([step, loss]) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`).join(" ") }));
    if (dots || points.length === 1) inside.append(...points.map(([step, loss]) => draw("circle", { class: look, cx: x(step), cy: y(loss), r: 2.5 })));
  }
  svg.append(inside);
  plane = { svg, lines, x, width, height, cursor: draw("line", { class: "cursor", y1: MARGIN.top, y2: height - MARGIN.bottom, visibility: "hidden" }) };
  svg.append(plane.cursor);
  $("chart").replaceChildren(svg, make("div", { id: "tip", hidden: true }));
  const best = runs.length === 1 && runs[0].best ? ` The dotted line is the lowest validation loss, at step ${number(runs[0].best)}.` : "";
  const cut = bounds.cut ? " The first steps, whose loss is higher, are cut off." : "";
  $("caption").textContent = `Nats per token over steps.${best}${cut}`;
}

function legendEntry({ name, look }) {
  const line = draw("svg", { viewBox: "0 0 32 12", "aria-hidden": "true" }, draw("line", { class: look, x1: 0, x2: 32, y1: 6, y2: 6 }));
  return make("span", {}, line, name);
}

function spoken(runs) {
  return runs.map((run) => {
    const said = (name, points) => (points.length ? `${name} loss ${points.at(-1)[1].toFixed(2)} at step ${number(points.at(-1)[0])}` : "");
    return `${run.title}: ${[said("training", run.train), said("validation", run.validation)].filter(Boolean).join(", ")}`;
  }).join(". ");
}

function pointAt(event) {
  if (!plane) return;
  const box = plane.svg.getBoundingClientRect();
  const at = ((event.clientX - box.left) / box.width) * plane.width;
  const near = (points) => points.reduce((best, point) => (Math.abs(plane.x(point[0]) - at) < Math.abs(plane.x(best[0]) - at) ? point : best));
  const found = plane.lines.map(({ name, points }) => [name, near(points)]);
  const step = found.map(([, point]) => point[0]).reduce((best, each) => (Math.abs(plane.x(each) - at) < Math.abs(plane.x(best) - at) ? each : best));
  const tip = $("tip");
  const rows = found.map(([name, [own, loss]]) => make("div", {}, `${name} ${loss.toFixed(3)}${own === step ? "" : ` (step ${number(own)})`}`));
  tip.replaceChildren(make("div", { className: "faint" }, `step ${number(step)}`), ...rows);
  tip.hidden = false;
  const left = (plane.x(step) / plane.width) * box.width;
  tip.style.left = `${left > box.width / 2 ? left - tip.offsetWidth - 10 : left + 10}px`;
  for (const name of ["x1", "x2"]) plane.cursor.setAttribute(name, plane.x(step));
  plane.cursor.setAttribute("visibility", "visible");
}

function leaveChart() {
  if (!plane) return;
  $("tip").hidden = true;
  plane.cursor.setAttribute("visibility", "hidden");
}
