import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from backbone.batches import Batches, plan
from domain.errors import ModelError


@given(st.lists(st.integers(1, 200), max_size=40), st.integers(1, 400))
def test_every_input_is_in_one_batch_and_padded_batches_stay_below_the_limit(sizes, limit):
    batches = plan(sizes, limit=limit)
    assert sorted(i for batch in batches for i in batch) == list(range(len(sizes)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(sizes[i] for i in batch) <= limit


def test_neighbours_in_size_share_a_batch():
    assert plan([10, 1000, 12, 990], limit=2000) == [[1, 3], [2, 0]]


def test_results_come_back_in_the_order_of_the_inputs():
    batches = Batches(list, lambda ready: [value * 2 for value in ready], limit=30, name="double")
    assert batches.run([5, 30, 1, 12], [5, 30, 1, 12]) == [10, 60, 2, 24]
    assert batches.run([], []) == []


def test_running_out_of_memory_halves_the_batch_and_goes_on():
    tried = []

    def forward(ready):
        tried.append(len(ready))
        if len(ready) > 3:
            raise torch.OutOfMemoryError("no room")
        return [value + 1 for value in ready]

    batches = Batches(list, forward, limit=1000, name="small")
    assert batches.run(list(range(10)), [10] * 10) == list(range(1, 11))
    assert tried[0] == 10
    tried.clear()
    assert batches.run(list(range(10)), [10] * 10) == list(range(1, 11))
    assert max(tried) <= 5  # it remembers what did not fit


def test_running_out_of_memory_on_a_cpu_is_the_same():
    def forward(ready):
        torch.empty(10**15 if len(ready) > 2 else 1)
        return [value + 1 for value in ready]

    assert Batches(list, forward, limit=100, name="small").run(list(range(8)), [10] * 8) == list(range(1, 9))


def test_another_failure_of_the_model_is_not_taken_for_a_lack_of_memory():
    def forward(_ready):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        Batches(list, forward, limit=100, name="small").run([1, 2], [10, 10])


def test_one_input_that_does_not_fit_is_refused_with_the_remedy():
    def forward(_ready):
        raise torch.OutOfMemoryError("no room")

    with pytest.raises(ModelError, match=r"small: one input of 70 tokens .* max_visual_tokens"):
        Batches(list, forward, limit=100, name="small").run([1], [70])
