import { frame, h, keepFinger, s, softmax, speaker } from "./core.js";

const FEWEST = 2, MOST = 8, LARGEST = 4, TIE = 1e-9, GATES = ["shut", "open"];

const logSumExp = (a, b) => Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));

// Marginals p(place j is open) and log Z of a chain of gates: scores forwards, scores backwards, and their sum.
export function marginals(scores, ties) {
  const n = scores.length, ahead = [[0, scores[0]]], behind = [[0, 0]];
  for (let j = 1; j < n; j++) ahead.push([0, 1].map(b => logSumExp(ahead[j - 1][0] + ties[0][b], ahead[j - 1][1] + ties[1][b]) + b * scores[j]));
  for (let j = n - 1; j > 0; j--) behind.unshift([0, 1].map(a => logSumExp(ties[a][0] + behind[0][0], ties[a][1] + scores[j] + behind[0][1])));
  const logZ = logSumExp(...ahead[n - 1]);
  return { open: ahead.map((f, j) => Math.exp(f[1] + behind[j][1] - logZ)), logZ };
}

// The score of one sequence of gates.
export const total = (scores, ties, path) => path.reduce((sum, gate, j) => sum + gate * scores[j] + (j ? ties[path[j - 1]][gate] : 0), 0);

// All that a state shows.
export function look({ scores, ties }) {
  const n = scores.length, { open, logZ } = marginals(scores, ties);
  const paths = Array.from({ length: 2 ** n }, (_, code) => scores.map((_, j) => (code >> (n - 1 - j)) & 1));
  const totals = paths.map(path => total(scores, ties, path)), top = Math.max(...totals), best = paths.filter((_, i) => top - totals[i] < TIE);
  return { softmax: softmax(scores), gates: scores.map(x => 1 / (1 + Math.exp(-x))), chain: open, best: best[0], share: Math.exp(top - logZ), asGood: best.length, logZ };
}

const inside = x => (Number.isFinite(x) ? Math.max(-LARGEST, Math.min(LARGEST, x)) : 0);

// A state that can be drawn, whatever an address said.
export function tidy({ scores, ties }) {
  const some = (Array.isArray(scores) ? scores : []).slice(0, MOST).map(inside);
  while (some.length < FEWEST) some.push(0);
  return { scores: some, ties: [0, 1].map(a => [0, 1].map(b => inside(ties?.[a]?.[b]))) };
}

const fixed = (x, digits) => x.toFixed(digits).replace(/^-(?=[0.]*$)/, "").replace("-", "−");

function render({ model, el }) {
  const state = () => tidy({ scores: model.get("scores"), ties: model.get("ties") });
  const put = changes => { for (const [name, value] of Object.entries(changes)) model.set(name, value); model.save_changes(); };
  const setScore = (place, x) => put({ scores: state().scores.map((old, j) => (j === place ? inside(Math.round(x * 20) / 20) : old)) });
  const setTie = (a, b, x) => put({ ties: state().ties.map((row, i) => row.map((old, j) => (i === a && j === b ? inside(x) : old))) });

  // -- the picture: scores to drag, weights, the best sequence
  const W = 360, LEFT = 34, TOP = 26, HIGH = 130, BARS = 200, TALL = 90, BEST = 336;
  const down = x => TOP + ((LARGEST - x) / (2 * LARGEST)) * HIGH, across = (j, n) => LEFT + ((j + 0.5) * (W - LEFT)) / n;
  const handles = s("g"), bars = s("g"), best = s("g"), lines = s("g", { class: "ch-grid" });
  const label = (y, text) => s("text", { x: 0, y, class: "ch-side" }, text);
  const tick = (y, text) => s("text", { x: LEFT - 8, y: y + 4, "text-anchor": "end", class: "ch-side" }, text);
  for (const x of [-4, -2, 0, 2, 4]) lines.append(s("line", { x1: LEFT, x2: W, y1: down(x), y2: down(x), class: x ? "" : "ch-zero" }));
  for (const x of [0, 0.5, 1]) lines.append(s("line", { x1: LEFT, x2: W, y1: BARS + TALL * (1 - x), y2: BARS + TALL * (1 - x), class: x ? "" : "ch-zero" }));
  const picture = s("svg", { viewBox: `0 0 ${W} 352`, class: "ch-picture", role: "group", "aria-label": "The chain: scores to drag, the weights that follow, and the best sequence" },
    lines, label(TOP - 12, "score"), tick(down(4), "4"), tick(down(0), "0"), tick(down(-4), "−4"), label(BARS - 12, "weight"), tick(BARS, "1"), tick(BARS + TALL, "0"), label(BEST + 5, "best"), bars, best, handles);
  let knobs = [], held = -1;
  function make(n) {
    const focused = knobs.findIndex(knob => knob.node === document.activeElement);
    knobs = Array.from({ length: n }, (_, j) => {
      const x = across(j, n), stem = s("line", { x1: x, x2: x, y1: down(0), class: "ch-stem" }), dot = s("circle", { cx: x, r: 10 }), hit = s("circle", { cx: x, r: 22, class: "ch-hit" });
      const node = s("g", { class: "ch-handle", role: "slider", tabindex: 0, "aria-orientation": "vertical", "aria-label": `Score of place ${j + 1}`, "aria-valuemin": -LARGEST, "aria-valuemax": LARGEST }, hit, dot);
      node.addEventListener("keydown", event => {
        const step = event.shiftKey ? 0.5 : 0.1, now = state().scores[j];
        const to = { ArrowUp: now + step, ArrowRight: now + step, ArrowDown: now - step, ArrowLeft: now - step, Home: -LARGEST, End: LARGEST, PageUp: now + 1, PageDown: now - 1 }[event.key];
        if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        setScore(j, to);
      });
      return { node, stem, dot, hit };
    });
    handles.replaceChildren(...knobs.map(knob => knob.stem), ...knobs.map(knob => knob.node));
    if (focused >= 0) knobs[Math.min(focused, n - 1)].node.focus();
  }
  const at = event => { const box = picture.getBoundingClientRect(), scale = W / box.width; return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale]; };
  picture.addEventListener("pointerdown", event => {
    const [x, y] = at(event), { scores } = state(), n = scores.length;
    const far = scores.map((score, j) => Math.hypot(x - across(j, n), y - down(score))), nearest = far.indexOf(Math.min(...far));
    if (event.button || far[nearest] > 26) return;
    event.preventDefault();
    held = nearest;
    knobs[held].node.focus({ preventScroll: true });
    picture.setPointerCapture(event.pointerId);
  });
  keepFinger(picture, () => held >= 0);
  picture.addEventListener("pointermove", event => { if (held >= 0) setScore(held, LARGEST - ((at(event)[1] - TOP) / HIGH) * 2 * LARGEST); });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) picture.addEventListener(end, () => { held = -1; });

  // -- ties, buttons, numbers
  const ties = [0, 1].map(a => [0, 1].map(b => {
    const range = h("input", { type: "range", min: -LARGEST, max: LARGEST, step: 0.1, "aria-label": `Tie from ${GATES[a]} to ${GATES[b]}`, oninput: () => setTie(a, b, +range.value) });
    return { range, said: h("output") };
  }));
  const tieTable = h("div", { class: "ch-ties", role: "group", "aria-label": "Ties of neighbours" }, ...ties.flatMap((row, a) => row.map((tie, b) =>
    h("label", { class: "ch-tie" }, h("span", {}, `${GATES[a]} → ${GATES[b]}`), tie.said, tie.range))));
  const more = h("button", { type: "button", onclick: () => put({ scores: [...state().scores, 0] }) }, "Add a place");
  const fewer = h("button", { type: "button", onclick: () => put({ scores: state().scores.slice(0, -1) }) }, "Remove the last");
  const loose = h("button", { type: "button", onclick: () => put({ ties: [[0, 0], [0, 0]] }) }, "Untie all");
  const examples = Object.entries(model.get("examples") ?? {}).map(([name, one]) => h("button", { type: "button", onclick: () => put({ scores: one.scores, ties: one.ties }) }, name));
  const kinds = [["softmax", "softmax"], ["gates", "gate alone"], ["chain", "chain"]];
  const body = h("tbody"), top = h("tr"), message = h("p", { class: "ch-message" });
  const table = h("table", { class: "ch-table" }, h("caption", { class: "wa-spoken" }, "Weights of the places"), h("thead", {}, top), body);
  frame(el, "A chain of gates");
  el.append(
    h("div", { class: "ch-both" },
      h("div", { class: "ch-left" }, picture, h("p", { class: "ch-legend" }, ...kinds.map(([kind, name]) => h("span", { class: `ch-key ch-${kind}` }, name)))),
      h("div", { class: "ch-right" }, h("p", { class: "ch-head" }, "Ties, added for each two neighbours"), tieTable,
        h("div", { class: "ch-buttons" }, more, fewer, loose), h("div", { class: "ch-buttons", role: "group", "aria-label": "Examples" }, h("span", {}, "Examples "), ...examples))),
    table, message);
  const say = speaker(el);

  function drawBars(seen, n) {
    const wide = Math.min(16, (W - LEFT) / n / 4), fill = kinds.flatMap(([kind], i) => seen[kind].map((weight, j) =>
      s("rect", { x: across(j, n) + (i - 1.5) * wide, y: BARS + TALL * (1 - weight), width: wide - 1.5, height: Math.max(0.8, TALL * weight), class: `ch-${kind}` })));
    bars.replaceChildren(...fill);
    best.replaceChildren(s("line", { x1: across(0, n), x2: across(n - 1, n), y1: BEST, y2: BEST, class: "ch-thread" }),
      ...seen.best.flatMap((gate, j) => [s("circle", { cx: across(j, n), cy: BEST, r: 9, class: gate ? "ch-open" : "ch-shut" })]),
      ...seen.best.map((_, j) => s("text", { x: across(j, n), y: BARS + TALL + 18, "text-anchor": "middle" }, j + 1)));
  }

  function draw() {
    const now = state(), seen = look(now), n = now.scores.length;
    if (knobs.length !== n) make(n);
    knobs.forEach((knob, j) => {
      const y = down(now.scores[j]);
      knob.stem.setAttribute("y2", y);
      for (const circle of [knob.dot, knob.hit]) circle.setAttribute("cy", y);
      knob.node.setAttribute("aria-valuenow", now.scores[j]);
      knob.node.setAttribute("aria-valuetext", `${fixed(now.scores[j], 2)}, chain ${fixed(seen.chain[j], 2)}`);
    });
    ties.forEach((row, a) => row.forEach((tie, b) => { tie.range.value = now.ties[a][b]; tie.said.replaceChildren(fixed(now.ties[a][b], 1)); }));
    more.disabled = n === MOST;
    fewer.disabled = n === FEWEST;
    drawBars(seen, n);
    top.replaceChildren(h("th", { scope: "col" }, "place"), ...now.scores.map((_, j) => h("th", { scope: "col" }, j + 1)), h("th", { scope: "col" }, "sum"));
    const row = (name, numbers, digits, sum) => h("tr", {}, h("th", { scope: "row" }, name), ...numbers.map(x => h("td", {}, fixed(x, digits))), h("td", {}, sum));
    body.replaceChildren(row("score", now.scores, 1, ""), ...kinds.map(([kind, name]) => row(name, seen[kind], 2, fixed(seen[kind].reduce((a, b) => a + b, 0), 2))));
    const path = seen.best.map(gate => GATES[gate]).join(" "), tied = seen.asGood > 1 ? ` It is one of ${seen.asGood} that tie.` : "";
    const text = `The best of the ${2 ** n} sequences is ${path}, with probability ${fixed(seen.share, 2)}.${tied}`;
    message.replaceChildren(text);
    say(`Chain ${seen.chain.map(x => fixed(x, 2)).join(" ")}. ${text}`);
  }

  for (const name of ["scores", "ties"]) model.on(`change:${name}`, draw);
  draw();
  return () => { for (const name of ["scores", "ties"]) model.off(`change:${name}`, draw); };
}

export default { render, address: ["scores", "ties"] };
