import { frame, h, s, speaker } from "./core.js";

const LIMITS = { words: [1, 32768], width: [4, 4096], heads: [1, 64], reach: [2, 1024], filter: [2, 1024] };
const SHOWN = { operations: "operations", memory: "numbers kept", sequential: "steps that wait", path: "path" };
const LAYERS = ["self-attention", "recurrence", "convolution", "restricted"];

// The costs of the four layers. Heads share the width; each has a table of weights of its own.
export function costs({ words: n, width: d, heads, reach, filter }) {
  const path = r => Math.max(1, Math.ceil((n - 1) / (r - 1)));
  return {
    "self-attention": { operations: 6 * n * d ** 2 + 4 * n ** 2 * d, memory: 4 * n * d + heads * n ** 2, sequential: 3, path: 1 },
    recurrence: { operations: 12 * n * d ** 2, memory: 8 * n * d, sequential: n, path: n },
    convolution: { operations: 2 * filter * n * d ** 2, memory: (n + filter - 1) * d, sequential: 1, path: path(filter) },
    restricted: { operations: 6 * n * d ** 2 + 4 * n * reach * d, memory: (4 * n + 2 * (reach - 1)) * d + 2 * heads * n * reach, sequential: 3, path: path(reach) },
  };
}

// The length at which self-attention and the recurrence cost the same.
export const crossing = ({ shown, width, heads }) => ({ operations: 1.5 * width, memory: (4 * width) / heads, sequential: 3, path: 1 })[shown];

// A state that can be drawn, whatever an address said.
export function tidy(state) {
  const START = { words: 50, width: 512, heads: 8, reach: 16, filter: 3 };
  const whole = (x, [low, high], other) => (Number.isFinite(x) ? Math.max(low, Math.min(high, Math.round(x))) : other);
  const numbers = Object.entries(LIMITS).map(([name, limits]) => [name, whole(state[name], limits, START[name])]);
  return { ...Object.fromEntries(numbers), shown: Object.hasOwn(SHOWN, state.shown) ? state.shown : "operations" };
}

// Steps of a slider: 1, 2, 3, 4, 6, 8, 12, … between two limits. Half as much again as a step is a step.
export function steps([low, high]) {
  const all = [];
  for (let x = 1; x <= high; x *= 2) all.push(...(x > 1 ? [x, 1.5 * x] : [x]));
  return all.filter(x => x >= low && x <= high);
}
const nearest = (all, x) => all.reduce((best, y, i) => (Math.abs(Math.log(y / x)) < Math.abs(Math.log(all[best] / x)) ? i : best), 0);

const full = x => x.toLocaleString("en-US");
const split = x => x.toExponential(2).split("e+"); // the number before the power of ten, and the power

// ---- The chart, in a box of W by H with room for the numbers at its left and below

const W = 400, H = 250, LEFT = 48, RIGHT = 10, TOP = 22, BOTTOM = 40;
const LENGTHS = [...new Set(Array.from({ length: 61 }, (_, i) => Math.round(LIMITS.words[1] ** (i / 60))))];

function chart(now) {
  const rows = LENGTHS.map(words => costs({ ...now, words })), value = (row, name) => row[name][now.shown];
  const all = rows.flatMap(row => LAYERS.map(name => value(row, name)));
  const low = Math.floor(Math.log10(Math.min(...all))), high = Math.ceil(Math.log10(Math.max(...all)));
  const x = n => LEFT + ((W - LEFT - RIGHT) * Math.log(n)) / Math.log(LIMITS.words[1]), y = v => H - BOTTOM - ((H - BOTTOM - TOP) * (Math.log10(v) - low)) / (high - low);
  const power = (k, at) => s("text", at, ...(k < 2 ? [10 ** k] : ["10", s("tspan", { dy: "-.4em", "font-size": "75%" }, k)]));
  const ups = Array.from({ length: high - low + 1 }, (_, i) => low + i).filter((_, i) => high - low < 7 || i % 2 === 0);
  const here = costs(now), cross = crossing(now), inside = cross >= 1, end = x(now.words) > W / 2;
  const at = inside && [x(cross), y(value(costs({ ...now, words: 1 }), "recurrence") * cross)], before = inside && at[0] > W / 2;
  return [
    ...ups.flatMap(k => [s("path", { class: "co-grid", d: `M${LEFT} ${y(10 ** k)}H${W - RIGHT}` }), power(k, { x: LEFT - 11, y: y(10 ** k) + 5, "text-anchor": "end" })]),
    ...[0, 1, 2, 3, 4].map(k => power(k, { x: x(10 ** k), y: H - BOTTOM + 20, "text-anchor": "middle" })),
    s("text", { x: (W + LEFT - RIGHT) / 2, y: H - 5, "text-anchor": "middle" }, "length n, words"),
    s("path", { class: "co-here", d: `M${x(now.words)} ${TOP}V${H - BOTTOM}` }),
    s("text", { x: x(now.words) + (end ? 4 : -4), y: TOP - 8, "text-anchor": end ? "end" : "start" }, `n = ${full(now.words)}`),
    ...LAYERS.map(name => s("path", { class: `co-line co-${name}`, d: `M${rows.map((row, i) => `${x(LENGTHS[i]).toFixed(1)} ${y(value(row, name)).toFixed(1)}`).join("L")}` })),
    ...LAYERS.map(name => s("circle", { class: `co-dot co-${name}`, cx: x(now.words), cy: y(here[name][now.shown]), r: 4 })),
    ...(inside ? [s("circle", { class: "co-cross", cx: at[0], cy: at[1], r: 8 }),
      s("text", { class: "co-said", x: at[0] + (before ? -12 : 0), y: at[1] - 13, "text-anchor": before ? "end" : "middle" }, `${{ operations: "1.5 d = ", memory: "4 d / heads = " }[now.shown] ?? ""}${full(cross)}`)] : []),
  ];
}

function render({ model, el }) {
  const TRAITS = ["words", "width", "heads", "reach", "filter", "shown"];
  const state = () => tidy(Object.fromEntries(TRAITS.map(name => [name, model.get(name)])));
  const put = (name, value) => { model.set(name, value); model.save_changes(); };

  const controls = Object.entries({ words: "Words n", width: "Width d", heads: "Heads", reach: "Window r" }).map(([name, text]) => {
    const all = steps(LIMITS[name]);
    const slider = h("input", { type: "range", min: 0, max: all.length - 1, step: 1, "aria-label": `${text}, slider`, oninput: () => put(name, all[+slider.value]) });
    const field = h("input", { type: "number", min: LIMITS[name][0], max: LIMITS[name][1], step: 1, "aria-label": text, onchange: () => {
      put(name, tidy({ ...state(), [name]: field.value === "" ? NaN : +field.value })[name]);
      draw(); // if the number was no other one, nothing has changed but what stands in the field
    } });
    const show = now => {
      slider.value = nearest(all, now[name]);
      slider.setAttribute("aria-valuetext", full(now[name]));
      field.value = now[name];
    };
    return { show, line: h("div", { class: "co-control" }, h("span", { "aria-hidden": "true" }, text), slider, field) };
  });
  const shown = h("select", { onchange: () => put("shown", shown.value) }, ...Object.entries(SHOWN).map(([name, text]) => h("option", { value: name }, text)));
  const picture = s("svg", { viewBox: `0 0 ${W} ${H}`, class: "co-chart", role: "img" });
  const heads = Object.entries(SHOWN).map(([name, text]) => [name, h("th", { scope: "col" }, { sequential: "wait", memory: "kept" }[name] ?? text)]);
  const body = h("tbody"), message = h("p", { class: "co-message" });
  frame(el, "What four layers cost");
  el.append(
    h("div", { class: "co-controls" }, ...controls.map(control => control.line)),
    h("label", { class: "co-shown" }, "Drawn ", shown), picture,
    h("table", { class: "co-table" }, h("caption", { class: "wa-spoken" }, "What the four layers cost"), h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "layer"), ...heads.map(head => head[1]))), body),
    message);
  const say = speaker(el);

  function cell(number, isShown) {
    const [first, power] = split(number), kind = isShown ? "co-now" : "";
    if (number < 1e6) return h("td", { class: kind }, full(number));
    return h("td", { class: kind }, h("span", { "aria-hidden": "true" }, `${first}·10`, h("sup", {}, power)), h("span", { class: "wa-spoken" }, full(number)));
  }

  function draw() {
    const now = state(), found = costs(now), ours = found["self-attention"][now.shown], other = found.recurrence[now.shown], cross = crossing(now);
    for (const control of controls) control.show(now);
    shown.value = now.shown;
    for (const [name, head] of heads) head.classList.toggle("co-now", name === now.shown);
    body.replaceChildren(...LAYERS.map(name => h("tr", {},
      h("th", { scope: "row" }, s("svg", { viewBox: "0 0 26 8", class: "co-swatch", "aria-hidden": "true" }, s("path", { class: `co-line co-${name}`, d: "M0 4H26" })), name),
      ...Object.keys(SHOWN).map(what => cell(found[name][what], what === now.shown)))));
    const times = ours / other < 0.01 ? "less than 0.01" : (ours / other).toFixed(2);
    const where = cross < 1 ? "Self-attention has more at every length." : `The two lines cross at ${full(cross)} ${cross === 1 ? "word" : "words"}.`;
    const text = `${SHOWN[now.shown][0].toUpperCase()}${SHOWN[now.shown].slice(1)}: self-attention ${full(ours)}, recurrence ${full(other)}, so ${times} times as many. ${where} `
      + `Self-attention has ${full(now.heads * now.words ** 2)} weights in all heads together.${now.width % now.heads ? ` (${now.heads} heads cannot share a width of ${now.width} evenly.)` : ""}`;
    picture.replaceChildren(...chart(now));
    picture.setAttribute("aria-label", `${SHOWN[now.shown]} over the length, for four layers. ${where}`);
    message.replaceChildren(text);
    say(text);
  }

  for (const name of TRAITS) model.on(`change:${name}`, draw);
  draw();
  return () => { for (const name of TRAITS) model.off(`change:${name}`, draw); };
}

export default { render, address: ["words", "width", "heads", "reach", "shown"] };
