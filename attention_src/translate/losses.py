"""What training lowers: -log p of the true words, computed only where a word stands.

:func:`bahdanau_logits` gives the numbers of :class:`~attention_src.bahdanau.Bahdanau` in another order of work: what
needs no state is done for all steps at once.
"""

import torch
from torch import Tensor, nn

from ..bahdanau import Bahdanau
from ..data.batches import Batch
from ..recurrent import EncoderDecoder


class SumOfLosses(nn.Module):
    """A model and its loss as one module, so that a wrapper for several processes sees every parameter's use."""

    def __init__(self, model: EncoderDecoder):
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> Tensor:
        """Give the sum of -log p over all true words of the batch."""
        logits = real_logits(self.model, batch)
        return nn.functional.cross_entropy(
            logits.float() if logits.dtype == torch.bfloat16 else logits,
            batch.wanted[batch.target_mask],
            reduction="sum",
        )


def real_logits(model: EncoderDecoder, batch: Batch) -> Tensor:
    """The logits at the places where a word is wanted: (words of the batch, vocabulary)."""
    if isinstance(model, Bahdanau):
        return bahdanau_logits(model, batch)
    return model(batch.source, batch.source_mask, batch.given)[batch.target_mask]


def bahdanau_logits(model: Bahdanau, batch: Batch) -> Tensor:
    """``model(source, mask, given)`` at the real places.

    The words' part of the gates is one product for all steps, and so is everything after the recurrence, on real
    words only.
    """
    memory, state = model.encode(batch.source, batch.source_mask)
    words, cell = model.embed(batch.given), model.cell
    of_word, of_context = cell.weight_ih.split([words.shape[-1], memory.value.shape[-1]], dim=1)
    from_words = nn.functional.linear(words, of_word, cell.bias_ih)
    states, contexts = [], []
    for from_word in from_words.unbind(dim=1):
        context, _ = model.look(state, memory)
        seen = torch.addmm(from_word, context, of_context.T)
        kept = torch.addmm(cell.bias_hh, state, cell.weight_hh.T)
        state = gru(seen, kept, state)
        states.append(state)
        contexts.append(context)
    real = batch.target_mask.flatten().nonzero()[:, 0]
    parts = (torch.stack(states, dim=1), torch.stack(contexts, dim=1), words)
    return model.say(*(part.flatten(0, 1).index_select(0, real) for part in parts))


def gru(seen: Tensor, kept: Tensor, state: Tensor) -> Tensor:
    """One step of a GRU whose products are made: ``seen`` from the input, ``kept`` from the state."""
    hidden = state.shape[1]
    reset, update = torch.sigmoid(seen[:, : 2 * hidden] + kept[:, : 2 * hidden]).chunk(2, dim=1)
    new = torch.tanh(torch.addcmul(seen[:, 2 * hidden :], reset, kept[:, 2 * hidden :]))
    return torch.lerp(new, state, update)
