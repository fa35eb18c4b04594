import { frame, h, join, linear, dot, s, softmax, speaker, tanh, unpack, argmax } from "./core.js";

const MODES = ["local-p", "local-m"], WIDEST = 10, BELL = [0.25, 10], WARMTH = [0.5, 50], END = "</s>", ROWS = ["global", "window", "divided"];

// Where the window lies and how wide its bell is: the reader's centre, or the step's number.
export const middle = state => (state.mode === "local-p" ? state.centre : state.at);
export const spread = state => state.sigma || state.reach / 2;

// All that a state shows, as Python's Seen.
export function look(state, parts) {
  const scores = state.scores[state.at - 1], cooled = scores.map(e => e / state.temperature), p = middle(state), places = scores.map((_, i) => i + 1);
  const everywhere = softmax(cooled), inside = softmax(cooled, places.map(place => Math.abs(place - p) <= state.reach));
  const bell = places.map(place => (state.mode === "local-p" ? Math.exp(-((place - p) ** 2) / (2 * spread(state) ** 2)) : 1));
  const product = inside.map((weight, i) => weight * bell[i]), total = product.reduce((a, b) => a + b, 0);
  const divided = product.map(weight => (total > 0 ? weight / total : 0));
  const { data, shape: [, width] } = parts.value, mix = row => Float64Array.from({ length: width }, (_, k) => row.reduce((sum, weight, i) => sum + weight * data[i * width + k], 0));
  const contexts = { global: mix(everywhere), window: mix(product), divided: mix(divided) }, long = c => Math.sqrt(dot(c, c));
  const top = parts.state.data.subarray((state.at - 1) * width, state.at * width);
  const answers = Object.fromEntries(Object.entries(contexts).map(([name, c]) => {
    const chances = softmax(linear(parts, "readout", tanh(linear(parts, "combine", join(c, top))))), best = argmax(chances), lengths = long(c) * long(contexts.global);
    return [name, { length: long(c), cosine: lengths ? dot(c, contexts.global) / lengths : 0, word: state.target_words[best], chance: chances[best] }];
  }));
  return { scores, inside, bell, product, total, divided, everywhere, answers };
}

// A state that can be drawn, whatever an address said.
export function tidy(state) {
  const inside = (x, low, high, or) => (Number.isFinite(x) ? Math.max(low, Math.min(high, x)) : or);
  return {
    ...state,
    mode: MODES.includes(state.mode) ? state.mode : MODES[0],
    at: Math.round(inside(state.at, 1, state.target.length, 1)),
    centre: inside(state.centre, 0, state.source.length, 1),
    reach: Math.round(inside(state.reach, 1, WIDEST, 2)),
    sigma: state.sigma === 0 ? 0 : inside(state.sigma, ...BELL, 0),
    temperature: inside(state.temperature, ...WARMTH, 1),
  };
}

const number = (x, digits = 2) => { const text = x.toFixed(digits); return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−"); };
const label = word => (word === END ? "(end)" : word);

function render({ model, el }) {
  const FIXED = ["source", "target", "target_words", "scores"], TRAITS = ["mode", "at", "centre", "reach", "sigma", "temperature"];
  const given = Object.fromEntries(FIXED.map(name => [name, model.get(name)])), parts = unpack(model.get("weights"));
  const { source, target } = given, n = source.length, id = `wa-window-${Math.random().toString(36).slice(2, 8)}`;
  const state = () => tidy({ ...given, ...Object.fromEntries(TRAITS.map(name => [name, model.get(name)])) });
  const put = (name, value) => { model.set(name, value); model.save_changes(); };

  // -- controls, made once
  const range = (name, text, low, high, step, shown) => {
    const input = h("input", { type: "range", id: `${id}-${name}`, min: low, max: high, step, oninput: () => put(name, shown(Number(input.value))) });
    const out = h("output", { for: input.id });
    return { input, out, line: h("div", { class: "wi-control" }, h("label", { for: input.id }, ...text), input, out) };
  };
  const sub = (letter, what) => [h("i", {}, letter), ` ${what}`], same = x => x, tenth = x => Math.round(x * 10) / 10;
  const step = range("at", ["step ", h("i", {}, "t")], 1, target.length, 1, same), centre = range("centre", sub("p", "centre"), 0, n, 0.1, tenth), reach = range("reach", sub("D", "reach"), 1, WIDEST, 1, same);
  const bell = range("sigma", sub("σ", "spread"), BELL[0], BELL[1], 0.25, same);
  const warmth = range("temperature", ["temperature"], Math.log10(WARMTH[0]), Math.log10(WARMTH[1]), "any", x => Number((10 ** x).toPrecision(2)));
  warmth.input.addEventListener("keydown", event => { // a browser's own step of "any" is too small or too large
    const turn = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!turn) return;
    event.preventDefault();
    put("temperature", Math.max(WARMTH[0], Math.min(WARMTH[1], Number((state().temperature * 10 ** (turn / 10)).toPrecision(2)))));
  });
  const turn = (text, name, by) => h("button", { type: "button", "aria-label": name, onclick: () => put("at", Math.max(1, Math.min(target.length, state().at + by))) }, text);
  const back = turn("‹", "One step back", -1), on = turn("›", "One step forward", 1);
  const modes = MODES.map((name, i) => h("button", { type: "button", "data-mode": name, onclick: () => put("mode", name) }, h("b", {}, name), [" p is yours, with a bell", " p = t, no bell"][i]));
  const half = h("button", { type: "button", class: "wi-half", onclick: () => put("sigma", 0) }, "σ = D/2");
  bell.line.append(half);

  // -- the table, made once
  const said = h("div", { class: "wi-said", role: "group", "aria-label": "The translation" }, ...target.flatMap(word => [h("span", {}, label(word)), " "]));
  const picture = s("svg", { viewBox: `0 0 40 ${n}`, preserveAspectRatio: "none", class: "wi-picture", role: "img" });
  const COLUMNS = ["inside", "bell", "product", "divided", "everywhere"];
  const rows = source.map((word, i) => {
    const cells = Object.fromEntries(["scores", ...COLUMNS].map(name => [name, h("td", { class: `wi-${name}` }, h("span", { class: "wi-number" }), name === "scores" ? "" : h("span", { class: "wi-track" }, h("span", { class: "wi-bar" })))]));
    const line = h("tr", {}, h("th", { scope: "row" }, h("span", { class: "wi-place" }, i + 1), word), ...(i ? [] : [h("td", { class: "wi-cell", rowspan: n }, picture)]), ...Object.values(cells));
    return { line, cells };
  });
  const head = (text, name, title) => h("th", { scope: "col", class: name, title }, text);
  const sums = Object.fromEntries(COLUMNS.map(name => [name, h("td")]));
  const table = h("table", { class: "wi-table" }, h("caption", { class: "wa-spoken" }, "Scores and weights of the source words at this step"),
    h("thead", {}, h("tr", {}, head("word"), head("window"), head("score"), head("softmax", "", "the softmax inside the window"), head("bell"), head("weight", "wi-product", "softmax times bell"), head("÷ sum", "", "divided by the sum of the weights"), head("global", "", "the softmax over all words"))),
    h("tbody", {}, ...rows.map(row => row.line)),
    h("tfoot", {}, h("tr", {}, h("th", { scope: "row" }, "sum"), h("td"), h("td"), sums.inside, h("td"), sums.product, sums.divided, sums.everywhere)));
  const NAMES = { global: "all words", window: "the window", divided: "window, ÷ sum" };
  const answers = Object.fromEntries(ROWS.map(name => [name, { length: h("td"), cosine: h("td"), word: h("td", { class: "wi-word" }) }]));
  const contexts = h("table", { class: "wi-contexts" }, h("caption", {}, "The context, and what is said with it"),
    h("thead", {}, h("tr", {}, head("from"), head("length"), head("cosine", "", "of the angle to the context of all words"), head("says"))),
    h("tbody", {}, ...ROWS.map(name => h("tr", {}, h("th", { scope: "row" }, NAMES[name]), ...Object.values(answers[name])))));
  const message = h("p", { class: "wi-message" });
  frame(el, "A local window over one look of a translator");
  el.append(said, h("div", { class: "wi-steps" }, back, on, step.line), h("div", { class: "wi-modes", role: "group", "aria-label": "Where the window lies" }, ...modes),
    h("div", { class: "wi-controls" }, centre.line, reach.line, bell.line, warmth.line), table, message, contexts);
  const say = speaker(el);

  // -- the window can be dragged
  let held = false;
  const drag = event => { const box = picture.getBoundingClientRect(); put("centre", Math.max(0, Math.min(n, tenth(((event.clientY - box.top) / box.height) * n + 0.5)))); };
  picture.addEventListener("pointerdown", event => {
    if (event.button || state().mode !== "local-p") return;
    event.preventDefault();
    held = true;
    picture.setPointerCapture(event.pointerId);
    drag(event);
  });
  picture.addEventListener("pointermove", event => { if (held) drag(event); });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) picture.addEventListener(end, () => { held = false; });

  // -- what is shown
  function showPicture(now) {
    const p = middle(now), y = place => place - 0.5, low = Math.max(0, y(p - now.reach)), high = Math.min(n, y(p + now.reach)), wide = spread(now);
    const curve = Array.from({ length: 4 * n + 1 }, (_, i) => i / 4).map(v => `${(2 + 34 * (now.mode === "local-p" ? Math.exp(-((v + 0.5 - p) ** 2) / (2 * wide ** 2)) : 0)).toFixed(2)} ${v}`);
    picture.replaceChildren(s("rect", { x: 0, width: 40, y: low, height: Math.max(0, high - low), class: "wi-band" }),
      ...(now.mode === "local-p" ? [s("path", { d: `M${curve.join("L")}`, class: "wi-curve" })] : []),
      s("path", { d: `M0 ${Math.max(0, Math.min(n, y(p)))}H40`, class: "wi-centre" }));
    picture.setAttribute("aria-label", `The window from ${number(p - now.reach, 1)} to ${number(p + now.reach, 1)}, around ${number(p, 1)}`);
    picture.classList.toggle("wi-free", now.mode === "local-p");
  }

  function draw() {
    const now = state(), seen = look(now, parts), p = middle(now), free = now.mode === "local-p";
    [...said.children].forEach((one, i) => { one.classList.toggle("wi-now", i === now.at - 1); one.toggleAttribute("aria-current", i === now.at - 1); });
    back.disabled = now.at === 1;
    on.disabled = now.at === target.length;
    for (const [control, value, text] of [[step, now.at, `${now.at} of ${target.length}`], [centre, p, number(p, 1)], [reach, now.reach, String(now.reach)], [bell, spread(now), free ? number(spread(now)) : "–"], [warmth, Math.log10(now.temperature), String(now.temperature)]]) {
      control.input.value = value;
      control.out.replaceChildren(text);
      control.input.setAttribute("aria-valuetext", text);
    }
    centre.input.disabled = bell.input.disabled = !free;
    half.disabled = !free || now.sigma === 0;
    for (const one of modes) one.setAttribute("aria-pressed", one.dataset.mode === now.mode);
    showPicture(now);
    rows.forEach((row, i) => {
      row.line.classList.toggle("wi-outside", !(Math.abs(i + 1 - p) <= now.reach));
      for (const [name, cell] of Object.entries(row.cells)) {
        cell.firstChild.replaceChildren(name === "bell" && !free ? "–" : number(seen[name][i], name === "scores" ? 1 : 2));
        if (name !== "scores") cell.lastChild.firstChild.style.inlineSize = `${100 * (name === "bell" && !free ? 0 : seen[name][i])}%`;
      }
    });
    const add = row => number(row.reduce((a, b) => a + b, 0));
    for (const name of ["inside", "product", "divided", "everywhere"]) sums[name].replaceChildren(add(seen[name]));
    for (const name of ROWS) {
      const { length, cosine, word, chance } = seen.answers[name], right = word === target[now.at - 1];
      answers[name].length.replaceChildren(number(length));
      answers[name].cosine.replaceChildren(number(cosine, 3));
      answers[name].word.replaceChildren(h("b", {}, label(word)), ` ${number(chance)}`, right ? "" : h("span", { class: "wi-wrong" }, ` not ${label(target[now.at - 1])}`));
    }
    const best = argmax(seen.everywhere), held = seen.inside.some(weight => weight > 0);
    const text = !held ? "No word lies in the window: all weights are 0, and so is the context."
      : `Looking everywhere, ${source[best]} (${best + 1}) has the largest weight. ${seen.inside[best] > 0 ? "It is in the window." : "The window does not hold it."} The weights in the window sum to ${number(seen.total)}.`;
    message.replaceChildren(text);
    say(`${text} The translator says ${label(seen.answers.window.word)}.`);
  }

  for (const name of TRAITS) model.on(`change:${name}`, draw);
  draw();
  return () => { for (const name of TRAITS) model.off(`change:${name}`, draw); };
}

export default { render, address: ["mode", "at", "centre", "reach", "sigma", "temperature"] };
