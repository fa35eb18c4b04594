import { h, roving, translate } from "./core.js";

// What the widgets share in which a reader writes a sentence of a grammar.

export const LONGEST = 60; // words of a sentence that is read

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

// The links [source, true word] as cells "row column" of the words said, for words that both sentences have.
export function goldCells(truth, said, links) {
  const rows = new Map();
  let place = 0, row = 0;
  for (const [a, b] of compare(truth, said)) {
    if (a === b) rows.set(place, row);
    if (a !== undefined) place++;
    if (b !== undefined) row++;
  }
  return new Set(links.filter(([, j]) => rows.has(j)).map(([i, j]) => `${rows.get(j)} ${i}`));
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

export const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
export const short = word => (word.length > 30 ? `${word.slice(0, 30)}…` : word);
// The words of a grammar that a vocabulary has.
export const knownWords = (grammar, words) => { const all = new Set(words); return new Set(grammar.rules.flatMap(rule => rule.source).filter(word => all.has(word))); };
export const unique = name => `wa-${name}-${Math.random().toString(36).slice(2, 8)}`; // labels need ids that no other widget has

// A box for a sentence, a line that says how far it can be read, and words to choose from for the place where it stops.
// write(text) keeps what the reader wrote. show(text) calls whole(words, parse) for a sentence, else broken(message);
// whole() may offer words that can follow.
export function writer({ label, grammar, known, write, whole, broken }) {
  const keep = text => write(text.slice(0, 2000));
  const input = h("input", { type: "text", id: unique("sentence"), lang: "en", autocomplete: "off", autocapitalize: "off", spellcheck: "false", oninput: () => keep(input.value) });
  const message = h("p", { class: "tr-message" }), chips = h("div", { class: "tr-chips", role: "group", "aria-label": "Words that can come next" });
  const settle = roving(chips);
  chips.addEventListener("keydown", event => { if (event.key === "Escape") input.focus(); });
  input.addEventListener("keydown", event => {
    if (event.key === "ArrowDown" && chips.firstChild) { event.preventDefault(); chips.querySelector("button").focus(); }
  });
  const put = (words, at, word) => keep([...words.slice(0, at), word, ...words.slice(at + 1)].join(" ") + " ");

  function offer(words, at, next, parts) { // words that can stand at a place, below what is to be said
    message.replaceChildren(...parts);
    const focused = chips.contains(document.activeElement);
    chips.replaceChildren(...[...next].sort().map(word => h("button", { type: "button", lang: "en", onclick: () => put(words, at, word) }, word)));
    chips.hidden = !next.length;
    settle();
    if (focused) (chips.querySelector("button") ?? input).focus();
  }

  function stop(words, at, next, parts) {
    offer(words, at, next, parts);
    broken(message.textContent + (next.length ? ` ${next.slice(0, 5).join(", ")}` : ""));
  }

  function show(text) {
    const words = read(text, known);
    if (input.value !== text) { input.value = text; input.scrollLeft = input.scrollWidth; } // to where it grew
    const unknown = words.findIndex(word => !known.has(word)), typing = /\S$/.test(text);
    if (words.length > LONGEST) return stop(words, 0, [], [`This sentence has ${words.length} words; at most ${LONGEST} can be read here.`]);
    if (!words.length) return stop(words, 0, translate(grammar, []).next, ["Begin with one of these words."]);
    const parse = translate(grammar, words), last = words.length - 1;
    if (parse.target) return whole(words, parse);
    const begun = typing && parse.at === last ? parse.next.filter(word => word.startsWith(words[last])) : [];
    if (begun.length) return stop(words, last, begun, [`${plural(words.length, "word")} so far; the last one is not finished.`]);
    if (unknown >= 0 && unknown <= parse.at) {
      const close = near(words[unknown], [...known]);
      return stop(words, unknown, close, [h("bdi", {}, `“${short(words[unknown])}”`), " is not in the vocabulary. ",
        close.length ? "Near ones:" : `It knows ${known.size} words; the sentence grows from those that can come next.`]);
    }
    if (parse.at === words.length) return stop(words, parse.at, parse.next, [`${plural(words.length, "word")} so far; the sentence is not finished.`]);
    return stop(words, parse.at, parse.next, [parse.at ? `After “${words.slice(Math.max(0, parse.at - 4), parse.at).join(" ")}”, ` : "At the beginning, ",
      h("bdi", {}, `“${short(words[parse.at])}”`), parse.next.length ? " cannot stand. These can:" : " cannot stand: the sentence ends there."]);
  }

  return { parts: [h("label", { for: input.id, class: "tr-label" }, label), input, message, chips], show, offer };
}
