"""What the data get wrong is said in the reference's words, before anything is looked up."""

import pytest

from microgpt_core import ops
from microgpt_core.components import new_buffer
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.engine.context import use_kernels
from microgpt_core.engine.tensor import Tensor, tensor
from microgpt_core.errors import DataError


def zeros(*shape: int) -> Tensor:
    return tensor(new_buffer(shape))


HIGHEST, LOWEST = 2**31 - 1, -(2**31)
TABLE, LOGITS, ROWS = zeros(3, 5), zeros(2, 5), (zeros(1, 2, 4),) * 3
CACHE = (zeros(1, 2, 4), zeros(1, 7, 4), zeros(1, 7, 4), None)
WRONG = [
    *((ops.embedding, ids, (TABLE,), {}) for ids in ([0, 3], [-1, 0], [1, HIGHEST], [LOWEST, 1])),
    *((ops.cross_entropy, ids, (LOGITS,), {}) for ids in ([0, 5], [-2, 0], [1, HIGHEST], [LOWEST, 1])),
    *((ops.attention, ids, ROWS, {"n_head": 2}) for ids in ([[1, 1]], [[0, 2]], [[0, -1]], [[0, LOWEST]])),
    *((ops.attention, ids, CACHE, {"n_head": 2}) for ids in ([6], [-1], [HIGHEST], [LOWEST])),
    *((ops.cache_write, ids, CACHE[1::-1], {}) for ids in ([6], [-1], [HIGHEST], [LOWEST])),
]


@pytest.mark.parametrize(("op", "numbers", "others", "attributes"), WRONG)
def test_the_same_error_as_the_references(op, numbers, others, attributes, kernels: Kernels) -> None:  # type: ignore[no-untyped-def]
    said = []
    given = tensor(numbers, "int32")
    inputs = (given, *others) if op is ops.embedding else (*others, given)
    for who in (kernels, REFERENCE):
        with use_kernels(who), pytest.raises(DataError) as raised:
            op(*inputs, **attributes)
        said.append(str(raised.value))
    assert said[0] == said[1]


def test_where_all_targets_are_ignored_there_is_the_same_warning(kernels: Kernels) -> None:
    logits = tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    with use_kernels(kernels):
        with pytest.warns(UserWarning, match="every target is ignored"):
            loss = ops.cross_entropy(logits, tensor([-1, -1], "int32"))
        loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert logits.grad.tolist() == [[0.0, 0.0], [0.0, 0.0]]
