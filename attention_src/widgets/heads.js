import { add, embed, frame, h, linear, multiHead, roving, softmax, speaker, unpack, weightColour, weightInk } from "./core.js";

// The network over numbers of people and of things: the weights of each head, and for each question the probabilities of the things.
export function ask(model, heads, list, asked, off) {
  const entries = list.map(([name, thing]) => add(embed(model, "name", name), embed(model, "thing", thing)));
  const query = asked.map((name, place) => embed(model, `ask.${place}`, name)).reduce(add);
  const through = (part, rows) => rows.map(row => linear(model, `look.of_${part}`, row));
  const { weights, context } = multiHead(through("query", [query]), through("key", entries), through("value", entries), heads);
  const found = context[0].map((x, i) => (off.includes(Math.floor((i * heads) / context[0].length)) ? 0 : x));
  const logits = linear(model, "answer", linear(model, "look.out", found)), each = logits.length / asked.length;
  return { weights: weights.map(rows => rows[0]), answers: asked.map((_, i) => softmax(logits.slice(i * each, (i + 1) * each))) };
}

// A state that can be drawn, whatever an address said.
export function tidy({ names, things, counts, size, questions, entries, asked, heads, off }) {
  const pair = one => Array.isArray(one) && names.includes(one[0]) && things.includes(one[1]);
  const whole = Array.isArray(entries) && entries.length === size && entries.every(pair) && new Set(entries.map(one => one[0])).size === size;
  const list = whole ? entries.map(one => one.slice(0, 2)) : names.slice(0, size).map((name, i) => [name, things[i % things.length]]);
  const who = Array.isArray(asked) && asked.length === questions && asked.every(name => names.includes(name));
  const count = counts.includes(heads) ? heads : counts[0];
  const none = (Array.isArray(off) ? off : []).filter(head => Number.isInteger(head) && head >= 0 && head < count);
  return { entries: list, asked: who ? asked.slice() : list.slice(0, questions).map(one => one[0]), heads: count, off: [...new Set(none)].sort((a, b) => a - b) };
}

// All that a state shows: weights[head][place]; for each question the answer, its probability, the place of its source (-1: none) and the truth.
export function look(model, { names, things, entries, asked, heads, off }) {
  const numbers = entries.map(([name, thing]) => [names.indexOf(name), things.indexOf(thing)]);
  const { weights, answers } = ask(model, heads, numbers, asked.map(name => names.indexOf(name)), off);
  const sources = asked.map(name => entries.findIndex(one => one[0] === name));
  return {
    weights, sources, truth: sources.map(place => (place < 0 ? null : entries[place][1])),
    said: answers.map(p => { const best = p.indexOf(Math.max(...p)); return [things[best], p[best]]; }),
    serves: weights.map(row => sources.flatMap((place, i) => (place >= 0 && row[place] > 0.5 ? [i + 1] : []))), // questions, counted from 1
  };
}

const percent = x => `${Math.round(100 * x)} %`;

function render({ model, el }) {
  const [names, things] = ["names", "things"].map(name => model.get(name)), packed = model.get("weights");
  const counts = Object.keys(packed).map(Number), size = model.get("size"), questions = packed[counts[0]].tensors.filter(([name]) => name.startsWith("ask.")).length, nets = {};
  const net = heads => (nets[heads] ??= unpack(packed[heads]));
  const state = () => ({ names, things, ...tidy({ names, things, counts, size, questions, ...Object.fromEntries(["entries", "asked", "heads", "off"].map(name => [name, model.get(name)])) }) });
  const put = changes => { for (const [name, value] of Object.entries(changes)) model.set(name, value); model.save_changes(); };
  const choice = (label, options, change) => h("select", { "aria-label": label, onchange: event => change(event.target.value) }, ...options.map(text => h("option", { value: text }, text)));

  // -- the network and the questions
  const which = choice("Heads of the network", counts.map(String), value => put({ heads: Number(value), off: [] }));
  const fresh = h("button", { type: "button", onclick: invent }, "New list");
  const cards = Array.from({ length: questions }, (_, i) => {
    const person = choice(`Question ${i + 1}: what has …`, names, name => { const { asked } = state(); asked[i] = name; put({ asked }); });
    const said = h("span", { class: "hd-said" }), verdict = h("span", { class: "hd-verdict" });
    return { node: h("li", {}, h("span", { class: "hd-chip" }, String(i + 1)), person, said, verdict), person, said, verdict };
  });

  // -- the heads
  const toggles = h("div", { class: "hd-toggles", role: "group", "aria-label": "Heads that are on" }), settle = roving(toggles);
  const all = h("button", { type: "button", onclick: () => put({ off: [] }) }, "All on");

  // -- the list with the weights
  const lines = Array.from({ length: size }, (_, place) => {
    const chips = h("span", { class: "hd-chips" });
    const who = choice(`Person ${place + 1}`, names, name => {
      const { entries } = state(), other = entries.findIndex(one => one[0] === name); // a person stands in the list once: swap
      if (other >= 0) entries[other] = [entries[place][0], entries[other][1]];
      entries[place] = [name, entries[place][1]];
      put({ entries });
    });
    const what = choice(`Thing ${place + 1}`, things, thing => { const { entries } = state(); entries[place] = [entries[place][0], thing]; put({ entries }); });
    return { chips, who, what, row: h("tr", {}, h("th", { scope: "row" }, h("span", { class: "hd-entry" }, chips, who, what))) };
  });
  const header = h("tr"), footer = h("tr");
  const table = h("table", { class: "hd-table" }, h("caption", {}, "Where each head looks, in percent"), h("thead", {}, header), h("tbody", {}, ...lines.map(line => line.row)), h("tfoot", {}, footer));
  const count = h("p", { class: "hd-count" });
  frame(el, "A list, four questions and a trained layer of heads");
  el.append(
    h("div", { class: "hd-top" }, h("label", {}, "Heads ", which), fresh),
    h("ol", { class: "hd-questions", "aria-label": "Questions and answers" }, ...cards.map(card => card.node)), count,
    h("div", { class: "hd-switch" }, h("span", { class: "hd-label" }, "Switch heads off: "), toggles, all),
    table,
    h("p", { class: "hd-legend" }, "A numbered mark stands at the person whom that question is about: the known source. The last line says for which questions a head has more than half of its weight on the source."));
  const say = speaker(el);

  function invent() {
    const mixed = items => { const out = [...items]; for (let i = out.length - 1; i > 0; i--) { const j = Math.floor(Math.random() * (i + 1)); [out[i], out[j]] = [out[j], out[i]]; } return out; };
    const who = mixed(names).slice(0, size);
    put({ entries: who.map(name => [name, things[Math.floor(Math.random() * things.length)]]), asked: mixed(who).slice(0, questions) });
  }

  function show() {
    const now = state(), { heads, off, entries, asked } = now, seen = look(net(heads), now), dim = head => (off.includes(head) ? " hd-off" : "");
    which.value = String(heads);
    table.style.setProperty("--heads", heads);
    cards.forEach(({ node, person, said, verdict }, i) => {
      const [thing, p] = seen.said[i], right = thing === seen.truth[i];
      person.value = asked[i];
      said.replaceChildren(`${thing}, ${percent(p)}`);
      verdict.replaceChildren(seen.truth[i] === null ? "not in the list" : right ? "✓ right" : `✗ has ${seen.truth[i]}`);
      node.className = seen.truth[i] === null ? "" : right ? "hd-right" : "hd-wrong";
    });
    if (toggles.childElementCount !== heads) {
      toggles.replaceChildren(...Array.from({ length: heads }, (_, head) => h("button", { type: "button", onclick: () => {
        const { off } = state();
        put({ off: off.includes(head) ? off.filter(other => other !== head) : [...off, head].sort((a, b) => a - b) });
      } }, String(head + 1))));
      settle();
    }
    [...toggles.children].forEach((button, head) => { button.setAttribute("aria-pressed", String(!off.includes(head))); button.setAttribute("aria-label", `Head ${head + 1} is ${off.includes(head) ? "off" : "on"}`); });
    all.disabled = !off.length;
    header.replaceChildren(h("th", { scope: "col" }, "list"), ...seen.weights.map((_, head) => h("th", { scope: "col", class: `hd-head${dim(head)}`, "aria-label": `head ${head + 1}${off.includes(head) ? ", off" : ""}` }, String(head + 1))));
    lines.forEach(({ chips, who, what, row }, place) => {
      const about = seen.sources.flatMap((source, i) => (source === place ? [i + 1] : []));
      chips.replaceChildren(...about.map(i => h("span", { class: "hd-chip", "aria-label": `question ${i}`, role: "img" }, String(i))));
      who.value = entries[place][0];
      what.value = entries[place][1];
      row.replaceChildren(row.firstElementChild, ...seen.weights.map((weights, head) => h("td", { class: `hd-cell${dim(head)}`, style: `background:${weightColour(weights[place])};color:${weightInk(weights[place])}` },
        h("span", {}, String(Math.round(100 * weights[place]))))));
    });
    footer.replaceChildren(h("th", { scope: "row" }, "serves question"), ...seen.serves.map((some, head) => h("td", { class: `hd-serves${dim(head)}` }, some.join(" ") || "–")));
    const good = seen.said.filter(([thing], i) => thing === seen.truth[i]).length;
    const text = `${good} of ${questions} answers are right, with ${heads - off.length} of ${heads} head${heads > 1 ? "s" : ""} on.`;
    count.replaceChildren(text);
    say(`${text} ${asked.map((name, i) => `${name}: ${seen.said[i][0]}`).join(", ")}.`);
  }

  const traits = ["entries", "asked", "heads", "off"];
  for (const name of traits) model.on(`change:${name}`, show);
  show();
  return () => { for (const name of traits) model.off(`change:${name}`, show); };
}

export default { render, address: ["entries", "asked", "heads", "off"] };
