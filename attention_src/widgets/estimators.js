import { argmax, calm, dot, frame, h, keepFinger, roving, s, softmax, speaker, uniform } from "./core.js";

const FEWEST = 2, MOST = 5, LARGEST = 3, COLDEST = 0.05, HOTTEST = 5, DRAWS = 5000, SEEDS = 999, KEEP = 0.9, ENOUGH = 100, ZERO = 1e-9;
const WARMTH = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5];
const NAMES = { reinforce: "REINFORCE", running: "REINFORCE, running mean", mean: "REINFORCE, exact mean", soft: "Gumbel-softmax", straight: "straight-through" };

// The Gumbel noise of the draws: one row for each, one number for each option.
export function noise(seed, draws, options) {
  const flat = uniform(seed, draws * options).map(u => -Math.log(-Math.log(u)));
  return Array.from({ length: draws }, (_, i) => flat.subarray(i * options, (i + 1) * options));
}

// The gradient of half the squared distance from `wanted`, by the scores: exactly, and estimated from each row of noise.
export function estimates({ options, wanted, temperature }, rows) {
  const scores = options.map(one => one[0]), values = options.map(one => one[1]), chances = softmax(scores);
  const losses = values.map(value => (value - wanted) ** 2 / 2), expected = dot(chances, losses), exact = chances.map((p, j) => p * (losses[j] - expected));
  const all = Object.fromEntries(Object.keys(NAMES).map(name => [name, []])), places = [];
  let running = 0;
  for (const row of rows) {
    const noisy = scores.map((x, j) => x + row[j]), place = argmax(noisy), weights = softmax(noisy.map(x => x / temperature)), mixed = dot(weights, values);
    const toward = chances.map((p, j) => (j === place) - p), along = weights.map((w, j) => (w * (values[j] - mixed)) / temperature);
    const pull = by => toward.map(x => by * x), path = context => along.map(x => (context - wanted) * x);
    all.reinforce.push(pull(losses[place]));
    all.running.push(pull(losses[place] - running));
    all.mean.push(pull(losses[place] - expected));
    all.soft.push(path(mixed));
    all.straight.push(path(values[place]));
    running = KEEP * running + (1 - KEEP) * losses[place];
    places.push(place);
  }
  return { chances, losses, expected, exact, places, all };
}

// The mean of some estimates, how far it is from the truth, how much they vary (null before there are two), and how far chance
// alone would bring the mean of unbiased ones; the last three relative to the truth's length, or absolute where it is 0.
export function measure(rows, exact) {
  const n = rows.length, size = Math.hypot(...exact), unit = size < ZERO ? 1 : size, mean = exact.map(() => 0);
  for (const row of rows) for (let j = 0; j < mean.length; j++) mean[j] += row[j] / n;
  let square = 0;
  for (const row of rows) for (let j = 0; j < mean.length; j++) square += (row[j] - mean[j]) ** 2;
  const variance = n > 1 ? square / (n - 1) / unit ** 2 : null;
  return { mean, bias: n ? Math.hypot(...mean.map((x, j) => x - exact[j])) / unit : null, variance, chance: n > 1 ? Math.sqrt(variance / n) : null };
}

// All that a state shows.
export function look(state, draws = state.draws) {
  const found = estimates(state, noise(state.seed, draws, state.options.length));
  return { ...found, kinds: Object.fromEntries(Object.entries(found.all).map(([name, rows]) => [name, measure(rows, found.exact)])) };
}

const within = (x, low, high, other) => (Number.isFinite(x) ? Math.max(low, Math.min(high, x)) : other);
const whole = (x, low, high) => (Number.isInteger(x) ? within(x, low, high) : low);

// A state that can be drawn, whatever an address said.
export function tidy({ options, wanted, temperature, seed, draws, shown }) {
  const some = (Array.isArray(options) ? options : []).slice(0, MOST).map(one => [0, 1].map(i => within(one?.[i], -LARGEST, LARGEST, 0)));
  while (some.length < FEWEST) some.push([0, 0]);
  return { options: some, wanted: within(wanted, -LARGEST, LARGEST, 0), temperature: within(temperature, COLDEST, HOTTEST, 1),
    seed: whole(seed, 0, SEEDS), draws: whole(draws, 0, DRAWS), shown: whole(shown, 0, MOST - 1) };
}

// How far the picture reaches to each side of the exact gradient of one score: to the farthest estimate of REINFORCE.
export function reach({ exact, losses, expected, chances }, shown) {
  const far = losses.flatMap((loss, place) => [loss, loss - expected].map(by => Math.abs(by * ((place === shown) - chances[shown]) - exact[shown])));
  return 1.1 * Math.max(Math.abs(exact[shown]), ...far) || 1;
}

const fixed = (x, digits = 2) => x.toFixed(digits).replace(/^-(?=[0.]*$)/, "").replace("-", "−");
const short = x => (x === null ? "–" : x >= 9999.5 ? "over 9,999" : fixed(x, x < 10 ? 2 : x < 100 ? 1 : 0));

let made = 0;
function render({ model, el }) {
  const TRAITS = ["options", "wanted", "temperature", "seed", "draws", "shown"], id = `estimators-${++made}`;
  const state = () => tidy(Object.fromEntries(TRAITS.map(name => [name, model.get(name)])));
  const put = changes => { for (const [name, value] of Object.entries(changes)) model.set(name, value); model.save_changes(); };
  const round = x => within(Math.round(x * 20) / 20, -LARGEST, LARGEST, 0);
  const set = (part, j, x) => put(part === 2 ? { wanted: round(x) } : { options: state().options.map((one, i) => (i === j ? one.map((old, k) => (k === part ? round(x) : old)) : one)) });
  const get = (now, part, j) => (part === 2 ? now.wanted : now.options[j][part]);

  // -- the options: scores and values to drag, and what is wanted
  const W = 360, HIGH = 96, LEFT = 30, RIGHT = 318, TOPS = [28, 206];
  const down = (part, x) => TOPS[part && 1] + ((LARGEST - x) / (2 * LARGEST)) * HIGH, across = (j, n) => LEFT + ((j + 0.5) * (RIGHT - LEFT)) / n;
  const grid = s("g", { class: "es-grid" }), numbers = s("g"), handles = s("g"), line = s("line", { x1: LEFT, x2: W, class: "es-wanted" });
  for (const part of [0, 1]) for (const x of [-LARGEST, 0, LARGEST])
    grid.append(s("line", { x1: LEFT, x2: part ? W : RIGHT, y1: down(part, x), y2: down(part, x), class: x ? "" : "es-zero" }),
      s("text", { x: LEFT - 6, y: down(part, x) + 5, "text-anchor": "end", class: "es-side" }, fixed(x, 0)));
  const title = (y, text) => s("text", { x: 0, y, class: "es-side" }, text);
  const picture = s("svg", { viewBox: `0 0 ${W} 350`, class: "es-picture", role: "group", "aria-label": "The options: their scores and values, and the wanted value" },
    grid, title(TOPS[0] - 14, "score, and below it the probability"), title(TOPS[1] - 14, "value, and below it the loss"), line, numbers, handles);
  let knobs = [], held = null;
  const said = (part, j) => (part === 2 ? "Wanted value" : `${["Score", "Value"][part]} of option ${j + 1}`);
  function make(n) {
    const focused = knobs.findIndex(knob => knob.node === document.activeElement);
    knobs = [0, 1].flatMap(part => Array.from({ length: n }, (_, j) => [part, j])).concat([[2, 0]]).map(([part, j]) => {
      const x = part === 2 ? W - 20 : across(j, n), hit = s("circle", { cx: x, r: 21, class: "es-hit" });
      const dot = part === 2 ? s("path", { class: "es-diamond" }) : s("circle", { cx: x, r: 9, class: part ? "es-value" : "es-score" });
      const node = s("g", { class: "es-handle", role: "slider", tabindex: 0, "aria-orientation": "vertical", "aria-label": said(part, j), "aria-valuemin": -LARGEST, "aria-valuemax": LARGEST }, hit, dot);
      node.addEventListener("keydown", event => {
        const step = event.shiftKey ? 0.5 : 0.1, x = get(state(), part, j);
        const to = { ArrowUp: x + step, ArrowRight: x + step, ArrowDown: x - step, ArrowLeft: x - step, Home: -LARGEST, End: LARGEST, PageUp: x + 1, PageDown: x - 1 }[event.key];
        if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        set(part, j, to);
      });
      return { node, part, j, x, move(y) {
        hit.setAttribute("cy", y);
        if (part === 2) dot.setAttribute("d", `M${x - 9},${y} l9,-9 l9,9 l-9,9 Z`); else dot.setAttribute("cy", y);
      } };
    });
    handles.replaceChildren(...knobs.map(knob => knob.node));
    if (focused >= 0) knobs[Math.min(focused, knobs.length - 1)].node.focus();
  }
  const at = event => { const box = picture.getBoundingClientRect(), scale = W / box.width; return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale]; };
  picture.addEventListener("pointerdown", event => {
    const [x, y] = at(event), now = state(), far = knobs.map(knob => Math.hypot(x - knob.x, y - down(knob.part, get(now, knob.part, knob.j)))), nearest = far.indexOf(Math.min(...far));
    if (event.button || far[nearest] > 25) return;
    event.preventDefault();
    held = knobs[nearest];
    held.node.focus({ preventScroll: true });
    picture.setPointerCapture(event.pointerId);
  });
  keepFinger(picture, () => held);
  picture.addEventListener("pointermove", event => { if (held) set(held.part, held.j, LARGEST - ((at(event)[1] - TOPS[held.part && 1]) / HIGH) * 2 * LARGEST); });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) picture.addEventListener(end, () => { held = null; });

  // -- the controls
  const button = (text, onclick) => h("button", { type: "button", onclick }, text);
  const draw = count => button(`Draw ${count.toLocaleString("en")}`, () => put({ draws: Math.min(DRAWS, state().draws + count) }));
  const draws = [1, 100, 1000].map(draw), again = button("Begin again", () => put({ draws: 0 })), other = button("Other draws", () => put({ seed: (state().seed + 1) % (SEEDS + 1) }));
  const more = button("Add an option", () => put({ options: [...state().options, [0, 0]] })), fewer = button("Remove the last", () => put({ options: state().options.slice(0, -1) }));
  const examples = Object.entries(model.get("examples") ?? {}).map(([name, one]) => button(name, () => put({ options: one.options, wanted: one.wanted })));
  const warmth = h("input", { type: "range", min: 0, max: WARMTH.length - 1, step: 1, "aria-label": "Temperature", oninput: () => put({ temperature: WARMTH[warmth.value] }) }), degrees = h("output", { class: "es-degrees" });
  const count = h("p", { class: "es-count" }), which = h("div", { class: "es-which", role: "radiogroup", "aria-label": "Drawn is the gradient of score" });

  // -- one strip for each estimator
  const SW = 340, SH = 40, MIDDLE = SW / 2, BINS = 61;
  const strips = Object.entries(NAMES).map(([name, text]) => {
    const bars = s("g"), mean = s("path", { class: "es-mean" }), last = s("circle", { r: 4, cy: SH - 1, class: "es-last" }), numbers = h("span", { class: "es-numbers" });
    const svg = s("svg", { viewBox: `0 0 ${SW} ${SH + 8}`, class: "es-strip", role: "img" }, s("line", { x1: 0, x2: SW, y1: SH, y2: SH, class: "es-base" }), bars,
      s("line", { x1: MIDDLE, x2: MIDDLE, y1: 0, y2: SH + 8, class: "es-exact" }), mean, last);
    const node = h("div", { class: "es-kind" }, h("p", { class: "es-head" }, h("span", { class: "es-name" }, text), numbers), svg);
    return { name, text, bars, mean, last, numbers, svg, node };
  });
  const top = h("tr"), body = h("tbody"), message = h("p", { class: "es-message" });
  const table = h("table", { class: "es-table" }, h("caption", {}, "Gradient by each score: the exact one, and the means of the estimates"), h("thead", {}, top), body);
  frame(el, "Estimators of the gradient of a choice");
  el.append(h("div", { class: "es-both" },
    h("div", { class: "es-left" }, picture, h("div", { class: "es-buttons" }, more, fewer), h("div", { class: "es-buttons", role: "group", "aria-label": "Examples" }, h("span", {}, "Examples "), ...examples),
      h("div", { class: "es-line" }, h("span", { class: "es-label" }, "Temperature"), warmth, degrees)),
    h("div", { class: "es-right" }, h("div", { class: "es-buttons" }, ...draws, again, other), count, which, ...strips.map(strip => strip.node),
      h("p", { class: "es-key" }, "Dashed: the exact gradient. Line with a foot: the mean of the estimates. Dot: the last one. What lies beyond the picture stands at its edge."))),
    message, table);
  const say = speaker(el), settle = roving(which);

  function drawStrip(strip, found, shown, far) {
    const numbers = found.all[strip.name].map(row => row[shown]), { mean, bias, variance, chance } = found.kinds[strip.name], n = numbers.length;
    const place = x => Math.max(2, Math.min(SW - 2, MIDDLE + ((x - found.exact[shown]) / far) * (MIDDLE - 2))), heap = new Array(BINS).fill(0);
    for (const x of numbers) heap[Math.min(BINS - 1, Math.floor((place(x) / SW) * BINS))]++;
    const most = Math.max(...heap), wide = SW / BINS;
    strip.bars.replaceChildren(...heap.flatMap((many, i) => (many ? [s("rect", { x: i * wide, width: wide - 0.6, y: SH * (1 - (0.85 * many) / most), height: (0.85 * SH * many) / most })] : [])));
    for (const node of [strip.mean, strip.last]) node.style.display = n ? "" : "none";
    if (n) {
      const x = place(mean[shown]);
      strip.mean.setAttribute("d", `M${x},2 V${SH + 3} M${x - 5},${SH + 5} h10`);
      strip.last.setAttribute("cx", place(numbers[n - 1]));
    }
    strip.numbers.replaceChildren(n ? `off by ${short(bias)}${n > 1 ? ` (chance ${short(chance)}) · variance ${short(variance)}` : ""}` : "no draw yet");
    strip.svg.setAttribute("aria-label", n ? `${strip.text}, score ${shown + 1}: exact ${fixed(found.exact[shown])}, mean ${fixed(mean[shown])}` : `${strip.text}: no draw yet`);
  }

  let visible = 0, frames = 0;
  function show(now, n) { // with the first n draws
    const found = look(now, n), many = now.options.length, shown = Math.min(now.shown, many - 1), far = reach(found, shown);
    if (knobs.length !== 2 * many + 1) make(many);
    for (const knob of knobs) {
      const x = get(now, knob.part, knob.j);
      knob.move(down(knob.part, x));
      knob.node.setAttribute("aria-valuenow", x);
      knob.node.setAttribute("aria-valuetext", fixed(x) + (knob.part === 0 ? `, probability ${fixed(found.chances[knob.j])}` : knob.part === 1 ? `, loss ${fixed(found.losses[knob.j])}` : ""));
    }
    for (const end of ["y1", "y2"]) line.setAttribute(end, down(2, now.wanted));
    const last = n ? found.places[n - 1] : -1, write = (j, part, x, bold) => s("text", { x: across(j, many), y: TOPS[part] + HIGH + 24, "text-anchor": "middle", class: bold ? "es-drawn" : "" }, fixed(x));
    numbers.replaceChildren(...found.chances.map((p, j) => write(j, 0, p, j === last)), ...found.losses.map((loss, j) => write(j, 1, loss, j === last)),
      s("text", { x: W, y: TOPS[1] + HIGH + 24, "text-anchor": "end", class: "es-side" }, "wanted"),
      ...found.losses.map((_, j) => s("text", { x: across(j, many), y: TOPS[1] + HIGH + 44, "text-anchor": "middle", class: "es-side" }, j === last ? `▴ ${j + 1}` : j + 1)));
    for (const one of draws) one.disabled = now.draws >= DRAWS;
    again.disabled = !now.draws;
    more.disabled = many === MOST;
    fewer.disabled = many === FEWEST;
    const nearest = WARMTH.reduce((best, t, i) => (Math.abs(Math.log(t / now.temperature)) < Math.abs(Math.log(WARMTH[best] / now.temperature)) ? i : best), 0);
    warmth.value = nearest;
    warmth.setAttribute("aria-valuetext", String(now.temperature));
    degrees.replaceChildren(String(Math.round(now.temperature * 100) / 100));
    count.replaceChildren(`${n.toLocaleString("en")} ${n === 1 ? "draw" : "draws"}, the same for all estimators (series ${now.seed})${n ? `; the last took option ${last + 1}` : ""}.`);
    if (which.querySelectorAll("button").length !== many) {
      which.replaceChildren(h("span", {}, "Gradient of score"), ...found.exact.map((_, j) => h("button", { type: "button", role: "radio", onclick: () => put({ shown: j }), onfocus: () => { if (state().shown !== j) put({ shown: j }); } }, j + 1)));
      settle();
    }
    which.querySelectorAll("button").forEach((one, j) => { one.setAttribute("aria-checked", j === shown); one.tabIndex = j === shown ? 0 : -1; });
    for (const strip of strips) drawStrip(strip, found, shown, far);
    top.replaceChildren(h("td"), ...found.exact.map((_, j) => h("th", { scope: "col" }, j + 1)));
    const row = (name, list) => h("tr", {}, h("th", { scope: "row" }, name), ...list.map(x => h("td", {}, fixed(x))));
    body.replaceChildren(row("exact", found.exact), ...(n ? strips.map(strip => row(strip.text, found.kinds[strip.name].mean)) : []));
    const beyond = strips.filter(strip => found.kinds[strip.name].bias > 3 * found.kinds[strip.name].chance + ZERO), flat = Math.hypot(...found.exact) < ZERO ? "The exact gradient is 0, so the numbers are absolute. " : "";
    const text = n < ENOUGH ? `Draw, and see where the means go and how wide the estimates lie. Fewer than ${ENOUGH} draws say little.` : beyond.length
      ? `Farther off than three times what chance does: ${beyond.map(strip => strip.text).join("; ")}.` : "No mean is farther off than three times what chance does.";
    message.replaceChildren(flat + text);
    if (n === now.draws) say(`${n} draws. ${flat}${text} ${n > 1 ? strips.map(strip => `${strip.text}: ${strip.numbers.textContent}`).join(". ") : ""}`);
  }

  // New draws come in within a third of a second, all else at once.
  function refresh() {
    const now = state(), from = visible, begin = performance.now();
    cancelAnimationFrame(frames);
    if (calm() || document.hidden || now.draws <= from + 1) { visible = now.draws; show(now, visible); return; }
    const tick = time => {
      const share = Math.min(1, Math.max(0, time - begin) / 350);
      visible = from + Math.round((now.draws - from) * share);
      show(now, visible);
      if (share < 1) frames = requestAnimationFrame(tick);
    };
    frames = requestAnimationFrame(tick);
  }

  for (const trait of TRAITS) model.on(`change:${trait}`, refresh);
  visible = state().draws;
  show(state(), visible);
  return () => { cancelAnimationFrame(frames); for (const trait of TRAITS) model.off(`change:${trait}`, refresh); };
}

export default { render, address: ["options", "wanted", "temperature", "seed", "draws", "shown"] };
