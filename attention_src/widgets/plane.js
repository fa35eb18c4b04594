import { frame, h, keepFinger, s, scorer, softmax, speaker, unpack, weightColour } from "./core.js";

const EDGE = 3, SIZE = 360, PAD = 24, COOLEST = 0.05, HOTTEST = 20; // the plane goes from -EDGE to EDGE both ways
const KINDS_WITHOUT_LINES = new Set(["Location"]); // it never reads a key, so no place has a score of its own
const across = x => PAD + ((x + EDGE) / (2 * EDGE)) * (SIZE - 2 * PAD), down = y => SIZE - across(y);

// All that a state shows: scores, weights, the mixed value and the mixed point.
export function look(score, { query, points, values, mask, temperature }) {
  const scores = Array.from(score(points)(query)), weights = softmax(scores.map(e => e / temperature), mask);
  const mix = numbers => weights.reduce((sum, weight, i) => sum + weight * numbers[i], 0);
  return { scores, weights, value: mix(values), point: [0, 1].map(axis => mix(points.map(point => point[axis]))) };
}

// A state that can be drawn, whatever an address said: places inside the plane, one of everything for each value.
export function tidy(state) {
  const inside = (x, or) => (Number.isFinite(x) ? Math.max(-EDGE, Math.min(EDGE, x)) : or);
  const place = (found, or) => (Array.isArray(found) && found.length === 2 ? found.map((x, i) => inside(x, or[i])) : or);
  const known = state.scores.some(([label]) => label === state.score);
  return {
    ...state,
    query: place(state.query, [1, 1]),
    points: state.values.map((_, i) => place(state.points?.[i], [i - 1, 0])),
    mask: state.values.map((_, i) => state.mask?.[i] !== false),
    score: known ? state.score : state.scores[0][0],
    temperature: Number.isFinite(state.temperature) ? Math.max(COOLEST, Math.min(HOTTEST, state.temperature)) : 1,
  };
}

// Lines through places of equal score, as paths by level: the square grid cut by each level, cell by cell.
export function levels(score, query, cells = 30) {
  const at = Array.from({ length: cells + 1 }, (_, i) => -EDGE + (2 * EDGE * i) / cells);
  const field = at.map(y => Array.from(score(at.map(x => [x, y]))(query))), all = field.flat();
  const low = Math.min(...all), high = Math.max(...all), paths = [];
  if (!(high - low > 1e-9)) return paths;
  const rough = (high - low) / 9, power = 10 ** Math.floor(Math.log10(rough)), step = power * [1, 2, 5, 10].find(n => n * power >= rough);
  const cut = (a, b, level) => (level - a) / (b - a), part = (from, to, t) => from + (to - from) * t;
  for (let n = Math.ceil(low / step); n * step <= high; n++) {
    const level = n * step + 1e-9 * step; // a little off, so that no corner lies on it
    let path = "";
    for (let i = 0; i < cells; i++) for (let j = 0; j < cells; j++) {
      const corners = [[i, j], [i, j + 1], [i + 1, j + 1], [i + 1, j]], ends = [];
      corners.forEach(([r, c], k) => {
        const [r2, c2] = corners[(k + 1) % 4], a = field[r][c], b = field[r2][c2];
        if ((a < level) === (b < level)) return;
        const t = cut(a, b, level);
        ends.push(`${across(part(at[c], at[c2], t)).toFixed(1)} ${down(part(at[r], at[r2], t)).toFixed(1)}`);
      });
      for (let k = 0; k + 1 < ends.length; k += 2) path += `M${ends[k]}L${ends[k + 1]}`;
    }
    if (path) paths.push({ level: n * step, path });
  }
  return paths;
}

const number = (x, digits = 2) => { const text = x.toFixed(digits); return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−"); };
const spot = ([x, y]) => `${number(x, 1)}, ${number(y, 1)}`;
const list = names => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);

function render({ model, el }) {
  const kinds = model.get("scores"), values = model.get("values"), weights = unpack(model.get("weights"));
  const scorers = new Map(kinds.map(([label, kind], i) => [label, { kind, run: scorer(kind, weights, String(i)) }]));
  const TRAITS = ["query", "points", "mask", "score", "temperature"], names = values.map((_, i) => `k${i + 1}`);
  const id = `wa-plane-${Math.random().toString(36).slice(2, 8)}`;
  const state = () => tidy({ scores: kinds, values, ...Object.fromEntries(TRAITS.map(name => [name, model.get(name)])) });
  const put = (name, value) => { model.set(name, value); model.save_changes(); };

  // -- the plane, made once
  const handle = (kind, label) => s("g", { class: `pl-handle pl-${kind}`, role: "slider", tabindex: 0, "aria-roledescription": "movable point", "aria-label": label, "aria-valuemin": -EDGE, "aria-valuemax": EDGE });
  const queryHandle = handle("query", "query"), keyHandles = names.map(name => handle("key", `key ${name.slice(1)}`));
  const handles = [queryHandle, ...keyHandles];
  const lines = s("g", { class: "pl-levels" }), threads = s("g", { class: "pl-threads" }), mixed = s("g", { class: "pl-mixed" }), tried = s("g", { class: "pl-tried" }), stem = s("line", { class: "pl-stem" });
  const grid = s("g", { class: "pl-grid" }, ...[-3, -2, -1, 0, 1, 2, 3].flatMap(n => [
    s("line", { x1: across(n), x2: across(n), y1: down(-EDGE), y2: down(EDGE), class: n ? "" : "pl-axis" }),
    s("line", { x1: across(-EDGE), x2: across(EDGE), y1: down(n), y2: down(n), class: n ? "" : "pl-axis" })]),
    ...[-2, 2].flatMap(n => [s("text", { x: across(n), y: down(0) + 13, "text-anchor": "middle" }, number(n, 0)), s("text", { x: across(0) - 5, y: down(n) + 4, "text-anchor": "end" }, number(n, 0))]));
  const plane = s("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, class: "pl-plane", role: "group", "aria-label": "The plane, with the query and the keys" },
    grid, lines, threads, stem, ...keyHandles, mixed, tried, queryHandle);

  // -- the table and the controls, made once
  const rows = names.map((name, i) => {
    const box = h("input", { type: "checkbox", "aria-label": `The query may look at key ${i + 1}`, onchange: () => put("mask", state().mask.map((open, j) => (j === i ? box.checked : open))) });
    const row = { box, score: h("td"), bar: h("span", { class: "pl-bar" }), weight: h("span"), drawn: h("td") };
    row.line = h("tr", {}, h("th", { scope: "row" }, h("label", {}, box, h("span", { class: "pl-name" }, "k", h("sub", {}, i + 1)))), row.score,
      h("td", { class: "pl-weight" }, h("div", {}, row.weight, h("span", { class: "pl-track" }, row.bar))), h("td", { class: "pl-value" }, number(values[i], 0)), row.drawn);
    return row;
  });
  const total = h("td"), mixedValue = h("td", { class: "pl-value" }), drawnValue = h("td"), message = h("p", { class: "pl-message" });
  const head = (text, name) => h("th", { scope: "col", class: name }, text);
  const table = h("table", { class: "pl-table" },
    h("caption", { class: "wa-spoken" }, "Scores, weights and values of the keys"),
    h("thead", {}, h("tr", {}, head("may look"), head("score"), head("weight", "pl-wide"), head("value"), head("drawn"))), h("tbody", {}, ...rows.map(row => row.line)),
    h("tfoot", {}, h("tr", {}, h("th", { scope: "row", colspan: 2 }, "mixture"), total, mixedValue, drawnValue)));
  const select = h("select", { id: `${id}-score`, onchange: () => put("score", select.value) }, ...kinds.map(([label]) => h("option", { value: label }, label)));
  const slider = h("input", { type: "range", id: `${id}-temperature`, min: Math.log10(COOLEST), max: Math.log10(HOTTEST), step: "any", list: `${id}-one`,
    oninput: () => put("temperature", Number((10 ** slider.value).toPrecision(2))) });
  const warmth = h("output", { for: slider.id });
  slider.addEventListener("keydown", event => { // a browser's own step of "any" is too small or too large
    const turn = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!turn) return;
    event.preventDefault();
    put("temperature", Math.max(COOLEST, Math.min(HOTTEST, Number((state().temperature * 10 ** (turn / 10)).toPrecision(2)))));
  });
  const draws = [1, 10, 100].map(n => h("button", { type: "button", "aria-label": `Draw ${n} random key${n > 1 ? "s" : ""}`, onclick: () => drawSome(n) }, n));
  frame(el, "A query, keys and their weights in the plane");
  el.append(
    h("div", { class: "pl-top" },
      h("span", { class: "pl-control" }, h("label", { for: select.id }, "Score "), select),
      h("span", { class: "pl-control pl-grow" }, h("label", { for: slider.id }, "Temperature "), warmth,
        h("span", { class: "pl-range" }, h("span", { class: "pl-end" }, "choose"), slider, h("span", { class: "pl-end" }, "average")))),
    h("div", { class: "pl-both" }, h("div", { class: "pl-left" }, plane, h("p", { class: "pl-legend" }, h("span", { class: "pl-ink-query" }, "query"), " · ", h("span", { class: "pl-ink-key" }, "keys"),
      ", larger with more weight · ", h("span", { class: "pl-ink-value" }, "◆ mixture"), " · ✕ mean of the draws · thin lines: equal score")),
      h("div", { class: "pl-right" }, table, message, h("div", { class: "pl-draws", role: "group", "aria-label": "Draw keys at random by their weights" }, "Draw at random ", ...draws))));
  const say = speaker(el);

  // -- what the reader does
  const move = (which, to) => {
    const now = state(), point = to.map(x => Math.max(-EDGE, Math.min(EDGE, Math.round(x * 20) / 20)));
    if (which === 0) put("query", point);
    else put("points", now.points.map((old, i) => (i === which - 1 ? point : old)));
  };
  const places = () => { const now = state(); return [now.query, ...now.points]; };
  handles.forEach((one, which) => one.addEventListener("keydown", event => {
    const step = event.shiftKey ? 0.5 : 0.1, by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move(which, places()[which].map((x, axis) => x + by[axis]));
  }));
  let held = -1;
  const at = event => {
    const box = plane.getBoundingClientRect(), scale = SIZE / box.width, back = x => ((x - PAD) / (SIZE - 2 * PAD)) * 2 * EDGE - EDGE;
    return [back((event.clientX - box.left) * scale), -back((event.clientY - box.top) * scale)];
  };
  plane.addEventListener("pointerdown", event => { // the nearest handle, so that points that lie close can be told apart
    const there = at(event), far = places().map(place => Math.hypot(place[0] - there[0], place[1] - there[1])), nearest = far.indexOf(Math.min(...far));
    if (event.button || far[nearest] > 0.5) return;
    event.preventDefault();
    held = nearest;
    handles[held].focus({ preventScroll: true });
    plane.setPointerCapture(event.pointerId);
  });
  keepFinger(plane, () => held >= 0);
  plane.addEventListener("pointermove", event => { if (held >= 0) move(held, at(event)); });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) plane.addEventListener(end, () => { held = -1; });

  // -- what is shown
  let shown = {}, counts = [], lined = "";
  function drawSome(n) {
    const { weights } = shown;
    for (let i = 0; i < n; i++) {
      let rest = Math.random(), z = -1;
      for (let k = 0; k < weights.length && rest >= 0; k++) if (weights[k] > 0) { rest -= weights[k]; z = k; } // never a hidden key, even when the last digits do not add up to one
      counts[z]++;
    }
    showDrawn();
    say(`${counts.reduce((a, b) => a + b)} drawn, mean value ${drawnValue.textContent}; the mixture is ${mixedValue.textContent}`);
  }
  function showDrawn() {
    const now = state(), all = counts.reduce((a, b) => a + b, 0), mean = numbers => counts.reduce((sum, count, i) => sum + count * numbers[i], 0) / all;
    rows.forEach((row, i) => row.drawn.replaceChildren(all ? String(counts[i]) : "–"));
    drawnValue.replaceChildren(all ? number(mean(now.values), 1) : "–");
    tried.replaceChildren();
    if (!all) return;
    const x = across(mean(now.points.map(point => point[0]))), y = down(mean(now.points.map(point => point[1])));
    tried.append(s("path", { d: `M${x - 7} ${y - 7}L${x + 7} ${y + 7}M${x - 7} ${y + 7}L${x + 7} ${y - 7}` }));
  }

  function showLines(now, { kind, run }) {
    const key = `${now.score} ${now.query}`;
    if (key === lined) return;
    lined = key;
    lines.replaceChildren(...(KINDS_WITHOUT_LINES.has(kind) ? [] : levels(run, now.query)).map(({ level, path }) => s("path", { d: path, class: level === 0 ? "pl-zero" : "" })));
  }

  function showPlane(now) {
    const { weights, point } = shown, [qx, qy] = [across(now.query[0]), down(now.query[1])];
    for (const [name, x] of Object.entries({ x1: across(0), y1: down(0), x2: qx, y2: qy })) stem.setAttribute(name, x);
    const about = (one, place, text) => { one.setAttribute("aria-valuenow", place[0]); one.setAttribute("aria-valuetext", text); };
    queryHandle.replaceChildren(s("circle", { cx: qx, cy: qy, r: 20, class: "pl-hit" }), s("circle", { cx: qx, cy: qy, r: 8 }), s("text", { x: qx + 12, y: qy - 9 }, "q"));
    about(queryHandle, now.query, spot(now.query));
    keyHandles.forEach((one, i) => {
      const [x, y] = [across(now.points[i][0]), down(now.points[i][1])], r = 7 + 13 * Math.sqrt(weights[i]);
      one.classList.toggle("pl-hidden", !now.mask[i]);
      const left = x > SIZE - 50, circle = s("circle", { cx: x, cy: y, r, style: now.mask[i] ? `fill:${weightColour(weights[i])}` : "" });
      one.replaceChildren(s("circle", { cx: x, cy: y, r: 20, class: "pl-hit" }), circle,
        s("text", { x: left ? x - r - 4 : x + r + 4, y: y + 5, "text-anchor": left ? "end" : "start" }, "k", s("tspan", { dy: 4, "font-size": 11 }, i + 1)));
      about(one, now.points[i], now.mask[i] ? `${spot(now.points[i])}, weight ${number(weights[i])}` : `${spot(now.points[i])}, hidden`);
    });
    const [mx, my] = [across(point[0]), down(point[1])], seen = now.mask.some(open => open);
    threads.replaceChildren(...now.points.flatMap((place, i) => (weights[i] > 0.005 ? [s("line", { x1: mx, y1: my, x2: across(place[0]), y2: down(place[1]), "stroke-width": 0.8 + 5 * weights[i] })] : [])));
    mixed.replaceChildren(...(seen ? [s("path", { d: `M${mx} ${my - 9}L${mx + 9} ${my}L${mx} ${my + 9}L${mx - 9} ${my}Z` })] : []));
  }

  function showTable(now) {
    const { scores, weights, value } = shown;
    rows.forEach((row, i) => {
      row.box.checked = now.mask[i];
      row.line.classList.toggle("pl-off", !now.mask[i]);
      row.score.replaceChildren(number(scores[i]));
      row.weight.replaceChildren(number(weights[i], 3));
      row.bar.style.inlineSize = `${100 * weights[i]}%`;
      row.bar.style.background = weightColour(weights[i]);
    });
    total.replaceChildren(number(weights.reduce((a, b) => a + b, 0), 0));
    mixedValue.replaceChildren(number(value, 1));
  }

  function draw() {
    const now = state(), chosen = scorers.get(now.score), before = shown.weights;
    shown = look(chosen.run, now);
    if (String(before) !== String(shown.weights)) counts = values.map(() => 0); // what was drawn belongs to other weights
    select.value = now.score;
    slider.value = Math.log10(now.temperature);
    warmth.replaceChildren(String(now.temperature));
    slider.setAttribute("aria-valuetext", `${now.temperature}`);
    showLines(now, chosen);
    showPlane(now);
    showTable(now);
    showDrawn();
    const open = names.filter((_, i) => now.mask[i]), top = Math.max(...shown.weights), best = names.filter((_, i) => now.mask[i] && top - shown.weights[i] < 1e-9);
    draws.forEach(button => { button.disabled = !open.length; });
    const text = !open.length ? "The query may look at nothing: all weights are 0, and so is the mixture."
      : best.length > 1 ? `${list(best)} have the same score and share: ${number(top, 3)} each.` : `${best[0]} has the largest weight, ${number(top, 3)}.`;
    message.replaceChildren(text);
    say(`${text} Mixed value ${number(shown.value, 1)}.`);
  }

  for (const name of TRAITS) model.on(`change:${name}`, draw);
  draw();
  return () => { for (const name of TRAITS) model.off(`change:${name}`, draw); };
}

export default { render, address: ["query", "points", "mask", "score", "temperature"] };
