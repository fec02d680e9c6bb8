// A table that sorts by any column, finds words, and shows its first rows until asked for all.

const FIRST_ROWS = 12;

/**
 * @param columns {name, unit, key(row) -> sorted by, cell(row) -> content, wide: hidden on a phone, text: flush left}
 * @param rows any objects
 * @param options {label, noun, sort: index of the column, text(row) -> what a search looks into}
 */
function dataTable(columns, rows, { label, noun, sort, text }) {
  const state = { sort, down: true, query: "", all: rows.length <= FIRST_ROWS + 3 };
  const body = h("tbody");
  const heads = columns.map((column, i) => h("th", { scope: "col", class: classes(column) },
    h("button", { type: "button", onclick: () => sortBy(i) }, column.name,
      column.unit ? h("small", {}, column.unit) : null, h("i", { class: "arrow", "aria-hidden": "true" }))));
  const count = h("p", { class: "count", role: "status" });
  const more = h("button", { type: "button", class: "more", onclick: () => { state.all = true; draw(); } });
  const find = h("input", { type: "search", placeholder: `Search ${noun}s`, "aria-label": `Search ${noun}s`, spellcheck: "false",
    autocomplete: "off", oninput: (event) => { state.query = event.target.value; draw(); } });
  draw();
  return h("div", { class: "table" }, h("div", { class: "tools" }, find, count),
    h("div", { class: "scroll" }, h("table", { "aria-label": label }, h("thead", {}, h("tr", {}, heads)), body)), more);

  function classes(column) {
    return [column.wide ? "wide" : "", column.text ? "text" : "figure"].filter(Boolean).join(" ");
  }

  function sortBy(i) {
    if (state.sort === i) state.down = !state.down;
    else [state.sort, state.down] = [i, !columns[i].text];
    draw();
  }

  function draw() {
    const words = state.query.toLowerCase().split(/\s+/).filter(Boolean);
    const found = rows.filter((row) => words.every((word) => text(row).toLowerCase().includes(word)));
    const { key } = columns[state.sort];
    found.sort((a, b) => ordered(key(a), key(b), state.down));
    const shown = state.all || words.length ? found : found.slice(0, FIRST_ROWS);
    heads.forEach((head, i) => head.setAttribute("aria-sort", i !== state.sort ? "none" : state.down ? "descending" : "ascending"));
    body.replaceChildren(...shown.map((row) => h("tr", {}, columns.map((column) => {
      const value = column.key(row);
      return h("td", { class: classes(column), "data-value": typeof value === "number" ? value : null }, column.cell(row));
    }))));
    if (!shown.length) body.append(h("tr", {}, h("td", { class: "empty", colspan: columns.length }, `No ${noun} has \u201c${state.query}\u201d.`)));
    count.textContent = shown.length === rows.length ? plural(rows.length, noun) : `${shown.length} of ${plural(rows.length, noun)}`;
    more.textContent = `Show all ${rows.length}`;
    more.hidden = shown.length === found.length;
  }
}

/** Numbers by size and text by the alphabet; what is not known comes last either way. */
function ordered(a, b, down) {
  const missing = (value) => value === null || value === undefined;
  if (missing(a) || missing(b)) return missing(a) - missing(b);
  const order = typeof a === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  return down ? -order : order;
}

function operationsTable() {
  const { time } = DATA;
  const most = Math.max(...time.operations.map((each) => each.share));
  const columns = [
    { name: "Operation", text: true, key: (row) => row.path.join(".") || row.name, cell: operationCell },
    { name: "Median", unit: "ms", key: (row) => row.median_ms, cell: (row) => number(row.median_ms, 3) },
    { name: "Share", unit: "%", key: (row) => row.share, cell: (row) => [bar(row.share / most, row.inside ? "" : "outside"), h("span", {}, number(100 * row.share, 1))] },
    { name: "Work", unit: "MFLOP", wide: true, key: (row) => row.flops, cell: (row) => number(row.flops ? row.flops / 1e6 : null, 2) },
    { name: "Speed", unit: "GFLOP/s", wide: true, key: (row) => row.gflops_per_s, cell: (row) => number(row.gflops_per_s || null, 1) },
    { name: "Moved", unit: "MB", wide: true, key: (row) => row.nbytes, cell: (row) => number(row.nbytes === null ? null : row.nbytes / 1e6, 2) },
    { name: "Roofline", unit: "%", wide: true, key: (row) => row.roofline_share, cell: (row) => number(row.roofline_share === null ? null : 100 * row.roofline_share, 0) },
  ];
  if (DATA.precision) {
    columns.push({ name: "SNR", unit: "dB", wide: true, key: (row) => row.snr_db, cell: (row) => number(row.snr_db, 1) });
  }
  return dataTable(columns, time.operations, { label: "Operations", noun: "operation", sort: 1,
    text: (row) => [row.name, row.type, row.path.join("."), row.kernel, ...row.fused_with, ...row.aten_ops, ...row.source].join(" ") });
}

function operationCell(row) {
  const members = row.fused_with.map((each) => each.split(":").pop());
  const more = members.length > 3 ? [...members.slice(0, 2), `${members.length - 2} more`] : members;
  const fused = more.map((each) => ` + ${each}`).join("");
  const type = row.type === "ExecuTorch" ? shortOp(row.name) : row.type;
  return [h("span", { class: "op" }, h("i", { class: `swatch ${row.inside ? "core_ml" : "outside"}`, "aria-hidden": "true" }),
    h("code", {}, type), fused ? h("small", {}, fused) : null),
  h("small", { class: "where", title: row.name }, row.path.join(".") || row.name)];
}
