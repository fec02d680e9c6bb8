// Where operations may run on Apple devices: an estimate by rules, if there is one.

const UNITS = { NE: "Neural Engine", GPU: "GPU", CPU: "CPU" };
const SHOWN_OPS = 4;

const unitName = (preferred) => preferred.split(" or ").map((each) => UNITS[each] || each).join(" or ");
const unitClass = (preferred) => (preferred.includes(" or ") ? "unit-open" : `unit-${preferred}`);

function planSection() {
  const { plan } = DATA;
  if (!plan) return;
  const rows = plan.operations;
  const units = inGroups(rows, (row) => row.preferred);
  const unknown = rows.filter((row) => row.estimated_work_share === null).length;
  const lead = `An estimate by etcoreml\u2019s rules for ${plan.compute_unit}, not Core ML\u2019s own plan: nothing was asked of an Apple device. `
    + `Work is estimated, too${unknown ? `, but not of ${plural(unknown, "operation")} whose sizes are not known before a run, or which are nested` : ""}.`;
  const leaving = rows.filter((row) => row.leaves);
  const asksEngine = ["all", "cpu_and_ne"].includes(plan.compute_unit);
  section("plan", "Plan", lead, unitBar(units),
    asksEngine && leaving.length ? [h("h3", {}, "What leaves the Neural Engine, or may"), leavingList(leaving)] : null,
    h("h3", {}, "By operation"), planTable(rows),
    h("p", { class: "note" }, "Confidence ", Object.entries(plan.confidence).map(([letter, text], i) => [i ? "; " : "", h("b", {}, letter), `: ${text}`]), "."));
}

/** Rows that have something in common, the most work first. */
function inGroups(rows, key) {
  const found = new Map();
  for (const row of rows) {
    const group = found.get(key(row)) || { key: key(row), rows: [], work: 0 };
    group.rows.push(row);
    group.work += row.estimated_work_share || 0;
    found.set(group.key, group);
  }
  return [...found.values()].sort((a, b) => b.work - a.work || b.rows.length - a.rows.length);
}

function unitBar(units) {
  const known = units.some((each) => each.work);
  return [known ? h("div", { class: "run-bar", "aria-hidden": "true" }, units.filter((each) => each.work).map((each) =>
    styled(h("i", { class: unitClass(each.key) }), { width: `${100 * each.work}%` }))) : null,
  h("ul", { class: "legend run", "aria-label": "Work by compute unit" }, units.map((each) => h("li", {},
    h("i", { class: `swatch ${unitClass(each.key)}`, "aria-hidden": "true" }),
    h("b", {}, known ? percent(Math.min(1, each.work)) : plural(each.rows.length, "operation")),
    `${known ? "of the work, " : ""}probably on the ${unitName(each.key)}${known ? ` (${plural(each.rows.length, "operation")})` : ""}`)))];
}

function leavingList(rows) {
  return h("ul", { class: "leaving" }, inGroups(rows, (row) => row.reason).map(({ key, rows: those, work }) => {
    const [{ advice }] = those;
    const types = inGroups(those, (row) => row.operation.split(":").pop());
    const more = types.length - SHOWN_OPS;
    return h("li", {},
      h("span", { class: "ops" }, types.slice(0, SHOWN_OPS).map((each) => [h("code", {}, each.key), h("small", {}, `× ${each.rows.length}`)]),
        more > 0 ? h("small", {}, `and ${more} more`) : null),
      h("b", { "data-value": work }, work ? percent(work) : NONE),
      h("span", { class: "reason" }, `${key[0].toUpperCase()}${key.slice(1)}.`, advice ? h("small", {}, ` ${advice}`) : null));
  }));
}

function planTable(rows) {
  const most = Math.max(...rows.map((row) => row.estimated_work_share || 0)) || 1;
  return dataTable([
    { name: "Operation", text: true, key: (row) => row.operation, cell: planCell },
    { name: "Probably", text: true, key: (row) => row.preferred, cell: (row) => unitName(row.preferred) },
    { name: "Can run on", text: true, wide: true, key: (row) => row.supported.join(", "), cell: (row) => row.supported.join(", ") || NONE },
    { name: "Confidence", text: true, wide: true, key: (row) => row.confidence, cell: (row) => row.confidence },
    { name: "Work", unit: "%", key: (row) => row.estimated_work_share,
      cell: (row) => [bar((row.estimated_work_share || 0) / most), h("span", {}, number(row.estimated_work_share === null ? null : 100 * row.estimated_work_share, 1))] },
  ], rows, { label: "Plan", noun: "operation", sort: 4,
    text: (row) => `${row.operation} ${plainName(row.operation)} ${unitName(row.preferred)} ${row.reason}` });
}

function planCell(row) {
  const place = PLACES.get(row.operation);
  return [h("span", { class: "op" }, h("i", { class: `swatch ${unitClass(row.preferred)}`, "aria-hidden": "true" }),
    h("code", {}, row.operation.split(":").pop()), h("small", {}, row.reason)),
  h("small", { class: "where", title: row.operation }, place || plainName(row.operation).split(":")[0])];
}
