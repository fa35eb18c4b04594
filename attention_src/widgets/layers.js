import { add, argmax, embed, frame, greedy, h, layerNorm, linear, multiHead, roving, speaker, unpack, weightColour } from "./core.js";
import { LONGEST, goldCells, knownWords, plural, unique, writer } from "./sentence.js";

const BEGIN = "<s>", END = "</s>";
const LOOKS = { encoder: "source at itself", decoder: "target back at itself", cross: "target at source" };

// A sine and a cosine for each pair of numbers, as chapter 12 has them.
export const wave = (place, i, width) => (i % 2 ? Math.cos : Math.sin)(place * 10000 ** (-(i - (i % 2)) / width));

// The trained Transformer, its norms in front: what it says greedily for the numbers of the source words, and the weights of
// the three looks, [layer][head][row][column].
export function transform(model, source, heads, marks) {
  const width = model["read.weight"].shape[1], layers = Object.keys(model).filter(name => /^decoder\.\d+\.add_look\.norm\.weight$/.test(name)).length;
  const all = Array.from({ length: layers }, (_, layer) => layer);
  const placed = (name, word, at) => Float64Array.from(embed(model, name, word), (a, i) => a * Math.sqrt(width) + wave(at, i, width));
  const project = (at, part, rows) => rows.map(row => linear(model, `${at}.of_${part}`, row));
  const keep = (at, rows) => ({ key: project(at, "key", rows), value: project(at, "value", rows) });
  const look = (at, rows, kept) => {
    const { weights, context } = multiHead(project(at, "query", rows), kept.key, kept.value, heads);
    return { weights, found: context.map(row => linear(model, `${at}.out`, row)) };
  };
  const normed = (at, rows) => rows.map(row => layerNorm(model, at, row));
  const alone = (at, rows) => rows.map(row => add(row, linear(model, `${at}.alone.2`, linear(model, `${at}.alone.0`, layerNorm(model, `${at}.add_alone.norm`, row)).map(a => Math.max(a, 0)))));
  const sum = (rows, found) => rows.map((row, i) => add(row, found[i]));

  let x = source.map((word, i) => placed("read", word, i));
  const encoder = all.map(layer => {
    const at = `encoder.${layer}`, rows = normed(`${at}.add_look.norm`, x), looked = look(`${at}.itself`, rows, keep(`${at}.itself`, rows));
    x = alone(at, sum(x, looked.found));
    return looked.weights;
  });
  x = normed("read_norm", x);
  const read = all.map(layer => keep(`decoder.${layer}.source`, x));

  const step = (token, state) => { // state: for each layer the keys and values of the words before
    let y = [placed("said", token, state[0].key.length)];
    const own = [], cross = [], now = all.map(layer => {
      const at = `decoder.${layer}`, rows = normed(`${at}.add_look.norm`, y), fresh = keep(`${at}.itself`, rows);
      const kept = { key: [...state[layer].key, ...fresh.key], value: [...state[layer].value, ...fresh.value] };
      const back = look(`${at}.itself`, rows, kept);
      y = sum(y, back.found);
      const there = look(`${at}.source`, normed(`${at}.add_source.norm`, y), read[layer]);
      y = alone(at, sum(y, there.found));
      own.push(back.weights.map(rows => rows[0]));
      cross.push(there.weights.map(rows => rows[0]));
      return kept;
    });
    return { logits: linear(model, "readout", layerNorm(model, "said_norm", y[0])), state: now, own, cross };
  };
  const { tokens, steps } = greedy(step, all.map(() => ({ key: [], value: [] })), marks);
  const table = (name, long) => all.map(layer => Array.from({ length: heads }, (_, head) => tokens.map((_, i) => {
    const row = Array.from(steps[i][name][layer][head]);
    return long ? [...row, ...Array(tokens.length - row.length).fill(0)] : row;
  })));
  return { tokens, encoder, decoder: table("own", true), cross: table("cross", false) };
}

// The weights of one head, or with head 0 the mean of all.
export const headOf = (tables, head) => (head ? tables[head - 1] : tables[0].map((row, i) => Array.from(row, (_, j) => tables.reduce((total, table) => total + table[i][j], 0) / tables.length)));

// The number that can be shown, whatever an address said.
export const within = (x, least, most) => (Number.isInteger(x) ? Math.max(least, Math.min(most, x)) : least);

const label = word => (word === END ? "(end)" : word === BEGIN ? "(begin)" : word);

function render({ model, el }) {
  const get = name => model.get(name), grammar = get("grammar"), sourceWords = get("source_words"), targetWords = get("target_words"), heads = get("heads");
  const weights = unpack(get("weights")), number = new Map(sourceWords.map((word, i) => [word, i])), known = knownWords(grammar, sourceWords);
  const layers = Object.keys(weights).filter(name => /^decoder\.\d+\.add_look\.norm\.weight$/.test(name)).length, TRAITS = ["sentence", "look", "layer", "head", "at"];
  const marks = { begin: targetWords.indexOf(BEGIN), end: targetWords.indexOf(END), longest: 2 * LONGEST }, memo = new Map();
  const put = changes => { for (const [name, value] of Object.entries(changes)) model.set(name, value); model.save_changes(); };
  const write = text => put({ sentence: text });

  // -- the parts, made once
  const writing = writer({ label: "Write an English sentence", grammar, known, write, whole: show, broken });
  const examples = h("div", { class: "la-examples", role: "group", "aria-label": "Examples" }, "Examples ",
    ...get("examples").map((text, i) => h("button", { type: "button", title: text, "aria-label": `${i + 1}: ${text}`, onclick: () => write(text) }, i + 1)));
  const radios = (title, trait, values, names) => {
    const name = unique(trait), inputs = values.map(value => h("input", { type: "radio", name, value, onchange: () => put({ [trait]: value }) }));
    return { inputs, group: h("div", { class: "la-choice", role: "radiogroup", "aria-label": title }, h("b", { "aria-hidden": "true" }, title), ...inputs.map((input, i) => h("label", {}, input, ` ${names[i]}`))) };
  };
  const looks = radios("Look", "look", Object.keys(LOOKS), Object.values(LOOKS));
  const numbers = n => Array.from({ length: n }, (_, i) => i + 1);
  const layer = radios("Layer", "layer", numbers(layers), numbers(layers)), head = radios("Head", "head", [0, ...numbers(heads)], ["mean", ...numbers(heads)]);
  const said = h("p", { class: "la-said" }), top = h("div", { class: "la-head", "aria-hidden": "true" }), lines = h("div", { class: "la-lines", role: "group", "aria-label": "Each row and where it looks: choose one" });
  const legend = h("p", { class: "la-legend" }), where = h("p", { class: "la-where" }), settle = roving(lines);
  frame(el, "A sentence goes through a Transformer");
  el.append(...writing.parts, examples, said, h("div", { class: "la-controls" }, looks.group, layer.group, head.group), h("div", { class: "la-map" }, top, lines), legend, where);
  const say = speaker(el), draw = () => writing.show(get("sentence"));

  function broken(message) {
    for (const part of [said, top, lines, legend, where]) part.replaceChildren();
    say(message);
  }

  function show(words, parse) {
    const key = words.join(" ");
    writing.offer(words, words.length, [], []);
    if (!memo.has(key)) memo.set(key, transform(weights, words.map(word => number.get(word)), heads, marks));
    const seen = memo.get(key), target = seen.tokens.map(token => targetWords[token]), fed = [BEGIN, ...target].slice(0, target.length);
    const look = LOOKS[get("look")] ? get("look") : "cross", at = within(get("layer"), 1, layers), which = within(get("head"), 0, heads);
    const [rows, columns] = { encoder: [words, words], decoder: [fed, fed], cross: [target, words] }[look];
    for (const [{ inputs }, value] of [[looks, look], [layer, at], [head, which]]) inputs.forEach(input => { input.checked = input.value === String(value); });
    const table = rows.length ? headOf(seen[look][at - 1], which) : [], chosen = within(get("at"), 0, rows.length - 1);
    const gold = look === "cross" ? goldCells(parse.target, target, parse.links) : new Set();
    said.replaceChildren("It says: ", h("span", { lang: "fr" }, target.join(" ") || "(nothing)"), target.join(" ") === parse.target.join(" ") ? " – right." : " – true: ",
      ...(target.join(" ") === parse.target.join(" ") ? [] : [h("span", { lang: "fr" }, parse.target.join(" "))]));

    // -- the table
    el.style.setProperty("--count", columns.length);
    top.replaceChildren(h("span", {}), ...columns.map(word => h("span", {}, h("span", {}, label(word)))));
    const focused = lines.contains(document.activeElement);
    lines.replaceChildren(...rows.map((word, q) => {
      const best = argmax(table[q]);
      return h("button", { type: "button", "aria-pressed": String(q === chosen), "aria-label": `${label(word)}, looks most at ${label(columns[best])}, ${table[q][best].toFixed(3)}`, onclick: () => put({ at: q }) },
        h("span", { class: "la-word" }, label(word)),
        ...Array.from(table[q], (weight, k) => h("span", { class: look === "decoder" && k > q ? "la-cell la-masked" : gold.has(`${q} ${k}`) ? "la-cell la-gold" : "la-cell", style: look === "decoder" && k > q ? "" : `background:${weightColour(weight)}` })));
    }));
    settle();
    const pressed = lines.children[chosen];
    for (const line of lines.children) line.tabIndex = line === pressed ? 0 : -1;
    if (focused) pressed?.focus();
    legend.replaceChildren({ encoder: "A row: a word of the source, and where it looks.", decoder: "A row: a word that was fed in, and where it looks back.", cross: "A row: a word that is said, and where its step looks. Outlined: the true links." }[look]);
    const row = table[chosen], some = row ? Array.from(row.keys()).sort((a, b) => row[b] - row[a] || a - b).slice(0, 3).filter(k => look !== "decoder" || k <= chosen) : [];
    const text = some.map(k => `${label(columns[k])} ${row[k].toFixed(3)}`).join(", ");
    where.replaceChildren(...(row ? [h("b", {}, label(rows[chosen])), ` looks at ${text}.`] : []));
    const hits = [...gold].filter(cell => { const [q, k] = cell.split(" ").map(Number); return argmax(table[q]) === k; }).length;
    if (look === "cross") where.append(` ${hits} of ${plural(gold.size, "true link")} have the largest weight of their row.`);
    say(`${LOOKS[look]}, layer ${at}, ${which ? `head ${which}` : "mean of the heads"}. ${row ? `${label(rows[chosen])} looks at ${text}.` : ""}`);
  }

  for (const trait of TRAITS) model.on(`change:${trait}`, draw);
  draw();
  return () => { for (const trait of TRAITS) model.off(`change:${trait}`, draw); };
}

export default { render, address: ["sentence", "look", "layer", "head", "at"] };
