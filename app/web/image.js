// A text as a picture of the size that networks show, in the page's own typeface and colours.

const WIDTH = 1200;
const HEIGHT = 630;
const MARGIN = 90;
const FOOT = 60;
const LEADING = 1.42;
// The largest letters with which the text fits are taken. If it does not fit with the smallest, the picture becomes higher.
const SIZES = [64, 56, 48, 42, 36, 30];
const TALLEST = 12000;

/** A PNG of `pieces` ([{text, model}]) above the page's title and address. Throws if the text is too long for a picture. */
export async function picture(pieces) {
  const face = getComputedStyle(document.body);
  const inks = { yours: face.color, models: colour("models"), faint: colour("note") };
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d");
  const { size, lines } = await fit(pen, pieces, face.fontFamily);
  const tall = Math.ceil(lines.length * size * LEADING);
  const height = Math.max(HEIGHT, 2 * MARGIN + FOOT + tall);
  if (height > TALLEST) throw new Error("This text is too long for one picture: copy it instead.");
  Object.assign(canvas, { width: WIDTH, height });
  pen.fillStyle = face.backgroundColor;
  pen.fillRect(0, 0, WIDTH, height);
  pen.font = `${size}px ${face.fontFamily}`;
  const top = (height - FOOT - tall) / 2;
  lines.forEach((line, row) => {
    let x = MARGIN;
    for (const { text, model } of line) {
      pen.fillStyle = model ? inks.models : inks.yours;
      pen.fillText(text, x, top + (row + 0.74) * size * LEADING);
      x += pen.measureText(text).width;
    }
  });
  pen.font = `italic 28px ${face.fontFamily}`;
  pen.fillStyle = inks.faint;
  pen.fillText(document.title, MARGIN, height - FOOT, WIDTH / 2 - MARGIN);
  pen.textAlign = "right";
  pen.fillText(location.host + location.pathname.replace(/\/$/, ""), WIDTH - MARGIN, height - FOOT, WIDTH / 2 - MARGIN);
  return new Promise((resolve) => canvas.toBlob(resolve));
}

/** The size of the letters, and the lines in it. */
async function fit(pen, pieces, family) {
  const text = trimmed(pieces);
  let lines;
  for (const size of SIZES) {
    await document.fonts.load(`${size}px ${family}`);
    pen.font = `${size}px ${family}`;
    lines = wrap(pen, text, WIDTH - 2 * MARGIN);
    if (lines.length * size * LEADING <= HEIGHT - 2 * MARGIN - FOOT) return { size, lines };
  }
  return { size: SIZES.at(-1), lines };
}

/** Without the empty lines at the end. */
function trimmed(pieces) {
  const last = pieces.findLastIndex(({ text }) => text.trim());
  return pieces.slice(0, last + 1).map((piece, at) => (at === last ? { ...piece, text: piece.text.trimEnd() } : piece));
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
    const parts = text.match(/\n|[^\S\n]+|\S+/g) ?? [];
    for (const part of parts.flatMap((each) => (pen.measureText(each).width > width ? [...each] : each))) {
      const full = x > 0 && x + pen.measureText(part).width > width;
      if (full || part === "\n") feed();
      // No line begins with the space that did not fit on the last one.
      if (part !== "\n" && !(full && !part.trim())) put(part, model);
    }
  }
  return lines;
}
