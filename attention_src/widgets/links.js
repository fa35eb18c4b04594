import { argmax, frame, h, roving, speaker, weightColour, weightInk } from "./core.js";

const READINGS = ["largest", "threshold"], LEAST = 0.05, MOST = 0.95;
const key = ([i, j]) => `${i} ${j}`;

// The links [source place, target place] that a map says, with those that the reader has added or removed.
export function said({ source, target, weights }, { reading, least, shift, toggled }) {
  const links = new Map(), put = link => links.set(key(link), link);
  weights.forEach((row, j) => {
    if (j + shift < 0 || j + shift >= target.length) return;
    const best = argmax(row);
    row.forEach((weight, i) => { if (reading === "largest" ? i === best && weight > 0 : weight >= least) put([i, j + shift]); });
  });
  for (const link of new Map(toggled.map(one => [key(one), one])).values()) { // a link that is named twice counts once
    const [i, j] = link;
    if (i < 0 || i >= source.length || j < 0 || j >= target.length) continue;
    if (links.has(key(link))) links.delete(key(link));
    else put(link);
  }
  return [...links.values()].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}

// How the links agree with the true ones, all of which are sure.
export function count(links, gold) {
  const truth = new Set(gold.map(key)), right = links.filter(link => truth.has(key(link))).length, all = links.length + gold.length;
  return { right, error: all ? 1 - (2 * right) / all : 0, precision: links.length ? right / links.length : 1, recall: gold.length ? right / gold.length : 1 };
}

// A state that can be drawn, whatever an address said.
export function tidy({ maps, chosen, reading, least, shift, toggled }) {
  const pair = link => Array.isArray(link) && link.length === 2 && link.every(Number.isInteger);
  return {
    chosen: Number.isInteger(chosen) && chosen >= 0 && chosen < maps.length ? chosen : 0,
    reading: READINGS.includes(reading) ? reading : READINGS[0],
    least: Number.isFinite(least) ? Math.max(LEAST, Math.min(MOST, least)) : 0.3,
    shift: [-1, 0, 1].includes(shift) ? shift : 0,
    toggled: (Array.isArray(toggled) ? toggled : []).filter(pair).slice(0, 200),
  };
}

const judged = (is, right, known) => (!known ? (is ? "; said" : "") : is ? (right ? "; said and true" : "; said and not true") : right ? "; true and not said" : "");
const percent = x => `${Math.round(100 * x)} %`;
const NAMES = ["chosen", "reading", "least", "shift", "toggled"];

function render({ model, el }) {
  const maps = model.get("maps");
  const state = () => tidy({ maps, ...Object.fromEntries(NAMES.map(name => [name, model.get(name)])) });
  const put = changes => { for (const [name, value] of Object.entries(changes)) model.set(name, value); model.save_changes(); };
  const option = ([value, text]) => h("option", { value }, text);
  const choice = (options, change) => h("select", { onchange: event => change(event.target.value) }, ...options.map(option));
  const labelled = (text, control) => h("label", { class: "ln-field" }, h("span", {}, text), control);

  const which = choice(maps.map((map, i) => [i, map.title]), value => put({ chosen: +value, toggled: [] }));
  const how = choice([["largest", "the largest of each row"], ["threshold", "all that are large enough"]], reading => put({ reading, toggled: [] }));
  const speaks = choice([[-1, "the word before"], [0, "its own word"], [1, "the word after"]], value => put({ shift: +value, toggled: [] }));
  const bar = h("input", { type: "range", min: LEAST, max: MOST, step: 0.05, oninput: event => put({ least: +event.target.value, toggled: [] }) });
  const barField = labelled("Large enough: at least ", bar), barValue = h("output", {});
  barField.append(barValue);
  const undo = h("button", { type: "button", onclick: () => put({ toggled: [] }) }, "Undo my changes");
  const result = h("p", { class: "ln-result" }), legend = h("span", {}), table = h("table", { class: "ln-map" });
  frame(el, "A map of weights, read as links");
  el.append(
    h("div", { class: "ln-controls" }, labelled("Map ", which), labelled("Link ", how), barField, labelled("A row speaks for ", speaks)),
    result, h("div", { class: "ln-scroll" }, table),
    h("p", { class: "ln-legend" }, legend, "Choose a cell to add a link or to remove it. ", undo));
  const say = speaker(el);
  let drawn = -1, cells = [], columns = 0, settle;

  function lay({ source, target, weights }, truth) { // a new table: the words and the colours of one map
    columns = source.length;
    cells = weights.map((row, j) => row.map((weight, i) => h("button", {
      type: "button", class: truth.has(key([i, j])) ? "ln-gold" : "", style: `background:${weightColour(weight)};color:${weightInk(weight)}`,
      onclick: () => { const { toggled } = state(), me = key([i, j]); put({ toggled: toggled.some(link => key(link) === me) ? toggled.filter(link => key(link) !== me) : [...toggled, [i, j]] }); },
    })));
    const fresh = h("table", { class: "ln-map" },
      h("caption", { class: "wa-spoken" }, "Weights: a row for each target word, a column for each source word"),
      h("thead", {}, h("tr", {}, h("td", {}), ...source.map(word => h("th", { scope: "col" }, h("span", {}, word))))),
      h("tbody", {}, ...target.map((word, j) => h("tr", {}, h("th", { scope: "row" }, word), ...cells[j].map(cell => h("td", {}, cell))))));
    el.querySelector(".ln-map").replaceWith(fresh);
    settle = roving(fresh, { columns });
    settle();
  }

  function show() {
    const now = state(), map = maps[now.chosen], links = said(map, now), gold = map.gold ?? [], truth = new Set(gold.map(key)), seen = count(links, gold);
    if (drawn !== now.chosen) { lay(map, truth); drawn = now.chosen; }
    [which.value, how.value, speaks.value, bar.value] = [now.chosen, now.reading, now.shift, now.least];
    barValue.textContent = now.least.toFixed(2);
    bar.disabled = now.reading !== "threshold";
    undo.disabled = !now.toggled.length;
    const spoken = new Set(links.map(key));
    cells.forEach((row, j) => row.forEach((cell, i) => {
      const is = spoken.has(key([i, j])), right = truth.has(key([i, j]));
      cell.textContent = is ? (right || !map.gold ? "●" : "✕") : "";
      cell.setAttribute("aria-pressed", String(is));
      cell.setAttribute("aria-label", `${map.target[j]}, ${map.source[i]}: weight ${map.weights[j][i].toFixed(2)}${judged(is, right, map.gold)}`);
    }));
    legend.textContent = map.gold ? "● said and true, ✕ said and not true, an empty frame: true and not said. " : "● said; what is true is not known. ";
    if (!map.gold) {
      result.textContent = `${links.length} links are said.`;
      return say(result.textContent);
    }
    const numbers = `Precision ${percent(seen.precision)}, recall ${percent(seen.recall)}, alignment error ${percent(seen.error)}.`;
    result.replaceChildren(`${links.length} links are said, ${seen.right} of them true; ${map.gold.length} are true. `, h("strong", {}, numbers));
    say(`${links.length} said, ${seen.right} true. ${numbers}`);
  }

  for (const name of NAMES) model.on(`change:${name}`, show);
  show();
  return () => { for (const name of NAMES) model.off(`change:${name}`, show); };
}

export default { render, address: NAMES };
