// The graph as rows: groups of modules in order of execution, and rails for the values between.

/** Groups nodes by module. Runs of one module stay together; a module may have several. */
function grouped(nodes) {
  const root = { label: "", path: [], children: [], nodes: [] };
  let open = [root];
  for (const node of nodes) {
    let depth = 0;
    while (depth < node.path.length && depth + 1 < open.length
      && open[depth + 1].path[depth] === node.path[depth]) depth += 1;
    open = open.slice(0, depth + 1);
    while (depth < node.path.length) {
      const path = node.path.slice(0, depth + 1);
      const group = { label: path[depth], path, children: [], nodes: [] };
      open[depth].children.push(group);
      open.push(group);
      depth += 1;
    }
    for (const group of open) group.nodes.push(node);
    open[depth].children.push({ node, nodes: [node], label: "", path: node.path });
  }
  root.children = root.children.map(joinedGroup);
  keyed(root, "");
  return root;

  function keyed(group, prefix) {
    group.children.forEach((child, i) => {
      child.key = `${prefix}${i}`;
      if (child.children) keyed(child, `${child.key}.`);
    });
  }
}

/** A group of a single child is that child, by both names. */
function joinedGroup(item) {
  if (!item.children) return item;
  item.children = item.children.map(joinedGroup);
  if (item.children.length > 1) return item;
  const [only] = item.children;
  return { ...only, label: [item.label, only.label].filter(Boolean).join(".") };
}

/** The groups to open at first: level by level while the rows are few, and all that has gaps. */
function openedAtFirst(root, most) {
  const opened = new Set();
  const gaps = (item) => item.nodes.some((node) => node.kind === "outside" || node.kind === "other");
  (function mark(group) {
    for (const child of group.children.filter((each) => each.children && gaps(each))) {
      opened.add(child.key);
      mark(child);
    }
  })(root);
  let rows = visible(root, opened).length;
  let level = root.children.filter((each) => each.children);
  while (level.length) {
    const next = [];
    for (const group of level) {
      if (!opened.has(group.key)) {
        if (rows + group.children.length > most) continue;
        opened.add(group.key);
        rows += group.children.length;
      }
      next.push(...group.children.filter((each) => each.children));
    }
    level = next;
  }
  return opened;
}

/** The rows that are shown: {item, depth, header}. */
function visible(group, opened, depth = 0) {
  return group.children.flatMap((item) => {
    if (!item.children || !opened.has(item.key)) return [{ item, depth, header: false }];
    return [{ item, depth, header: true }, ...visible(item, opened, depth + 1)];
  });
}

/** Gives each row its rails: what passes, what it reads, where its dot is, what goes on. */
function laid(rows) {
  const rowOf = new Map();
  rows.forEach((row, i) => row.header || row.item.nodes.forEach((node) => rowOf.set(node.id, i)));
  const last = new Map();
  rows.forEach((row, i) => {
    row.reads = new Set();
    if (row.header) return;
    for (const node of row.item.nodes) {
      for (const read of node.inputs) {
        const from = rowOf.get(read);
        if (from === undefined || from >= i) continue;
        row.reads.add(from);
        last.set(from, i);
      }
    }
  });
  const lanes = [];
  let most = 1;
  rows.forEach((row, i) => {
    row.top = lanes.slice();
    row.from = [];
    row.dot = null;
    if (!row.header) {
      const ending = [];
      row.top.forEach((from, lane) => {
        if (!row.reads.has(from)) return;
        row.from.push(lane);
        if (last.get(from) === i) ending.push(lane);
      });
      for (const lane of ending) lanes[lane] = null;
      const free = lanes.findIndex((each) => each === null || each === undefined);
      row.dot = ending.length ? ending[0] : free < 0 ? lanes.length : free;
      lanes[row.dot] = last.has(i) ? i : null;
      while (lanes.length && (lanes.at(-1) === null || lanes.at(-1) === undefined)) lanes.pop();
      most = Math.max(most, row.dot + 1);
    }
    row.bottom = lanes.slice();
    most = Math.max(most, lanes.length);
  });
  return most;
}

const RAIL_STEP = 14;
const RAIL_LANES = 7;
const ROW_HEIGHT = 34;

/** Draws the rails of a row; more lanes than fit share the last. */
function rails(row, lanes) {
  const width = RAIL_STEP * Math.min(lanes, RAIL_LANES);
  const x = (lane) => RAIL_STEP * (Math.min(lane, RAIL_LANES - 1) + 0.5);
  const middle = ROW_HEIGHT / 2;
  const paths = [];
  row.top.forEach((from, lane) => {
    if (from === null || from === undefined) return;
    if (row.bottom[lane] === from) paths.push(`M${x(lane)} 0V${ROW_HEIGHT}`);
  });
  for (const lane of row.from) {
    const [a, b] = [x(lane), x(row.dot)];
    paths.push(a === b ? `M${a} 0V${middle}` : `M${a} 0C${a} ${middle} ${b} 0 ${b} ${middle}`);
  }
  if (row.dot !== null && row.bottom[row.dot] !== null && row.bottom[row.dot] !== undefined) {
    paths.push(`M${x(row.dot)} ${middle}V${ROW_HEIGHT}`);
  }
  const drawing = svg("svg", { class: "rails", width, height: ROW_HEIGHT, "aria-hidden": "true" },
    svg("path", { d: paths.join("") || "M0 0", class: "rail" }));
  if (row.dot !== null) drawing.append(dot(row.item, x(row.dot), middle));
  return drawing;
}

function dot(item, x, y) {
  const kinds = new Set(item.nodes.map((node) => node.kind).filter((kind) => kind !== "bookkeeping"));
  const kind = kinds.size > 1 ? "mixed" : [...kinds][0] || "bookkeeping";
  if (!item.children) return svg("circle", { cx: x, cy: y, r: 4.5, class: `dot ${kind}` });
  return svg("rect", { x: x - 5.5, y: y - 5.5, width: 11, height: 11, rx: 3, class: `dot ${kind}` });
}

/** The rails beside a row's details: what passes from it to the next. */
function passing(row, lanes) {
  const width = RAIL_STEP * Math.min(lanes, RAIL_LANES);
  const drawing = svg("svg", { class: "rails", width, height: "100%", "aria-hidden": "true" });
  row.bottom.forEach((from, lane) => {
    if (from === null || from === undefined) return;
    const x = RAIL_STEP * (Math.min(lane, RAIL_LANES - 1) + 0.5);
    drawing.append(svg("line", { x1: x, x2: x, y1: 0, y2: "100%", class: "rail" }));
  });
  return drawing;
}
