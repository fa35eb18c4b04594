"""What training lowers: -log p of the true words, computed only where a word stands.

The output layer goes through the words in portions that stay in the processor's cache. For
:class:`~attention_src.bahdanau.Bahdanau` the same numbers come in another order of work, too: what needs no state is
done for all steps at once.
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..bahdanau import Bahdanau
from ..data.batches import Batch
from ..recurrent import EncoderDecoder

PORTION = 128  # words whose logits are computed together, so that they stay in the processor's cache
LARGE_PORTION = 4096  # the same on a GPU, which has no use for small portions


class SumOfLosses(nn.Module):
    """A model and its loss as one module, so that a wrapper for several processes sees every parameter's use."""

    def __init__(self, model: EncoderDecoder):
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> Tensor:
        """Give the sum of -log p over all true words of the batch."""
        model, wanted = self.model, batch.wanted[batch.target_mask]
        said = before_readout(model, batch) if isinstance(model, Bahdanau) else without_readout(model, batch)
        out = model.readout
        if not torch.is_autocast_enabled(said.device.type):
            return SummedLoss.apply(said, out.weight, out.bias, wanted)
        return nn.functional.cross_entropy(out(said).float(), wanted, reduction="sum")


class SummedLoss(torch.autograd.Function):
    """``cross_entropy(linear(said, weight, bias), wanted, reduction="sum")``, portion by portion.

    The logits are turned into their own gradient where they lie, so that no table of all words' logits is ever made.
    """

    @staticmethod
    def forward(context, said: Tensor, weight: Tensor, bias: Tensor, wanted: Tensor) -> Tensor:
        """Compute the loss, and the gradients if they will be asked for."""
        learns = any(context.needs_input_grad)
        total = said.new_zeros(())
        gradients = [torch.empty_like(said), torch.zeros_like(weight), torch.zeros_like(bias)] if learns else []
        size = PORTION if said.device.type == "cpu" else LARGE_PORTION
        for start in range(0, len(said), size):
            portion, right = said[start : start + size], wanted[start : start + size, None]
            log_p = torch.addmm(bias, portion, weight.T).log_softmax(dim=1)
            total -= log_p.gather(1, right).sum()
            if learns:
                slope = log_p.exp_()
                slope.scatter_add_(1, right, slope.new_full((), -1.0).expand_as(right))
                torch.mm(slope, weight, out=gradients[0][start : start + size])
                gradients[1].addmm_(slope.T, portion)
                gradients[2] += slope.sum(dim=0)
        context.save_for_backward(*gradients)
        return total

    @staticmethod
    @once_differentiable
    def backward(context, slope: Tensor) -> tuple:
        """Scale the gradients."""
        return *(gradient * slope for gradient in context.saved_tensors), None


def without_readout(model: EncoderDecoder, batch: Batch) -> Tensor:
    """What the output layer of any model reads at the places where a word is wanted."""
    readout, model.readout = model.readout, nn.Identity()
    try:
        return model(batch.source, batch.source_mask, batch.given)[batch.target_mask]
    finally:
        model.readout = readout


def before_readout(model: Bahdanau, batch: Batch) -> Tensor:
    """What the output layer reads at the places where a word is wanted: (words of the batch, maxout).

    The words' part of the gates is one product for all steps, and so is the layer after the recurrence, on real words
    only.
    """
    memory, state = model.encode(batch.source, batch.source_mask)
    memory = memory._replace(key=memory.key.contiguous(), value=memory.value.contiguous())  # else copied at each step
    words, cell = model.embed(batch.given), model.cell
    of_word, of_context = cell.weight_ih.split([words.shape[-1], memory.value.shape[-1]], dim=1)
    from_words = nn.functional.linear(words, of_word, cell.bias_ih)
    looking = model.score.of_query.weight, model.score.out.weight[0]
    given = from_words, state, memory.key, memory.value, memory.mask, *looking, of_context, cell.weight_hh, cell.bias_hh
    with torch.autocast(words.device.type, enabled=False):  # sums over many steps need all their digits
        given = (one.float() if one.dtype == torch.bfloat16 else one for one in given)
        states, contexts = Recurrence.apply(*given)
    real = batch.target_mask.flatten().nonzero()[:, 0]
    parts = (states, contexts, words)
    pairs = model.pairs(torch.cat([part.flatten(0, 1).index_select(0, real) for part in parts], dim=-1))
    return pairs.unflatten(-1, (-1, 2)).amax(dim=-1)


def gru(seen: Tensor, kept: Tensor, state: Tensor) -> Tensor:
    """One step of a GRU whose products are made: ``seen`` from the input, ``kept`` from the state."""
    _, update, new = gates(seen, kept)
    return torch.lerp(new, state, update)


class Recurrence(torch.autograd.Function):
    """All steps of Bahdanau's decoder: from the words' parts of the gates to all states and contexts.

    What autograd would do step by step is done here by hand, so that the gradient of each matrix of weights, and that
    of the source's values, is one product over all steps.
    """

    @staticmethod
    def forward(context, from_words, first, key, value, mask, of_query, compare, of_context, of_state, bias):
        """Take all steps; all that comes out has the shape (batch, steps, numbers)."""
        at_once = torch.cat([of_query, of_state]).T.contiguous()
        offset, sizes = torch.cat([bias.new_zeros(len(of_query)), bias]), [len(of_query), len(of_state)]
        state, found, learns = first, [], any(context.needs_input_grad)
        for from_word in from_words.unbind(dim=1):
            query, kept = torch.addmm(offset, state, at_once).split(sizes, dim=1)
            bent = (query[:, None] + key).tanh_()
            weights = (bent @ compare).masked_fill_(~mask, float("-inf")).softmax(dim=1)
            mixed = torch.bmm(weights[:, None], value)[:, 0]
            seen = torch.addmm(from_word, mixed, of_context.T)
            reset, update, new = gates(seen, kept)
            state = torch.lerp(new, state, update)
            bent = bent if learns else None  # the largest of all
            found.append((bent, weights, mixed, reset, update, new, kept[:, -state.shape[1] :], state))
        bents, *rest = zip(*found, strict=True)
        weights, contexts, *inner, states = (torch.stack(one, dim=1) for one in rest)
        context.bents = bents
        context.save_for_backward(
            first, key, value, of_query, compare, of_context, of_state, weights, contexts, *inner, states
        )
        return states, contexts

    @staticmethod
    @once_differentiable
    def backward(context, of_states, of_contexts):
        """Go back through all steps; then make the gradients of the weights."""
        first, key, value, query, compare, context_weight, state_weight, *kept = context.saved_tensors
        weights, contexts, reset, update, new, kept_new, states = kept
        before = torch.cat([first[:, None], states[:, :-1]], dim=1)
        both = torch.cat([query, state_weight])
        slope, of_key, of_compare = torch.zeros_like(first), torch.zeros_like(key), torch.zeros_like(compare)
        ways = []
        for step in reversed(range(states.shape[1])):
            slope = slope + of_states[:, step]  # back through the GRU: to its gates and its new state
            r, z, n = reset[:, step], update[:, step], new[:, step]
            of_n = slope * (1 - z) * (1 - n * n)
            of_r = of_n * kept_new[:, step] * r * (1 - r)
            of_z = slope * (before[:, step] - n) * z * (1 - z)
            of_seen = torch.cat([of_r, of_z, of_n], dim=1)
            of_mixed = torch.addmm(of_contexts[:, step], of_seen, context_weight)
            share = weights[:, step]  # back through the look: to the weights, the scores, the tanh
            of_weight = torch.bmm(value, of_mixed[:, :, None])[:, :, 0]
            of_score = share * (of_weight - (share * of_weight).sum(dim=1, keepdim=True))
            bent = context.bents[step]
            of_compare = torch.addmv(of_compare, bent.flatten(0, 1).T, of_score.flatten())
            of_bent = torch.ops.aten.tanh_backward(of_score[:, :, None] * compare, bent)
            of_key += of_bent
            of_asked = torch.cat([of_bent.sum(dim=1), of_r, of_z, of_n * r], dim=1)
            slope = torch.addmm(slope * z, of_asked, both)
            ways.append((of_seen, of_asked, of_mixed))
        of_seen, of_asked, of_mixed = (torch.stack(one[::-1], dim=1) for one in zip(*ways, strict=True))
        of_value = weights.mT @ of_mixed
        of_both = of_asked.flatten(0, 1).T @ before.flatten(0, 1)
        of_query, of_state = of_both.split([len(query), len(state_weight)])
        of_context = of_seen.flatten(0, 1).T @ contexts.flatten(0, 1)
        of_bias = of_asked[:, :, len(query) :].sum(dim=(0, 1))
        return of_seen, slope, of_key, of_value, None, of_query, of_compare, of_context, of_state, of_bias


def gates(seen: Tensor, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The reset gate, the update gate and the new state of a GRU whose products are made."""
    hidden = seen.shape[1] // 3
    reset, update = torch.sigmoid(seen[:, : 2 * hidden] + kept[:, : 2 * hidden]).chunk(2, dim=1)
    return reset, update, torch.tanh(torch.addcmul(seen[:, 2 * hidden :], reset, kept[:, 2 * hidden :]))
