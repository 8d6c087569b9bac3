// A text as a picture, in the page's own typeface and colours.

const WIDTH = 1200;
const MARGIN = 120;
const SIZE = 44;
const LEADING = 66;
const TALLEST = 12000;

/** A PNG of `pieces` ([{text, model}]), with the model's name below. Throws if the text is too long for a picture. */
export async function picture(pieces, model) {
  const face = getComputedStyle(document.body);
  const family = face.fontFamily;
  const inks = { yours: face.color, models: colour("models"), faint: colour("note") };
  await Promise.all([document.fonts.load(`${SIZE}px ${family}`), document.fonts.load(`italic ${SIZE}px ${family}`)]);
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d");
  pen.font = `${SIZE}px ${family}`;
  const lines = wrap(pen, pieces, WIDTH - 2 * MARGIN);
  const height = 2 * MARGIN + (lines.length + 2) * LEADING;
  if (height > TALLEST) throw new Error("This text is too long for one picture: copy it instead.");
  Object.assign(canvas, { width: WIDTH, height });
  pen.fillStyle = face.backgroundColor;
  pen.fillRect(0, 0, WIDTH, height);
  pen.font = `${SIZE}px ${family}`;
  lines.forEach((line, row) => {
    let x = MARGIN;
    for (const { text, model } of line) {
      pen.fillStyle = model ? inks.models : inks.yours;
      pen.fillText(text, x, MARGIN + SIZE + row * LEADING);
      x += pen.measureText(text).width;
    }
  });
  pen.font = `italic ${SIZE * 0.62}px ${family}`;
  pen.fillStyle = inks.faint;
  pen.fillText(`GPT-2, ${model}`, MARGIN, height - MARGIN + SIZE * 0.3);
  return new Promise((resolve) => canvas.toBlob(resolve));
}

function colour(name) {
  const probe = document.body.appendChild(document.createElement("span"));
  probe.className = name;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** Wrap the pieces into lines, each a list of pieces. A word wider than a line is broken at the edge. */
function wrap(pen, pieces, width) {
  const lines = [[]];
  let x = 0;
  const feed = () => {
    lines.push([]);
    x = 0;
  };
  const put = (text, model) => {
    lines.at(-1).push({ text, model });
    x += pen.measureText(text).width;
  };
  for (const { text, model } of pieces) {
    for (const part of text.match(/\n|[^\S\n]+|\S+/g) ?? []) {
      if (part === "\n") {
        feed();
        continue;
      }
      const space = !part.trim();
      if (x && x + pen.measureText(part).width > width) {
        feed();
        if (space) continue;
      }
      let rest = [...part];
      while (pen.measureText(rest.join("")).width > width - x) {
        let fit = rest.length;
        while (fit > 1 && pen.measureText(rest.slice(0, fit).join("")).width > width - x) fit = Math.ceil(fit * 0.9) - 1 || 1;
        put(rest.slice(0, fit).join(""), model);
        rest = rest.slice(fit);
        feed();
      }
      if (rest.length) put(rest.join(""), model);
    }
  }
  return lines;
}
