import { argmax, frame, greedy, h, roving, speaker, unpack, weightColour } from "./core.js";
import { translator } from "./decoders.js";
import { LONGEST, compare, goldCells, knownWords, plural, unique, writer } from "./sentence.js";

// The translators of a page by name: their tensors travel as one, each behind its number.
export function translators(weights, kinds) {
  const all = Object.entries(unpack(weights));
  return kinds.map(([name, kind], place) => {
    const own = all.filter(([tensor]) => tensor.startsWith(`${place}.`)).map(([tensor, data]) => [tensor.slice(`${place}.`.length), data]);
    return { name, run: translator(Object.fromEntries(own), kind) };
  });
}

// What a translator says, word by word, and where it looked: weights is null without attention.
export function answer(run, source, words) {
  const { state, step } = run(source);
  const { tokens, steps } = greedy(step, state, { begin: words.indexOf("<s>"), end: words.indexOf("</s>"), longest: 2 * LONGEST });
  return { words: tokens.map(token => words[token]), weights: steps[0].weights ? tokens.map((_, i) => steps[i].weights) : null };
}

// Beside the truth: the columns of the comparison; the row of each true word, undefined where it was not said or said wrong;
// the true links as cells; for how many right words that have a link the largest weight is on a linked word.
export function judge({ words, weights }, { target, links }) {
  const columns = compare(target, words), gold = goldCells(target, words, links), rows = [];
  let row = 0;
  for (const [truth, said] of columns) {
    if (truth !== undefined) rows.push(said === undefined ? undefined : row);
    if (said !== undefined) row++;
  }
  const linked = new Set([...gold].map(cell => cell.split(" ")[0]));
  const hits = weights ? [...linked].filter(i => gold.has(`${i} ${argmax(weights[i])}`)).length : 0;
  return { columns, gold, rows, linked: linked.size, hits, right: columns.filter(([a, b]) => a === b).length };
}

const percent = x => (x >= 0.995 ? "100 %" : x < 0.005 ? "0 %" : `${Math.round(100 * x)} %`);

function render({ model, el }) {
  const get = name => model.get(name), grammar = get("grammar"), sourceWords = get("source_words"), targetWords = get("target_words");
  const number = new Map(sourceWords.map((word, i) => [word, i])), known = knownWords(grammar, sourceWords);
  const runs = translators(get("weights"), get("kinds")), memo = new Map(); // sentence -> what each says

  // -- the parts, made once
  const writing = writer({ label: "Write an English sentence", grammar, known, write, whole: show, broken });
  const examples = h("div", { class: "sd-examples", role: "group", "aria-label": "Examples by number of words" }, "Examples by number of words ",
    ...get("examples").map(text => [text, text.split(" ").length]).sort((a, b) => a[1] - b[1]).map(([text, length]) =>
      h("button", { type: "button", "aria-label": plural(length, "word"), onclick: () => write(text) }, length)));
  const hint = h("p", { class: "sd-hint" }, "Choose a word of the true translation. Each translator shows where it looked for it.");
  const truth = h("div", { class: "sd-truth", role: "group", "aria-label": "The true translation: choose a word", lang: "fr" });
  const cards = runs.map(({ name }) => {
    const id = unique("card"), parts = { score: h("p", { class: "sd-score" }), said: h("ol", { class: "sd-said", lang: "fr", "aria-label": `What ${name} says` }), map: h("div", { class: "sd-map" }), note: h("p", { class: "sd-note" }) };
    return { ...parts, box: h("section", { class: "sd-card", "aria-labelledby": id }, h("p", { id, class: "sd-name" }, name), ...Object.values(parts)) };
  });
  const work = h("div", {}, hint, truth, h("div", { class: "sd-cards" }, ...cards.map(card => card.box)));
  frame(el, "Three translators side by side");
  el.append(...writing.parts, examples, work);
  const say = speaker(el), settle = roving(truth);
  truth.addEventListener("focusin", event => { const to = [...truth.children].indexOf(event.target) + 1; if (to) go(to); });

  // -- what the reader does
  function put(values) { model.set(values); model.save_changes(); }
  function write(text) { put({ at: 1, sentence: text }); }
  function go(to) { if (to !== get("at")) put({ at: to }); }

  // -- what is shown
  let key = "", now = null;
  const draw = () => writing.show(get("sentence"));

  function broken(message) {
    work.hidden = true;
    [key, now] = ["", null];
    say(message);
  }

  function show(source, parse) {
    writing.offer(source, source.length, [], []);
    work.hidden = false;
    const text = source.join(" ");
    if (text !== key) {
      if (!memo.has(text)) memo.set(text, runs.map(({ run }) => { const said = answer(run, source.map(word => number.get(word)), targetWords); return { ...said, ...judge(said, parse) }; }));
      [key, now] = [text, { source, parse, all: memo.get(text) }];
      showTruth();
      now.all.forEach((one, i) => showCard(cards[i], one));
    }
    showWord();
  }

  function showTruth() {
    const { target } = now.parse;
    truth.replaceChildren(...target.map((word, j) => h("button", { type: "button", "aria-pressed": "false", onclick: () => go(j + 1) }, word)));
    settle();
  }

  function showCard({ score, said, map, box }, { words, weights, columns, gold, right, hits, linked }) {
    const total = now.parse.target.length;
    score.replaceChildren(h("strong", {}, `${right} of ${total}`), " words right", ...(weights ? [h("br"), h("strong", {}, `${hits} of ${linked}`), " look most at a linked word"] : []));
    said.replaceChildren(...columns.map(([true_, word]) => {
      const fault = true_ === word ? "" : true_ === undefined ? "too much" : word === undefined ? "missing" : "wrong";
      return h("li", { class: fault ? "sd-wrong" : "" }, ...(fault ? [h("span", { "aria-hidden": "true" }, "✗"), h("span", { class: "wa-spoken", lang: "en" }, `${fault}: `)] : []), word ?? "–");
    }));
    box.classList.toggle("sd-blind", !weights);
    map.replaceChildren();
    if (!weights) return map.append(h("p", {}, "It looks at nothing: one vector, the same at every step."));
    const n = now.source.length, small = n > 12;
    map.style.setProperty("--count", n);
    map.classList.toggle("sd-small", small);
    map.append(h("div", { class: "sd-line sd-words", "aria-hidden": "true", lang: "en" }, h("span"), ...now.source.map(word => h("span", {}, small ? "" : h("span", {}, word)))),
      ...words.map((word, i) => {
        const line = h("div", { class: "sd-line", "aria-hidden": "true", lang: "fr" }, h("span", { class: "sd-row" }, word), ...now.source.map((_, j) => h("span", { class: gold.has(`${i} ${j}`) ? "sd-gold" : "" })));
        weights[i].forEach((weight, j) => { line.children[j + 1].style.background = weightColour(weight); });
        return line;
      }));
  }

  function showWord() {
    const { source, parse: { target, links }, all } = now, at = Math.max(1, Math.min(target.length, Math.round(get("at")) || 1));
    [...truth.children].forEach((button, j) => { button.setAttribute("aria-pressed", j === at - 1); if (j === at - 1) truth.querySelectorAll("button").forEach(one => { one.tabIndex = one === button ? 0 : -1; }); });
    const linked = links.filter(link => link[1] === at - 1).map(link => source[link[0]]);
    const told = all.map((one, i) => {
      const { said, map, note } = cards[i], row = one.rows[at - 1], column = nth(one.columns, at);
      [...said.children].forEach((item, c) => item.classList.toggle("sd-now", c === column));
      map.querySelectorAll(".sd-row").forEach((label, r) => label.parentNode.classList.toggle("sd-now", r === row));
      const text = row === undefined ? ["has no word for it."] : [h("b", { lang: "fr" }, one.words[row]), one.words[row] === target[at - 1] ? " ✓" : " ✗"];
      const best = row === undefined || !one.weights ? [] : [...one.weights[row].keys()].sort((a, b) => one.weights[row][b] - one.weights[row][a]).slice(0, 3).filter(j => one.weights[row][j] >= 0.005);
      note.replaceChildren(...text, ...(best.length ? [" looks at ", ...best.flatMap((j, k) => [k ? ", " : "", h("span", { class: "sd-source", lang: "en" }, source[j]), ` ${percent(one.weights[row][j])}`])] : []));
      return `${runs[i].name}: ${note.textContent.replace("✓", "right").replace("✗", "wrong")}`;
    });
    hint.replaceChildren("Choose a word of the true translation. ", h("b", { lang: "fr" }, target[at - 1]), linked.length ? " comes from " : " comes from no single word",
      ...linked.flatMap((word, k) => [k ? " and " : "", h("b", { class: "sd-source", lang: "en" }, word)]), ".");
    say(`Word ${at} of ${target.length}, ${target[at - 1]}, ${linked.length ? `from ${linked.join(" and ")}` : "from no single word"}. ${told.join(". ")}`);
  }

  function nth(columns, at) { // the column of the true word number at
    let seen = 0;
    return columns.findIndex(([true_]) => true_ !== undefined && ++seen === at);
  }

  const TRAITS = ["sentence", "at"];
  for (const name of TRAITS) model.on(`change:${name}`, draw);
  draw();
  return () => { for (const name of TRAITS) model.off(`change:${name}`, draw); };
}

export default { render, address: ["sentence", "at"] };
