// What the book's widgets share: the maths of attention and of recurrent translators, grammars, drawing helpers.
// Vectors are arrays of numbers, matrices arrays of rows; a tensor that travelled is { data, shape }, stored row by row.

// ---- Scores, weights, mixtures

export const dot = (a, b) => { let s = 0; for (let i = 0; i < a.length; i++) s += a[i] * b[i]; return s; };
export const add = (a, b) => a.map((x, i) => x + b[i]);
export const matmul = (a, b) => { const columns = transpose(b); return a.map(row => columns.map(column => dot(row, column))); };
export const transpose = a => (a.length ? Array.from(a[0], (_, j) => a.map(row => row[j])) : []);
export const argmax = a => a.reduce((best, x, i) => (x > a[best] ? i : best), 0);

// Softmax of one row of scores over the places where mask is true; a row with no such place gets zeros.
export function softmax(scores, mask) {
  const open = i => !mask || mask[i];
  let top = -Infinity, sum = 0;
  for (let i = 0; i < scores.length; i++) if (open(i)) top = Math.max(top, scores[i]);
  const raised = Array.from(scores, (x, i) => { const e = open(i) ? Math.exp(x - top) : 0; sum += e; return e; });
  return raised.map(e => (sum ? e / sum : 0));
}

// One row of weights for each row of scores; mask[q][k] says whether query q may look at key k.
export const weigh = (scores, mask) => scores.map((row, q) => softmax(row, mask?.[q]));

export function attend(scores, values, mask) {
  const weights = weigh(scores, mask);
  return { weights, context: matmul(weights, values) };
}

// One of the scores of scores.py by its class: scorer("Bilinear", model, "name")(keys)(query) gives one score for each key.
// What belongs to the keys alone is computed once.
export function scorer(kind, model, name) {
  const by = (part, x) => linear(model, `${name}.${part}`, x), unit = x => Array.from(x, a => a / (Math.hypot(...x) || 1));
  const of = (keys, score) => q => keys.map(key => score(q, key));
  const bent = (asked, key) => by("out", tanh(add(asked, key)))[0];
  return {
    Dot: keys => of(keys, dot),
    ScaledDot: keys => of(keys, (q, k) => dot(q, k) / Math.sqrt(k.length)),
    Cosine: keys => { const even = keys.map(unit); return q => of(even, dot)(unit(q)); },
    Bilinear: keys => of(keys.map(k => by("of_key", k)), dot),
    LowRankBilinear: keys => { const known = keys.map(k => by("of_key", k)); return q => of(known, dot)(by("of_query", q)); },
    Additive: keys => { const known = keys.map(k => by("of_key", k)); return q => of(known, bent)(by("of_query", q)); },
    Concat: keys => of(keys, (q, k) => by("out", tanh(by("both", join(q, k))))[0]),
    Location: keys => q => Array.from(by("of_place", q).subarray(0, keys.length)),
  }[kind];
}

// ---- Chance

// `count` numbers between 0 and 1, drawn by a seed: those of Python's chance.uniform. A counter mixed as mulberry32 mixes it.
export function uniform(seed, count) {
  const mix = a => {
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return (t ^ (t >>> 14)) >>> 0;
  };
  const begin = mix((seed + 0x6d2b79f5) | 0);
  return Float64Array.from({ length: count }, (_, i) => (mix((begin + Math.imul(i + 1, 0x6d2b79f5)) | 0) + 0.5) / 2 ** 32);
}

// ---- Trained models

function float16(bits) {
  const sign = bits >> 15 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24);
}

// The tensors of a model by name, from { tensors: [[name, shape], …], data: base64 of little-endian float16 }.
export function unpack({ tensors, data }) {
  const text = atob(data), all = new Float32Array(text.length / 2), model = {};
  for (let i = 0; i < all.length; i++) all[i] = float16(text.charCodeAt(2 * i) | (text.charCodeAt(2 * i + 1) << 8));
  let from = 0;
  for (const [name, shape] of tensors) {
    const size = shape.reduce((a, b) => a * b, 1);
    model[name] = { shape, data: all.subarray(from, (from += size)) };
  }
  return model;
}

// nn.Linear: weight (out, in) times x, plus bias.
export function linear(model, name, x, weight = `${name}.weight`, bias = `${name}.bias`) {
  const { data, shape: [rows, width] } = model[weight], offset = model[bias]?.data, y = new Float64Array(rows);
  if (x.length !== width) throw new Error(`${weight} takes ${width} numbers, not ${x.length}`);
  for (let i = 0, at = 0; i < rows; i++) {
    let sum = offset ? offset[i] : 0;
    for (let j = 0; j < width; j++) sum += data[at++] * x[j];
    y[i] = sum;
  }
  return y;
}

// nn.Embedding: the row of a word.
export function embed(model, name, word) {
  const { data, shape: [words, width] } = model[`${name}.weight`];
  if (!(Number.isInteger(word) && word >= 0 && word < words)) throw new Error(`${name} has no row ${word}`);
  return data.subarray(word * width, (word + 1) * width);
}

export function join(...vectors) {
  const all = new Float64Array(vectors.reduce((n, v) => n + v.length, 0));
  let at = 0;
  for (const v of vectors) { all.set(v, at); at += v.length; }
  return all;
}

export const sigmoid = x => 1 / (1 + Math.exp(-x));
export const tanh = x => x.map(Math.tanh);

// One step of nn.GRU (suffix "_l0", "_l0_reverse", …) or nn.GRUCell (suffix ""); gates in PyTorch's order: reset, update, new.
export function gruStep(model, name, suffix, x, state) {
  const given = linear(model, name, x, `${name}.weight_ih${suffix}`, `${name}.bias_ih${suffix}`);
  const kept = linear(model, name, state, `${name}.weight_hh${suffix}`, `${name}.bias_hh${suffix}`), n = state.length;
  return Float64Array.from(state, (h, i) => {
    const reset = sigmoid(given[i] + kept[i]), update = sigmoid(given[n + i] + kept[n + i]);
    return (1 - update) * Math.tanh(given[2 * n + i] + reset * kept[2 * n + i]) + update * h;
  });
}

// nn.GRU over a sentence of vectors, in both directions if the model has a second one: the state at each word, and the last ones joined.
export function gru(model, name, inputs) {
  const run = (suffix, order) => {
    let state = new Float64Array(model[`${name}.weight_hh${suffix}`].shape[1]);
    const states = [];
    for (const i of order) states[i] = state = gruStep(model, name, suffix, inputs[i], state);
    return { states, last: state };
  };
  const places = Array.from(inputs, (_, i) => i), there = run("_l0", places);
  if (!model[`${name}.weight_hh_l0_reverse`]) return there;
  const back = run("_l0_reverse", places.reverse());
  return { states: there.states.map((s, i) => join(s, back.states[i])), last: join(there.last, back.last) };
}

// nn.LayerNorm: the numbers of x with mean 0 and variance 1, then scaled and moved.
export function layerNorm(model, name, x, eps = 1e-5) {
  const mean = x.reduce((a, b) => a + b, 0) / x.length, spread = x.reduce((a, b) => a + (b - mean) ** 2, 0) / x.length;
  const { data: scale } = model[`${name}.weight`], move = model[`${name}.bias`]?.data, by = 1 / Math.sqrt(spread + eps);
  return Float64Array.from(x, (a, i) => (a - mean) * by * scale[i] + (move ? move[i] : 0));
}

// Attention with several heads, on rows that are projected already: each head has its own slice of every row, and scaled dot
// products. The contexts of the heads stand side by side; weights[head] has one row for each query.
export function multiHead(queries, keys, values, heads, mask) {
  const slice = (rows, head) => rows.map(row => row.slice((head * row.length) / heads, ((head + 1) * row.length) / heads));
  const looks = Array.from({ length: heads }, (_, head) => {
    const k = slice(keys, head), scores = slice(queries, head).map(q => k.map(key => dot(q, key) / Math.sqrt(q.length)));
    return attend(scores, slice(values, head), mask);
  });
  return { weights: looks.map(look => look.weights), context: queries.map((_, i) => join(...looks.map(look => look.context[i]))) };
}

// Say the most probable word until the end mark or `longest` words; step(token, state) gives { logits, state, … }.
export function greedy(step, state, { begin, end, longest }) {
  const tokens = [], steps = [];
  for (let token = begin; tokens.length < longest; tokens.push(token)) {
    const said = step(token, state);
    steps.push(said);
    state = said.state;
    token = argmax(said.logits);
    if (token === end) break;
  }
  return { tokens, steps };
}

// ---- Grammars

// Translate words by a synchronous grammar (the data that Python's Grammar gives): its target words and the links between
// the two sides. at: how many words could be read; next: the words that could stand there; ends: the lengths at which the
// sentence could stop. target is null when words are no whole sentence. A top-down search with a memo of what each symbol
// covers from each place; the rules that cannot begin with the word at hand are left out beforehand.
export function translate(grammar, words) {
  const { rules, first, begins } = tables(grammar), memo = words.map(() => new Map());
  let at = 0, next = new Set();
  const stop = (i, wanted) => {
    if (i > at) { at = i; next = new Set(); }
    if (i === at) for (const word of wanted) next.add(word);
    return [];
  };
  const cover = (head, i) => { // [end, { rule, kids }] for each place at which a phrase from i can end
    const fitting = begins.get(head).get(words[i]);
    if (!fitting) return stop(i, first(head));
    if (!memo[i].has(head)) {
      const ends = new Map();
      for (const rule of fitting) {
        let partial = [[i, []]];
        for (const symbol of rule.source) partial = partial.flatMap(([j, kids]) => read(symbol, j).map(([end, kid]) => [end, [...kids, kid]]));
        for (const [end, kids] of partial) ends.set(end, { rule, kids });
      }
      memo[i].set(head, [...ends]);
    }
    return memo[i].get(head);
  };
  const read = (symbol, i) => (rules.has(symbol) ? cover(symbol, i) : words[i] === symbol ? [[i + 1, i]] : stop(i, [symbol]));
  const ends = new Map(cover(grammar.start, 0)), tree = ends.get(words.length);
  for (const end of ends.keys()) stop(end, []);
  return { ...(tree ? say(grammar, rules, tree) : { target: null, links: null }), at, next: [...next], ends: [...ends.keys()] };
}

const prepared = new WeakMap();
function tables(grammar) { // rules by head; the words a symbol can begin with; the rules of a head that begin with a word
  if (!prepared.has(grammar)) {
    const rules = new Map(), firsts = new Map(), begins = new Map();
    for (const rule of grammar.rules) rules.set(rule.head, [...(rules.get(rule.head) ?? []), rule]);
    const first = symbol => {
      if (!rules.has(symbol)) return [symbol];
      if (!firsts.has(symbol)) firsts.set(symbol, new Set(rules.get(symbol).flatMap(rule => [...first(rule.source[0])])));
      return firsts.get(symbol);
    };
    for (const [head, all] of rules) {
      const by = new Map();
      for (const rule of all) for (const word of first(rule.source[0])) by.set(word, [...(by.get(word) ?? []), rule]);
      begins.set(head, by);
    }
    prepared.set(grammar, { rules, first, begins });
  }
  return prepared.get(grammar);
}

// A tree's target words, elided, and its links [source place, target place].
function say(grammar, rules, tree) {
  const build = ({ rule, kids }) => {
    const target = [], links = [];
    rule.target.forEach((symbol, j) => {
      const partners = rule.links.filter(link => link[1] === j).map(link => kids[link[0]]);
      if (rules.has(symbol)) {
        const part = build(partners[0]);
        links.push(...part.links.map(([s, t]) => [s, t + target.length]));
        target.push(...part.target);
      } else {
        links.push(...partners.map(s => [s, target.length]));
        target.push(symbol);
      }
    });
    return { target, links };
  };
  const { target, links } = build(tree), { words: short = {}, before = [] } = grammar.elision ?? {};
  const vowels = new Set(before);
  return { target: target.map((word, i) => (Object.hasOwn(short, word) && vowels.has(target[i + 1]) ? short[word] : word)), links };
}

// ---- Pages

const SVG = "http://www.w3.org/2000/svg";
const fill = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes ?? {}))
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  node.append(...children);
  return node;
};

// Give a widget's element its class and its name for screen readers.
export function frame(root, name) {
  root.classList.add("wa-widget");
  return fill(root, { role: "group", "aria-label": name }, []);
}

// An element with attributes, listeners (onclick: …) and children; strings become text, never markup.
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// A region that screen readers speak: say(text). The text is set a moment later, so that quick changes are said once.
export function speaker(root) {
  const node = h("div", { class: "wa-spoken", role: "status", "aria-live": "polite" });
  let wait;
  root.append(node);
  return text => { clearTimeout(wait); wait = setTimeout(() => { node.textContent = text; }, 150); };
}

// One stop of the Tab key for a list of elements; the arrow keys, Home and End move inside it. columns > 1 makes it a grid.
export function roving(list, { columns = 1, selector = "button" } = {}) {
  const items = () => [...list.querySelectorAll(selector)];
  const settle = to => items().forEach(item => { item.tabIndex = item === to ? 0 : -1; });
  list.addEventListener("keydown", event => {
    const all = items(), i = all.indexOf(event.target.closest(selector)), last = all.length - 1;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -i, End: last - i }[event.key];
    if (i < 0 || step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    settle(all[Math.max(0, Math.min(last, i + step))]);
    list.querySelector(`${selector}[tabindex="0"]`)?.focus();
  });
  list.addEventListener("focusin", event => settle(event.target.closest(selector)));
  return () => settle(items()[0]);
}

// The book's scale for weights in 0 … 1 as a CSS colour that follows the theme, and the ink that can be read on it.
export function weightColour(weight) {
  const place = 4 * Math.max(0, Math.min(1, weight || 0)), low = Math.min(3, Math.floor(place));
  return `color-mix(in oklab, var(--wa-weight-${low + 1}) ${(100 * (place - low)).toFixed(1)}%, var(--wa-weight-${low}))`;
}
export const weightInk = weight => (weight > 0.65 ? "var(--wa-paper)" : "var(--wa-ink)");

// A finger that holds a handle does not scroll the page; elsewhere on the picture it does. (touch-action on a part of an SVG has no effect.)
export const keepFinger = (picture, holds) => picture.addEventListener("touchstart", event => { if (holds()) event.preventDefault(); }, { passive: false });

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
