import { argmax, dot, embed, frame, gru, h, linear, roving, softmax, speaker, tanh, unpack, weightColour } from "./core.js";
import { near, short, unique } from "./sentence.js";

const LINES = 120, LETTERS = 9000;

// The tensors of each reader: they travel as one, each behind its number.
export function split(tensors) {
  const readers = [];
  for (const [name, tensor] of Object.entries(tensors)) {
    const [place, ...rest] = name.split(".");
    (readers[place] ??= {})[rest.join(".")] = tensor;
  }
  return readers;
}

// One level over vectors: their weights, and their mixture.
function level(model, name, vectors) {
  if (!vectors.length) return { weights: [], mixed: new Float64Array(model[`${name}.pool.context`].shape[0]) };
  const states = model[`${name}.rnn.weight_ih_l0`] ? gru(model, `${name}.rnn`, vectors).states : vectors.map(vector => linear(model, `${name}.look`, vector));
  const weights = softmax(states.map(state => dot(model[`${name}.pool.context`].data, tanh(linear(model, `${name}.pool.bend`, state)))));
  return { weights, mixed: Float64Array.from(states[0], (_, d) => dot(weights, states.map(state => state[d]))) };
}

// The network over sentences, each the numbers of its words: the weights of both levels, the probabilities of the answers.
// memo keeps the sentences of before: only those that are new are read.
export function weighBoth(model, sentences, memo = new Map()) {
  const rows = sentences.map(numbers => {
    const key = numbers.join();
    if (!memo.has(key)) memo.set(key, level(model, "of_words", numbers.map(word => embed(model, "embed", word))));
    return memo.get(key);
  });
  const { weights, mixed } = level(model, "of_sentences", rows.filter(row => row.weights.length).map(row => row.mixed));
  let at = 0;
  return { outer: rows.map(row => (row.weights.length ? weights[at++] : 0)), inner: rows.map(row => row.weights), chances: softmax(linear(model, "answer", mixed)) };
}

// The document in a text: its lines as words that are known, and the others, each once.
export function parse(text, known) {
  const lines = text.split("\n").map(line => line.replace(/[.,;:!?"“”]/g, " ").toLowerCase().split(/\s+/).filter(Boolean));
  return { sentences: lines.map(line => line.filter(word => known.has(word))), unknown: [...new Set(lines.flat().filter(word => !known.has(word)))] };
}

// A state that can be drawn, whatever an address said.
export const tidy = ({ text, reader, readers }) => ({
  text: typeof text === "string" ? text.slice(0, LETTERS).split("\n").slice(0, LINES).join("\n") : "",
  reader: Number.isInteger(reader) ? Math.max(1, Math.min(readers.length, reader)) : 1,
});

// The sentences that are marked, and what these say.
export function judge(sentences, { kinds, cues, answers }) {
  const has = (name, words) => words.some(word => kinds[name].includes(word));
  const gold = sentences.flatMap((words, i) => (has(cues, words) ? [i] : [])), said = gold.flatMap(i => sentences[i]);
  return { gold, truth: answers.filter(answer => has(answer, said)) };
}

// All that a state shows.
export function look(models, state, memo) {
  const known = new Set(Object.values(state.kinds).flat()), number = new Map(state.words.map((word, i) => [word, i])), parsed = parse(state.text, known);
  return { ...parsed, ...weighBoth(models[state.reader - 1], parsed.sentences.map(words => words.map(word => number.get(word))), memo), ...judge(parsed.sentences, state) };
}

const percent = x => `${Math.round(100 * x)} %`;
const list = names => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);

function render({ model, el }) {
  const [words, answers, kinds, cues, readers, examples] = ["words", "answers", "kinds", "cues", "readers", "examples"].map(name => model.get(name));
  const models = split(unpack(model.get("weights"))), memos = models.map(() => new Map()), all = Object.values(kinds).flat(), TRAITS = ["text", "reader"];
  const state = () => ({ words, answers, kinds, cues, ...tidy({ readers, text: model.get("text"), reader: model.get("reader") }) });
  const put = (name, value) => { model.set(name, value); model.save_changes(); };
  const write = text => put("text", tidy({ readers, text }).text);
  let chosen = null, before = null, now = null; // before: what was read, and answered, before the last change of the text

  // -- the parts, made once
  const name = unique("reader"), choices = readers.map((text, i) => h("input", { type: "radio", name, value: i + 1, onchange: () => put("reader", i + 1) }));
  const box = h("textarea", { id: unique("text"), lang: "en", rows: 8, maxlength: LETTERS, autocomplete: "off", autocapitalize: "off", spellcheck: "false", oninput: () => write(box.value) });
  const message = h("p", { class: "do-message" });
  const answer = h("p", { class: "do-answer" }), verdict = h("p", { class: "do-verdict" }), bars = h("ul", { class: "do-bars", "aria-label": "Probability of each answer" }), past = h("p", { class: "do-past" });
  const lines = h("ol", { class: "do-lines", lang: "en", "aria-label": "The document, sentence by sentence: choose a word" }), settle = roving(lines);
  const about = h("p", { class: "do-about" });
  const other = h("select", { "aria-label": "Put another word in its place", onchange: () => exchange(other.value) },
    ...Object.entries(kinds).map(([kind, some]) => h("optgroup", { label: kind }, ...some.map(word => h("option", { value: word }, word)))));
  const remove = h("button", { type: "button", onclick: () => exchange("") }, "Remove the word");
  const edit = h("div", { class: "do-edit", role: "group", "aria-label": "Change the chosen word" }, about, h("label", {}, "Put in its place ", other), remove);
  frame(el, "A document and its weights on two levels");
  el.append(
    h("div", { class: "do-readers", role: "radiogroup", "aria-label": "Who reads" }, ...choices.map((input, i) => h("label", {}, input, ` ${readers[i]}`))),
    h("div", { class: "do-examples", role: "group", "aria-label": "Examples" }, "Examples ", ...Object.entries(examples).map(([title, text]) => h("button", { type: "button", onclick: () => write(text) }, title))),
    h("label", { class: "do-label", for: box.id }, "The document: each line is a sentence"), box, message,
    h("div", { class: "do-said" }, answer, verdict, bars, past),
    lines,
    h("p", { class: "do-legend" }, "On the left the weight of the sentence; ★ marks a cue. The stronger the colour under a word, the more weight it has in its sentence. Choose a word to change it:"),
    edit);
  const say = speaker(el);

  function exchange(word) { // another word for the chosen one; the line is written anew from the words that are known
    const [i, j] = chosen, raw = state().text.split("\n"), some = [...now.seen.sentences[i]];
    some.splice(j, 1, ...(word ? [word] : []));
    raw[i] = some.join(" ");
    write(raw.join("\n"));
  }

  function show() {
    const { text, reader } = state(), seen = look(models, { ...state() }, memos[reader - 1]), best = argmax(seen.chances);
    if (now && now.text !== text) before = { answer: answers[now.best], share: now.seen.chances[now.best], reader: now.reader };
    if (before && before.reader !== reader) before = null;
    now = { text, reader, seen, best };
    choices.forEach((input, i) => { input.checked = i === reader - 1; });
    if (box.value !== text) box.value = text;
    message.replaceChildren(...seen.unknown.slice(0, 3).map(word => {
      const close = near(word, all);
      return h("span", {}, `The reader has never seen “${short(word)}”${close.length ? ` (${close.join(", ")}?)` : ""}: it is left out. `);
    }));

    // -- the answer
    const on = seen.gold.reduce((sum, i) => sum + seen.outer[i], 0), said = answers[best];
    const verdicts = !seen.sentences.some(one => one.length) ? "There are no words: only the bias of the last layer speaks."
      : !seen.gold.length ? "No sentence has a cue, so nothing decides. The reader answers all the same."
      : !seen.truth.length ? "The sentence with the cue does not say how it was. The reader answers all the same."
      : `${seen.truth.length > 1 ? `The sentences with a cue say ${list(seen.truth)}` : seen.truth[0] === said ? "Right" : `Wrong: the sentence with the cue says ${seen.truth[0]}`}. ${percent(on)} of the sentence weight is on ${seen.gold.length > 1 ? `${seen.gold.length} sentences with a cue` : "the sentence with the cue"}.`;
    answer.replaceChildren("The answer is ", h("strong", {}, said), `, ${percent(seen.chances[best])}.`);
    verdict.replaceChildren(verdicts);
    bars.replaceChildren(...answers.map((one, i) => h("li", { style: `--chance:${(100 * seen.chances[i]).toFixed(1)}%` }, h("span", {}, one), h("span", {}, percent(seen.chances[i])))));
    past.replaceChildren(before ? `Before the last change: ${before.answer}, ${percent(before.share)}.` : "");

    // -- the document
    if (!chosen || !seen.sentences[chosen[0]]?.length) chosen = start(seen);
    if (chosen) chosen = [chosen[0], Math.min(chosen[1], seen.sentences[chosen[0]].length - 1)];
    const focused = lines.contains(document.activeElement);
    lines.replaceChildren(...seen.sentences.map((one, i) => h("li", { class: seen.gold.includes(i) ? "do-gold" : "" },
      h("span", { class: "do-star" }, ...(seen.gold.includes(i) ? [h("span", { "aria-hidden": "true" }, "★"), h("span", { class: "wa-spoken" }, "has a cue")] : [])),
      h("span", { class: "do-outer", style: `--weight:${weightColour(seen.outer[i])}` }, percent(seen.outer[i])),
      h("span", { class: "do-words" }, ...(one.length ? one.map((word, j) => {
        const weight = seen.inner[i][j], here = chosen[0] === i && chosen[1] === j;
        return h("button", { type: "button", "aria-pressed": String(here), "aria-label": `${word}: ${percent(weight)} of sentence ${i + 1}`, style: `--weight:${weightColour(weight)}`, onclick: () => { chosen = [i, j]; show(); } }, word);
      }) : [h("i", {}, "no words")])))));
    settle();
    const pressed = lines.querySelector("[aria-pressed=true]");
    for (const button of lines.querySelectorAll("button")) button.tabIndex = button === pressed ? 0 : -1;
    if (focused) pressed?.focus();

    // -- the chosen word
    edit.hidden = !chosen;
    let told = "";
    if (chosen) {
      const [i, j] = chosen, word = seen.sentences[i][j], inner = seen.inner[i][j];
      other.value = word;
      told = `${word}: ${percent(inner)} of sentence ${i + 1}, ${percent(inner * seen.outer[i])} of the document.`;
      about.replaceChildren(h("b", { lang: "en" }, word), told.slice(word.length));
    }
    say(`${said}, ${percent(seen.chances[best])}. ${verdicts} ${told}`);
  }

  function start(seen) { // the word with the largest share
    let top = -1, place = null;
    seen.inner.forEach((weights, i) => weights.forEach((weight, j) => { if (weight * seen.outer[i] > top) { top = weight * seen.outer[i]; place = [i, j]; } }));
    return place;
  }

  for (const trait of TRAITS) model.on(`change:${trait}`, show);
  show();
  return () => { for (const trait of TRAITS) model.off(`change:${trait}`, show); };
}

export default { render, address: ["text", "reader"] };
