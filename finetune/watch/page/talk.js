// Talk to it: the newest save continues what one writes. Its words are blue, as on the product's page.

async function talk({ folder, turns }) {
  const prompt = $("prompt").value;
  $("go").disabled = true;
  $("trouble").textContent = "";
  const written = make("span", {});
  $("exchange").hidden = false;
  $("exchange").replaceChildren(turns ? `${prompt.trim()}\n` : prompt, written);
  $("go").textContent = "Reading the save …";
  try {
    const response = await fetch("talk", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ folder, prompt }) });
    if (!response.ok) throw new Error(await response.text());
    await readTalk(response.body.pipeThrough(new TextDecoderStream()).getReader(), written);
  } catch (error) {
    $("trouble").textContent = error instanceof TypeError ? "The page's server cannot be reached: is `gpt2 watch` still running?" : error.message;
  } finally {
    $("go").disabled = false;
    $("go").textContent = turns ? "Ask" : "Continue";
  }
}

async function readTalk(reader, written) {
  let step = null;
  for (let head = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) break;
    if (step !== null) {
      written.append(value);
      continue;
    }
    head += value;
    const end = head.indexOf("\n");
    if (end < 0) continue;
    step = Number(head.slice(0, end));
    $("go").textContent = `Step ${number(step)} writes …`;
    written.append(head.slice(end + 1));
  }
  if (step !== null && !written.textContent) $("trouble").textContent = `Step ${number(step)} finds that nothing is left to say.`;
}
