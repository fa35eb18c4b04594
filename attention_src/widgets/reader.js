import { dot, embed, frame, gru, h, join, linear, roving, scorer, softmax, speaker, unpack, weightColour, weightInk } from "./core.js";

const MOST = 12, TOP = 3;
const put2 = (pattern, first, second) => pattern.replace("{0}", first).replace("{1}", second).split(" ");

export const sentence = (relations, [name, first, second]) => put2(relations[name][2], first, second);
export const asked = (relations, [name, side, word]) => put2(relations[name][side ? 3 : 4], word, word);

// The network over numbers of words: the probabilities of the answers, and the weights of the passage's words.
export function read(weights, passage, question) {
  const run = words => gru(weights, "encoder.rnn", words.map(word => embed(weights, "encoder.embed", word)));
  const { states } = run(passage), { last } = run(question);
  const looked = softmax(scorer("Bilinear", weights, "score")(states)(last));
  const found = Float64Array.from(last, (_, d) => dot(looked, states.map(state => state[d])));
  const both = join(found, last, found.map((x, d) => x * last[d]));
  return { probabilities: softmax(linear(weights, "answer", both)), weights: looked };
}

// A state that can be drawn, whatever an address said.
export function tidy({ kinds, relations, facts, question }) {
  const names = Object.keys(relations), of = (name, side) => kinds[relations[name][side]];
  const known = name => typeof name === "string" && Object.hasOwn(relations, name);
  const good = fact => Array.isArray(fact) && known(fact[0]) && of(fact[0], 0).includes(fact[1]) && of(fact[0], 1).includes(fact[2]);
  const some = (Array.isArray(facts) ? facts : []).filter(good).slice(0, MOST).map(fact => fact.slice(0, 3));
  const [name, side, word] = Array.isArray(question) ? question : [];
  const relation = known(name) ? name : names[0], wanted = side === 0 ? 0 : 1, words = of(relation, 1 - wanted);
  return {
    facts: some.length ? some : [[names[0], of(names[0], 0)[0], of(names[0], 1)[0]]],
    question: [relation, wanted, words.includes(word) ? word : words[0]],
  };
}

// All that a state shows.
export function look(model, state) {
  const { words, answers, relations, facts, question } = state, number = new Map(words.map((word, i) => [word, i]));
  const sentences = facts.map(fact => sentence(relations, fact)), rows = all => all.map(word => number.get(word));
  const { probabilities, weights } = read(model, rows(sentences.flat()), rows(asked(relations, question)));
  let at = 0;
  const parts = sentences.map(one => weights.slice(at, (at += one.length)));
  const order = answers.map((_, i) => i).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  const [name, side, word] = question, gold = facts.flatMap((fact, i) => (fact[0] === name && fact[2 - side] === word ? [i] : []));
  return { sentences, weights: parts, mass: parts.map(part => part.reduce((a, b) => a + b, 0)), top: order.slice(0, TOP).map(i => [answers[i], probabilities[i]]), gold, truth: gold.map(i => facts[i][1 + side]) };
}

const percent = x => `${Math.round(100 * x)} %`;
const list = names => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);

function render({ model, el }) {
  const [words, answers, kinds, relations] = ["words", "answers", "kinds", "relations"].map(name => model.get(name));
  const weights = unpack(model.get("weights")), id = `wa-reader-${Math.random().toString(36).slice(2, 8)}`;
  const state = () => ({ words, answers, relations, ...tidy({ kinds, relations, facts: model.get("facts"), question: model.get("question") }) });
  const put = (name, value) => { model.set(name, value); model.save_changes(); };
  const of = (name, side) => kinds[relations[name][side]];
  let chosen = 0;

  const choice = (label, options, change) => h("select", { "aria-label": label, onchange: event => change(event.target.value) }, ...options.map(([value, text]) => h("option", { value }, text)));
  const same = items => items.map(item => [item, item]);
  const refill = (select, options, value) => {
    const text = options.map(option => option[0]).join();
    if (select.dataset.options !== text) { select.dataset.options = text; select.replaceChildren(...options.map(([v, t]) => h("option", { value: v }, t))); }
    select.value = value;
  };

  // -- the question
  const patterns = Object.keys(relations).flatMap(name => [1, 0].map(side => [`${name} ${side}`, relations[name][side ? 3 : 4].replace(/\{\d\}/, "…")]));
  const kindOf = choice("What is asked", patterns, value => {
    const [name, side] = value.split(" "), { question: [, , word] } = state(), fits = of(name, 1 - side);
    put("question", [name, +side, fits.includes(word) ? word : fits[0]]);
  });
  const about = choice("Word in the question", [], word => put("question", [...state().question.slice(0, 2), word]));
  const full = h("p", { class: "rd-question", lang: "en" });

  // -- the passage and the editor of one fact
  const passage = h("ol", { class: "rd-passage", lang: "en", "aria-label": "The passage, fact by fact" }), settle = roving(passage);
  const editor = [choice("First word", [], word => change(1, word)), choice("Verb", same(Object.keys(relations)), name => change(0, name)), choice("Second word", [], word => change(2, word))];
  const change = (place, value) => {
    const facts = state().facts.map(fact => [...fact]), fact = facts[chosen];
    fact[place] = value;
    if (place === 0) for (const side of [0, 1]) if (!of(value, side).includes(fact[1 + side])) fact[1 + side] = of(value, side)[0];
    put("facts", facts);
  };
  const move = by => {
    const facts = [...state().facts], [fact] = facts.splice(chosen, 1);
    chosen = Math.max(0, Math.min(facts.length, chosen + by));
    facts.splice(chosen, 0, fact);
    put("facts", facts);
  };
  const button = (text, label, onclick) => h("button", { type: "button", "aria-label": label, onclick }, text);
  const up = button("↑", "Move this fact up", () => move(-1)), down = button("↓", "Move this fact down", () => move(1));
  const remove = button("Remove", "Remove this fact", () => { const at = chosen; chosen = Math.max(0, Math.min(at, state().facts.length - 2)); put("facts", state().facts.filter((_, i) => i !== at)); });
  const add = h("button", { type: "button", onclick: () => { const { facts } = state(); chosen = facts.length; put("facts", [...facts, draw(facts)]); } }, "Add a fact");
  const fresh = h("button", { type: "button", onclick: invent }, "New passage");
  const answer = h("p", { class: "rd-answer" }), verdict = h("p", { class: "rd-verdict" }), others = h("p", { class: "rd-others" });
  frame(el, "A passage, a question and a trained reader");
  el.append(
    h("div", { class: "rd-ask", role: "group", "aria-label": "Question" }, h("span", { class: "rd-label" }, "Question "), kindOf, about),
    full,
    h("div", { class: "rd-said" }, answer, verdict, others),
    passage,
    h("p", { class: "rd-legend" }, "The stronger the colour, the more weight on the word; the number is the weight of the whole fact. ★ answers the question. Choose a fact to change it:"),
    h("div", { class: "rd-edit", role: "group", "aria-label": "Change the chosen fact" }, ...editor, up, down, remove, add, fresh));
  const say = speaker(el);

  const pick = items => items[Math.floor(Math.random() * items.length)];
  function draw(facts) { // a fact whose words no other fact of its relation has, where there is one
    for (let i = 0; i < 200; i++) {
      const name = pick(Object.keys(relations)), fact = [name, pick(of(name, 0)), pick(of(name, 1))];
      if (!facts.some(other => other[0] === name && (other[1] === fact[1] || other[2] === fact[2]))) return fact;
    }
    const name = Object.keys(relations)[0];
    return [name, of(name, 0)[0], of(name, 1)[0]];
  }
  function invent() {
    const facts = [];
    while (facts.length < 7) facts.push(draw(facts));
    const fact = pick(facts), side = pick([0, 1]);
    chosen = 0;
    model.set("question", [fact[0], side, fact[2 - side]]);
    put("facts", facts);
  }

  function show() {
    const now = state(), seen = look(weights, now), [name, side, word] = now.question, fact = now.facts[(chosen = Math.min(chosen, now.facts.length - 1))];
    kindOf.value = `${name} ${side}`;
    refill(about, same(of(name, 1 - side)), word);
    full.replaceChildren(asked(relations, now.question).join(" ").replace(" ?", "?"));
    const focused = passage.contains(document.activeElement);
    passage.replaceChildren(...seen.sentences.map((one, i) => h("li", {}, h("button", { type: "button", "aria-pressed": String(i === chosen), class: seen.gold.includes(i) ? "rd-gold" : "",
      "aria-label": `${one.slice(0, -1).join(" ")}: ${percent(seen.mass[i])} of the weight${seen.gold.includes(i) ? ", answers the question" : ""}`, onclick: () => { chosen = i; show(); } },
      h("span", { class: "rd-star" }, seen.gold.includes(i) ? "★" : ""),
      h("span", { class: "rd-words" }, ...one.map((text, j) => h("span", { class: "rd-word", style: seen.weights[i][j] < 0.005 ? "" : `background:${weightColour(seen.weights[i][j])};color:${weightInk(seen.weights[i][j])}` }, text))),
      h("span", { class: "rd-mass" }, percent(seen.mass[i]))))));
    settle();
    const pressed = passage.querySelector("[aria-pressed=true]");
    for (const one of passage.querySelectorAll("button")) one.tabIndex = one === pressed ? 0 : -1;
    if (focused) pressed.focus();
    refill(editor[0], same(of(fact[0], 0)), fact[1]);
    editor[1].value = fact[0];
    refill(editor[2], same(of(fact[0], 1)), fact[2]);
    up.disabled = chosen === 0;
    down.disabled = chosen === now.facts.length - 1;
    remove.disabled = now.facts.length === 1;
    add.disabled = now.facts.length === MOST;
    const [said, share] = seen.top[0], on = seen.gold.reduce((sum, i) => sum + seen.mass[i], 0);
    answer.replaceChildren("The network answers ", h("strong", {}, said), `, ${percent(share)} sure.`);
    const text = !seen.gold.length ? "No fact answers this question. The network answers all the same."
      : seen.truth.includes(said) ? (on < 0.5 ? `Right, but only ${percent(on)} of the weight is on what answers the question.` : `Right, with ${percent(on)} of the weight on what answers the question.`)
      : `Wrong: the passage says ${list(seen.truth)}.`;
    verdict.replaceChildren(text);
    others.replaceChildren(`Next: ${seen.top.slice(1).map(([other, p]) => `${other} ${percent(p)}`).join(", ")}`);
    say(`${said}, ${percent(share)}. ${text}`);
  }

  for (const name of ["facts", "question"]) model.on(`change:${name}`, show);
  show();
  return () => { for (const name of ["facts", "question"]) model.off(`change:${name}`, show); };
}

export default { render, address: ["facts", "question"] };
