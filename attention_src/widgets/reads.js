import { add, embed, frame, h, layerNorm, linear, multiHead, roving, softmax, speaker, unpack, weightColour } from "./core.js";
import { knownWords, plural, read, unique, writer } from "./sentence.js";

const TOP = 5, MOST = 3, BEGIN = "<s>", END = "</s>";

// The trained language model over the numbers of the begin mark and the words: for each layer the weights, one row for each
// place, and for each place the probabilities of the next word.
export function understand(model, numbers, causal) {
  const places = numbers.map((_, i) => i), mask = causal ? places.map(q => places.map(k => k <= q)) : undefined, weights = [];
  let x = numbers.map((word, i) => add(Float64Array.from(embed(model, "embed", word)), embed(model, "place", i)));
  for (let block = 0; model[`blocks.${block}.before.weight`]; block++) {
    const at = `blocks.${block}`, normed = x.map(row => layerNorm(model, `${at}.before`, row));
    const [query, key, value] = ["query", "key", "value"].map(part => normed.map(row => linear(model, `${at}.mixer.of_${part}`, row)));
    const looked = multiHead(query, key, value, 1, mask);
    weights.push(looked.weights[0]);
    x = x.map((row, i) => add(row, looked.context[i]));
    x = x.map(row => {
      const hidden = linear(model, `${at}.alone.0`, layerNorm(model, `${at}.between`, row)).map(a => Math.max(a, 0));
      return add(row, linear(model, `${at}.alone.2`, hidden));
    });
  }
  return { weights, next: x.map(row => softmax(linear(model, "readout", layerNorm(model, "norm", row)))) };
}

// The places of the largest numbers, largest first.
export const largest = (numbers, count) => Array.from(numbers.keys()).sort((a, b) => numbers[b] - numbers[a] || a - b).slice(0, count);

// The layer and the place that can be shown, whatever an address said.
export const within = (x, most) => (Number.isInteger(x) ? Math.max(0, Math.min(most, x)) : most);

const label = word => (word === END ? "(end)" : word === BEGIN ? "(begin)" : word);
const share = p => (p >= 0.0005 ? p.toFixed(3) : "<0.001");

function render({ model, el }) {
  const get = name => model.get(name), words = get("words"), grammar = get("grammar"), longest = get("longest"), weights = unpack(get("weights"));
  const number = new Map(words.map((word, i) => [word, i])), known = knownWords(grammar, words), TRAITS = ["sentence", "layer", "causal", "at"];
  const layers = Object.keys(weights).filter(name => name.endsWith(".before.weight")).length;
  const put = changes => { for (const [name, value] of Object.entries(changes)) model.set(name, value); model.save_changes(); };
  const write = text => put({ sentence: text, at: longest });

  // -- the parts, made once
  let note = "";
  const writing = writer({ label: "Write an English sentence", grammar, known, write, whole: () => { note = ""; writing.offer([], 0, [], []); }, broken: text => { note = text; } });
  const examples = h("div", { class: "re-examples", role: "group", "aria-label": "Examples" }, "Examples ",
    ...get("examples").map((text, i) => h("button", { type: "button", title: text, "aria-label": `${i + 1}: ${text}`, onclick: () => write(text) }, i + 1)));
  const name = unique("layer"), choices = Array.from({ length: layers }, (_, i) => h("input", { type: "radio", name, value: i + 1, onchange: () => put({ layer: i + 1 }) }));
  const mask = h("input", { type: "checkbox", onchange: () => put({ causal: mask.checked }) });
  const controls = h("div", { class: "re-controls" },
    h("span", { role: "radiogroup", "aria-label": "Layer", class: "re-layers" }, ...choices.map((input, i) => h("label", {}, input, ` Layer ${i + 1}`))),
    h("label", { class: "re-mask" }, mask, " Causal mask"));
  const warning = h("p", { class: "re-warning" });
  const head = h("div", { class: "re-head", "aria-hidden": "true", lang: "en" }), lines = h("div", { class: "re-lines", role: "group", "aria-label": "Each word and where it looks: choose one" });
  const map = h("div", { class: "re-map" }, head, lines), settle = roving(lines);
  const legend = h("p", { class: "re-legend" }, "A row: a word and where it looks. The stronger the colour, the more weight.");
  const where = h("p", { class: "re-where" }), tops = h("div", { class: "re-tops", role: "group", lang: "en" }), truth = h("p", { class: "re-truth" });
  frame(el, "A language model reads a sentence");
  el.append(...writing.parts, examples, controls, warning, map, legend, where, tops, truth);
  const say = speaker(el);

  function show() {
    writing.show(get("sentence"));
    const typed = read(get("sentence"), known), unknown = typed.findIndex(word => !known.has(word));
    const taken = typed.slice(0, unknown < 0 ? longest : Math.min(unknown, longest)), all = [BEGIN, ...taken];
    const causal = get("causal") !== false, layer = within(get("layer") - 1, layers - 1), at = within(get("at"), all.length - 1);
    const seen = understand(weights, all.map(word => number.get(word)), causal), table = seen.weights[layer], count = all.length;
    choices.forEach((input, i) => { input.checked = i === layer; });
    mask.checked = causal;
    warning.replaceChildren(typed.length > longest && unknown < 0 ? `It learned ${longest} places: the words behind are not read.`
      : causal ? "" : "Without the mask a word sees the words behind it, and so the one that it should predict. The model was never trained like this.");

    // -- the triangle
    el.style.setProperty("--count", count);
    head.replaceChildren(h("span", {}), ...all.map(word => h("span", {}, h("span", {}, label(word)))));
    const focused = lines.contains(document.activeElement);
    lines.replaceChildren(...all.map((word, q) => {
      const best = largest(table[q], 1)[0];
      return h("button", { type: "button", "aria-pressed": String(q === at), "aria-label": `${label(word)}, looks most at ${label(all[best])}, ${share(table[q][best])}`, onclick: () => put({ at: q }) },
        h("span", { class: "re-word", lang: "en" }, label(word)),
        ...table[q].map((weight, k) => h("span", { class: causal && k > q ? "re-cell re-masked" : "re-cell", style: causal && k > q ? "" : `background:${weightColour(weight)}` })));
    }));
    settle();
    const pressed = lines.children[at];
    for (const line of lines.children) line.tabIndex = line === pressed ? 0 : -1;
    if (focused) pressed.focus();

    // -- the chosen word
    const some = largest(table[at], Math.min(MOST, causal ? at + 1 : count)), looks = some.map(k => `${label(all[k])} ${share(table[at][k])}`).join(", ");
    where.replaceChildren(h("b", {}, label(all[at])), ` looks at ${looks}.`);
    const chances = seen.next[at], best = largest(chances, TOP), before = taken.slice(0, at);
    const following = at < taken.length ? taken[at] : undefined;
    tops.setAttribute("aria-label", `Most probable words after ${label(all[at])}: choose one to write on`);
    const busy = tops.contains(document.activeElement) ? [...tops.children].indexOf(document.activeElement) : -1;
    tops.replaceChildren(...best.map(i => h("button", { type: "button", style: `--chance:${(100 * chances[i]).toFixed(1)}%`, class: words[i] === following ? "re-true" : "",
      "aria-disabled": String(!known.has(words[i]) || at >= longest), onclick: () => { if (known.has(words[i]) && at < longest) write([...before, words[i]].join(" ") + " "); } },
      h("span", {}, label(words[i])), h("span", { class: "re-chance" }, share(chances[i])))));
    if (busy >= 0) tops.children[Math.min(busy, best.length - 1)].focus();
    const real = following ? `The next word here is “${following}”: ${share(chances[number.get(following)])}.` : "Choose a word to write on.";
    truth.replaceChildren(real);
    say(`${note ? `${note} ` : ""}${plural(taken.length, "word")}. ${label(all[at])} looks at ${looks}. Next: ${best.slice(0, 3).map(i => `${label(words[i])} ${share(chances[i])}`).join(", ")}. ${following ? real : ""}`);
  }

  for (const trait of TRAITS) model.on(`change:${trait}`, show);
  show();
  return () => { for (const trait of TRAITS) model.off(`change:${trait}`, show); };
}

export default { render, address: ["sentence", "layer", "causal", "at"] };
