"""What training lowers: -log p of the true words, computed only where a word stands.

The output layer goes through the words in portions that stay in the processor's cache. For
:class:`~attention_src.bahdanau.Bahdanau` the same numbers come in another order of work, too: what needs no state is
done for all steps at once.
"""

import torch
from torch import Tensor, nn

from ..bahdanau import Bahdanau
from ..data.batches import Batch
from ..recurrent import EncoderDecoder

PORTION = 128  # words whose logits are computed together


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
        for start in range(0, len(said), PORTION):
            portion, right = said[start : start + PORTION], wanted[start : start + PORTION, None]
            log_p = torch.addmm(bias, portion, weight.T).log_softmax(dim=1)
            total -= log_p.gather(1, right).sum()
            if learns:
                slope = log_p.exp_()
                slope.scatter_add_(1, right, slope.new_full((), -1.0).expand_as(right))
                torch.mm(slope, weight, out=gradients[0][start : start + PORTION])
                gradients[1].addmm_(slope.T, portion)
                gradients[2] += slope.sum(dim=0)
        context.save_for_backward(*gradients)
        return total

    @staticmethod
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
    of_context, of_state = of_context.T.contiguous(), cell.weight_hh.T
    states, contexts = [], []
    for from_word in from_words.unbind(dim=1):
        context, _ = model.look(state, memory)
        seen = torch.addmm(from_word, context, of_context)
        kept = torch.addmm(cell.bias_hh, state, of_state)
        state = gru(seen, kept, state)
        states.append(state)
        contexts.append(context)
    real = batch.target_mask.flatten().nonzero()[:, 0]
    parts = (torch.stack(states, dim=1), torch.stack(contexts, dim=1), words)
    pairs = model.pairs(torch.cat([part.flatten(0, 1).index_select(0, real) for part in parts], dim=-1))
    return pairs.unflatten(-1, (-1, 2)).amax(dim=-1)


def gru(seen: Tensor, kept: Tensor, state: Tensor) -> Tensor:
    """One step of a GRU whose products are made: ``seen`` from the input, ``kept`` from the state."""
    sizes = [2 * state.shape[1], state.shape[1]]
    (gates_seen, new_seen), (gates_kept, new_kept) = seen.split(sizes, dim=1), kept.split(sizes, dim=1)
    reset, update = torch.sigmoid(gates_seen + gates_kept).chunk(2, dim=1)
    return torch.lerp(torch.tanh(torch.addcmul(new_seen, reset, new_kept)), state, update)
