"use strict";
// Data, elements and numbers: what every section is made with.

const DATA = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";

/** An element: attributes (on* adds a listener, null leaves one out), then children. */
function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((each) => each !== null && each !== undefined));
  return element;
}

/** Sets properties of style, which the content policy allows a script and not an attribute. */
function styled(element, properties) {
  for (const [name, value] of Object.entries(properties)) element.style.setProperty(name, value);
  return element;
}

const NONE = "\u2013";
const SPACE = "\u202f";

function significant(value, digits = 3) {
  if (value === 0) return "0";
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(decimals, 6));
}

function scaled(value, unit) {
  if (value === null || value === undefined) return NONE;
  const prefixes = ["", "k", "M", "G", "T", "P"];
  let at = 0;
  while (value >= 999.5 && at < prefixes.length - 1) [value, at] = [value / 1000, at + 1];
  const text = at === 0 && Number.isInteger(value) ? String(value) : significant(value);
  return `${text}${SPACE}${prefixes[at]}${unit}`;
}

const bytes = (value) => scaled(value, "B");

function number(value, decimals) {
  return value === null || value === undefined ? NONE : value.toFixed(decimals);
}

/** Milliseconds, with its unit. */
function ms(value) {
  const text = value >= 100 ? value.toFixed(0) : value >= 1 ? significant(value) : value > 0 && value < 0.0005 ? "<0.001" : value.toFixed(3);
  return `${text}${SPACE}ms`;
}

/** A share from 0 to 1; what is neither nothing nor all never reads as if it were. */
function percent(value, decimals = 1) {
  if (value === null || value === undefined) return NONE;
  const least = 10 ** -decimals;
  let share = 100 * value;
  if (value > 0 && value < 1) share = Math.min(Math.max(share, least), 100 - least);
  return `${value === 1 ? "100" : share.toFixed(decimals)}${SPACE}%`;
}

const decibels = (value) => (value === null ? NONE : `${value.toFixed(1)}${SPACE}dB`);

function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** An op without what all have in common: aten.conv2d.default is conv2d. */
function shortOp(op) {
  const plain = op.replace(/^aten(\.|::)/, "").replace(/^dim_order_ops(\.|::)_(to|clone)_dim_order/, "$2").replace(/\.\w+$/, "");
  return plain.replace(/^_native_batch_norm_legit_no_training$/, "batch_norm").replace(/_copy$/, "");
}

/** Where each debug symbol is: its modules, and the op. */
const PLACES = new Map(DATA.time.operations.flatMap((each) =>
  [...each.fused_with, each.name].map((symbol) => [symbol, each.path.join(".")])));

/** A debug symbol for people: its modules and its op, or its name without what lowering adds. */
function plainName(symbols) {
  return symbols.split(", ").map((symbol) => {
    const place = PLACES.get(symbol);
    if (place) return `${place} ${symbol.split(":").pop()}`;
    return symbol.replace(/_cast_fp16(?=:)/, "").replace(/^aten_+/, "");
  }).join(", ");
}

/** A section with its heading, its sentence and its entry in the navigation. */
function section(id, title, lead, ...children) {
  document.getElementById("nav").append(h("a", { href: `#${id}` }, title));
  const element = h("section", { id, "aria-labelledby": `${id}-title` },
    h("h2", { id: `${id}-title` }, title), h("p", { class: "lead" }, lead), children);
  document.getElementById("main").append(element);
  return element;
}

function legend(entries) {
  return h("ul", { class: "legend" }, entries.map(([name, text]) =>
    h("li", {}, h("i", { class: `swatch ${name}`, "aria-hidden": "true" }), text)));
}

/** A horizontal bar for a share from 0 to 1. */
function bar(share, name = "") {
  const inner = styled(h("i", { class: name }), { width: `${100 * Math.min(1, share || 0)}%` });
  return h("span", { class: "bar", "aria-hidden": "true" }, inner);
}
