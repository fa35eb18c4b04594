import { calm, frame, greedy, h, roving, s, speaker, translate, unpack } from "./core.js";
import { translator } from "./decoders.js";
import { LONGEST, compare, knownWords, plural, read, unique, writer } from "./sentence.js";

function render({ model, el }) {
  const get = name => model.get(name), grammar = get("grammar"), sourceWords = get("source_words"), targetWords = get("target_words");
  const number = new Map(sourceWords.map((word, i) => [word, i])), known = knownWords(grammar, sourceWords);
  const run = translator(unpack(get("weights")), get("kind"));
  const marks = { begin: targetWords.indexOf("<s>"), end: targetWords.indexOf("</s>"), longest: 2 * LONGEST };
  const joints = new Set(get("growth").slice(1).map(clause => clause.split(" ")[0]));
  const tried = new Map(), memo = new Map(); // sentence -> { length, right, total }; sentence -> words the model said

  // -- the parts, made once
  const slider = h("input", { type: "range", id: unique("clauses"), min: 1, step: 1, oninput: () => grow(+slider.value) });
  const clauses = h("output", { for: slider.id });
  const examples = h("div", { class: "tr-examples", role: "group", "aria-label": "Examples of different lengths" }, "Examples by number of words ",
    ...get("examples").map(text => [text, text.split(" ").length]).sort((a, b) => a[1] - b[1]).map(([text, length]) =>
      h("button", { type: "button", "aria-label": plural(length, "word"), onclick: () => write(text) }, length)));
  const score = h("p", { class: "tr-score" }), legend = h("p", { class: "tr-legend" }), source = h("div", { class: "tr-source", role: "group", "aria-label": "The sentence, word by word", lang: "en" });
  const result = h("ol", { class: "tr-result", lang: "fr", "aria-label": "True word and the model’s word" }), plot = h("div", { class: "tr-plot" });
  const writing = writer({ label: "Write an English sentence, or choose its next word", grammar, known, write: text => write(text), whole: show, broken });
  frame(el, "Translate a sentence with one vector");
  el.append(
    ...writing.parts,
    h("div", { class: "tr-controls" }, h("span", { class: "tr-clauses" }, h("label", { for: slider.id }, "Clauses "), slider, clauses), examples),
    score, source, legend, result, plot);
  const say = speaker(el), settleSource = roving(source);

  // -- what the reader does
  const write = text => { model.set("sentence", text); model.save_changes(); };
  const cuts = (words, { ends } = translate(grammar, words)) => ends.filter(end => joints.has(words[end])).sort((a, b) => a - b); // where clauses join
  function grow(to) {
    let words = read(get("sentence"), known);
    const now = cuts(words), more = get("growth").slice(1);
    if (to <= now.length) words = words.slice(0, now[to - 1]);
    for (let n = now.length + 1; n < to; n++) {
      const longer = [...words, ...more[(n - 1) % more.length].split(" ")];
      if (longer.length > LONGEST || !translate(grammar, longer).target) break;
      words = longer;
    }
    if (words.join(" ") === read(get("sentence"), known).join(" ")) return draw(); // no room for more: the slider goes back
    write(words.join(" "));
  }

  // -- what is shown
  const draw = () => writing.show(get("sentence"));

  function broken(message) {
    for (const part of [score, source, legend, result]) part.replaceChildren();
    setClauses(0);
    drawPlot(null);
    say(message);
  }

  function setClauses(n) { // 0 when the sentence is not whole
    slider.disabled = !n;
    slider.max = Math.max(get("growth").length, n);
    if (n) slider.value = n;
    clauses.textContent = n || "–";
    slider.setAttribute("aria-valuetext", n ? plural(n, "clause") : "the sentence is not whole");
  }

  function show(words, parse) {
    const key = words.join(" ");
    if (!memo.has(key)) {
      const { state, step } = run(words.map(word => number.get(word)));
      memo.set(key, greedy(step, state, marks).tokens.map(token => targetWords[token]));
    }
    const said = memo.get(key), columns = compare(parse.target, said), right = columns.filter(([a, b]) => a === b).length;
    writing.offer(words, words.length, parse.next, [parse.next.length ? "The sentence is whole. It can go on with:" : "The sentence is whole."]);
    setClauses(cuts(words, parse).length + 1);
    const all = parse.target.length, line = `${plural(words.length, "English word")}; ${right} of ${all} French words right`;
    score.replaceChildren(h("strong", {}, `${right} of ${all}`), ` French words right · ${plural(words.length, "English word")}`,
      words.length > get("trained") ? ` (the model was trained on at most ${get("trained")})` : "");
    legend.replaceChildren(h("span", { class: "tr-truth" }, "The true word"), " above, the model’s below; ", h("span", { class: "tr-fault" }, "✗"), " marks where they differ.");
    showResult(columns);
    showSource(words, parse, columns);
    tried.set(key, { length: words.length, share: right / all });
    drawPlot(key);
    say(line);
  }

  let shown = [];
  function showResult(columns) {
    const text = ([a, b]) => `${a} ${b}`, first = columns.findIndex((column, i) => text(column) !== (shown[i] && text(shown[i])));
    shown = columns;
    result.replaceChildren(...columns.map(([truth, word], i) => {
      const right = truth === word, fault = right ? "" : truth === undefined ? "too much" : word === undefined ? "missing" : "wrong";
      const cell = h("li", { class: right ? "" : "tr-wrong" }, h("span", { class: "tr-truth" }, truth ?? "·"),
        h("span", { class: "tr-said" }, ...(right ? [] : [h("span", { class: "tr-fault", lang: "en" }, "✗", h("span", { class: "wa-spoken" }, ` ${fault}: `))]), word ?? "–"));
      if (!calm() && i >= first && first >= 0) { cell.classList.add("tr-new"); cell.style.animationDelay = `${Math.min(30 * (i - first), 900)}ms`; }
      return cell;
    }));
  }

  function showSource(words, parse, columns) {
    const places = columns.map(([truth], i) => (truth === undefined ? -1 : i)).filter(i => i >= 0); // true word -> column
    const linked = i => parse.links.filter(link => link[0] === i).map(link => places[link[1]]);
    const mark = (i, on) => linked(i).forEach(place => result.children[place]?.classList.toggle("tr-linked", on));
    source.replaceChildren(...words.map((word, i) => {
      const name = linked(i).map(place => `${columns[place][0]}, ${columns[place][0] === columns[place][1] ? "right" : "wrong"}`).join("; ");
      return h("button", { type: "button", "aria-label": `${word}: ${name || "no word of its own"}`, onfocus: () => mark(i, true), onblur: () => mark(i, false),
        onpointerenter: () => mark(i, true), onpointerleave: event => { if (event.target !== document.activeElement) mark(i, false); } }, word);
    }));
    settleSource();
  }

  function drawPlot(now) {
    const W = 320, H = 130, left = 42, bottom = 26, x = n => left + ((W - left - 8) * Math.min(n, LONGEST)) / LONGEST, y = share => 8 + (H - 8 - bottom) * (1 - share);
    plot.hidden = !tried.size;
    const trained = get("trained"), dots = [...tried].map(([key, { length, share }]) =>
      s("circle", { cx: x(length), cy: y(share), r: key === now ? 6 : 4, class: key === now ? "tr-now" : "tr-dot" }));
    const list = [...tried.values()].map(({ length, share }) => `${length} words ${Math.round(100 * share)} %`).slice(-8).join(", ");
    plot.replaceChildren(
      s("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `Sentences you tried, by length, with the share of words right: ${list || "none yet"}` },
        s("line", { x1: x(0), x2: x(LONGEST), y1: y(0), y2: y(0), class: "tr-axis" }), s("line", { x1: x(0), x2: x(0), y1: y(0), y2: y(1), class: "tr-axis" }),
        s("line", { x1: x(trained), x2: x(trained), y1: y(0), y2: y(1), class: "tr-limit" }),
        ...[0, 0.5, 1].map(share => s("text", { x: left - 6, y: y(share) + 4, "text-anchor": "end" }, `${100 * share} %`)),
        ...[0, 20, 40].map(n => s("text", { x: x(n), y: H - 10, "text-anchor": "middle" }, n)),
        s("text", { x: x(LONGEST), y: H - 10, "text-anchor": "end" }, `${LONGEST} words`), ...dots),
      h("p", {}, "Each dot is a sentence you tried: its length in words, and the share of its words that came out right. The dashed line is the longest sentence of the training."));
  }

  model.on("change:sentence", draw);
  draw();
  return () => model.off("change:sentence", draw);
}

export default { render, address: ["sentence"] };
