import { frame, h, s, scorer, softmax, speaker, weightColour } from "./core.js";

const MOST = 8, LARGEST = 99, COOLEST = 0.01, HOTTEST = 100, TIE = 1e-9;
const SCORES = ["dot product", "cosine", "distance"];
const score = {
  "dot product": scorer("Dot"),
  cosine: scorer("Cosine"),
  distance: keys => q => keys.map(k => -q.reduce((sum, x, i) => sum + (x - k[i]) ** 2, 0)),
};

// All that a state shows: scores, weights, and what the soft dictionary, its limits and an ordinary dictionary answer.
export function look({ rows, query, score: name, temperature }) {
  const scores = score[name](rows.map(row => row.slice(0, 2)))(query), values = rows.map(row => row[2]);
  const top = Math.max(...scores), best = scores.map(e => e - top > -TIE);
  const mix = weights => weights.reduce((sum, weight, i) => sum + weight * values[i], 0);
  const hard = softmax(scores.map(() => 0), best), weights = temperature ? softmax(scores.map(e => (e - top) / temperature)) : hard;
  const equal = rows.filter(row => row[0] === query[0] && row[1] === query[1]);
  return { scores, weights, answer: mix(weights), limit: mix(hard), mean: mix(rows.map(() => 1 / rows.length)), exact: equal.length ? equal.at(-1)[2] : null, best };
}

const inside = (x, or = 0) => (Number.isFinite(x) ? Math.max(-LARGEST, Math.min(LARGEST, x)) : or);
const warm = t => (!Number.isFinite(t) ? 1 : t < COOLEST ? 0 : Math.min(HOTTEST, t));

// A state that can be drawn, whatever an address said.
export function tidy({ rows, query, score: name, temperature }) {
  const some = (Array.isArray(rows) ? rows : []).filter(Array.isArray).slice(0, MOST);
  return {
    rows: (some.length ? some : [[0, 0, 0]]).map(row => [0, 1, 2].map(i => inside(row[i]))),
    query: [0, 1].map(i => inside(query?.[i])),
    score: SCORES.includes(name) ? name : SCORES[0],
    temperature: warm(temperature),
  };
}

const plain = x => String(Number(x.toFixed(2)) === 0 ? 0 : Number(x.toFixed(2))).replace("-", "−");
const fixed = (x, digits) => x.toFixed(digits).replace(/^-(?=[0.]*$)/, "").replace("-", "−");
const pair = ([x, y]) => `(${plain(x)}, ${plain(y)})`;

function render({ model, el }) {
  const TRAITS = ["rows", "query", "score", "temperature"], id = `wa-dictionary-${Math.random().toString(36).slice(2, 8)}`;
  const state = () => tidy(Object.fromEntries(TRAITS.map(name => [name, model.get(name)])));
  const put = changes => { for (const [name, value] of Object.entries(changes)) model.set(name, value); model.save_changes(); };

  const number = (label, kind, write) => { // what is no number is not written, and stays until the box is left
    const box = h("input", { type: "number", step: "any", min: -LARGEST, max: LARGEST, class: `di-number di-${kind}`, "aria-label": label,
      oninput: () => { if (box.value.trim() && Number.isFinite(box.valueAsNumber)) write(inside(box.valueAsNumber)); }, onblur: () => draw() });
    return box;
  };
  const fill = (box, x) => { if (box !== document.activeElement) box.value = Number(x.toFixed(4)); };

  const asked = [0, 1].map(i => number(`Query, number ${i + 1}`, "query", x => put({ query: state().query.map((old, j) => (j === i ? x : old)) })));
  const select = h("select", { id: `${id}-score`, onchange: () => put({ score: select.value }) }, ...SCORES.map(name => h("option", { value: name }, name)));
  const low = Math.log10(COOLEST) - 0.1;
  const slider = h("input", { type: "range", id: `${id}-warm`, min: low, max: Math.log10(HOTTEST), step: "any",
    oninput: () => put({ temperature: warm(+slider.value < Math.log10(COOLEST) - 0.05 ? 0 : Math.max(COOLEST, Number((10 ** slider.value).toPrecision(2)))) }) });
  slider.addEventListener("keydown", event => { // a browser's own step of "any" is too small or too large
    const turn = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key], now = state().temperature;
    if (!turn) return;
    event.preventDefault();
    put({ temperature: now ? warm(Number((now * 10 ** (turn / 10)).toPrecision(2))) : turn > 0 ? COOLEST : 0 });
  });
  const warmth = h("output", { for: slider.id });
  const body = h("tbody"), head = (text, name) => h("th", { scope: "col", class: name }, text);
  const table = h("table", { class: "di-table" }, h("caption", { class: "wa-spoken" }, "The entries of the dictionary"),
    h("thead", {}, h("tr", {}, head("key"), head("value"), head("score"), head("weight", "di-wide"), h("td"))), body);
  const more = h("button", { type: "button", onclick: add }, "Add an entry");
  const examples = Object.entries(model.get("examples") ?? {}).map(([name, one]) => h("button", { type: "button", onclick: () => put(one) }, name));
  const answers = ["An ordinary dictionary", "The soft dictionary", "The limit, at temperature 0"].map(name => ({ name: h("dt", {}, name), said: h("dd"), why: h("dd", { class: "di-why" }) }));
  const chart = h("div", { class: "di-chart" });
  frame(el, "A soft dictionary");
  el.append(
    h("div", { class: "di-top" },
      h("span", { class: "di-control", role: "group", "aria-label": "Query" }, h("span", { class: "di-label di-ink-query" }, "Query "), "(", asked[0], ",", asked[1], ")"),
      h("span", { class: "di-control" }, h("label", { for: select.id, class: "di-label" }, "Score "), select),
      h("span", { class: "di-control di-grow" }, h("label", { for: slider.id, class: "di-label" }, "Temperature "), warmth,
        h("span", { class: "di-range" }, h("span", { class: "di-end" }, "choose"), slider, h("span", { class: "di-end" }, "average")))),
    table,
    h("div", { class: "di-buttons" }, more, h("span", { role: "group", "aria-label": "Examples" }, "Examples ", ...examples)),
    h("div", { class: "di-both" }, h("dl", { class: "di-answers" }, ...answers.map(one => h("div", {}, one.name, one.said, one.why))), chart));
  const say = speaker(el);

  // -- the rows: made when their number changes, filled at each change
  let lines = [];
  function add() {
    const { rows, query } = state();
    if (rows.length < MOST) put({ rows: [...rows, [...query, 0]] });
    lines.at(-1).boxes[0].focus();
  }
  function make(n) {
    const held = lines.findIndex(line => line.row.contains(document.activeElement));
    const change = (i, place) => x => put({ rows: state().rows.map((row, j) => (j === i ? row.map((old, k) => (k === place ? x : old)) : row)) });
    lines = Array.from({ length: n }, (_, i) => {
      const boxes = [number(`Key ${i + 1}, number 1`, "key", change(i, 0)), number(`Key ${i + 1}, number 2`, "key", change(i, 1)), number(`Value ${i + 1}`, "value", change(i, 2))];
      const line = { boxes, score: h("td"), weight: h("span"), bar: h("span", { class: "di-bar" }) };
      line.remove = h("button", { type: "button", class: "di-remove", "aria-label": `Remove entry ${i + 1}`, onclick: () => put({ rows: state().rows.filter((_, j) => j !== i) }) }, "×");
      line.row = h("tr", {}, h("td", { class: "di-keys" }, h("span", {}, "(", boxes[0], ",", boxes[1], ")")), h("td", {}, boxes[2]), line.score,
        h("td", { class: "di-weight" }, h("div", {}, line.weight, h("span", { class: "di-track" }, line.bar))), h("td", {}, line.remove));
      return line;
    });
    body.replaceChildren(...lines.map(line => line.row));
    if (held >= 0) lines[Math.min(held, n - 1)].remove.focus();
  }

  function draw() {
    const now = state(), seen = look(now), n = now.rows.length;
    if (lines.length !== n) make(n);
    asked.forEach((box, i) => fill(box, now.query[i]));
    select.value = now.score;
    slider.value = now.temperature ? Math.log10(now.temperature) : low;
    warmth.replaceChildren(now.temperature ? String(now.temperature) : "0, the limit");
    slider.setAttribute("aria-valuetext", now.temperature ? String(now.temperature) : "0, the limit");
    lines.forEach((line, i) => {
      line.boxes.forEach((box, j) => fill(box, now.rows[i][j]));
      line.score.replaceChildren(fixed(seen.scores[i], 2));
      line.weight.replaceChildren(seen.weights[i].toFixed(3));
      line.bar.style.inlineSize = `${100 * seen.weights[i]}%`;
      line.bar.style.background = weightColour(seen.weights[i]);
      line.row.classList.toggle("di-best", seen.best[i]);
      line.remove.disabled = n === 1;
    });
    more.disabled = n === MOST;
    const tied = seen.best.filter(Boolean).length, winner = now.rows[seen.best.indexOf(true)];
    const said = [
      [seen.exact === null ? "no such key" : plain(seen.exact), seen.exact === null ? `No key equals ${pair(now.query)}.` : `A key equals ${pair(now.query)}.`],
      [fixed(seen.answer, 2), now.temperature ? `The mixture at temperature ${now.temperature}.` : "At temperature 0 it is the limit."],
      [fixed(seen.limit, 2), tied > 1 ? `${tied} keys tie for the best score; their mean.` : `Key ${pair(winner)} scores highest.`]];
    answers.forEach((one, i) => { one.said.replaceChildren(said[i][0]); one.why.replaceChildren(said[i][1]); });
    drawChart(now, seen);
    say(`Ordinary dictionary: ${said[0][0]}. Soft: ${said[1][0]}. Limit: ${said[2][0]}.`);
  }

  function drawChart(now, seen) { // the answer by temperature, from the limit to the mean
    const W = 320, H = 160, left = 46, right = 52, x = t => left + ((Math.log10(t / COOLEST)) / Math.log10(HOTTEST / COOLEST)) * (W - left - right);
    const points = Array.from({ length: 81 }, (_, i) => COOLEST * (HOTTEST / COOLEST) ** (i / 80)).map(t => [t, look({ ...now, temperature: t }).answer]);
    const all = [...points.map(point => point[1]), seen.limit, seen.mean], low = Math.min(...all), span = Math.max(...all) - low || 1;
    const y = a => 14 + (H - 48) * (1 - (a - low) / span), at = now.temperature ? x(now.temperature) : x(COOLEST);
    const mean = y(seen.mean), end = y(points.at(-1)[1]), apart = Math.abs(mean - end) < 0.5 ? mean : end;
    chart.replaceChildren(s("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `The answer by temperature: ${fixed(seen.limit, 2)} at 0, ${fixed(seen.answer, 2)} now, towards the mean ${fixed(seen.mean, 2)} at high temperatures` },
      s("line", { x1: left, x2: W - right, y1: y(seen.mean), y2: y(seen.mean), class: "di-guide" }),
      s("path", { d: `M${points.map(([t, a]) => `${x(t).toFixed(1)} ${y(a).toFixed(1)}`).join("L")}`, class: "di-line" }),
      s("circle", { cx: at, cy: y(seen.answer), r: 6, class: "di-dot" }),
      s("text", { x: left - 6, y: y(seen.limit) + 4, "text-anchor": "end" }, fixed(seen.limit, 1)),
      s("text", { x: W - right + 5, y: apart + 4 }, `mean ${fixed(seen.mean, 1)}`.replace("mean ", "⌀ ")),
      ...[0.01, 1, 100].map(t => s("text", { x: x(t), y: H - 18, "text-anchor": "middle" }, String(t))),
      s("text", { x: (left + W - right) / 2, y: H - 3, "text-anchor": "middle" }, "temperature")),
    h("p", {}, "The answer, from the limit (left) to the plain mean ⌀ of all values (right)."));
  }

  for (const name of TRAITS) model.on(`change:${name}`, draw);
  draw();
  return () => { for (const name of TRAITS) model.off(`change:${name}`, draw); };
}

export default { render, address: ["rows", "query", "score", "temperature"] };
