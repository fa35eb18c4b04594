import { add, dot, embed, frame, h, join, layerNorm, linear, argmax, softmax, speaker, unpack, weightColour } from "./core.js";
import { inPairs, turn, wave } from "./waves.js";

const NAMES = { none: "none", sinusoidal: "sinusoidal", learned: "learned", complex: "complex words", relative: "Shaw", distance: "distance", rotary: "rotary" };
function vector(model, kind, word, place) {
  if (kind === "complex") {
    const { shape: [, pairs] } = model["embed.amplitude"], of = (name, i) => model[`embed.${name}`].data[word * pairs + i];
    return inPairs(Array.from({ length: pairs }), (_, i) => { const angle = of("frequency", i) * place + of("phase", i); return [of("amplitude", i) * Math.cos(angle), of("amplitude", i) * Math.sin(angle)]; });
  }
  const x = Float64Array.from(embed(model, "embed", word));
  return kind === "sinusoidal" ? add(x, wave(place, x.length)) : kind === "learned" ? add(x, embed(model, "place.table", place)) : x;
}

// The trained network over numbers of words: weights[head][query][key], and the numbers that come out at each place.
export function understand(model, { kind, heads, farthest }, numbers, start) {
  const x = numbers.map((word, i) => vector(model, kind, word, start + i)), normed = x.map(row => layerNorm(model, "block.before", row));
  const [query, key, value] = ["query", "key", "value"].map(part => normed.map(row => linear(model, `block.mixer.of_${part}`, row)));
  const d = query[0].length / heads, clip = o => Math.max(-farthest, Math.min(farthest, o)) + farthest, offset = (name, o) => embed(model, `block.mixer.offset_${name}`, clip(o));
  const looks = Array.from({ length: heads }, (_, head) => {
    const slice = row => row.slice(head * d, (head + 1) * d), turned = rows => rows.map((row, i) => (kind === "rotary" ? turn(slice(row), start + i) : slice(row)));
    const q = turned(query), k = turned(key), v = value.map(slice);
    const weights = q.map((asked, i) => softmax(k.map((one, j) => (dot(asked, one) + (kind === "relative" ? dot(asked, offset("key", j - i)) : 0)) / Math.sqrt(d) - (kind === "distance" ? Math.abs(i - j) * 2 ** (-8 * (head + 1) / heads) : 0))));
    const found = weights.map((row, i) => row.reduce((sum, weight, j) => sum.map((a, n) => a + weight * (v[j][n] + (kind === "relative" ? offset("value", j - i)[n] : 0))), new Float64Array(d)));
    return { weights, found };
  });
  const outputs = x.map((row, i) => {
    const read = add(row, linear(model, "block.mixer.out", join(...looks.map(look => look.found[i]))));
    const hidden = linear(model, "block.alone.0", layerNorm(model, "block.between", read)).map(a => Math.max(a, 0));
    return linear(model, "readout", layerNorm(model, "norm", add(read, linear(model, "block.alone.2", hidden))));
  });
  return { weights: looks.map(look => look.weights), outputs };
}

// A state that can be drawn, whatever an address said.
export function tidy({ letters, kinds, most, longest, heads, sentence, kind, start, head }) {
  const some = [...(typeof sentence === "string" ? sentence.toLowerCase() : "")].filter(one => letters.includes(one)).slice(0, longest);
  const within = (x, top) => (Number.isInteger(x) ? Math.max(0, Math.min(top, x)) : 0);
  return { sentence: some.join("") || letters[0], kind: kinds.includes(kind) ? kind : kinds[0], start: within(start, most), head: within(head, heads - 1) };
}

// All that a state shows.
export function look(model, { letters, back, heads, farthest, sentence, kind, start }) {
  const numbers = [...sentence].map(one => letters.indexOf(one)), how = { kind, heads, farthest };
  const { weights, outputs } = understand(model, how, numbers, start), before = understand(model, how, numbers, 0).weights;
  return {
    weights, said: outputs.map(row => letters[argmax(row)]), wanted: [...sentence].map((_, i) => (i >= back ? sentence[i - back] : null)),
    change: Math.max(...weights.flatMap((table, one) => table.flatMap((row, i) => row.map((weight, j) => Math.abs(weight - before[one][i][j]))))),
  };
}

let made = 0;
function render({ model, el }) {
  const fixed = Object.fromEntries(["letters", "back", "trained", "most", "longest", "heads", "farthest"].map(name => [name, model.get(name)]));
  const packed = model.get("weights"), kinds = Object.keys(NAMES).filter(kind => packed[kind]), nets = {}, TRAITS = ["sentence", "kind", "start", "head"], id = `places-${++made}`;
  const state = () => ({ ...fixed, ...tidy({ ...fixed, kinds, ...Object.fromEntries(TRAITS.map(name => [name, model.get(name)])) }) });
  const put = changes => { for (const [name, value] of Object.entries(changes)) model.set(name, value); model.save_changes(); };
  const radios = (label, name, options, change) => {
    const inputs = options.map(([value]) => h("input", { type: "radio", name: `${id}-${name}`, value, onchange: () => change(value) }));
    return { inputs, node: h("div", { class: "pl-choice", role: "radiogroup", "aria-label": label }, h("span", { class: "pl-label" }, label), ...options.map(([, text], i) => h("label", {}, inputs[i], ` ${text}`))) };
  };

  const which = radios("Positions", "kind", kinds.map(kind => [kind, NAMES[kind]]), kind => put({ kind }));
  const heads = radios("Head", "head", Array.from({ length: fixed.heads }, (_, i) => [i, String(i + 1)]), head => put({ head }));
  const text = h("input", { type: "text", maxlength: fixed.longest, autocomplete: "off", spellcheck: "false", autocapitalize: "off", "aria-label": `Sentence: letters from ${fixed.letters[0]} to ${fixed.letters.at(-1)}`,
    oninput: () => { if ([...text.value.toLowerCase()].some(one => fixed.letters.includes(one))) put({ sentence: tidy({ ...fixed, kinds, sentence: text.value }).sentence }); }, onblur: () => { text.value = state().sentence; } });
  const slider = h("input", { type: "range", min: 0, max: fixed.most, step: 1, "aria-label": "Place of the first word", oninput: () => put({ start: Number(slider.value) }) });
  const where = h("output", { class: "pl-where" }), verdict = h("p", { class: "pl-verdict" }), change = h("p", { class: "pl-change" });
  const top = h("tr"), body = h("tbody");
  const table = h("table", { class: "pl-table" }, h("caption", {}, `Where each word looks. Outlined: the word ${fixed.back} places before, which it should name`), h("thead", {}, top), body);
  frame(el, "A sentence that is moved, read by networks with different positions");
  el.append(which.node, h("label", { class: "pl-line" }, h("span", { class: "pl-label" }, "Sentence"), text), h("div", { class: "pl-line" }, h("span", { class: "pl-label" }, "First place"), slider, where), heads.node, verdict, change, table);
  const say = speaker(el);

  function show() {
    const now = state(), { kind, start, sentence, head, back } = now, seen = look(nets[kind] ??= unpack(packed[kind]), now), rows = seen.weights[head];
    which.inputs.forEach(input => { input.checked = input.value === kind; });
    heads.inputs.forEach((input, i) => { input.checked = i === head; });
    if (document.activeElement !== text) text.value = sentence;
    slider.value = start;
    const last = start + sentence.length - 1, asked = seen.wanted.filter(one => one !== null).length, good = seen.said.filter((one, i) => one === seen.wanted[i]).length;
    where.replaceChildren(`places ${start} to ${last}`);
    verdict.replaceChildren(`${good} of ${asked} answers are right.`);
    change.replaceChildren(`${last < fixed.trained ? "Training saw these places." : `Training saw the places 0 to ${fixed.trained - 1}.`} `,
      seen.change < 5e-4 ? "The weights are those of the same sentence at place 0." : `The largest change of a weight from the same sentence at place 0: ${seen.change.toFixed(2)}.`);
    top.replaceChildren(h("td"), ...[...sentence].map(letter => h("th", { scope: "col" }, letter)), h("th", { scope: "col" }, "says"));
    body.replaceChildren(...rows.map((row, i) => {
      const true_ = seen.wanted[i], right = seen.said[i] === true_;
      return h("tr", {}, h("th", { scope: "row" }, h("span", { class: "pl-place" }, String(start + i)), ` ${sentence[i]}`),
        ...row.map((weight, j) => h("td", { class: j === i - back ? "pl-cell pl-true" : "pl-cell", style: `background:${weightColour(weight)}`, "aria-label": weight.toFixed(2) })),
        h("td", { class: `pl-said${true_ === null ? "" : right ? " pl-right" : " pl-wrong"}` }, true_ === null ? "–" : right ? `${seen.said[i]} ✓` : `${seen.said[i]} ✗`));
    }));
    say(`${NAMES[kind]}, places ${start} to ${last}: ${good} of ${asked} answers are right. ${change.textContent}`);
  }

  for (const trait of TRAITS) model.on(`change:${trait}`, show);
  show();
  return () => { for (const trait of TRAITS) model.off(`change:${trait}`, show); };
}

export default { render, address: ["sentence", "kind", "start", "head"] };
