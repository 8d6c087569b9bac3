"use strict";
// The document: text is inserted as text, never as markup. These files make one script.

const $ = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

function draw(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Between a number and its unit, where no line may end.
const THIN = "\u00a0";
const number = (value) => Math.round(value).toLocaleString("en");
const plural = (value, unit) => `${number(value)}${THIN}${unit}${Math.round(value) === 1 ? "" : "s"}`;

function duration(seconds) {
  if (seconds < 90) return plural(seconds, "second");
  if (seconds < 5400) return plural(seconds / 60, "minute");
  if (seconds < 172800) return `${(seconds / 3600).toFixed(1)}${THIN}hours`;
  return `${(seconds / 86400).toFixed(1)}${THIN}days`;
}

function bytes(count) {
  return count < 1e9 ? `${number(count / 1e6)}${THIN}MB` : `${(count / 1e9).toFixed(1)}${THIN}GB`;
}
