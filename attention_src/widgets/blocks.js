import { attend, frame, h, speaker, weightColour, weightInk } from "./core.js";

const MOST = 6;

// The blocks [row, rowEnd, column, columnEnd] of an n by n table, row by row; if causal, without those that lie ahead.
export function walk(n, chunk, causal) {
  const blocks = [];
  for (let row = 0; row < n; row += chunk)
    for (let column = 0; column < n; column += chunk)
      if (!causal || column < Math.min(row + chunk, n)) blocks.push([row, Math.min(row + chunk, n), column, Math.min(column + chunk, n)]);
  return blocks;
}

// What is kept of each query after some blocks: the largest score, the sum and the mixture; zeros where nothing was read.
export function read(scores, values, blocks, causal) {
  const kept = scores.map(() => ({ largest: 0, total: 0, mixed: 0 }));
  for (const [row, rowEnd, column, columnEnd] of blocks)
    for (let i = row; i < rowEnd; i++) {
      const old = kept[i], seen = [];
      for (let j = column; j < columnEnd; j++) if (!causal || j <= i) seen.push(j);
      if (!seen.length) continue;
      const largest = Math.max(...seen.map(j => scores[i][j]), ...(old.total ? [old.largest] : [])), shrink = old.total ? Math.exp(old.largest - largest) : 0;
      const next = { largest, total: old.total * shrink, mixed: old.mixed * shrink };
      for (const j of seen) {
        const factor = Math.exp(scores[i][j] - largest);
        next.total += factor;
        next.mixed += factor * values[j];
      }
      kept[i] = next;
    }
  return kept;
}

// All that a state shows.
export function look({ scores, values, chunk, causal, step }) {
  const blocks = walk(values.length, chunk, causal), kept = read(scores, values, blocks.slice(0, step), causal);
  const before = read(scores, values, blocks.slice(0, Math.max(0, step - 1)), causal);
  const mask = causal ? scores.map((row, i) => row.map((_, j) => j <= i)) : undefined;
  return { blocks, kept, before, soFar: kept.map(part => (part.total ? part.mixed / part.total : null)), full: attend(scores, values.map(x => [x]), mask).context.map(row => row[0]) };
}

const whole = (x, low, high, other) => (Number.isFinite(x) ? Math.max(low, Math.min(high, Math.round(x))) : other);

// A state that can be drawn, whatever an address said.
export function tidy({ examples, example, chunk, causal, step }) {
  const name = Object.hasOwn(examples, example) ? example : Object.keys(examples)[0], { scores, values } = examples[name];
  const size = whole(chunk, 1, MOST, 2), isCausal = causal === true;
  return { example: name, scores, values, chunk: size, causal: isCausal, step: whole(step, 0, walk(values.length, size, isCausal).length, 1) };
}

const fixed = (x, digits) => x.toFixed(digits).replace(/^-(?=[0.]*$)/, "").replace("-", "−");

function render({ model, el }) {
  const TRAITS = ["examples", "example", "chunk", "causal", "step"];
  const state = () => tidy(Object.fromEntries(TRAITS.map(name => [name, model.get(name)])));
  const put = changes => { for (const [name, value] of Object.entries(changes)) model.set(name, value); model.save_changes(); };

  const back = h("button", { type: "button", onclick: () => put({ step: state().step - 1 }) }, "Back");
  const next = h("button", { type: "button", class: "bl-next", onclick: () => put({ step: state().step + 1 }) }, "Next block");
  const slider = h("input", { type: "range", min: 0, step: 1, "aria-label": "Blocks that are read", oninput: () => put({ step: +slider.value }) });
  const size = h("select", { "aria-label": "Size of a block", onchange: () => put({ chunk: +size.value, step: 1 }) },
    ...Array.from({ length: MOST }, (_, i) => h("option", { value: i + 1 }, `${i + 1} by ${i + 1}`)));
  const causal = h("input", { type: "checkbox", onchange: () => put({ causal: causal.checked, step: 1 }) });
  const table = h("select", { "aria-label": "Table of scores", onchange: () => put({ example: table.value, step: 1 }) },
    ...Object.keys(model.get("examples")).map(name => h("option", { value: name }, name)));
  const head = h("thead"), body = h("tbody"), message = h("p", { class: "bl-message" }), held = h("p", { class: "bl-held" });
  frame(el, "Attention in blocks");
  el.append(
    h("div", { class: "bl-controls" }, h("label", {}, "Scores ", table), h("label", {}, "Blocks ", size), h("label", { class: "bl-check" }, causal, " causal")),
    h("div", { class: "bl-walk" }, back, slider, next),
    h("table", { class: "bl-table" }, h("caption", { class: "wa-spoken" }, "Scores of the block that exists, and what is kept of each query"), head, body),
    message, held);
  const say = speaker(el);

  function cell(now, seen, block, i, j) {
    const ahead = now.causal && j > i, at = seen.blocks.findIndex(([a, b, c, d]) => i >= a && i < b && j >= c && j < d);
    if (block && at === now.step - 1) {
      if (ahead) return h("td", { class: "bl-cell bl-ahead" }, h("span", { class: "wa-spoken" }, "forbidden"), h("span", { "aria-hidden": "true" }, "×"));
      const factor = Math.exp(now.scores[i][j] - seen.kept[i].largest);
      return h("td", { class: "bl-cell bl-now", style: `background:${weightColour(factor)};color:${weightInk(factor)}` }, fixed(now.scores[i][j], 1));
    }
    const kind = at < 0 ? "skipped" : at < now.step ? "gone" : "later";
    return h("td", { class: `bl-cell bl-${kind}` }, h("span", { class: "wa-spoken" }, { skipped: "never made", gone: "written over", later: "not made yet" }[kind]));
  }

  function draw() {
    const now = state(), seen = look(now), n = now.values.length, block = seen.blocks[now.step - 1], last = seen.blocks.length;
    slider.max = last;
    slider.value = now.step;
    slider.setAttribute("aria-valuetext", `${now.step} of ${last} blocks`);
    size.value = now.chunk;
    causal.checked = now.causal;
    table.value = now.example;
    back.disabled = now.step === 0;
    next.disabled = now.step === last;
    const numbers = Array.from({ length: n }, (_, j) => j);
    head.replaceChildren(
      h("tr", {}, h("th", { scope: "col" }, "key"), ...numbers.map(j => h("th", { scope: "col", class: "bl-key" }, j + 1)),
        ...["max", "sum", "so far", "all keys"].map(name => h("th", { scope: "col" }, name))),
      h("tr", {}, h("th", { scope: "row" }, "value"), ...now.values.map(x => h("td", { class: "bl-value" }, fixed(x, 0))), h("td", { colspan: 4 })));
    body.replaceChildren(...numbers.map(i => {
      const kept = seen.kept[i], empty = !kept.total, old = seen.before[i], changed = block && i >= block[0] && i < block[1];
      const right = !empty && Math.abs(seen.soFar[i] - seen.full[i]) < 5e-3, shrank = changed && old.total && kept.largest > old.largest;
      return h("tr", { class: changed ? "bl-changed" : "" }, h("th", { scope: "row" }, `q${i + 1}`), ...numbers.map(j => cell(now, seen, block, i, j)),
        h("td", {}, empty ? "–" : fixed(kept.largest, 1)), h("td", {}, empty ? "–" : fixed(kept.total, 2), shrank ? h("span", { class: "bl-shrank" }, " ↓") : ""),
        h("td", { class: right ? "bl-right" : "" }, empty ? "–" : fixed(seen.soFar[i], 2)), h("td", {}, fixed(seen.full[i], 2)));
    }));
    const right = seen.soFar.filter((x, i) => x !== null && Math.abs(x - seen.full[i]) < 5e-3).length;
    const where = block ? `queries ${block[0] + 1} to ${block[1]}, keys ${block[2] + 1} to ${block[3]}` : "nothing is read yet";
    const shrunk = block ? seen.kept.flatMap((kept, i) => (i >= block[0] && i < block[1] && seen.before[i].total && kept.largest > seen.before[i].largest
      ? [`q${i + 1} by ${fixed(Math.exp(seen.before[i].largest - kept.largest), 2)}`] : [])) : [];
    const text = `Block ${now.step} of ${last}: ${where}.${shrunk.length ? ` A larger score shrinks what was added up: ${shrunk.join(", ")}.` : ""} ${right} of ${n} contexts are those of all keys.`;
    message.replaceChildren(text);
    const most = Math.max(...seen.blocks.map(([a, b, c, d]) => (b - a) * (d - c))), made = seen.blocks.reduce((sum, [a, b, c, d]) => sum + (b - a) * (d - c), 0);
    held.replaceChildren(`Held at most: ${most} ${most === 1 ? "score" : "scores"}, and 3 numbers for each query. The table: ${n * n} scores. Computed: ${made} of them.`);
    say(text);
  }

  for (const name of TRAITS) model.on(`change:${name}`, draw);
  draw();
  return () => { for (const name of TRAITS) model.off(`change:${name}`, draw); };
}

export default { render, address: ["example", "chunk", "causal", "step"] };
