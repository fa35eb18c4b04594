import pytest
import torch
from torch.testing import assert_close

from attention_src.recurrent import Encoder, Step, check_lengths, follow

WORDS, WIDTH, HIDDEN = 13, 5, 6


def sentences(*rows):
    longest = max(map(len, rows))
    numbers = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
    return numbers, torch.tensor([[True] * len(row) + [False] * (longest - len(row)) for row in rows])


def encoder(both_ways):
    torch.manual_seed(0)
    return Encoder(WORDS, WIDTH, HIDDEN, both_ways).double()


def by_hand(model, row, reverse):
    """A GRU as PyTorch's manual writes it, one word at a time."""
    end = "_reverse" if reverse else ""
    weight_in, weight_state, bias_in, bias_state = (
        getattr(model.rnn, f"{name}_l0{end}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    state, states = torch.zeros(weight_state.shape[1], dtype=torch.float64), []
    for word in reversed(row) if reverse else row:
        r_in, z_in, n_in = (weight_in @ model.embed.weight[word] + bias_in).chunk(3)
        r_state, z_state, n_state = (weight_state @ state + bias_state).chunk(3)
        r, z = torch.sigmoid(r_in + r_state), torch.sigmoid(z_in + z_state)
        state = (1 - z) * torch.tanh(n_in + r * n_state) + z * state
        states.append(state)
    return torch.stack(states[::-1] if reverse else states), state


@pytest.mark.parametrize("both_ways", [False, True])
def test_states_are_those_of_a_plain_loop(both_ways):
    model, rows = encoder(both_ways), ([4, 7, 2], [9], [3, 3, 8, 11])
    states, last = model(*sentences(*rows))
    for number, row in enumerate(rows):
        runs = [by_hand(model, row, reverse) for reverse in ([False, True] if both_ways else [False])]
        assert_close(states[number, : len(row)], torch.cat([run[0] for run in runs], dim=-1))
        assert_close(last[number], torch.cat([run[1] for run in runs]))
        assert states[number, len(row) :].eq(0).all()


@pytest.mark.parametrize("both_ways", [False, True])
def test_padding_changes_nothing(both_ways):
    model = encoder(both_ways)
    short, mask = sentences([4, 7, 2], [5, 6])
    wide = torch.cat([short, torch.full((2, 3), 12)], dim=1)  # padding may hold any number
    states, last = model(wide, torch.cat([mask, torch.zeros(2, 3, dtype=torch.bool)], dim=1))
    assert_close((states[:, :3], last), model(short, mask))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(0, 3).bool(), "mask has no rows"),
        (torch.tensor([[True, False], [False, False]]), "mask row 1 is all False"),
        (torch.tensor([[False, True]]), "True follows False"),
    ],
)
def test_bad_masks_are_named(mask, message):
    with pytest.raises(ValueError, match=message):
        check_lengths(mask)


def test_odd_widths_cannot_be_shared():
    with pytest.raises(ValueError, match=r"hidden must be even .* but is 7"):
        Encoder(WORDS, WIDTH, 7, both_ways=True)


def test_following_feeds_each_state_to_the_next_step_and_keeps_what_was_said():
    def step(token, state, memory):  # counts what it was given; its weights are that count at the place of the token
        total = state + token[:, None].double()
        weights = memory.eye(4, dtype=torch.float64)[token] * total
        return Step(total.expand(-1, 5), total, weights)

    given = torch.tensor([[1, 3, 2], [0, 1, 1]])
    logits, weights = follow(step, given, torch.tensor([[10.0], [20.0]], dtype=torch.float64), torch)
    assert_close(logits[..., 0], torch.tensor([[11.0, 14, 16], [20, 21, 22]], dtype=torch.float64))
    assert logits.shape == (2, 3, 5)
    assert_close(weights.sum(-1), logits[..., 0])
    assert weights.argmax(-1)[0].tolist() == given[0].tolist()


def test_following_a_decoder_without_weights_gives_none():
    logits, weights = follow(
        lambda token, state, memory: Step(state, state, None), torch.ones(2, 3), torch.ones(2, 7), ()
    )
    assert logits.shape == (2, 3, 7)
    assert weights is None
