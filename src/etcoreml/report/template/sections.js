// The head, the sections that are lists, and the order of all.

function head() {
  const { graph, time, precision, weights } = DATA;
  const share = graph.total ? graph.inside / graph.total : 0;
  const finite = precision ? precision.outputs.filter((each) => !each.exact) : [];
  const lost = finite.some((each) => each.snr_db === null);
  const worst = !precision ? null : lost ? "lost" : finite.length ? Math.min(...finite.map((each) => each.snr_db)) : "exact";
  const kinds = { lowered: "lowered to Core ML for ExecuTorch", program: "an ExecuTorch program", core_ml: "a Core ML model" };
  const fact = (id, name, value, unit, note, extra) => h("div", { class: "stat", id: `stat-${id}` },
    h("dt", {}, name), h("dd", {}, h("span", { class: "big" }, value, unit ? h("small", {}, unit) : null), extra || null, h("span", { class: "note" }, note)));
  const split = (text) => text.split(SPACE);
  const flops = graph.flops_inside_share === null || graph.inside === graph.total ? "" : `, ${percent(graph.flops_inside_share)} of the FLOPs`;
  const delegated = graph.delegates === null ? fact("delegated", "Operations", graph.total, "", `MIL, ${DATA.options.opset}`)
    : fact("delegated", "In Core ML", ...split(percent(share)), `${graph.inside} of ${graph.total} nodes${flops}`,
      h("span", { class: "meter", "aria-hidden": "true" }, styled(h("i"), { width: `${100 * share}%` })));
  const spread = time.iterations > 1 ? `median of ${time.iterations}, ${ms(time.min_ms).split(SPACE)[0]}\u2013${ms(time.max_ms)}` : "one run";
  document.getElementById("head").append(
    h("p", { class: "over" }, h("span", {}, "etcoreml report"), h("time", { datetime: DATA.created }, `${DATA.created.slice(0, 10)}`)),
    h("h1", {}, DATA.model),
    h("p", { class: "sub" }, [kinds[DATA.kind], DATA.function, target()].filter(Boolean).join(" · ")),
    h("dl", { class: "stats" }, delegated,
      fact("time", "One run", ...split(ms(time.run_ms)), spread),
      worst === null ? fact("precision", "Precision", NONE, "", "not measured")
        : typeof worst === "string" ? fact("precision", "Precision", worst, "", "worst output beside eager in fp32")
          : fact("precision", "Precision", ...split(decibels(worst)), "worst output beside eager in fp32"),
      fact("size", "Size", ...split(bytes(DATA.nbytes)), weights.dtypes.length ? `${bytes(weights.nbytes)} of weights, ${weights.dtypes.map((each) => each.dtype).slice(0, 3).join(", ")}` : "no weights")),
    h("p", { class: "honest" }, `Measured on ${DATA.ran_on}.`));
}

function target() {
  const lowest = DATA.options.minimum_deployment_target || DATA.options.min_deployment_target;
  return lowest ? `${lowest} or later` : "";
}

function timeSection() {
  const { time } = DATA;
  const dearest = time.operations.reduce((most, each) => (most && most.median_ms >= each.median_ms ? most : each), null);
  const known = time.operations.reduce((sum, each) => sum + each.share, 0);
  const place = dearest && (dearest.path.join(".") || dearest.name);
  const lead = dearest ? `${plural(time.operations.length, "operation")} take ${percent(Math.min(1, known))} of a run; the dearest is ${shortOp(dearest.type)} in ${place}, ${ms(dearest.median_ms)}.`
    : "No operation was measured.";
  const inside = time.operations.some((each) => each.inside);
  section("time", "Time", lead, runBar(), h("h3", {}, "By module", h("small", {}, "select one to zoom in, and again to zoom out")), flameGraph(),
    legend([...(inside ? [["core_ml step-1", "below 10 %"], ["core_ml step-2", "10\u201330 %"], ["core_ml step-3", "30\u201360 %"], ["core_ml step-4", "60 % and more of this machine\u2019s best"]] : []),
      time.operations.some((each) => !each.inside) && ["outside step-0", "outside of Core ML"]].filter(Boolean)),
    h("h3", {}, "By type"), typeBars(), h("h3", {}, "By operation"), operationsTable());
}

function weightsSection() {
  const { weights } = DATA;
  const lead = weights.tensors.length ? `${plural(weights.tensors.length, "tensor")}, ${bytes(weights.nbytes)} as they are stored.` : "The Core ML part has no weights.";
  if (!weights.tensors.length) {
    section("weights", "Weights", lead);
    return;
  }
  const most = weights.tensors[0].nbytes;
  const dtypes = h("ul", { class: "types", "aria-label": "Weights by dtype" }, weights.dtypes.map((each) => h("li", {},
    h("code", {}, each.dtype), h("small", {}, `× ${each.tensors}`), bar(each.nbytes / weights.nbytes),
    h("b", {}, bytes(each.nbytes)), h("span", {}, percent(each.nbytes / weights.nbytes)))));
  section("weights", "Weights", lead, weights.dtypes.length > 1 ? dtypes : null, dataTable([
    { name: "Weight", text: true, key: (row) => row.path.join(".") || row.name, cell: weightCell },
    { name: "Shape", text: true, wide: true, key: (row) => row.shape.join(" "), cell: (row) => row.shape.join(" × ") },
    { name: "Type", text: true, wide: true, key: (row) => row.dtype, cell: (row) => row.dtype },
    { name: "Size", key: (row) => row.nbytes, cell: (row) => bytes(row.nbytes) },
    { name: "Share", unit: "%", key: (row) => row.nbytes / weights.nbytes, cell: (row) => [bar(row.nbytes / most), h("span", {}, number(100 * row.nbytes / weights.nbytes, 1))] },
  ], weights.tensors, { label: "Weights", noun: "weight", sort: 3, text: (row) => `${row.name} ${row.path.join(".")} ${row.role} ${row.dtype} ${row.shape.join("x")}` }));
}

function weightCell(row) {
  const name = row.name.replace(/_to_fp16$/, "").replace(/^[pb]_(?=.)/, "");
  if (!row.path.length) return [h("code", {}, name), row.role ? h("small", {}, ` ${row.role}`) : null];
  return [h("span", { title: row.name }, row.path.join(".")), h("small", {}, ` ${row.role}`)];
}

function environmentSection() {
  const { time } = DATA;
  const measured = [
    ["this machine\u2019s best", `${significant(time.gflops_limit)}${SPACE}GFLOP/s in fp32, ${significant(time.gb_per_s_limit)}${SPACE}GB/s from memory, measured`],
    ["time to load", `${time.load_s.toFixed(2)}${SPACE}s`], ["inputs", time.inputs],
  ];
  const options = Object.entries(DATA.options).map(([name, value]) => [name.replaceAll("_", " "), value || "lowest"]);
  section("environment", "Environment", "What this report was made with.",
    factList([...Object.entries(DATA.environment), ...measured, ...options]));
  document.getElementById("foot").append(h("p", {}, "Roofline: the shortest time that this machine\u2019s measured limits allow, as a share of the time taken; more than 100\u202f% means operands in a cache, or computing in int8 or bf16. "
    + "SNR: signal-to-noise ratio beside eager in fp32. FLOPs are counted from shapes. Nothing here was run on Core ML."));
}

/** Marks the section that is being read in the navigation. */
function followReading() {
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const seen = new Set();
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) seen.add(target.id);
      else seen.delete(target.id);
    }
    const current = [...links.keys()].find((id) => seen.has(id));
    for (const [id, link] of links) {
      if (id === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-56px 0px -55% 0px" });
  document.querySelectorAll("section").forEach((each) => observer.observe(each));
}

head();
graphSection();
timeSection();
precisionSection();
planSection();
weightsSection();
environmentSection();
followReading();
