// Precision per operation as a heat strip, with the ratio above it as a line of bars.

const BINS = [[20, "worst"], [30, "bad"], [40, "poor"], [50, "fair"], [60, "good"], [Infinity, "best"]];
const TOP_DB = 100;
const STRIP_HEIGHT = 120;

function quality(each) {
  if (each.not_finite || (each.snr_db === null && !each.exact)) return "lost";
  if (each.exact) return "best";
  return BINS.find(([limit]) => each.snr_db < limit)[1];
}

function ratio(each) {
  if (each.exact) return "exact";
  return each.snr_db === null ? "nothing left of the signal" : `${decibels(each.snr_db)} SNR`;
}

function precisionSection() {
  const { precision, precision_missing: missing } = DATA;
  if (!precision) {
    section("precision", "Precision", `Not measured: ${missing}.`);
    return;
  }
  const present = new Set(precision.operations.map(quality));
  const names = [["best", "60 dB and more, or exact"], ["good", "50\u201360 dB"], ["fair", "40\u201350 dB"], ["poor", "30\u201340 dB"],
    ["bad", "20\u201330 dB"], ["worst", "below 20 dB"], ["lost", "overflow, or nothing left"]];
  const strip = precision.operations.length ? heatStrip(precision.operations)
    : [h("p", { class: "readout" }, "No operation\u2019s value could be compared.")];
  section("precision", "Precision", precisionLead(precision), strip,
    legend(names.filter(([name]) => present.has(name)).map(([name, text]) => [`q-${name}`, text])),
    h("ul", { class: "outputs", "aria-label": "Outputs" }, precision.outputs.map((each) => h("li", {},
      h("b", {}, each.name), h("span", { "data-value": each.snr_db }, ratio(each)),
      h("span", {}, each.max_abs === null ? "difference without bound" : `max abs ${significant(each.max_abs)}`),
      h("span", {}, `cosine ${each.cosine.toFixed(6)}`),
      each.not_finite ? h("em", { class: "gap" }, `${each.not_finite} of ${each.size} elements overflow`) : null))));
}

function precisionLead(precision) {
  const finite = precision.outputs.map((each) => each.snr_db).filter((each) => each !== null);
  const lost = precision.outputs.some((each) => each.snr_db === null && !each.exact);
  const worst = lost ? "Nothing is left of an output" : finite.length ? `The worst output has an SNR of ${decibels(Math.min(...finite))}` : "Outputs are exact";
  const numerics = { faithful: "every fp16 value rounded as a device would", fast: "fp16 weights, fp32 arithmetic", turbo: "bf16 arithmetic" }[precision.numerics];
  const jump = precision.first_jump ? ` The error jumps at ${plainName(precision.first_jump)}.` : "";
  return `${worst}, beside eager in fp32, with ${numerics || "the numerics of Apple\u2019s delegate"}.${jump}`;
}

function heatStrip(operations) {
  const readout = h("p", { class: "readout" });
  const strip = h("div", { class: "strip", role: "listbox", "aria-label": "Precision of each operation, in order of the graph",
    "aria-orientation": "horizontal", onkeydown: keys, onmouseover: pointed, onfocusin: pointed, onclick: pointed });
  const marks = h("div", { class: "marks", "aria-hidden": "true" }, [20, 40, 60, 80].map((level) =>
    styled(h("span", {}, `${level}${SPACE}dB`), { bottom: `${level / TOP_DB * 100}%` })));
  const cells = operations.map((each, i) => {
    const height = each.exact ? 1 : Math.min(1, Math.max(0, (each.snr_db || 0) / TOP_DB));
    const cell = h("div", { class: `q-${quality(each)}`, role: "option", tabindex: i === 0 ? 0 : -1, "aria-selected": "false",
      "aria-label": `${each.name}, ${ratio(each)}` }, styled(h("i"), { height: `${STRIP_HEIGHT * height}px` }), h("b"));
    cell.index = i;
    if (each.name === DATA.precision.first_jump) cell.classList.add("jump");
    return cell;
  });
  strip.append(...cells);
  const worst = operations.reduce((found, each, i) => (rank(each) < rank(operations[found]) ? i : found), 0);
  tell(worst);
  return [h("div", { class: "strip-box" }, marks, strip), readout];

  function rank(each) {
    if (each.exact) return Infinity;
    return each.snr_db === null ? -Infinity : each.snr_db;
  }

  function pointed(event) {
    const cell = event.target.closest("[role=option]");
    if (cell) tell(cell.index);
  }

  function keys(event) {
    const at = event.target.closest("[role=option]")?.index;
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: cells.length - 1 }[event.key];
    if (at === undefined || next === undefined) return;
    event.preventDefault();
    const cell = cells[next];
    if (!cell) return;
    cells[at].setAttribute("tabindex", "-1");
    cell.setAttribute("tabindex", "0");
    cell.focus();
  }

  function tell(i) {
    cells.forEach((cell, k) => cell.setAttribute("aria-selected", String(k === i)));
    const each = operations[i];
    const lost = [each.not_finite ? `${each.not_finite} overflow` : "", each.vanished ? `${each.vanished} underflow` : ""].filter(Boolean);
    readout.replaceChildren(h("b", {}, plainName(each.name)), h("span", { "data-value": each.snr_db }, ratio(each)),
      each.max_abs === null ? "" : h("span", {}, `max abs ${significant(each.max_abs)}`),
      ...lost.map((text) => h("em", { class: "gap" }, text)),
      i === worst && operations.length > 1 ? h("span", {}, "the worst") : "",
      each.source.length ? h("small", {}, each.source[0]) : "");
  }
}
