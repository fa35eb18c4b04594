import { frame, h, roving, s, softmax, speaker, unpack, weightColour } from "./core.js";
import { translator } from "./decoders.js";
import { goldCells, knownWords, unique, writer } from "./sentence.js";

const LONGEST_ANSWER = 80, TOP = 4, END = "</s>";

// The words that the reader chose, by step, without what no step can say, whatever an address said.
export function tidyForced(forced, words) {
  const known = new Set(words), fits = ([step, word]) => /^[1-9]\d?$/.test(step) && step <= LONGEST_ANSWER && known.has(word);
  return Object.fromEntries(Object.entries(forced ?? {}).filter(fits));
}

// All decodings of one sentence, whose common beginnings are computed once: decode(forced) gives every step until the end
// mark, with the reader's word where there is one.
export function decoder({ state, step }, words) {
  const number = new Map(words.map((word, i) => [word, i])), root = { before: state, token: number.get("<s>"), next: new Map() };
  const take = ({ token, before }) => {
    const { logits, scores, weights, context, state: after } = step(token, before), chances = softmax(logits);
    const best = Array.from(chances.keys()).sort((a, b) => chances[b] - chances[a] || a - b).slice(0, TOP);
    return { before, scores, weights, context, after, chances, top: best.map(i => [words[i], chances[i]]) };
  };
  return forced => {
    const steps = [];
    for (let node = root; steps.length < LONGEST_ANSWER; ) {
      const look = (node.look ??= take(node)), word = forced[steps.length + 1] ?? look.top[0][0];
      steps.push({ ...look, word, chance: look.chances[number.get(word)] });
      if (word === END) break;
      if (!node.next.has(word)) node.next.set(word, { before: look.after, token: number.get(word), next: new Map() });
      node = node.next.get(word);
    }
    return steps;
  };
}

const number = (x, digits = 2) => { const text = x.toFixed(digits); return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−"); };
const share = p => (p >= 0.0005 ? number(p, 3) : "<0.001");
const renew = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const label = word => (word === END ? "(end)" : word);
const named = (name, i) => [h("i", {}, name), h("sub", {}, i)];
const quoted = word => h("b", { lang: "fr" }, label(word));

// A strip of small cells, one for each number from -1 to 1: colour and height say the sign, strength says the size.
function strip() {
  const svg = s("svg", { class: "st-strip", role: "img", preserveAspectRatio: "none" });
  let cells = []; // what is drawn now: only what changes is drawn again
  return {
    svg,
    show(values, name) {
      const n = values.length, mean = values.reduce((a, b) => a + b, 0) / n;
      if (cells.length !== n) {
        svg.setAttribute("viewBox", `0 0 ${10 * n} 20`);
        cells = Array.from(values, (_, i) => ({ node: s("rect", { x: 10 * i, width: 9, height: 14 }) }));
        svg.replaceChildren(...cells.map(cell => cell.node));
      }
      values.forEach((value, i) => {
        const cell = cells[i], sign = value < 0 ? "st-minus" : "st-plus", strength = Math.min(1, 0.06 + 0.94 * Math.abs(value)).toFixed(2);
        if (cell.sign !== sign) { cell.node.setAttribute("class", sign); cell.node.setAttribute("y", value < 0 ? 6 : 0); }
        if (cell.strength !== strength) cell.node.setAttribute("fill-opacity", strength);
        Object.assign(cell, { sign, strength });
      });
      svg.setAttribute("aria-label", `${name}: ${n} numbers from ${number(Math.min(...values))} to ${number(Math.max(...values))}, on average ${number(mean)}`);
    },
  };
}

function render({ model, el }) {
  const get = name => model.get(name), grammar = get("grammar"), targetWords = get("target_words");
  const numbers = new Map(get("source_words").map((word, i) => [word, i])), known = knownWords(grammar, get("source_words"));
  const run = translator(unpack(get("weights")), get("kind")), decoders = new Map(); // sentence -> decoder
  const TRAITS = ["sentence", "at", "forced"];

  // -- the parts, made once
  const writing = writer({ label: "Write an English sentence", grammar, known, write, whole: show, broken });
  const examples = h("div", { class: "st-examples", role: "group", "aria-label": "Examples" }, "Examples ",
    ...get("examples").map((text, i) => h("button", { type: "button", title: text, "aria-label": `${i + 1}: ${text}`, onclick: () => write(text) }, i + 1)));
  const turn = (text, name, to) => h("button", { type: "button", "aria-label": name, onclick: () => go(to()) }, ...text);
  const arrow = sign => h("span", { "aria-hidden": "true" }, sign);
  const moves = [
    turn(["First"], "First step", () => 1), turn([arrow("‹ "), "Back"], "Back one step", () => at - 1),
    turn(["Forward", arrow(" ›")], "Forward one step", () => at + 1), turn(["Last"], "Last step", () => steps.length)];
  const slider = h("input", { type: "range", id: unique("step"), min: 1, step: 1, oninput: () => go(+slider.value) }), where = h("output", { for: slider.id });
  const bar = h("div", { class: "st-moves", role: "group", "aria-label": "Move through the steps" }, ...moves.slice(0, 2),
    h("span", { class: "st-slider" }, h("label", { for: slider.id, class: "wa-spoken" }, "Step"), slider, where), ...moves.slice(2));
  const said = h("p", { class: "st-said", lang: "fr" });
  const part = (i, name, ...body) => h("div", { class: "st-part" }, h("div", { class: "st-name" }, h("span", { class: "st-number" }, i), h("span", {}, name)), h("div", { class: "st-body" }, ...body));
  const strips = { before: strip(), context: strip(), after: strip() }, notes = { before: h("p"), context: h("p"), after: h("p") };
  const words = h("div", { class: "st-cells st-words", "aria-hidden": "true", lang: "en" });
  const scores = h("ul", { class: "st-cells st-scores", "aria-label": "Score of each source word", lang: "en" }), weights = h("ul", { class: "st-cells st-weights", "aria-label": "Weight of each source word", lang: "en" });
  const choices = Array.from({ length: TOP + 1 }, (_, i) => h("button", { type: "button", onclick: () => choose(i) }));
  const tops = h("div", { class: "st-tops", role: "group", "aria-label": "The most probable words: choose the one to say", lang: "fr" }, ...choices);
  const again = h("button", { type: "button", onclick: () => put({ forced: {} }) }, "Give it its own words back");
  const looking = h("div", { class: "st-scroll", role: "group", "aria-label": "Scores and weights" },
    h("div", { class: "st-part" }, h("div", { class: "st-name" }), words), part(2, "scores", scores), part(3, "weights", weights));
  const mapWords = h("div", { class: "st-cells st-words", "aria-hidden": "true", lang: "en" }), lines = h("div", { class: "st-lines" });
  const map = h("div", { class: "st-scroll st-map", role: "group", "aria-label": "The weights of all steps so far: choose a step" }, h("div", { class: "st-part" }, h("div", { class: "st-name" }), mapWords), lines);
  const legend = h("p", { class: "st-legend" }), invite = h("p", { class: "st-invite" }), work = h("div", { class: "st-work" });
  const scale = h("span", { class: "st-scale" }, "−1 ", ...[-1, -0.5, 0, 0.5, 1].map(x => h("span", { class: x < 0 ? "st-minus" : "st-plus", style: `opacity: ${0.06 + 0.94 * Math.abs(x)}` })), " 1");
  work.append(bar, said,
    part(1, "the state asks", strips.before.svg, h("div", { class: "st-line-end" }, notes.before, scale)), looking,
    part(4, "the mixture", strips.context.svg, notes.context),
    part(5, "step and say", strips.after.svg, notes.after, tops, again), map, legend, invite);
  frame(el, "Translate a sentence step by step");
  el.append(...writing.parts, examples, work);
  const say = speaker(el), settle = roving(lines);
  for (const [from, to] of [[looking, map], [map, looking]]) from.addEventListener("scroll", () => { scrolled = from.scrollLeft; if (to.scrollLeft !== from.scrollLeft) to.scrollLeft = from.scrollLeft; });
  bar.addEventListener("keydown", event => {
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 1, End: steps.length }[event.key];
    if (to === undefined || !moves.includes(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    go(to);
  });
  lines.addEventListener("focusin", event => go(Number(event.target.closest("button").dataset.step)));
  lines.addEventListener("click", event => { const line = event.target.closest("button"); if (line) go(Number(line.dataset.step)); });

  // -- what the reader does
  function put(values) { model.set(values); model.save_changes(); }
  function write(text) { put({ forced: {}, at: 1, sentence: text }); }
  function go(to) { to = Math.max(1, Math.min(steps.length, to)); if (to !== get("at")) put({ at: to }); }
  function choose(i) {
    const word = shown[i], kept = Object.fromEntries(Object.entries(tidyForced(get("forced"), targetWords)).filter(([step]) => step < at));
    if (word !== steps[at - 1].top[0][0]) kept[at] = word;
    put({ forced: kept, at });
  }

  // -- what is shown
  let steps = [], at = 1, source = [], cells = [], key = "", shown = [], own = [], reach = 1, layout = {}, scrolled = 0;
  const draw = () => writing.show(get("sentence"));

  function broken(message) {
    work.hidden = true;
    say(message);
  }

  function show(sentence, parse) {
    writing.offer(sentence, sentence.length, [], []);
    work.hidden = false;
    const text = sentence.join(" "), forced = tidyForced(get("forced"), targetWords), now = JSON.stringify([text, forced]);
    if (!decoders.has(text)) decoders.set(text, decoder(run(sentence.map(word => numbers.get(word))), targetWords));
    if (now !== key) {
      const decode = decoders.get(text);
      [key, source, steps, own] = [now, sentence, decode(forced), decode({})];
      reach = [0, 1].map(side => Math.max(0.01, ...steps.map(look => Math.max(...look.scores.map(e => (side ? e : -e))))));
      columns();
      rows(parse);
      fit();
    }
    at = Math.max(1, Math.min(steps.length, Math.round(get("at")) || 1));
    showStep();
    showMap(forced);
  }

  function columns() {
    for (const line of [words, mapWords]) line.replaceChildren(...source.map(word => h("span", {}, h("span", {}, word))));
    for (const list of [scores, weights])
      list.replaceChildren(...source.map(word => h("li", {}, h("span", { class: "st-plot" }, h("span", { class: "st-bar" })), h("span", { class: "wa-spoken" }, `${word}: `), h("span", { class: "st-value" }))));
    cells = source.map((_, j) => ({
      score: scores.children[j].lastChild, scoreBar: scores.children[j].firstChild.firstChild.style, weight: weights.children[j].lastChild,
      weightBar: weights.children[j].firstChild.firstChild.style, shaded: [words.children[j], mapWords.children[j]], most: [weights.children[j], words.children[j], mapWords.children[j]] }));
    scores.style.setProperty("--zero", `${(100 * reach[1]) / (reach[0] + reach[1])}%`);
  }

  function rows(parse) {
    const gold = goldCells(parse.target, steps.map(look => look.word).filter(word => word !== END), parse.links);
    lines.replaceChildren(...steps.map((look, row) => {
      const other = !own[row] || look.weights.some((weight, j) => Math.abs(weight - own[row].weights[j]) > 0.005);
      const best = [...look.weights.keys()].sort((a, b) => look.weights[b] - look.weights[a]).slice(0, 2).filter(j => look.weights[j] >= 0.05);
      const name = `Step ${row + 1}, ${label(look.word)}: ${best.map(j => `${source[j]} ${number(look.weights[j])}`).join(", ")}${other ? "; other weights than on its own way" : ""}`;
      const line = h("button", { type: "button", class: other ? "st-other" : "", "data-step": row + 1, "data-name": name },
        h("span", { class: "st-name", lang: "fr" }, h("span", { class: "st-row-word" }, label(look.word)), other ? h("span", { class: "st-differs" }, "≠") : ""),
        h("span", { class: "st-cells" }, ...source.map((_, j) => h("span", { class: gold.has(`${row} ${j}`) ? "st-gold" : "" }))));
      [...line.lastChild.children].forEach((cell, j) => { cell.style.background = weightColour(look.weights[j]); });
      return line;
    }));
    settle();
    legend.replaceChildren("Rows: the words said. Columns: the source. ", h("span", { class: "st-key" }), " true links. The grammar’s translation: ", h("span", { lang: "fr" }, parse.target.join(" ")), ".");
  }

  function fit() { // the width of a column, and what must be turned to fit into it
    const width = looking.clientWidth, n = source.length;
    if (!width || !n) return;
    const gutter = width < 480 ? 78 : 132, column = Math.max(17, Math.min(84, (width - gutter) / n)), longest = Math.max(...source.map(word => word.length));
    for (const [name, value] of [["--gutter", `${gutter}px`], ["--column", `${column}px`], ["--count", n]]) work.style.setProperty(name, value);
    work.classList.toggle("st-turned", 7.6 * longest + 6 > column);
    work.classList.toggle("st-tight", column < 28);
    work.classList.toggle("st-close", column < 38);
    layout = { gutter, column, room: width - gutter, wide: gutter + n * column > width + 1 };
    if (layout.wide) looking.tabIndex = 0; else looking.removeAttribute("tabindex");
    figures();
  }

  function figures() {
    const look = steps[at - 1];
    if (!look) return;
    const digits = layout.column >= 28 && layout.column < 38 ? 1 : 2;
    source.forEach((_, j) => {
      renew(cells[j].score, number(look.scores[j], digits));
      renew(cells[j].weight, number(look.weights[j]));
    });
  }

  function showStep() {
    const look = steps[at - 1], before = steps[at - 2], all = reach[0] + reach[1], top = Math.max(...look.weights), best = look.weights.indexOf(top);
    slider.max = steps.length;
    slider.value = at;
    slider.setAttribute("aria-valuetext", `step ${at} of ${steps.length}: ${label(look.word)}`);
    where.replaceChildren("step ", h("b", {}, at), ` of ${steps.length}`);
    moves.forEach((move, i) => move.setAttribute("aria-disabled", i < 2 ? at === 1 : at === steps.length));
    said.replaceChildren(...steps.slice(0, at).flatMap((one, i) => [h("span", { class: i === at - 1 ? "st-now" : "" }, label(one.word)), " "]));
    strips.before.show(look.before, `state s ${at - 1}`);
    strips.context.show(look.context, `mixture c ${at}`);
    strips.after.show(look.after, `state s ${at}`);
    notes.before.replaceChildren(...named("s", at - 1), ...(before ? [", the state that said ", quoted(before.word)] : [", made from the source, read backwards"]));
    notes.context.replaceChildren(...named("c", at), ": what the encoder wrote at each source word, mixed by these weights");
    notes.after.replaceChildren(...named("s", at - 1), ", ", before ? "the word " : "the begin mark", before ? quoted(before.word) : "", " and ", ...named("c", at), " give ", ...named("s", at), ". The most probable words:");
    source.forEach((_, j) => {
      const e = look.scores[j], { scoreBar, weightBar, shaded, most } = cells[j];
      scoreBar.transform = `translateY(${((100 * (reach[1] - Math.max(e, 0))) / all).toFixed(1)}%) scaleY(${Math.max(0.02, Math.abs(e) / all).toFixed(3)})`;
      weightBar.transform = `scaleY(${Math.max(0.02, look.weights[j]).toFixed(3)})`; // moved without a new layout
      const shade = weightColour(Math.round(50 * look.weights[j]) / 100); // half the scale, so that ink can be read on it
      for (const node of shaded) if (node.dataset.shade !== shade) { node.style.background = shade; node.dataset.shade = shade; }
      for (const node of most) node.classList.toggle("st-most", j === best);
    });
    figures();
    shown = look.top.map(([word]) => word);
    if (!shown.includes(look.word)) shown.push(look.word);
    choices.forEach((button, i) => {
      const word = shown[i], chance = word === undefined ? 0 : (look.top[i]?.[1] ?? look.chance);
      button.hidden = word === undefined;
      button.setAttribute("aria-pressed", word === look.word);
      button.replaceChildren(h("span", {}, label(word ?? "")), " ", h("span", { class: "st-chance" }, share(chance)));
      button.style.setProperty("--chance", `${100 * chance}%`);
    });
    say(`Step ${at} of ${steps.length}. The largest weight, ${number(top)}, is on ${source[best]}. It says ${label(look.word)}, ${share(look.chance)}.`);
    keepInView(best);
  }

  function keepInView(place) { // of long sentences, the word that is looked at
    const { column, room, wide } = layout, left = place * column;
    if (wide && (left < scrolled || left + column > scrolled + room)) looking.scrollLeft = left - room / 2;
  }

  function showMap(forced) {
    [...lines.children].forEach((line, row) => {
      const now = row === at - 1, later = row >= at;
      line.classList.toggle("st-later", later);
      line.tabIndex = now ? 0 : -1;
      if (now) line.setAttribute("aria-current", "step"); else line.removeAttribute("aria-current");
      line.setAttribute("aria-label", later ? `Step ${row + 1}, not taken yet` : line.dataset.name);
    });
    const chosen = Object.keys(forced).map(Number).filter(step => step <= steps.length), last = Math.max(...chosen);
    again.hidden = !chosen.length;
    choices.forEach((button, i) => button.classList.toggle("st-yours", Boolean(forced[at]) && shown[i] === forced[at]));
    invite.replaceChildren(...(!chosen.length ? [h("b", {}, "Give it another word: "), "choose one in part 5, and go forward. Which rows of the map change?"]
      : last >= steps.length ? [`Your word at step ${last} is its last one.`]
      : [`Your word at step ${last} leaves row ${last + 1} as it was: its weights come from `, ...named("s", last), ", which was ready before the word was chosen.",
        ...(last + 2 > steps.length ? [] : [` From row ${last + 2} on, weights can change; `, h("span", { class: "st-differs" }, "≠"), " marks rows whose weights are not those of its own way."])]));
  }

  const watching = new ResizeObserver(fit);
  watching.observe(el);
  for (const name of TRAITS) model.on(`change:${name}`, draw);
  draw();
  return () => { watching.disconnect(); for (const name of TRAITS) model.off(`change:${name}`, draw); };
}

export default { render, address: ["sentence", "at", "forced"] };
