import pytest
import torch
from jaxtyping import TypeCheckError
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from attention_src.bottleneck import FirstStateOnly, FixedVector, LookBack, Translator, VectorEveryStep
from attention_src.training import Plan, fit, word_loss

B, S, T = 2, 5, 3  # sentences, source words, target words
SOURCE, TARGET, WIDTH, HIDDEN, VECTOR = 13, 17, 7, 6, 11
ALL = [FirstStateOnly, VectorEveryStep, LookBack]


def build(kind, seed=0, **settings):
    torch.manual_seed(seed)
    return kind(SOURCE, TARGET, **{"width": WIDTH, "hidden": HIDDEN, "vector": VECTOR} | settings).double().eval()


def example():
    source = torch.tensor([[4, 5, 6, 7, 8], [9, 10, 11, 0, 0]])
    return source, source > 0, torch.tensor([[1, 4, 5], [1, 6, 0]])


def sizes(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("kind", ALL)
def test_teacher_forcing_is_step_after_step(kind):
    model, (source, mask, given) = build(kind), example()
    memory, state = model.encode(source, mask)
    logits = []
    for place in range(T):
        said = model.step(given[:, place], state, memory)
        state = said.state
        logits.append(said.logits)
    assert_close(model(source, mask, given), torch.stack(logits, dim=1))
    assert_close(model(source, mask, given), Translator.follow(model, given, *model.encode(source, mask)))


def test_a_step_that_looks_back_by_hand():
    """One source word: all weight falls on it, and the context is its state."""
    model = build(LookBack)
    source, mask = torch.tensor([[4]]), torch.tensor([[True]])
    memory, state = model.encode(source, mask)
    said = model.step(torch.tensor([1]), state, memory)
    word = model.embed(torch.tensor([1]))
    context = memory.value[:, 0]
    _, moved = model.rnn(torch.cat([word, context], dim=-1)[:, None], state[None])
    assert_close(said.weights, torch.ones(1, 1).double())
    assert_close(said.state, moved[0])
    assert_close(said.logits, model.readout(torch.cat([moved[0], context, word], dim=-1)))


def test_weights_are_a_softmax_of_dot_products_with_the_state_before():
    model, (source, mask, _) = build(LookBack), example()
    memory, state = model.encode(source, mask)
    said = model.step(torch.tensor([1, 1]), state, memory)
    for row, words in ((0, 5), (1, 3)):
        expected = torch.stack([state[row] @ memory.key[row, place] for place in range(words)]).softmax(0)
        assert_close(said.weights[row, :words], expected)
        assert said.weights[row, words:].eq(0).all()


@pytest.mark.parametrize("kind", ALL)
def test_padding_changes_nothing(kind):
    model, (source, mask, given) = build(kind), example()
    wide = torch.cat([source, torch.full((B, 2), 12)], dim=1)
    wide_mask = torch.cat([mask, torch.zeros(B, 2, dtype=torch.bool)], dim=1)
    assert_close(model(wide, wide_mask, given), model(source, mask, given))


@pytest.mark.parametrize("kind", ALL)
def test_nothing_leaks_from_the_targets_future(kind):
    model, (source, mask, given) = build(kind), example()
    changed = given.clone()
    changed[:, 2] = 9
    before, after = model(source, mask, given), model(source, mask, changed)
    assert_close(before[:, :2], after[:, :2], rtol=0, atol=0)
    assert before[:, 2].ne(after[:, 2]).any()


@pytest.mark.parametrize("kind", ALL)
def test_every_source_word_matters(kind):
    model, (source, mask, given) = build(kind), example()
    before = model(source, mask, given)
    for place in range(3):
        changed = source.clone()
        changed[:, place] = 12
        difference = (model(changed, mask, given) - before).abs().amax(dim=(1, 2))
        assert difference.gt(1e-6).all(), f"word {place} of the source changes nothing"


@pytest.mark.parametrize("kind", [FirstStateOnly, VectorEveryStep])
def test_all_of_the_source_passes_through_the_vector(kind):
    """Replace the vector of one sentence by another's: the decoder cannot tell."""
    model, (source, mask, given) = build(kind), example()
    memory, state = model.encode(source, mask)
    swapped = memory._replace(summary=memory.summary.flip(0))
    said = model.step(given.new_ones(B), torch.tanh(model.start(swapped.summary)), swapped)
    expected = model.step(given.new_ones(B), state, memory).logits.flip(0)
    assert_close(said.logits, expected)


def test_only_the_first_state_carries_the_source_in_the_first_kind():
    model, (source, mask, _) = build(FirstStateOnly), example()
    memory, state = model.encode(source, mask)
    empty = memory._replace(summary=torch.zeros_like(memory.summary), key=memory.key * 0, value=memory.value * 0)
    token = torch.tensor([1, 1])
    assert_close(model.step(token, state, memory), model.step(token, state, empty))
    other = build(VectorEveryStep)
    memory, state = other.encode(source, mask)
    with pytest.raises(AssertionError):
        assert_close(other.step(token, state, memory), other.step(token, state, memory._replace(summary=empty.summary)))


def test_looking_back_costs_no_parameter():
    """The comparison of the chapter: with a vector as wide as a state, the two models have the same parameters."""
    fixed, looking = (build(kind, vector=HIDDEN) for kind in (VectorEveryStep, LookBack))
    assert sizes(fixed) == sizes(looking)
    assert {n: p.shape for n, p in fixed.state_dict().items()} == {n: p.shape for n, p in looking.state_dict().items()}


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("both_ways", [False, True])
def test_each_learns_three_sentences_by_heart(kind, both_ways):
    model = build(kind, both_ways=both_ways, hidden=16)
    source = torch.tensor([[4, 5, 6], [6, 5, 4], [7, 8, 9]])
    given, wanted = torch.tensor([[1, 4, 5], [1, 5, 4], [1, 9, 9]]), torch.tensor([[4, 5, 2], [5, 4, 2], [9, 9, 2]])
    all_words = torch.ones(3, 3, dtype=torch.bool)
    fit(
        model,
        lambda m, _: word_loss(m(source, all_words, given), wanted, all_words),
        lambda step: None,
        Plan(steps=80, rate=2e-2),
    )
    assert cross_entropy(model(source, all_words, given).flatten(0, 1), wanted.flatten()) < 0.05


def test_fixed_is_what_it_says():
    assert issubclass(FirstStateOnly, FixedVector)
    assert issubclass(VectorEveryStep, FixedVector)
    assert not issubclass(LookBack, FixedVector)


@pytest.mark.parametrize("name", ["width", "hidden", "vector"])
def test_bad_sizes_are_named(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, but is 0"):
        build(VectorEveryStep, **{name: 0})


def test_bad_input_is_named():
    model, (source, mask, given) = build(LookBack), example()
    with pytest.raises(TypeCheckError, match="parameter 'mask'"):
        model.encode(source, mask[:, 1:])
    with pytest.raises(TypeCheckError, match="parameter 'source'"):
        model.encode(source.double(), mask)
    with pytest.raises(ValueError, match="mask row 1 is all False"):
        model(source, mask & torch.tensor([[True], [False]]), given)
    with pytest.raises(ValueError, match="given has no words"):
        model(source, mask, given[:, :0])
    with pytest.raises(ValueError, match="number 13, but this vocabulary has the numbers 0 to 12"):
        model(torch.where(source == 8, 13, source), mask, given)
    with pytest.raises(ValueError, match="number -1, but this vocabulary has the numbers 0 to 16"):
        model(source, mask, torch.where(given == 6, -1, given))
