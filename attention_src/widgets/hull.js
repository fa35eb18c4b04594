import { add, frame, h, keepFinger, layerNorm, linear, multiHead, s, scorer, sigmoid, softmax, speaker, tanh, unpack, weightColour, weightInk } from "./core.js";

const SIDE = 100, MOST = 20, SIZE = 360, PAD = 22, CLOSE = 1e-9; // points lie on whole numbers, so that left and right are exact

// ---- The network

// One step of nn.LSTM; gates in PyTorch's order: in, forget, new, out.
export function lstmStep(model, name, x, { hidden, cell }) {
  const part = (kind, v) => linear(model, name, v, `${name}.weight_${kind}_l0`, `${name}.bias_${kind}_l0`);
  const gates = add(part("ih", x), part("hh", hidden)), n = hidden.length;
  const next = Float64Array.from(cell, (c, i) => sigmoid(gates[n + i]) * c + sigmoid(gates[i]) * Math.tanh(gates[2 * n + i]));
  return { cell: next, hidden: next.map((c, i) => sigmoid(gates[3 * n + i]) * Math.tanh(c)) };
}

// The encoder that looks around: a state for each input.
export function lookAround(model, inputs, heads) {
  const all = (name, rows) => rows.map(row => linear(model, name, row)), sum = (rows, found) => rows.map((row, i) => add(row, found[i]));
  let states = all("encoder.widen", inputs);
  for (let at = "encoder.layers.0", i = 0; model[`${at}.add_look.norm.weight`]; at = `encoder.layers.${++i}`) {
    const rows = states.map(row => layerNorm(model, `${at}.add_look.norm`, row));
    const [query, key, value] = ["query", "key", "value"].map(part => all(`${at}.itself.of_${part}`, rows));
    states = sum(states, all(`${at}.itself.out`, multiHead(query, key, value, heads).context));
    const inner = all(`${at}.alone.0`, states.map(row => layerNorm(model, `${at}.add_alone.norm`, row)));
    states = sum(states, all(`${at}.alone.2`, inner.map(row => row.map(x => Math.max(x, 0)))));
  }
  return states;
}

// The first of the places whose weights are largest: of points that coincide, the first stands for all.
export const firstBest = weights => { const top = Math.max(...weights); return weights.findIndex(w => w > top - CLOSE); };

// Where the network points, and its weights at every step; place 0 is the mark, the points are 1, 2, …
export function pointer(model, heads, points) {
  if (!points.length) return { answer: [], weights: [] };
  const inputs = points.map(point => point.map(x => x / SIDE)), states = lookAround(model, inputs, heads);
  const mean = Float64Array.from(states[0], (_, i) => states.reduce((total, state) => total + state[i], 0) / states.length);
  const places = [Array.from(model.begin.data), ...inputs], compare = scorer("Additive", model, "score")([Array.from(model.end.data), ...states]);
  const free = places.map(() => true), answer = [], weights = [];
  let state = { hidden: tanh(mean), cell: new Float64Array(mean.length) };
  for (let token = 0; answer.length <= points.length; answer.push(token)) {
    if (token) free[token] = false;
    state = lstmStep(model, "rnn", places[token], state);
    weights.push(softmax(compare(state.hidden), free));
    token = firstBest(weights.at(-1));
    if (!token) break;
  }
  return { answer, weights };
}

// ---- The truth, by the rules of data/hulls.py

export const turn = (a, b, c) => Math.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]));
const same = (a, b) => a[0] === b[0] && a[1] === b[1];

// The places of the corners, from the leftmost (of several the lowest) counter-clockwise; counted from 0.
export function convexHull(points) {
  const order = points.map((_, i) => i).sort((i, j) => points[i][0] - points[j][0] || points[i][1] - points[j][1] || i - j)
    .filter((place, i, all) => !i || !same(points[place], points[all[i - 1]]));
  const chain = way => way.reduce((kept, place) => {
    while (kept.length > 1 && turn(points[kept.at(-2)], points[kept.at(-1)], points[place]) <= 0) kept.pop();
    return [...kept, place];
  }, []);
  return order.length < 2 ? order : [...chain(order).slice(0, -1), ...chain([...order].reverse()).slice(0, -1)];
}

export const area = corners => Math.abs(corners.reduce((sum, [x, y], i) => { const [u, v] = corners[(i + 1) % corners.length]; return sum + x * v - u * y; }, 0)) / 2;

// Whether these corners make a polygon: three or more, edges that meet their neighbours at one point and no others.
export function isSimple(corners) {
  const count = corners.length, edges = corners.map((corner, i) => [corner, corners[(i + 1) % count]]);
  const between = (a, b, c) => [0, 1].every(i => Math.min(a[i], b[i]) <= c[i] && c[i] <= Math.max(a[i], b[i]));
  const meet = (a, b, c, d) => {
    const sides = [[turn(a, b, c), a, b, c], [turn(a, b, d), a, b, d], [turn(c, d, a), c, d, a], [turn(c, d, b), c, d, b]];
    return (sides[0][0] * sides[1][0] < 0 && sides[2][0] * sides[3][0] < 0) || sides.some(([side, ...three]) => !side && between(...three));
  };
  if (count < 3 || edges.some(([a, b]) => same(a, b))) return false;
  return edges.every(([a, b], i) => {
    const ahead = edges[(i + 1) % count][1];
    return !(turn(a, b, ahead) === 0 && between(a, b, ahead)) && !edges.some(([c, d], j) => j > i + 1 && !(i === 0 && j === count - 1) && meet(a, b, c, d));
  });
}

// All that a state shows; covered is null if the answer is no polygon.
export function look(model, heads, points) {
  const { answer, weights } = pointer(model, heads, points), truth = convexHull(points).map(place => place + 1);
  const corners = answer.map(place => points[place - 1]);
  return { answer, weights, truth, covered: isSimple(corners) ? area(corners) / area(truth.map(place => points[place - 1])) : null };
}

// A state that can be drawn, whatever an address said.
export function tidy({ points, at, truth }) {
  const whole = x => (Number.isFinite(x) ? Math.round(Math.max(0, Math.min(SIDE, x))) : SIDE / 2);
  const pairs = (Array.isArray(points) ? points : []).filter(point => Array.isArray(point) && point.length === 2);
  return { points: pairs.slice(0, MOST).map(point => point.map(whole)), at: Number.isInteger(at) && at > 0 ? at : 1, truth: truth === true };
}

const list = names => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);
const plural = n => `${n} point${n === 1 ? "" : "s"}`;

// What the last step says of the answer.
export function verdict({ answer, truth, covered }) {
  if (String(answer) === String(truth)) return `The answer is ${list(answer)}. It is right.`;
  const shape = covered === null ? "It is no polygon." : `It covers ${(100 * covered).toFixed(1)} % of the area.`;
  return `The answer is ${answer.length ? list(answer) : "empty"}. It is not right: the hull is ${list(truth)}. ${truth.length > 2 ? shape : ""}`.trim();
}

function render({ model, el }) {
  const weights = unpack(model.get("weights")), heads = model.get("heads"), [fewest, most] = model.get("trained"), TRAITS = ["points", "at", "truth"], memo = new Map();
  const state = () => tidy(Object.fromEntries(TRAITS.map(name => [name, model.get(name)])));
  const put = changes => { for (const [name, value] of Object.entries(changes)) model.set(name, value); model.save_changes(); };
  const across = x => PAD + (x / SIDE) * (SIZE - 2 * PAD), down = y => SIZE - across(y);
  const inside = x => Math.max(0, Math.min(SIDE, Math.round(x)));

  // -- the plane
  const lines = s("g", { class: "hu-lines" }), dots = s("g");
  const plane = s("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, class: "hu-plane", role: "group", "aria-label": "The points: click on a free place for a new one, drag one to move it" },
    s("rect", { x: PAD, y: PAD, width: SIZE - 2 * PAD, height: SIZE - 2 * PAD, class: "hu-square" }), lines, dots);
  let knobs = [], held = -1, dragged = false;
  const move = (which, to) => put({ points: state().points.map((old, i) => (i === which ? to.map(inside) : old)) });
  const remove = which => {
    put({ points: state().points.filter((_, i) => i !== which) });
    (knobs[Math.min(which, knobs.length - 1)]?.node ?? more).focus();
  };
  const insert = to => {
    const { points } = state();
    if (points.length >= MOST) return say(`There is room for ${MOST} points.`);
    put({ points: [...points, to.map(inside)] });
    knobs.at(-1).node.focus({ preventScroll: true });
  };
  const knob = which => {
    const hit = s("circle", { r: 16, class: "hu-hit" }), dot = s("circle", { r: 11 }), name = s("text", { "text-anchor": "middle" }, which + 1);
    const node = s("g", { class: "hu-point", role: "slider", tabindex: 0, "aria-roledescription": "movable point", "aria-label": `Point ${which + 1}`, "aria-valuemin": 0, "aria-valuemax": SIDE }, hit, dot, name);
    node.addEventListener("keydown", event => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const step = event.shiftKey ? 10 : 2, by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
      if (!by && event.key !== "Delete" && event.key !== "Backspace") return;
      event.preventDefault();
      if (by) move(which, add(state().points[which], by));
      else remove(which);
    });
    return { node, dot, name };
  };
  const at = event => {
    const box = plane.getBoundingClientRect(), back = x => ((x * SIZE / box.width - PAD) / (SIZE - 2 * PAD)) * SIDE;
    return [back(event.clientX - box.left), SIDE - back(event.clientY - box.top)];
  };
  plane.addEventListener("pointerdown", event => {
    const there = at(event), far = state().points.map(point => Math.hypot(point[0] - there[0], point[1] - there[1])), nearest = far.indexOf(Math.min(...far));
    dragged = false;
    if (event.button || !(far[nearest] < 5.1)) return; // 16 of the picture's units, as in hu-hit
    event.preventDefault();
    held = nearest;
    dragged = true;
    knobs[held].node.focus({ preventScroll: true });
    plane.setPointerCapture(event.pointerId);
  });
  keepFinger(plane, () => held >= 0);
  plane.addEventListener("pointermove", event => { if (held >= 0) move(held, at(event)); });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) plane.addEventListener(end, () => { held = -1; });
  plane.addEventListener("click", event => { if (!dragged) insert(at(event)); }); // a click, so that a finger can scroll past

  // -- controls
  const button = (text, onclick) => h("button", { type: "button", onclick }, text);
  const back = button("Back", () => put({ at: shown.at - 1 })), next = button("Step", () => put({ at: shown.at + 1 }));
  const slider = h("input", { type: "range", min: 1, step: 1, "aria-label": "Step", oninput: () => put({ at: Number(slider.value) }) }), count = h("output");
  const box = h("input", { type: "checkbox", onchange: () => put({ truth: box.checked }) });
  const more = button("Add a point", () => { // a free place, far from the others
    const { points } = state(), gap = place => Math.min(...points.map(point => Math.hypot(point[0] - place[0], point[1] - place[1])), SIDE);
    const places = Array.from({ length: 81 }, (_, i) => [10 * (1 + (i % 9)), 10 * (1 + Math.floor(i / 9))]);
    insert(places.reduce((best, place) => (gap(place) > gap(best) ? place : best)));
  });
  const fewer = button("Remove the last", () => put({ points: state().points.slice(0, -1) })), none = button("Remove all", () => put({ points: [] }));
  const examples = Object.entries(model.get("examples") ?? {}).map(([name, points]) => button(name, () => put({ points, at: 1 })));
  const rows = h("ul", { class: "hu-list" }), message = h("p", { class: "hu-message" }), about = h("p", { class: "hu-about" });
  frame(el, "A trained pointer network draws a hull");
  el.append(h("div", { class: "hu-both" },
    h("div", { class: "hu-left" }, plane, h("p", { class: "hu-legend" }, "Stronger colour: more weight at this step. Arrow: where it points.")),
    h("div", { class: "hu-right" }, h("div", { class: "hu-row" }, back, next, h("span", { class: "hu-step" }, count, slider)), message, rows,
      h("p", { class: "hu-truth" }, h("label", {}, box, " Show the true hull")))),
  h("div", { class: "hu-row" }, more, fewer, none), h("div", { class: "hu-row", role: "group", "aria-label": "Examples" }, h("span", {}, "Examples "), ...examples), about);
  const say = speaker(el);
  let shown = { at: 1 };

  const path = (places, points, more) => s("path", { d: `M${places.map(place => `${across(points[place - 1][0])} ${down(points[place - 1][1])}`).join("L")}`, ...more });
  function arrow(from, to) {
    const [x, y, u, v] = [across(from[0]), down(from[1]), across(to[0]), down(to[1])], long = Math.hypot(u - x, v - y), angle = (180 / Math.PI) * Math.atan2(v - y, u - x);
    if (long < 24) return [];
    const end = long - 14;
    return [s("g", { transform: `translate(${x} ${y}) rotate(${angle})`, class: "hu-arrow" }, s("path", { d: `M12 0H${end - 8}` }), s("path", { d: `M${end} 0l-11 6v-12Z`, class: "hu-tip" }))];
  }

  function drawPlane(points, truth, row, chosen) {
    const said = shown.answer.slice(0, shown.at - 1), last = said.at(-1), closed = !chosen && said.length > 2;
    lines.replaceChildren(...(truth && shown.truth.length > 1 ? [path([...shown.truth, shown.truth[0]], points, { class: "hu-true" })] : []),
      ...(said.length > 1 ? [path(closed ? [...said, said[0]] : said, points, { class: "hu-path" })] : []),
      ...(chosen && last ? arrow(points[last - 1], points[chosen - 1]) : []));
    points.forEach((point, i) => {
      const { node, dot, name } = knobs[i], used = said.includes(i + 1), weight = row[i + 1];
      node.setAttribute("transform", `translate(${across(point[0])} ${down(point[1])})`);
      node.classList.toggle("hu-chosen", chosen === i + 1);
      node.classList.toggle("hu-used", used);
      dot.setAttribute("style", used ? "" : `fill:${weightColour(weight)}`);
      name.setAttribute("style", used ? "" : `fill:${weightInk(weight)}`);
      node.setAttribute("aria-valuenow", point[0]);
      node.setAttribute("aria-valuetext", `${point[0]}, ${point[1]}, ${used ? "used" : `weight ${weight.toFixed(2)}`}`);
    });
  }

  function draw() {
    const { points, at, truth } = state(), n = points.length, key = JSON.stringify(points);
    if (!memo.has(key)) { memo.clear(); memo.set(key, look(weights, heads, points)); }
    const seen = memo.get(key), steps = seen.weights.length;
    shown = { ...seen, at: Math.max(1, Math.min(at, steps)) };
    if (knobs.length !== n) {
      const focused = knobs.findIndex(one => one.node === document.activeElement);
      knobs = points.map((_, i) => knob(i));
      dots.replaceChildren(...knobs.map(one => one.node));
      if (focused >= 0) knobs[Math.min(focused, n - 1)]?.node.focus({ preventScroll: true });
    }
    box.checked = truth;
    more.disabled = n >= MOST;
    fewer.disabled = none.disabled = !n;
    back.disabled = shown.at <= 1;
    next.disabled = shown.at >= steps;
    slider.disabled = steps < 2;
    slider.max = Math.max(1, steps);
    slider.value = shown.at;
    count.replaceChildren(steps ? `${shown.at} of ${steps}` : "–");
    slider.setAttribute("aria-valuetext", steps ? `step ${shown.at} of ${steps}` : "no step");
    about.replaceChildren(!n ? "" : n > most ? `${plural(n)}: more than it was trained on (${fewest} to ${most}).` : n < fewest ? `${plural(n)}: fewer than it was trained on (${fewest} to ${most}).` : `${plural(n)}, as in training (${fewest} to ${most}).`);
    const row = steps ? seen.weights[shown.at - 1] : [], chosen = steps ? firstBest(row) : 0, said = seen.answer.slice(0, shown.at - 1);
    drawPlane(points, truth, row, chosen);
    rows.replaceChildren(...row.map((weight, place) => {
      const used = said.includes(place);
      return h("li", { class: place === chosen ? "hu-best" : used ? "hu-gone" : "" }, h("span", { class: "hu-name" }, place || "mark"),
        h("span", { class: "hu-track" }, h("span", { class: "hu-bar", style: `inline-size:${(100 * weight).toFixed(2)}%` })), h("span", { class: "hu-number" }, used ? "used" : weight.toFixed(3)));
    }));
    const text = !n ? "Click into the square to put a point, or add one with the button." :
      `Step ${shown.at}: it points at ${chosen || "the mark"}, with weight ${row[chosen].toFixed(3)}. ${chosen ? "" : verdict(seen)}`.trim();
    message.replaceChildren(text);
    say(`${plural(n)}. ${text}`);
  }

  for (const trait of TRAITS) model.on(`change:${trait}`, draw);
  draw();
  return () => { for (const trait of TRAITS) model.off(`change:${trait}`, draw); };
}

export default { render, address: ["points", "at", "truth"] };
