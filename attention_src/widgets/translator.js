import { calm, frame, greedy, h, roving, s, speaker, translate, unpack } from "./core.js";
import { translator } from "./decoders.js";

const LONGEST = 60; // words of a sentence that is read

// Two sentences side by side with the fewest differences: [true word, word said], undefined where one has none. A word that
// is the same in both earns a little, so that ties go to more right words.
export function compare(truth, said) {
  const gap = 1000, cost = Array.from({ length: truth.length + 1 }, (_, i) => Array.from({ length: said.length + 1 }, (_, j) => gap * (i + j)));
  const pair = (i, j) => cost[i - 1][j - 1] + (truth[i - 1] === said[j - 1] ? -1 : gap);
  for (let i = 1; i <= truth.length; i++)
    for (let j = 1; j <= said.length; j++) cost[i][j] = Math.min(pair(i, j), cost[i - 1][j] + gap, cost[i][j - 1] + gap);
  const columns = [];
  for (let i = truth.length, j = said.length; i || j; ) {
    if (i && cost[i][j] === cost[i - 1][j] + gap) columns.push([truth[--i], undefined]);
    else if (i && j && cost[i][j] === pair(i, j)) columns.push([truth[--i], said[--j]]);
    else columns.push([undefined, said[--j]]);
  }
  return columns.reverse();
}

// The words of a text: lower case, punctuation apart, and left out where the vocabulary does not have it.
export function read(text, known) {
  const words = text.normalize("NFC").toLowerCase().replace(/[.,;:!?"“”]/g, " $& ").split(/\s+/);
  return words.filter(word => word && (known.has(word) || !/^[.,;:!?"“”]$/.test(word)));
}

// The words of a vocabulary that are nearest to a word, by the number of letters to change, if they are near at all.
export function near(word, words) {
  const far = other => { const c = compare([...word], [...other]); return c.filter(([a, b]) => a !== b).length; };
  const allowed = Math.ceil(word.length / 3);
  return words.filter(other => Math.abs(other.length - word.length) <= allowed).map(other => [far(other), other])
    .filter(([distance]) => distance <= allowed).sort((a, b) => a[0] - b[0] || (a[1] < b[1] ? -1 : 1)).slice(0, 3).map(pair => pair[1]);
}

const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
const short = word => (word.length > 30 ? `${word.slice(0, 30)}…` : word);

function render({ model, el }) {
  const get = name => model.get(name), grammar = get("grammar"), sourceWords = get("source_words"), targetWords = get("target_words");
  const number = new Map(sourceWords.map((word, i) => [word, i])), known = new Set(grammar.rules.flatMap(rule => rule.source).filter(word => number.has(word)));
  const run = translator(unpack(get("weights")), get("kind"));
  const marks = { begin: targetWords.indexOf("<s>"), end: targetWords.indexOf("</s>"), longest: 2 * LONGEST };
  const joints = new Set(get("growth").slice(1).map(clause => clause.split(" ")[0]));
  const tried = new Map(), memo = new Map(); // sentence -> { length, right, total }; sentence -> words the model said
  const id = name => `wa-${name}-${Math.random().toString(36).slice(2, 8)}`; // labels need ids that no other widget has

  // -- the parts, made once
  const input = h("input", { type: "text", id: id("sentence"), lang: "en", autocomplete: "off", autocapitalize: "off", spellcheck: "false", oninput: () => write(input.value) });
  const message = h("p", { class: "tr-message" }), chips = h("div", { class: "tr-chips", role: "group", "aria-label": "Words that can come next" });
  const slider = h("input", { type: "range", id: id("clauses"), min: 1, step: 1, oninput: () => grow(+slider.value) });
  const clauses = h("output", { for: slider.id });
  const examples = h("div", { class: "tr-examples", role: "group", "aria-label": "Examples of different lengths" }, "Examples by number of words ",
    ...get("examples").map(text => [text, text.split(" ").length]).sort((a, b) => a[1] - b[1]).map(([text, length]) =>
      h("button", { type: "button", "aria-label": plural(length, "word"), onclick: () => write(text) }, length)));
  const score = h("p", { class: "tr-score" }), legend = h("p", { class: "tr-legend" }), source = h("div", { class: "tr-source", role: "group", "aria-label": "The sentence, word by word", lang: "en" });
  const result = h("ol", { class: "tr-result", lang: "fr", "aria-label": "True word and the model’s word" }), plot = h("div", { class: "tr-plot" });
  frame(el, "Translate a sentence with one vector");
  el.append(
    h("label", { for: input.id, class: "tr-label" }, "Write an English sentence, or choose its next word"), input, message, chips,
    h("div", { class: "tr-controls" }, h("span", { class: "tr-clauses" }, h("label", { for: slider.id }, "Clauses "), slider, clauses), examples),
    score, source, legend, result, plot);
  const say = speaker(el), settleChips = roving(chips), settleSource = roving(source);
  chips.addEventListener("keydown", event => { if (event.key === "Escape") input.focus(); });
  input.addEventListener("keydown", event => {
    if (event.key === "ArrowDown" && chips.firstChild) { event.preventDefault(); chips.querySelector("button").focus(); }
  });

  // -- what the reader does
  const write = text => { model.set("sentence", text.slice(0, 2000)); model.save_changes(); };
  const put = (words, at, word) => write([...words.slice(0, at), word, ...words.slice(at + 1)].join(" ") + " ");
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
  function draw() {
    const text = get("sentence"), words = read(text, known);
    if (input.value !== text) { input.value = text; input.scrollLeft = input.scrollWidth; } // to where it grew
    const unknown = words.findIndex(word => !known.has(word)), typing = /\S$/.test(text);
    if (words.length > LONGEST) return stop(words, [`This sentence has ${words.length} words; at most ${LONGEST} can be read here.`]);
    if (!words.length) return offer(words, 0, translate(grammar, []).next, ["Begin with one of these words."]);
    const parse = translate(grammar, words), last = words.length - 1;
    if (parse.target) return show(words, parse);
    const begun = typing && parse.at === last ? parse.next.filter(word => word.startsWith(words[last])) : [];
    if (begun.length) return offer(words, last, begun, [`${plural(words.length, "word")} so far; the last one is not finished.`]);
    if (unknown >= 0 && unknown <= parse.at) {
      const close = near(words[unknown], [...known]);
      return offer(words, unknown, close, [h("bdi", {}, `“${short(words[unknown])}”`), " is not in the vocabulary. ",
        close.length ? "Near ones:" : `It knows ${known.size} words; the sentence grows from those that can come next.`]);
    }
    if (parse.at === words.length) return offer(words, parse.at, parse.next, [`${plural(words.length, "word")} so far; the sentence is not finished.`]);
    return offer(words, parse.at, parse.next, [parse.at ? `After “${words.slice(Math.max(0, parse.at - 4), parse.at).join(" ")}”, ` : "At the beginning, ",
      h("bdi", {}, `“${short(words[parse.at])}”`), parse.next.length ? " cannot stand. These can:" : " cannot stand: the sentence ends there."]);
  }

  function stop(words, parts) { offer(words, 0, [], parts); }

  function offer(words, at, next, parts) {
    tell(parts);
    for (const part of [score, source, legend, result]) part.replaceChildren();
    setClauses(0);
    showChips(words, at, next);
    drawPlot(null);
    say(message.textContent + (next.length ? ` ${next.slice(0, 5).join(", ")}` : ""));
  }

  function tell(parts) { message.replaceChildren(...parts); }

  function showChips(words, at, next) {
    const focused = chips.contains(document.activeElement);
    chips.replaceChildren(...[...next].sort().map(word => h("button", { type: "button", lang: "en", onclick: () => put(words, at, word) }, word)));
    chips.hidden = !next.length;
    settleChips();
    if (focused) (chips.querySelector("button") ?? input).focus();
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
    tell([parse.next.length ? "The sentence is whole. It can go on with:" : "The sentence is whole."]);
    showChips(words, words.length, parse.next);
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
