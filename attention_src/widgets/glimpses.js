import { add, argmax, embed, frame, gruStep, h, join, linear, roving, s, softmax, speaker, tanh, uniform, unpack } from "./core.js";

const SEEDS = 999, WHO = { reader: "You", policy: "The policy", random: "Random" };
const relu = x => x.map(a => Math.max(a, 0));

// The pixels of a picture from its text: one sign each, from 0 (paper) to g (16, ink).
export const pixels = text => Float64Array.from(text, sign => parseInt(sign, 17) / 16);

// The mean of each square block.
export function thumbnail(picture, { size, block }) {
  const across = size / block, means = new Float64Array(across ** 2);
  picture.forEach((ink, i) => { means[Math.floor(Math.floor(i / size) / block) * across + Math.floor((i % size) / block)] += ink / block ** 2; });
  return means;
}

// The pixels of one window, as places in the picture.
export function windowOf(place, { size, side, stride }) {
  const across = (size - side) / stride + 1, row = Math.floor(place / across) * stride, column = (place % across) * stride;
  return Array.from({ length: side ** 2 }, (_, i) => (row + Math.floor(i / side)) * size + column + (i % side));
}

// Look `glimpses` times: choose(scores, i) gives the next place. What the network says after each, as probabilities.
export function view(model, shape, picture, glimpses, choose) {
  const idea = tanh(linear(model, "gist", thumbnail(picture, shape))), places = [], said = [];
  let state = new Float64Array(idea.length);
  for (let i = 0; i < glimpses; i++) {
    const place = choose(linear(model, "policy.2", relu(linear(model, "policy.0", join(idea, state)))), i);
    const shows = linear(model, "what.2", relu(linear(model, "what.0", windowOf(place, shape).map(at => picture[at]))));
    state = gruStep(model, "move", "", relu(add(shows, embed(model, "where", place))), state);
    places.push(place);
    said.push(softmax(linear(model, "readout", state)));
  }
  return { places, said };
}

// All that a state shows: the reader's glimpses, as many of the policy's own and as many random ones.
export function look(model, now) {
  const { pictures, number, places, seed } = now, seen = pixels(pictures[number]), count = places.length, across = (now.size - now.side) / now.stride + 1;
  const chance = uniform(1000 * seed + number, now.glimpses);
  const by = choose => view(model, now, seen, count, choose);
  return { reader: by((_, i) => places[i]), policy: by(argmax), random: by((_, i) => Math.floor(chance[i] * across ** 2)) };
}

// A state that can be drawn, whatever an address said.
export function tidy({ pictures, size, side, stride, glimpses, number, places, seed, shown }) {
  const windows = ((size - side) / stride + 1) ** 2, whole = (x, most) => (Number.isInteger(x) ? Math.max(0, Math.min(most, x)) : 0);
  const good = (Array.isArray(places) ? places : []).filter(place => Number.isInteger(place) && place >= 0 && place < windows);
  return { number: whole(number, pictures.length - 1), places: good.slice(0, glimpses), seed: whole(seed, SEEDS), shown: shown === true };
}

function render({ model, el }) {
  const FIXED = ["pictures", "answers", "size", "side", "stride", "block", "glimpses"], TRAITS = ["number", "places", "seed", "shown"];
  const fixed = Object.fromEntries(FIXED.map(name => [name, model.get(name)])), net = unpack(model.get("weights")), { size, side, stride, block, glimpses } = fixed;
  const state = () => ({ ...fixed, ...tidy({ ...fixed, ...Object.fromEntries(TRAITS.map(name => [name, model.get(name)])) }) });
  const put = changes => { for (const [name, value] of Object.entries(changes)) model.set(name, value); model.save_changes(); };
  const across = (size - side) / stride + 1, corner = place => [(place % across) * stride, Math.floor(place / across) * stride];
  const box = (place, kind) => { const [x, y] = corner(place); return s("rect", { x: x + 0.12, y: y + 0.12, width: side - 0.24, height: side - 0.24, class: kind }); };

  const boards = Object.fromEntries(Object.entries(WHO).map(([who, name]) => {
    const coarse = s("g", { class: "gl-coarse" }), ink = s("g", { class: "gl-ink" }), marks = s("g"), next = s("g");
    const svg = s("svg", { viewBox: `0 0 ${size} ${size}`, class: "gl-picture", role: "img" }, s("rect", { width: size, height: size, class: "gl-paper" }), coarse, ink, marks, next);
    const said = h("ol", { class: "gl-said" });
    return [who, { coarse, ink, marks, next, svg, said, board: h("div", { class: "gl-board" }, svg), name }];
  }));
  const full = () => state().places.length >= glimpses;
  const hint = place => { boards.reader.next.replaceChildren(...(place === null || full() ? [] : [box(place, "gl-next")])); };
  const grid = h("div", { class: "gl-grid", role: "group", "aria-label": "Windows to look at", style: `grid-template-columns: repeat(${across}, 1fr); inset: ${(50 * (side - stride)) / size}%` });
  for (let place = 0; place < across ** 2; place++)
    grid.append(h("button", { type: "button", class: "gl-place", "aria-label": `Look at row ${Math.floor(place / across) + 1}, column ${(place % across) + 1}`,
      onclick: () => { if (!full()) put({ places: [...state().places, place] }); }, onpointerenter: () => hint(place), onpointerleave: () => hint(null), onfocus: () => hint(place), onblur: () => hint(null) }));
  boards.reader.board.append(grid);

  const button = (text, onclick) => h("button", { type: "button", onclick }, text);
  const another = button("Another picture", () => put({ number: (state().number + 1) % fixed.pictures.length, places: [], shown: false }));
  const back = button("Take back", () => put({ places: state().places.slice(0, -1) })), again = button("Begin again", () => put({ places: [], shown: false }));
  const reveal = button("Show the picture", () => put({ shown: !state().shown })), other = button("Other random ones", () => put({ seed: (state().seed + 1) % (SEEDS + 1) }));
  const message = h("p", { class: "gl-message" });
  frame(el, "Glimpses at a picture");
  el.append(h("p", { class: "gl-task" }, `One whole digit hides among pieces of others. Place up to ${glimpses} glimpses: the network reads what you show it and says which digit it is.`),
    h("div", { class: "gl-all" }, ...Object.entries(boards).map(([who, board]) => h("div", { class: `gl-one gl-${who}` }, h("p", { class: "gl-name" }, board.name), board.board, board.said))),
    h("div", { class: "gl-buttons" }, another, back, again, reveal, other), message);
  const say = speaker(el);
  roving(grid, { columns: across })();

  function draw(board, now, picture, seen) {
    const open = new Set(seen.places.flatMap(place => windowOf(place, now))), pieces = size / block, sharp = (at, kind) => s("rect", { x: at % size, y: Math.floor(at / size), width: 1.02, height: 1.02, "fill-opacity": picture[at], class: kind });
    board.coarse.replaceChildren(...(now.shown ? [...picture.keys()].filter(at => picture[at]).map(at => sharp(at, "")) : [...thumbnail(picture, now)].map((ink, i) =>
      s("rect", { x: (i % pieces) * block, y: Math.floor(i / pieces) * block, width: block + 0.02, height: block + 0.02, "fill-opacity": ink }))));
    board.ink.replaceChildren(...seen.places.map(place => { const [x, y] = corner(place); return s("rect", { x, y, width: side, height: side, class: "gl-paper" }); }), ...[...open].filter(at => picture[at]).map(at => sharp(at, "")));
    board.marks.replaceChildren(...[...new Set(seen.places)].map(place => {
      const [x, y] = corner(place), turns = seen.places.flatMap((other, i) => (other === place ? [i + 1] : []));
      return s("g", {}, box(place, "gl-window"), s("text", { x: x + 0.5, y: y + 2.4 }, turns.join(" ")));
    }));
    board.svg.setAttribute("aria-label", `${board.name}: ${seen.places.length ? `windows ${seen.places.map(place => `row ${Math.floor(place / across) + 1} column ${(place % across) + 1}`).join(", ")}` : "only the coarse picture"}`);
    const over = now.shown || now.places.length >= glimpses, answer = now.answers[now.number];
    board.said.replaceChildren(...seen.said.map(probabilities => { const guess = argmax(probabilities); return h("li", { class: over && guess === answer ? "gl-right" : "" }, `${guess}${over ? (guess === answer ? " ✓" : " ✗") : ""} (${Math.round(100 * probabilities[guess])} %)`); }));
  }

  function show() {
    const now = state(), picture = pixels(now.pictures[now.number]), seen = look(net, now), count = now.places.length, over = now.shown || count >= glimpses;
    for (const [who, board] of Object.entries(boards)) draw(board, now, picture, seen[who]);
    if (count >= glimpses) hint(null);
    for (const one of grid.children) one.setAttribute("aria-disabled", count >= glimpses);
    back.disabled = again.disabled = !count;
    reveal.setAttribute("aria-pressed", now.shown);
    const guesses = Object.entries(WHO).map(([who, name]) => `${name}: ${argmax(seen[who].said[count - 1] ?? [0])}`).join(". ");
    const read = `Picture ${now.number + 1} of ${now.pictures.length}. Each has read ${(size / block) ** 2} coarse numbers and ${count * side ** 2} of ${size ** 2} pixels${count ? `, in ${count} ${count === 1 ? "glimpse" : "glimpses"}` : ""}.`;
    const text = read + (over ? ` The digit is ${now.answers[now.number]}.` : "");
    message.replaceChildren(text);
    say(text + (count ? ` ${guesses}.` : ""));
  }

  for (const trait of TRAITS) model.on(`change:${trait}`, show);
  show();
  return () => { for (const trait of TRAITS) model.off(`change:${trait}`, show); };
}

export default { render, address: ["number", "places", "seed", "shown"] };
