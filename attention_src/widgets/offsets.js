import { add, dot, frame, h, s, speaker } from "./core.js";
import { turn, wave } from "./waves.js";

const SPAN = 32, PLACES = [SPAN, 256], OFFSETS = Array.from({ length: 2 * SPAN + 1 }, (_, i) => i - SPAN);
const KINDS = { waves: "two waves", words: "waves added to words", rotary: "rotary, both turned", half: "rotary, only the query turned" };

// The scores of a query at a place with the keys at all offsets. The key's word is the query's, turned by `back` places.
export function scores({ kind, query, back }, place) {
  const key = turn(query, back), width = query.length;
  const at = { waves: (_, p) => wave(p, width), words: (x, p) => add(wave(p, width), x), rotary: turn, half: (x, p) => (x === query ? turn(x, p) : x) }[kind];
  const asked = at(query, place);
  return OFFSETS.map(offset => dot(asked, at(key, place + offset)));
}

// No score of this kind is larger, wherever the places are.
export function bound({ kind, query }) {
  const square = dot(query, query), lengths = query.reduce((sum, x, i) => (i % 2 ? sum + Math.hypot(query[i - 1], x) : sum), 0);
  return { waves: query.length / 2, words: square + 2 * lengths + query.length / 2, rotary: square, half: square }[kind];
}

// A state that can be drawn, whatever an address said.
export function tidy({ widest, kind, width, place, offset }) {
  const within = (x, least, most, other) => (Number.isInteger(x) ? Math.max(least, Math.min(most, x)) : other);
  return { kind: Object.hasOwn(KINDS, kind) ? kind : "waves", width: 2 * Math.floor(within(width, 2, widest, 2) / 2), place: within(place, ...PLACES, PLACES[0]), offset: within(offset, -SPAN, SPAN, 0) };
}

// Two decimals, with a minus sign that is one, and none before a zero.
const number = x => x.toFixed(2).replace(/^-(?=0\.00$)/, "").replace("-", "−");
const whole = x => String(x).replace("-", "−");

// ---- The chart, in a box of W by H with room for the numbers at its left and below

const W = 400, H = 240, LEFT = 46, RIGHT = 12, TOP = 12, BOTTOM = 42;
const across = offset => LEFT + ((W - LEFT - RIGHT) * (offset + SPAN)) / (2 * SPAN);

function chart(here, first, top, offset) {
  const y = score => (H - BOTTOM + TOP) / 2 - ((H - BOTTOM - TOP) / 2) * (score / top);
  const line = (name, all) => s("path", { class: `of-line of-${name}`, d: `M${all.map((score, i) => `${across(OFFSETS[i]).toFixed(1)} ${y(score).toFixed(1)}`).join("L")}` });
  return [
    ...[-top, 0, top].flatMap(at => [s("path", { class: "of-grid", d: `M${LEFT} ${y(at)}H${W - RIGHT}` }), s("text", { x: LEFT - 6, y: y(at) + 5, "text-anchor": "end" }, whole(Math.round(10 * at) / 10))]),
    ...[-SPAN, -SPAN / 2, 0, SPAN / 2, SPAN].map(at => s("text", { x: across(at), y: H - BOTTOM + 18, "text-anchor": "middle" }, whole(at))),
    s("path", { class: "of-grid", d: `M${across(0)} ${TOP}V${H - BOTTOM}` }),
    s("text", { x: (W + LEFT - RIGHT) / 2, y: H - 5, "text-anchor": "middle" }, "offset from query to key, places"),
    s("path", { class: "of-here", d: `M${across(offset)} ${TOP}V${H - BOTTOM}` }),
    line("now", here), line("first", first),
    s("circle", { class: "of-dot", cx: across(offset), cy: y(here[offset + SPAN]), r: 5 }),
  ];
}

let made = 0;
function render({ model, el }) {
  const words = model.get("query"), back = model.get("back"), TRAITS = ["kind", "width", "place", "offset"], id = `offsets-${++made}`;
  const state = () => tidy({ widest: words.length, ...Object.fromEntries(TRAITS.map(name => [name, model.get(name)])) });
  const put = (name, value) => { model.set(name, value); model.save_changes(); };

  const inputs = Object.keys(KINDS).map(value => h("input", { type: "radio", name: id, value, onchange: () => put("kind", value) }));
  const kinds = h("div", { class: "of-kinds", role: "radiogroup", "aria-label": "What is scored" }, ...Object.values(KINDS).map((text, i) => h("label", {}, inputs[i], ` ${text}`)));
  const slider = (name, text, min, max, step) => {
    const input = h("input", { type: "range", min, max, step, "aria-label": text, oninput: () => put(name, Number(input.value)) }), shown = h("output", { class: "of-shown" });
    return { node: h("div", { class: "of-control" }, h("span", { "aria-hidden": "true" }, text), input, shown), show: value => { input.value = value; input.setAttribute("aria-valuetext", whole(value)); shown.replaceChildren(whole(value)); } };
  };
  const sliders = { width: slider("width", "Width", 2, words.length, 2), place: slider("place", "Place of the query", ...PLACES, 1), offset: slider("offset", "Offset", -SPAN, SPAN, 1) };
  const picture = s("svg", { viewBox: `0 0 ${W} ${H}`, class: "of-chart", role: "img", onclick: event => {
    const box = picture.getBoundingClientRect(), x = ((event.clientX - box.left) / box.width) * W;
    put("offset", Math.max(-SPAN, Math.min(SPAN, Math.round(((x - LEFT) / (W - LEFT - RIGHT)) * 2 * SPAN) - SPAN)));
  } });
  const swatch = name => s("svg", { viewBox: "0 0 26 8", class: "of-swatch", "aria-hidden": "true" }, s("path", { class: `of-line of-${name}`, d: "M0 4H26" }));
  const current = h("span", {}), legend = h("p", { class: "of-legend" }, h("span", {}, swatch("now"), current), h("span", {}, swatch("first"), `at place ${PLACES[0]}`));
  const verdict = h("p", { class: "of-verdict" }), where = h("p", { class: "of-where" });
  frame(el, "The score of two places over the distance between them");
  el.append(kinds, ...Object.values(sliders).map(one => one.node), picture, legend, verdict, where);
  const say = speaker(el);

  function show() {
    const now = state(), { kind, width, place, offset } = now, pair = { kind, query: words.slice(0, width), back };
    const here = scores(pair, place), first = scores(pair, PLACES[0]), score = here[offset + SPAN];
    const change = Math.max(...here.map((one, i) => Math.abs(one - first[i])));
    inputs.forEach(input => { input.checked = input.value === kind; });
    for (const [name, one] of Object.entries(sliders)) one.show(now[name]);
    current.replaceChildren(`at place ${place}`);
    verdict.replaceChildren(place === PLACES[0] ? "Move the place: does the curve stay?" : change < 0.005 ? `The curve stays: it is that of place ${PLACES[0]}.` : `The curve moves: it differs from that of place ${PLACES[0]} by up to ${number(change)}.`);
    where.replaceChildren(`Query at place ${place}, key at place ${place + offset}, offset ${whole(offset)}: score ${number(score)}. At place ${PLACES[0]}, the same offset: ${number(first[offset + SPAN])}.`);
    picture.replaceChildren(...chart(here, first, bound(pair), offset));
    picture.setAttribute("aria-label", `Scores over the offset from ${whole(-SPAN)} to ${SPAN}, ${KINDS[kind]}, at place ${place} and at place ${PLACES[0]}`);
    say(`${verdict.textContent} ${where.textContent}`);
  }

  for (const trait of TRAITS) model.on(`change:${trait}`, show);
  show();
  return () => { for (const trait of TRAITS) model.off(`change:${trait}`, show); };
}

export default { render, address: ["kind", "width", "place", "offset"] };
