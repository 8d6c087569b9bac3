// The samples side by side, from the first save to now. What is copied from the training text is marked.

let drawnSamples = "";

function drawSamples(run) {
  const drawn = JSON.stringify([run.folder, run.samples]);
  if (drawn === drawnSamples) return;
  const strip = $("samples");
  const follows = strip.scrollLeft + strip.clientWidth >= strip.scrollWidth - 40;
  drawnSamples = drawn;
  strip.replaceChildren(...run.samples.map((samples) => sampleCard(run, samples)));
  strip.hidden = !run.samples.length;
  $("samples-note").textContent = samplesNote(run);
  if (follows) strip.scrollLeft = strip.scrollWidth;
}

function samplesNote(run) {
  if (!run.samples.length) return run.state === "waiting" || run.state === "training" ? "The first texts come with the first save." : "It wrote no texts: train with --samples 3.";
  const copied = run.samples.some(({ copied }) => copied !== null) ? "Marked: eight tokens or more in a row that stand in the training text word for word." : run.copies;
  const order = run.samples.length > 1 ? "From the first save on the left to the newest on the right. " : "";
  return `${order}${copied}`;
}

function sampleCard(run, { step, texts, copied }) {
  const loss = run.validation.find(([at]) => at === step)?.[1];
  const facts = [loss === undefined ? "" : `validation ${loss.toFixed(2)}`, copied === null ? "" : `${Math.round(100 * copied)}${THIN}% copied`];
  const title = make("h3", {}, `Step ${number(step)}`, make("small", {}, facts.filter(Boolean).join(" · ")));
  const shown = texts.map((pieces) => make("p", { className: "text" }, ...pieces.map(({ text, copied: stolen }) => (stolen ? make("mark", {}, text) : text))));
  return make("article", {}, title, ...shown);
}
