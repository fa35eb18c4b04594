import { attend, embed, gru, gruStep, join, linear, scorer, tanh } from "./core.js";

// The recurrent translators of the book by their class in Python, with the names of their tensors in PyTorch.
// translator(model, kind)(source) reads a sentence of word numbers; it gives the first state and a step for greedy().
// A step gives the logits and the next state and, where the decoder looks back, the scores, the weights and the context.
export const translator = (model, kind) => source =>
  ({ FirstStateOnly: vector, VectorEveryStep: vector, LookBack: vector, Bahdanau: bahdanau, Luong: luong })[kind](model, kind,
    gru(model, "encoder.rnn", source.map(word => embed(model, "encoder.embed", word))));

// One look at the memory: one score for each word of the source, their softmax, and the mixture of the states.
function look(scores, states) {
  const { weights: [weights], context: [context] } = attend([scores], states);
  return { scores, weights, context };
}

// Chapter 02: one vector, seen at the start or at every step, or a mixture by dot products.
function vector(model, kind, { states, last }) {
  const squeezed = tanh(linear(model, "squeeze", last));
  const see = {
    FirstStateOnly: () => ({ context: [] }),
    VectorEveryStep: () => ({ context: squeezed }),
    LookBack: state => look(scorer("Dot")(states)(state), states),
  }[kind];
  const step = (token, state) => {
    const word = embed(model, "embed", token), seen = see(state), moved = gruStep(model, "rnn", "_l0", join(word, seen.context), state);
    return { ...seen, logits: linear(model, "readout", join(moved, seen.context, word)), state: moved };
  };
  return { state: tanh(linear(model, "start", squeezed)), step };
}

// Chapter 05: the keys' half of the score once for the sentence; the larger of each pair of numbers before the words.
function bahdanau(model, kind, { states, last }) {
  const compare = scorer("Additive", model, "score")(states);
  const step = (token, state) => {
    const word = embed(model, "embed", token), seen = look(compare(state), states);
    const moved = gruStep(model, "cell", "", join(word, seen.context), state);
    const pairs = linear(model, "pairs", join(moved, seen.context, word));
    const larger = Float64Array.from({ length: pairs.length / 2 }, (_, i) => Math.max(pairs[2 * i], pairs[2 * i + 1]));
    return { ...seen, logits: linear(model, "readout", larger), state: moved };
  };
  const width = model["start.weight"].shape[1]; // the backward reading ends at the first word
  return { state: tanh(linear(model, "start", last.subarray(last.length - width))), step };
}

// Chapter 06, with the general score and global attention: step first, then look; what comes of it goes into the next step.
function luong(model, kind, { states, last }) {
  const compare = scorer("Bilinear", model, "score")(states);
  const step = (token, { hidden, attentional }) => {
    const moved = gruStep(model, "rnn", "_l0", join(embed(model, "embed", token), attentional), hidden);
    const seen = look(compare(moved), states), said = tanh(linear(model, "combine", join(seen.context, moved)));
    return { ...seen, logits: linear(model, "readout", said), state: { hidden: moved, attentional: said } };
  };
  return { state: { hidden: last, attentional: new Float64Array(last.length) }, step };
}
