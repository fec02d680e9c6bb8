// The section "Graph": modules and nodes in order of execution, as a tree that opens and closes.

const KINDS = {
  core_ml: "In Core ML", outside: "Outside", bookkeeping: "Sizes only", other: "Another backend", input: "Input",
};

function graphSection() {
  const { graph, time } = DATA;
  const outside = graph.nodes.filter((node) => node.kind === "outside");
  const tree = grouped(graph.nodes);
  const first = openedAtFirst(tree, 30);
  const state = { opened: new Set(first), shown: new Set(), focus: null };
  const list = h("div", { class: "tree", role: "tree", "aria-label": "Graph by module", onkeydown: keys, onclick: clicked });
  const groups = allGroups(tree);
  const present = ["core_ml", "outside", "other", "bookkeeping"]
    .filter((kind) => graph.nodes.some((node) => node.kind === kind));
  const buttons = groups.length === 0 ? null : h("div", { class: "buttons" },
    h("button", { type: "button", onclick: () => show(new Set(groups.map((each) => each.key))) }, "Expand all"),
    h("button", { type: "button", onclick: () => show(new Set()) }, "Collapse all"));
  draw();
  section("graph", "Graph", graphLead(outside), leftOut(outside),
    h("div", { class: "tools" }, legend(present.map((kind) => [kind, KINDS[kind]])), buttons),
    h("div", { class: "tree-head", "aria-hidden": "true" }, h("span", {}, "In order of execution"), h("span", {}, "Result"), h("span", {}, "Time")),
    list);

  function show(opened) {
    state.opened = opened;
    draw();
  }

  function draw() {
    const rows = visible(tree, state.opened);
    const lanes = laid(rows);
    if (!rows.some((row) => row.item.key === state.focus)) state.focus = rows[0]?.item.key;
    const most = Math.max(...rows.map((row) => (row.header ? 0 : spentIn(row.item))));
    list.replaceChildren(...rows.flatMap((row) => {
      const element = treeRow(row, lanes, most);
      const open = !row.item.children && state.shown.has(row.item.key);
      return open ? [element, nodeDetails(row, lanes, time)] : [element];
    }));
  }

  function treeRow(row, lanes, most) {
    const { item, depth } = row;
    const expanded = item.children ? state.opened.has(item.key) : state.shown.has(item.key);
    const label = h("span", { class: "label" },
      h("i", { class: `chevron${item.children ? "" : " leaf"}`, "aria-hidden": "true" }),
      itemText(item));
    styled(label, { "--depth": depth });
    return h("div", {
      class: `row${item.children ? " group" : ""}${row.header ? " header" : ""}`, role: "treeitem",
      "aria-level": depth + 1, "aria-expanded": String(expanded), tabindex: item.key === state.focus ? 0 : -1,
      "data-key": item.key, "data-kind": item.children ? "group" : item.node.kind,
    }, rails(row, lanes), label,
    h("span", { class: "value" }, row.header ? "" : item.nodes.at(-1).value),
    row.header ? h("span", { class: "spent" }) : timeCell(item, spentIn(item), most));
  }

  function spentIn(item) {
    return item.nodes.filter((node) => node.leads)
      .reduce((sum, node) => sum + time.operations[node.operation].median_ms, 0);
  }

  function timeCell(item, spent, most) {
    if (spent > 0) {
      return h("span", { class: "spent", "data-value": spent }, bar(spent / most), h("b", {}, ms(spent)));
    }
    const fused = !item.children && item.node.operation !== null;
    return h("span", { class: "spent none" }, fused ? "fused" : "");
  }

  function clicked(event) {
    const row = event.target.closest("[role=treeitem]");
    if (row) toggle(row.dataset.key);
  }

  function toggle(key, want) {
    const isGroup = key !== undefined && list.querySelector(`[data-key="${key}"]`).dataset.kind === "group";
    const set = isGroup ? state.opened : state.shown;
    const has = set.has(key);
    if (want !== undefined && want === has) return;
    if (has) set.delete(key);
    else set.add(key);
    state.focus = key;
    draw();
    list.querySelector(`[data-key="${key}"]`).focus({ preventScroll: true });
  }

  function keys(event) {
    const row = event.target.closest("[role=treeitem]");
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = [...list.querySelectorAll("[role=treeitem]")];
    const at = rows.indexOf(row);
    const key = row.dataset.key;
    const open = row.getAttribute("aria-expanded") === "true";
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 };
    if (event.key in moves) focus(rows[moves[event.key]]);
    else if (event.key === "Enter" || event.key === " ") toggle(key);
    else if (event.key === "ArrowRight") {
      if (!open) toggle(key, true);
      else focus(rows[at + 1]);
    } else if (event.key === "ArrowLeft") {
      if (open) toggle(key, false);
      else focus(rows.find((each) => each.dataset.key === key.split(".").slice(0, -1).join(".")));
    } else return;
    event.preventDefault();
  }

  function focus(row) {
    if (!row) return;
    list.querySelector("[tabindex='0']")?.setAttribute("tabindex", "-1");
    row.setAttribute("tabindex", "0");
    state.focus = row.dataset.key;
    row.focus();
  }
}

function allGroups(group) {
  return group.children.filter((each) => each.children).flatMap((each) => [each, ...allGroups(each)]);
}

function itemText(item) {
  if (item.children) {
    const inside = item.nodes.filter((node) => node.kind === "core_ml").length;
    const gaps = item.nodes.filter((node) => node.kind === "outside").length;
    const note = gaps ? h("em", { class: "gap" }, `${gaps} outside`) : null;
    const count = item.nodes.length === inside ? plural(inside, "node") : `${inside} of ${plural(item.nodes.length, "node")}`;
    return [h("b", {}, item.label), h("small", {}, count), note];
  }
  const { node } = item;
  const name = node.kind === "input" ? node.id : shortOp(node.op);
  const kind = node.kind === "core_ml" ? null : h("em", { class: node.kind === "outside" ? "gap" : "" }, KINDS[node.kind].toLowerCase());
  return [h("code", {}, name), item.label ? h("small", {}, item.label) : null, kind];
}

function nodeDetails(row, lanes, time) {
  const { node } = row.item;
  const operation = node.operation === null ? null : time.operations[node.operation];
  const facts = [
    ["node", node.id],
    ["op", node.kind === "input" ? null : node.op],
    ["module", node.path.join(".")],
    ["result", node.value],
    ["why outside", node.reason || (node.kind === "outside" ? "the file does not say" : null)],
    ["what to change", node.advice],
    ["source", node.source],
    ["work", node.flops ? scaled(node.flops, "FLOPs") : null],
    ["reads and writes", node.nbytes ? bytes(node.nbytes) : null],
    ["computed by", operation && operation.name],
    ["time", operation && (node.leads ? ms(operation.median_ms) : `in the ${ms(operation.median_ms)} of ${plainName(operation.name)}`)],
    ["kernel", operation && operation.kernel],
    ["precision", operation && operation.snr_db !== null ? `${decibels(operation.snr_db)} SNR` : null],
  ].filter(([, value]) => value);
  const indent = styled(h("div", { class: "facts-box" }, factList(facts)), { "--depth": row.depth });
  return h("div", { class: "details", role: "presentation" }, passing(row, lanes), indent);
}

function factList(facts) {
  return h("dl", { class: "facts" }, facts.map(([name, value]) =>
    h("div", {}, h("dt", {}, name), h("dd", { "data-fact": name }, value))));
}

function leftOut(outside) {
  const reasons = new Map();
  for (const node of outside) {
    const key = `${node.op} ${node.reason}`;
    if (!reasons.has(key)) reasons.set(key, []);
    reasons.get(key).push(node);
  }
  if (!reasons.size) return null;
  return h("ul", { class: "left-out", "aria-label": "Left out of Core ML" }, [...reasons.values()].map((nodes) =>
    h("li", {}, h("code", {}, shortOp(nodes[0].op)), nodes.length > 1 ? h("small", {}, ` × ${nodes.length}`) : null,
      h("span", {}, nodes[0].reason || "runs in ExecuTorch\u2019s own kernels; the file does not say why"),
      nodes[0].advice ? h("span", { class: "advice" }, nodes[0].advice) : null,
      nodes[0].source ? h("small", { class: "source" }, nodes[0].source) : null)));
}

function graphLead(outside) {
  const { graph } = DATA;
  if (graph.delegates === null) return `${plural(graph.total, "MIL operation")}, all of a Core ML model.`;
  if (graph.delegates === 0) return `None of the ${plural(graph.total, `${graph.level} node`)} is in Core ML.`;
  const where = graph.delegates === 1 ? "one Core ML delegate" : `${graph.delegates} Core ML delegates`;
  if (graph.inside === graph.total) return `All ${graph.total} ${graph.level} nodes are in ${where}.`;
  const gap = outside.length ? `; ${plural(outside.length, "node")} outside` : "";
  return `${graph.inside} of ${graph.total} ${graph.level} nodes are in ${where}${gap}.`;
}
