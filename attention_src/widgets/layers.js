import { add, argmax, embed, frame, greedy, h, layerNorm, linear, multiHead, roving, speaker, unpack, weightColour } from "./core.js";
import { LONGEST, goldCells, knownWords, plural, unique, writer } from "./sentence.js";
import { wave } from "./waves.js";

const BEGIN = "<s>", END = "</s>", PAD = "<pad>", MOST = 8;
const LOOKS = { encoder: "source at itself", decoder: "target back at itself", cross: "target at source" };

const TRAITS = ["sentence", "look", "layer", "head", "at", "causal", "padding", "padding_mask", "off"];

// The layers of a model.
const depth = model => Object.keys(model).filter(name => /^decoder\.\d+\.add_look\.norm\.weight$/.test(name)).length;

// The trained Transformer, its norms in front: what it says greedily for the numbers of the source words, and the weights of
// the three looks, [layer][head][row][column]. Behind the words stand `padding` places with the number `pad`, hidden by
// the padding mask or not. A head that is `off` ("cross 2 1") still looks, but what it finds is multiplied by zero.
export function transform(model, words, heads, marks, { pad = 0, padding = 0, paddingMask = true, causal = true, off = [] } = {}) {
  const width = model["read.weight"].shape[1], all = Array.from({ length: depth(model) }, (_, layer) => layer);
  const source = [...words, ...Array(padding).fill(pad)], open = source.map((_, i) => i < words.length || !paddingMask);
  const placed = (name, word, at) => add(Float64Array.from(embed(model, name, word), a => a * Math.sqrt(width)), wave(at, width));
  const project = (at, part, rows) => rows.map(row => linear(model, `${at}.of_${part}`, row));
  const keep = (at, rows) => ({ key: project(at, "key", rows), value: project(at, "value", rows) });
  const look = (at, rows, kept, name, mask) => { // mask: for each key whether it can be seen
    const { weights, context } = multiHead(project(at, "query", rows), kept.key, kept.value, heads, mask && rows.map(() => mask));
    const silent = Array.from({ length: heads }, (_, head) => off.includes(`${name} ${head + 1}`));
    return { weights, found: context.map(row => linear(model, `${at}.out`, row.map((a, i) => (silent[Math.floor((i * heads) / width)] ? 0 : a)))) };
  };
  const normed = (at, rows) => rows.map(row => layerNorm(model, at, row));
  const alone = (at, rows) => rows.map(row => add(row, linear(model, `${at}.alone.2`, linear(model, `${at}.alone.0`, layerNorm(model, `${at}.add_alone.norm`, row)).map(a => Math.max(a, 0)))));
  const sum = (rows, found) => rows.map((row, i) => add(row, found[i]));

  let x = source.map((word, i) => placed("read", word, i));
  const encoder = all.map(layer => {
    const at = `encoder.${layer}`, rows = normed(`${at}.add_look.norm`, x), looked = look(`${at}.itself`, rows, keep(`${at}.itself`, rows), `encoder ${layer + 1}`, open);
    x = alone(at, sum(x, looked.found));
    return looked.weights.map(table => table.slice(0, words.length));
  });
  x = normed("read_norm", x);
  const read = all.map(layer => keep(`decoder.${layer}.source`, x));

  // Read words of the target behind those whose keys and values are kept, for each layer; each looks at all there are.
  const nothing = all.map(() => ({ key: [], value: [] }));
  const follow = (tokens, before) => {
    let y = tokens.map((token, i) => placed("said", token, before[0].key.length + i));
    const own = [], cross = [], kept = all.map(layer => {
      const at = `decoder.${layer}`, rows = normed(`${at}.add_look.norm`, y), fresh = keep(`${at}.itself`, rows);
      const now = { key: [...before[layer].key, ...fresh.key], value: [...before[layer].value, ...fresh.value] };
      const back = look(`${at}.itself`, rows, now, `decoder ${layer + 1}`);
      y = sum(y, back.found);
      const there = look(`${at}.source`, normed(`${at}.add_source.norm`, y), read[layer], `cross ${layer + 1}`, open);
      y = alone(at, sum(y, there.found));
      own.push(back.weights);
      cross.push(there.weights);
      return now;
    });
    return { logits: linear(model, "readout", layerNorm(model, "said_norm", y.at(-1))), kept, own, cross };
  };
  // With the causal mask no word sees a later one, so what it computed is kept. Without it, each step reads all again.
  const step = causal ? (token, kept) => { const now = follow([token], kept); return { ...now, state: now.kept }; }
    : (token, said) => { const state = [...said, token]; return { ...follow(state, nothing), state }; };
  const { tokens, steps } = greedy(step, causal ? nothing : [], marks);
  const table = name => all.map(layer => Array.from({ length: heads }, (_, head) => tokens.map((_, i) => {
    if (!causal) return Array.from(steps[tokens.length - 1][name][layer][head][i]);
    const row = Array.from(steps[i][name][layer][head][0]);
    return name === "own" ? [...row, ...Array(tokens.length - row.length).fill(0)] : row;
  })));
  return { tokens, encoder, decoder: table("own"), cross: table("cross") };
}

// The weights of one head, or with head 0 the mean of all.
export const headOf = (tables, head) => (head ? tables[head - 1] : tables[0].map((row, i) => Array.from(row, (_, j) => tables.reduce((total, table) => total + table[i][j], 0) / tables.length)));

// The number that can be shown, whatever an address said.
export const within = (x, least, most) => (Number.isInteger(x) ? Math.max(least, Math.min(most, x)) : least);

// The switches, whatever an address said: heads of one of the looks, each once.
export function switches({ layers, heads, causal, padding, paddingMask, off }) {
  const known = Object.keys(LOOKS).flatMap(look => Array.from({ length: layers * heads }, (_, i) => `${look} ${Math.floor(i / heads) + 1} ${(i % heads) + 1}`));
  return { causal: causal !== false, padding: within(padding, 0, MOST), paddingMask: paddingMask !== false, off: known.filter(name => Array.isArray(off) && off.includes(name)) };
}

// The share of all weights that lies on some cells.
const leaks = (table, hidden) => `${((100 * table.reduce((total, row, q) => total + row.reduce((sum, weight, k) => sum + (hidden(q, k) ? weight : 0), 0), 0)) / table.length).toFixed(1)} %`;

const label = word => ({ [END]: "(end)", [BEGIN]: "(begin)", [PAD]: "(pad)" })[word] ?? word;

function render({ model, el }) {
  const get = name => model.get(name), grammar = get("grammar"), sourceWords = get("source_words"), targetWords = get("target_words"), heads = get("heads");
  const weights = unpack(get("weights")), number = new Map(sourceWords.map((word, i) => [word, i])), known = knownWords(grammar, sourceWords);
  const layers = depth(weights), pad = sourceWords.indexOf(PAD);
  const state = () => switches({ layers, heads, causal: get("causal"), padding: get("padding"), paddingMask: get("padding_mask"), off: get("off") });
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
  const box = (text, trait) => { const input = h("input", { type: "checkbox", onchange: () => put({ [trait]: input.checked }) }); return { input, node: h("label", {}, input, ` ${text}`) }; };
  const causal = box("causal mask", "causal"), hides = box("padding mask", "padding_mask");
  const slider = h("input", { type: "range", min: 0, max: MOST, step: 1, "aria-label": "Padded places behind the sentence", oninput: () => put({ padding: Number(slider.value) }) });
  const count = h("output", { class: "la-count" }), toggles = h("div", { class: "la-toggles", role: "group" }), settleToggles = roving(toggles);
  toggles.append(...numbers(heads).map(one => h("button", { type: "button", onclick: () => {
    const { off } = state(), name = `${shown.look} ${shown.layer} ${one}`;
    put({ off: off.includes(name) ? off.filter(other => other !== name) : [...off, name] });
  } }, one)));
  const reset = h("button", { type: "button", onclick: () => { put({ causal: true, padding: 0, padding_mask: true, off: [] }); } }, "All as in training");
  const panel = h("div", { class: "la-switches", role: "group", "aria-label": "Masks and heads that are on" },
    h("div", { class: "la-choice" }, h("b", { "aria-hidden": "true" }, "Masks"), causal.node, hides.node),
    h("div", { class: "la-choice" }, h("b", { "aria-hidden": "true" }, "Padding"), slider, count),
    h("div", { class: "la-choice" }, h("b", { "aria-hidden": "true" }, "Heads on"), toggles, reset));
  const shown = { look: "cross", layer: 1 }, silenced = h("p", { class: "la-off" }), changed = h("p", { class: "la-changed" });
  const said = h("p", { class: "la-said" }), top = h("div", { class: "la-head", "aria-hidden": "true" }), lines = h("div", { class: "la-lines", role: "group", "aria-label": "Each row and where it looks: choose one" });
  const legend = h("p", { class: "la-legend" }), where = h("p", { class: "la-where" }), settle = roving(lines);
  frame(el, "A sentence goes through a Transformer");
  el.append(...writing.parts, examples, said, changed, h("div", { class: "la-controls" }, looks.group, layer.group, head.group), panel, silenced, h("div", { class: "la-map" }, top, lines), legend, where);
  const say = speaker(el), draw = () => writing.show(get("sentence"));

  function broken(message) {
    for (const part of [said, changed, top, lines, legend, where]) part.replaceChildren();
    say(message);
  }

  function transformed(words, now) {
    const key = JSON.stringify([words, now]);
    if (memo.size > 99) memo.clear();
    if (!memo.has(key)) memo.set(key, transform(weights, words.map(word => number.get(word)), heads, { ...marks, longest: now.causal ? 2 * LONGEST : LONGEST }, { pad, ...now })); // to read all again takes longer
    return memo.get(key);
  }

  function showSwitches({ causal: back, padding, paddingMask, off }, look, at) {
    Object.assign(shown, { look, layer: at });
    causal.input.checked = back;
    hides.input.checked = paddingMask;
    slider.value = padding;
    count.replaceChildren(plural(padding, "place"));
    const here = one => off.includes(`${look} ${at} ${one}`);
    toggles.setAttribute("aria-label", `Heads that are on: ${LOOKS[look]}, layer ${at}`);
    [...toggles.children].forEach((button, i) => { button.setAttribute("aria-pressed", String(!here(i + 1))); button.setAttribute("aria-label", `Head ${i + 1} is ${here(i + 1) ? "off" : "on"}`); });
    reset.disabled = back && paddingMask && !padding && !off.length;
    silenced.replaceChildren(off.length ? `Off: ${off.map(name => { const [where, layer, one] = name.split(" "); return `${LOOKS[where]}, layer ${layer}, head ${one}`; }).join("; ")}.` : "");
  }

  function show(words, parse) {
    const now = state(), usual = transformed(words, switches({ layers, heads })), seen = transformed(words, now), target = seen.tokens.map(token => targetWords[token]);
    writing.offer(words, words.length, [], []);
    const read = [...words, ...Array(now.padding).fill(PAD)], fed = [BEGIN, ...target].slice(0, target.length);
    const look = LOOKS[get("look")] ? get("look") : "cross", at = within(get("layer"), 1, layers), which = within(get("head"), 0, heads);
    const [rows, columns] = { encoder: [words, read], decoder: [fed, fed], cross: [target, read] }[look];
    for (const [{ inputs }, value] of [[looks, look], [layer, at], [head, which]]) inputs.forEach(input => { input.checked = input.value === String(value); });
    showSwitches(now, look, at);
    const table = rows.length ? headOf(seen[look][at - 1], which) : [], chosen = within(get("at"), 0, rows.length - 1);
    const gold = look === "cross" ? goldCells(parse.target, target, parse.links) : new Set();
    said.replaceChildren("It says: ", h("span", { lang: "fr" }, target.join(" ") || "(nothing)"), target.join(" ") === parse.target.join(" ") ? " – right." : " – true: ",
      ...(target.join(" ") === parse.target.join(" ") ? [] : [h("span", { lang: "fr" }, parse.target.join(" "))]));

    const plain = usual.tokens.map(token => targetWords[token]).join(" "), touched = !now.causal || now.padding > 0 || !now.paddingMask || now.off.length > 0;
    const news = !touched ? "" : plain === target.join(" ") ? "The same as with both masks and all heads on." : `With both masks and all heads on: ${plain}`;
    changed.replaceChildren(news.startsWith("With") ? h("span", {}, "With both masks and all heads on: ", h("span", { lang: "fr" }, plain)) : news);

    // -- the table
    el.style.setProperty("--count", columns.length);
    top.replaceChildren(h("span", {}), ...columns.map(word => h("span", {}, h("span", {}, label(word)))));
    const focused = lines.contains(document.activeElement), masked = (q, k) => (look === "decoder" ? now.causal && k > q : now.paddingMask && k >= words.length);
    lines.replaceChildren(...rows.map((word, q) => {
      const best = argmax(table[q]);
      return h("button", { type: "button", "aria-pressed": String(q === chosen), "aria-label": `${label(word)}, looks most at ${label(columns[best])}, ${table[q][best].toFixed(3)}`, onclick: () => put({ at: q }) },
        h("span", { class: "la-word" }, label(word)),
        ...Array.from(table[q], (weight, k) => h("span", { class: masked(q, k) ? "la-cell la-masked" : gold.has(`${q} ${k}`) ? "la-cell la-gold" : "la-cell", style: masked(q, k) ? "" : `background:${weightColour(weight)}` })));
    }));
    settle();
    const pressed = lines.children[chosen];
    for (const line of lines.children) line.tabIndex = line === pressed ? 0 : -1;
    if (focused) pressed?.focus();
    legend.replaceChildren({ encoder: "A row: a word of the source, and where it looks.", decoder: now.causal ? "A row: a word that was fed in, and where it looks back." : "A row: a word that was fed in, and where it looks, ahead too. Each step reads all words said so far again; these are the weights of the last.", cross: "A row: a word that is said, and where its step looks. Outlined: the true links." }[look]);
    const row = table[chosen], some = row ? Array.from(row.keys()).sort((a, b) => row[b] - row[a] || a - b).slice(0, 3).filter(k => !masked(chosen, k)) : [];
    const text = some.map(k => `${label(columns[k])} ${row[k].toFixed(3)}`).join(", ");
    where.replaceChildren(...(row ? [h("b", {}, label(rows[chosen])), ` looks at ${text}.`] : []));
    const hits = [...gold].filter(cell => { const [q, k] = cell.split(" ").map(Number); return argmax(table[q]) === k; }).length;
    if (look === "cross") where.append(` ${hits} of ${plural(gold.size, "true link")} have the largest weight of their row.`);
    const leak = !row ? "" : look !== "decoder" && now.padding ? ` ${leaks(table, (_, k) => k >= words.length)} of all weight lies on padding.` : look === "decoder" && !now.causal ? ` ${leaks(table, (q, k) => k > q)} of all weight lies on later words.` : "";
    where.append(leak);
    say(`${LOOKS[look]}, layer ${at}, ${which ? `head ${which}` : "mean of the heads"}. ${row ? `${label(rows[chosen])} looks at ${text}.` : ""}${leak}${touched ? ` It says: ${target.join(" ") || "(nothing)"}. ${news}` : ""}`);
  }

  settleToggles();
  for (const trait of TRAITS) model.on(`change:${trait}`, draw);
  draw();
  return () => { for (const trait of TRAITS) model.off(`change:${trait}`, draw); };
}

export default { render, address: TRAITS };
