import pytest
import torch
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from attention_src import shapes
from attention_src.recurrent import Memory
from attention_src.shapes import checked, look

A, B, C = 2, 3, 5


@checked
def product(left: Float[Tensor, "a b"], right: Float[Tensor, "b c"]) -> Float[Tensor, "a c"]:
    """Multiply."""
    return left @ right


def test_calls_that_fit_pass_and_give_the_result():
    for _ in range(3):
        left, right = torch.randn(A, B), torch.randn(B, C)
        torch.testing.assert_close(product(left, right=right), left @ right)
    assert product.__doc__ == "Multiply."


def test_a_call_that_looks_different_is_checked_again():
    product(torch.ones(A, B), torch.ones(B, C))
    for wrong in (torch.ones(C, B), torch.ones(B, C, dtype=torch.long), torch.ones(1, B, C), None, [1.0]):
        for _ in range(2):  # a call that failed is not taken for one that passed
            with pytest.raises(TypeCheckError, match="parameter 'right'"):
                product(torch.ones(A, B), wrong)


def test_what_is_given_by_another_name_is_checked_again():
    @checked
    def pair(a: Float[Tensor, "x"], b: Float[Tensor, "y"] | None = None, c: Float[Tensor, "x"] | None = None):
        return a

    pair(torch.ones(A), b=torch.ones(B))
    with pytest.raises(TypeCheckError, match="parameter 'c'"):
        pair(torch.ones(A), c=torch.ones(B))


def test_a_wrong_result_is_refused():
    @checked
    def wrong(left: Float[Tensor, "a b"]) -> Float[Tensor, "b a"]:
        return left

    for _ in range(2):
        with pytest.raises(TypeCheckError, match="return value"):
            wrong(torch.ones(A, B))
    assert wrong(torch.ones(B, B)).shape == (B, B)


def test_the_parts_of_a_tuple_are_seen():
    @checked
    def first(memory: Memory) -> Float[Tensor, "n d"]:
        return memory.key

    one = Memory(torch.ones(A, B), torch.ones(A, B), torch.ones(A, dtype=torch.bool), torch.ones(A))
    assert first(one).shape == (A, B)
    with pytest.raises(TypeCheckError):
        first(one._replace(key=torch.ones(A, B, C)))
    assert look(one) != look(one._replace(mask=torch.ones(A)))
    assert look((one,)) != look((tuple(one),))


def test_a_call_that_passed_is_not_checked_again(monkeypatch):
    checks = []

    def watched(typechecker):
        def wrap(function):
            def careful(*arguments):
                checks.append(arguments)
                return function(*arguments)

            return careful

        return wrap

    monkeypatch.setattr(shapes, "jaxtyped", watched)
    monkeypatch.setattr(shapes, "MOST", 2)
    double = checked(lambda x: 2 * x)
    for length in (1, 1, 2, 1, 2, 3, 3):
        double(torch.ones(length))
    assert [len(x) for (x,) in checks] == [1, 2, 3]
    double(torch.ones(1))  # the memory was full and was emptied
    assert len(checks) == 4
