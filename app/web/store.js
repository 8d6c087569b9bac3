// The browser's storage. The page also works where there is none, as in some private windows or on a full disk.

function attempt(work, otherwise) {
  try {
    return work() ?? otherwise;
  } catch {
    return otherwise;
  }
}

export const load = (name, otherwise = null, store = () => localStorage) =>
  attempt(() => JSON.parse(store().getItem(name)), otherwise);

/** Returns whether the value could be stored. */
export const keep = (name, value, store = () => localStorage) =>
  attempt(() => (store().setItem(name, JSON.stringify(value)), true), false);

/** Whether there is a storage, be it full or not. */
export const there = () => attempt(() => Boolean(localStorage), false);

export const tab = () => sessionStorage;

/** A random name of 24 hexadecimal digits. */
export function draw() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Where the browser keeps nothing, for as long as the page is open.
const drawn = draw();

/** The voter's random name: always the same in this browser, and it says nothing about the person. */
export function voter() {
  const known = load("voter");
  if (typeof known === "string") return known;
  keep("voter", drawn);
  return drawn;
}
