import { dot, frame, h, roving, s, softmax, speaker, weightColour, weightInk } from "./core.js";

const COLOURS = ["red", "green", "blue", "yellow"], SHAPES = { circle: [0.5, 0.5, 0.5, 0.5], square: [Math.SQRT1_2, 0, Math.SQRT1_2, 0], diamond: [0, Math.SQRT1_2, 0, Math.SQRT1_2] };
const PAINT = { red: "#cc3333", green: "#33cc33", blue: "#3333cc", yellow: "#cccc33" };
const GROUND = "#333333", RIM = "#d0d0d0", CHALK = "#ffffff", PEN = "#111111"; // a picture keeps its colours in both themes
const REACHES = [1, 2], SHARPNESS = 8, LOOKS = 3, MOST = 2, GROUPS = [[0, 4], [4, 8]], TINY = 1e-12;

const top = map => Math.max(...map, TINY);

// How far each number of a square map is from the mean of the numbers around it, up to `reach` away, without itself.
export function againstSurround(map, side, reach) {
  return map.map((centre, place) => {
    const row = Math.floor(place / side), column = place % side;
    let sum = 0, count = 0;
    for (let i = Math.max(0, row - reach); i <= Math.min(side - 1, row + reach); i++)
      for (let j = Math.max(0, column - reach); j <= Math.min(side - 1, column + reach); j++)
        if (i !== row || j !== column) { sum += map[i * side + j]; count++; }
    return Math.abs(centre - sum / Math.max(count, 1));
  });
}

// The largest number of a map becomes 1; then it is weakened if much stands out.
export function promote(map) {
  const most = top(map), scaled = map.map(x => x / most), mean = scaled.reduce((a, b) => a + b, 0) / map.length;
  return scaled.map(x => x * (1 - mean) ** 2);
}

export function saliency(features, side, counts) {
  const promoted = features[0].map((_, f) => {
    const map = features.map(row => row[f]), rings = REACHES.map(reach => againstSurround(map, side, reach));
    return promote(map.map((_, place) => rings.reduce((sum, ring) => sum + ring[place], 0) / REACHES.length));
  });
  const groups = GROUPS.map(([from, to]) => promote(features.map((_, place) => promoted.slice(from, to).reduce((sum, map) => sum + map[place], 0))));
  return features.map((_, place) => groups.reduce((sum, group, g) => sum + counts[g] * group[place], 0));
}

export const query = (colour, shape, counts) => [...COLOURS.map(name => (name === colour ? counts[0] : 0)), ...(SHAPES[shape] ?? [0, 0, 0, 0]).map(x => counts[1] * x)];

// All that a state shows.
export function look({ scenes, scene, colour, shape, counts, will }) {
  const { side, features } = scenes[scene], out = saliency(features, side, counts), wish = query(colour, shape, counts);
  const weights = softmax(features.map(row => SHARPNESS * dot(row, wish))), [most, heaviest] = [top(out), top(weights)];
  const priority = out.map((x, place) => (1 - will) * (x / most) + will * (weights[place] / heaviest));
  const rounded = priority.map(x => Math.round(x * 1e9)), order = priority.map((_, place) => place).sort((a, b) => rounded[b] - rounded[a] || a - b);
  return { saliency: out, weights, priority, looks: order.slice(0, LOOKS) };
}

const between = (x, low, high, other) => (Number.isFinite(x) ? Math.max(low, Math.min(high, x)) : other);

// A state that can be drawn, whatever an address said.
export function tidy({ scenes, scene, colour, shape, counts, will }) {
  return {
    scenes,
    scene: Object.hasOwn(scenes, scene) ? scene : Object.keys(scenes)[0],
    colour: COLOURS.includes(colour) ? colour : "",
    shape: typeof shape === "string" && Object.hasOwn(SHAPES, shape) ? shape : "",
    counts: [0, 1].map(i => between(counts?.[i], 0, MOST, 1)),
    will: between(will, 0, 1, 0),
  };
}

const percent = x => `${Math.round(100 * x)} %`;

function outline(colour, shape, x, y) {
  const look = { fill: PAINT[colour], stroke: RIM, class: "gz-thing" };
  if (shape === "circle") return s("circle", { cx: x, cy: y, r: 0.34, ...look });
  if (shape === "square") return s("rect", { x: x - 0.31, y: y - 0.31, width: 0.62, height: 0.62, ...look });
  return s("path", { d: `M${x} ${y - 0.42}L${x + 0.42} ${y}L${x} ${y + 0.42}L${x - 0.42} ${y}Z`, ...look });
}

function render({ model, el }) {
  const names = ["scene", "colour", "shape", "counts", "will"];
  const state = () => tidy(Object.fromEntries(["scenes", ...names].map(name => [name, model.get(name)])));
  const put = changes => { for (const [name, value] of Object.entries(changes)) model.set(name, value); model.save_changes(); };

  const choice = (name, label, options) => {
    const select = h("select", { onchange: () => put({ [name]: select.value }) }, ...options.map(([value, text]) => h("option", { value }, text)));
    return { select, node: h("label", { class: "gz-field" }, h("span", {}, label), select) };
  };
  const slider = (label, most, step, set) => {
    const range = h("input", { type: "range", min: 0, max: most, step, oninput: () => set(+range.value) }), said = h("output");
    return { range, said, node: h("label", { class: "gz-field gz-slider" }, h("span", {}, label), range, said) }; // the first control is what the label names
  };
  const scene = choice("scene", "Picture", Object.keys(model.get("scenes")).map(name => [name, name]));
  const colour = choice("colour", "Colour asked for", [["", "any"], ...COLOURS.map(name => [name, name])]);
  const shape = choice("shape", "Shape asked for", [["", "any"], ...Object.keys(SHAPES).map(name => [name, name])]);
  const will = slider("What is asked decides", 1, 0.05, x => put({ will: x }));
  const count = [0, 1].map(i => slider(["Colour counts", "Shape counts"][i], MOST, 0.1, x => put({ counts: state().counts.map((old, j) => (j === i ? x : old)) })));

  const picture = s("svg", { class: "gz-picture", role: "img" }), map = h("div", { class: "gz-map", role: "group", "aria-label": "The map: one button for each cell; the arrow keys move" });
  const settle = roving(map, { columns: 1 }), list = h("ol", { class: "gz-looks" }), told = h("p", { class: "gz-told" });
  let at = -1, drawn = 0;
  frame(el, "Where to look");
  el.append(
    h("div", { class: "gz-controls" }, scene.node, colour.node, shape.node, will.node, ...count.map(one => one.node)),
    h("div", { class: "gz-both" },
      h("figure", {}, h("figcaption", {}, "The picture"), picture),
      h("figure", {}, h("figcaption", {}, "The map"), map)),
    h("p", { class: "gz-head" }, "Looked at first, second, third"), list, told);
  const say = speaker(el);

  // The arrow keys move by cells of a square whose side changes with the picture.
  map.addEventListener("keydown", event => {
    const { side } = state().scenes[state().scene], cells = [...map.children], i = cells.indexOf(event.target);
    const step = { ArrowDown: side, ArrowUp: -side }[event.key];
    if (i < 0 || step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    cells[i + step]?.focus();
  }, true);

  const words = (now, place) => {
    const { side, things } = now.scenes[now.scene];
    return `${things[place].join(" ")} in row ${Math.floor(place / side) + 1}, column ${(place % side) + 1}`;
  };

  function drawPicture(now, looks) {
    const { side, things } = now.scenes[now.scene], middle = place => [(place % side) + 0.5, Math.floor(place / side) + 0.5];
    picture.setAttribute("viewBox", `0 0 ${side} ${side}`);
    picture.setAttribute("aria-label", `${things.length} shapes. Looked at: ${looks.map(place => words(now, place)).join("; ")}`);
    picture.replaceChildren(
      s("rect", { width: side, height: side, fill: GROUND }),
      ...things.map(([paint, form], place) => outline(paint, form, ...middle(place))),
      s("polyline", { points: looks.map(place => middle(place).join(",")).join(" "), stroke: CHALK, class: "gz-path" }),
      ...looks.flatMap((place, i) => {
        const [x, y] = middle(place);
        return [s("circle", { cx: x, cy: y, r: 0.47, stroke: CHALK, class: "gz-ring" }), s("circle", { cx: x - 0.3, cy: y - 0.3, r: 0.2, fill: CHALK, stroke: PEN, class: "gz-tag" }),
          s("text", { x: x - 0.3, y: y - 0.19, "text-anchor": "middle", style: `fill: ${PEN}`, class: "gz-number" }, i + 1)];
      }));
  }

  function drawMap(now, seen) {
    const { side } = now.scenes[now.scene], most = top(seen.priority);
    if (map.children.length !== side * side) {
      map.style.setProperty("--side", side);
      map.replaceChildren(...Array.from({ length: side * side }, (_, place) => h("button", { type: "button", onclick: () => tell(place), onfocus: () => tell(place) })));
      settle();
    }
    [...map.children].forEach((cell, place) => {
      const share = seen.priority[place] / most, rank = seen.looks.indexOf(place);
      cell.style.background = weightColour(share);
      cell.style.color = weightInk(share);
      cell.classList.toggle("gz-looked", rank >= 0);
      cell.replaceChildren(rank >= 0 ? `${rank + 1}` : "");
      cell.setAttribute("aria-label", `${words(now, place)}: ${percent(share)}${rank >= 0 ? `, look ${rank + 1}` : ""}`);
    });
  }

  function tell(place) {
    const now = state(), seen = look(now);
    at = place;
    told.replaceChildren(`${words(now, place)}: stands out ${percent(seen.saliency[place] / top(seen.saliency))} of the most, `
      + `weight ${percent(seen.weights[place])}, priority ${percent(seen.priority[place] / top(seen.priority))} of the most.`);
  }

  function draw() {
    const now = state(), seen = look(now);
    scene.select.value = now.scene;
    colour.select.value = now.colour;
    shape.select.value = now.shape;
    will.range.value = now.will;
    will.said.replaceChildren(percent(now.will));
    count.forEach((one, i) => { one.range.value = now.counts[i]; one.said.replaceChildren(now.counts[i].toFixed(1)); });
    drawPicture(now, seen.looks);
    drawMap(now, seen);
    list.replaceChildren(...seen.looks.map(place => h("li", {}, words(now, place))));
    if (at >= 0 && at < seen.priority.length) tell(at);
    else told.replaceChildren("Go to a cell of the map to read its numbers.");
    if (drawn++) say(`First ${words(now, seen.looks[0])}; then ${seen.looks.slice(1).map(place => words(now, place)).join("; ")}.`);
  }

  for (const name of names) model.on(`change:${name}`, draw);
  draw();
  return () => { for (const name of names) model.off(`change:${name}`, draw); };
}

export default { render, address: ["scene", "colour", "shape", "counts", "will"] };
