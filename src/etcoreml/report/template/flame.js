// Time as a flame graph: widths are times, the model on top, then modules, then operations.

const FLAME_ROW = 30;

/** The tree of times: modules by path, operations as leaves, in order of execution. */
function flameTree() {
  const { time } = DATA;
  const root = { name: "operations", value: 0, children: [], parent: null, start: 0 };
  let open = [root];
  time.operations.forEach((operation) => {
    let depth = 0;
    while (depth < operation.path.length && depth + 1 < open.length
      && open[depth + 1].name === operation.path[depth]) depth += 1;
    open = open.slice(0, depth + 1);
    for (; depth < operation.path.length; depth += 1) {
      const group = { name: operation.path[depth], value: 0, children: [], parent: open[depth] };
      open[depth].children.push(group);
      open.push(group);
    }
    const leaf = { name: operation.type === "ExecuTorch" ? shortOp(operation.name) : operation.type, value: operation.median_ms, operation, children: [], parent: open[depth] };
    open[depth].children.push(leaf);
    for (const group of open.slice(1)) group.value += operation.median_ms;
  });
  root.value = root.children.reduce((sum, each) => sum + each.value, 0);
  (function place(item) {
    let at = item.start;
    for (const child of item.children) {
      child.start = at;
      at += child.value;
      place(child);
    }
  })(root);
  return root;
}

/** A module that holds nothing but one other is shown as one. */
function merged(item) {
  if (item.parent && item.children.length === 1 && item.children[0].children.length) {
    const [only] = item.children;
    only.name = `${item.name}.${only.name}`;
    only.parent = item.parent;
    return merged(only);
  }
  if (item.parent && item.children.length === 1) {
    const [only] = item.children;
    only.name = `${item.name} ${only.name}`;
    only.parent = item.parent;
    return only;
  }
  item.children = item.children.map((child) => merged(child));
  for (const child of item.children) child.parent = item;
  return item;
}

/** What a run is made of, as one bar with its words. */
function runBar() {
  const { time } = DATA;
  const sum = (inside) => time.operations.filter((each) => each.inside === inside).reduce((total, each) => total + each.median_ms, 0);
  const parts = [
    ["core_ml", sum(true), DATA.graph.delegates === null ? "in operations" : "in Core ML operations"],
    ["outside", sum(false), "in ExecuTorch\u2019s kernels"],
    ["rest", time.unattributed_ms + time.other_ms, "in none: calls, waiting, interruptions"],
  ].filter(([, spent]) => spent > 0);
  const total = parts.reduce((all, [, spent]) => all + spent, 0);
  return [h("div", { class: "run-bar", "aria-hidden": "true" }, parts.map(([name, spent]) =>
    styled(h("i", { class: name }), { width: `${100 * spent / total}%` }))),
  h("ul", { class: "legend run" }, parts.map(([name, spent, text]) => h("li", {},
    h("i", { class: `swatch ${name}`, "aria-hidden": "true" }), h("b", {}, ms(spent)), text)))];
}

function flameGraph() {
  const root = merged(flameTree());
  const state = { zoom: root, focus: root };
  const readout = h("p", { class: "readout" });
  const chart = h("div", { class: "flame", role: "group", "aria-label": "Time by module and operation",
    onkeydown: keys, onmouseleave: () => tell(state.focus), onclick: clicked, onmouseover: pointed, onfocusin: pointed });
  const cells = new Map();
  let drawnFor = 0;
  draw();
  tell(root);
  // Which names fit depends on the width.
  new ResizeObserver(() => {
    if (Math.abs(chart.clientWidth - drawnFor) > 1 && !chart.contains(document.activeElement)) draw();
  }).observe(chart);
  return [chart, readout];

  function draw() {
    cells.clear();
    drawnFor = chart.clientWidth;
    chart.replaceChildren();
    const trail = [];
    for (let item = state.zoom.parent; item; item = item.parent) trail.unshift(item);
    trail.forEach((item, row) => add(item, row, 0, 1));
    let depth = 0;
    (function walk(item, row) {
      const left = (item.start - state.zoom.start) / state.zoom.value;
      const width = item.value / state.zoom.value;
      if (width < 0.0012 && item !== state.focus) return;
      add(item, row, left, width);
      depth = Math.max(depth, row);
      for (const child of item.children) walk(child, row + 1);
    })(state.zoom, trail.length);
    styled(chart, { height: `${(depth + 1) * FLAME_ROW}px` });
  }

  function add(item, row, left, width) {
    const cell = h("button", { type: "button", class: `cell ${shade(item)}`, tabindex: item === state.focus ? 0 : -1,
      "aria-label": words(item) }, h("span", {}, fits(item.name, width) ? item.name : ""));
    styled(cell, { left: `${100 * left}%`, width: `${100 * width}%`, top: `${row * FLAME_ROW}px` });
    cell.item = item;
    cells.set(item, cell);
    chart.append(cell);
  }

  /** Whether enough of a name is readable in a share of the width. */
  function fits(name, width) {
    return width * (drawnFor || 1000) >= 6.5 * Math.min(name.length, 7) + 16;
  }

  function pointed(event) {
    const cell = event.target.closest(".cell");
    if (cell) tell(cell.item);
  }

  function clicked(event) {
    const cell = event.target.closest(".cell");
    if (cell) zoom(cell.item);
  }

  function zoom(item) {
    const target = item.children.length ? item : item.parent || item;
    state.focus = item;
    state.zoom = state.zoom === target && item.children.length && item.parent ? item.parent : target;
    draw();
    cells.get(item)?.focus({ preventScroll: true });
    tell(item);
  }

  function keys(event) {
    const item = event.target.closest(".cell")?.item;
    if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") zoom(root);
    else {
      const siblings = item.parent ? item.parent.children.filter((each) => cells.has(each)) : [item];
      const at = siblings.indexOf(item);
      const next = { ArrowRight: siblings[at + 1], ArrowLeft: siblings[at - 1], ArrowUp: item.parent,
        ArrowDown: item.children.find((each) => cells.has(each)) };
      if (!(event.key in next)) return;
      const cell = cells.get(next[event.key]);
      if (cell) {
        cells.get(state.focus)?.setAttribute("tabindex", "-1");
        state.focus = next[event.key];
        cell.setAttribute("tabindex", "0");
        cell.focus({ preventScroll: true });
      }
    }
    event.preventDefault();
  }

  function tell(item) {
    readout.replaceChildren(...spoken(item));
  }
}

function shade(item) {
  if (!item.operation) return item.parent ? "module" : "module root";
  const kind = item.operation.inside ? "core_ml" : "outside";
  const share = item.operation.roofline_share;
  const step = share === null ? 0 : share < 0.1 ? 1 : share < 0.3 ? 2 : share < 0.6 ? 3 : 4;
  return `${kind} step-${step}`;
}

function modulePath(item) {
  const names = [];
  for (let at = item; at && at.parent; at = at.parent) names.unshift(at.name);
  return names;
}

function words(item) {
  const path = modulePath(item);
  return `${path.join(" ") || item.name}, ${ms(item.value)}, ${percent(item.value / DATA.time.run_ms)}`;
}

function spoken(item) {
  const { time } = DATA;
  const path = modulePath(item);
  const parts = [h("b", {}, path.join(" \u203a ") || item.name), h("span", {}, ms(item.value)), h("span", {}, `${percent(item.value / time.run_ms)} of a run`)];
  if (item.operation) {
    const { gflops_per_s: speed, roofline_share: share } = item.operation;
    if (speed) parts.push(h("span", {}, `${significant(speed)}${SPACE}GFLOP/s`));
    if (share !== null) parts.push(h("span", {}, `${percent(share, 0)} of this machine\u2019s best`));
  } else parts.push(h("span", {}, plural(leaves(item), "operation")));
  return parts;
}

function leaves(item) {
  return item.operation ? 1 : item.children.reduce((sum, each) => sum + leaves(each), 0);
}

/** Bars of the time of each type of operation. */
function typeBars() {
  const types = new Map();
  for (const { type, median_ms: spent, inside } of DATA.time.operations) {
    const found = types.get(type) || { type, count: 0, spent: 0, inside };
    found.count += 1;
    found.spent += spent;
    types.set(type, found);
  }
  const sorted = [...types.values()].sort((a, b) => b.spent - a.spent);
  const shown = sorted.slice(0, 6);
  const rest = sorted.slice(6);
  if (rest.length) {
    shown.push({ type: `${rest.length} more`, inside: true, count: rest.reduce((sum, each) => sum + each.count, 0),
      spent: rest.reduce((sum, each) => sum + each.spent, 0) });
  }
  return h("ul", { class: "types", "aria-label": "Time by type of operation" }, shown.map((each) =>
    h("li", {}, h("code", {}, each.type), h("small", {}, `× ${each.count}`),
      bar(each.spent / DATA.time.run_ms, each.inside ? "" : "outside"),
      h("b", {}, ms(each.spent)), h("span", {}, percent(each.spent / DATA.time.run_ms)))));
}
