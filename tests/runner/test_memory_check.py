"""Sizes: what cannot fit is refused from the shapes, and what can is not."""

import optax
import pytest

from mtl_jax import nets, optimizers
from mtl_jax.config.run import dependency_order
from mtl_jax.core.validation import BadInput
from mtl_jax.runner import memory_check
from mtl_jax.runner.memory_check import check_room, required_bytes, size_text
from mtl_jax.runner.trace import trace_run
from mtl_jax.storage.abstract_data import abstract_data
from mtl_jax.storage.memory import bytes_of
from tests.small import FIXMATCH, ROW, RUN

ALONE = RUN.replace(tasks=(ROW,), trunk=nets.MLP((12,)))
# By hand: 36 x 12 + 12 of the trunk, 12 x 3 + 3 of the head; S = 2.
PARAMETERS = 2 * (36 * 12 + 12 + 12 * 3 + 3) * 4


def test_what_a_run_needs_by_hand():
    found = required_bytes(ALONE)
    # 96 images and classes; 24 of two seeds have labels: where, and which.
    assert found["data"] == 96 * 36 * 4 + 96 * 4 + 2 * 24 * (4 + 1)
    assert found["parameters and optimizer"] == 3 * PARAMETERS  # with SGD's momentum
    assert (
        required_bytes(ALONE.replace(optimizer=optimizers.Adam(0.1)))["parameters and optimizer"]
        == 4 * PARAMETERS
    )
    lion = optimizers.Optax(optax.lion, learning_rate=0.1)
    assert (
        required_bytes(ALONE.replace(optimizer=lion))["parameters and optimizer"] == 3 * PARAMETERS
    )
    assert found["a batch"] == 2 * 8 * (36 * 4 + 3 * 4)
    semi = ALONE.replace(tasks=(ROW.replace(auxiliary=FIXMATCH),))
    assert required_bytes(semi)["a batch"] == 3 * found["a batch"]  # twice as many unlabelled ones


def test_it_is_a_lower_bound_of_the_state():
    _, state, given = trace_run(ALONE, 1)
    held = bytes_of((state.params, state.ema, state.opt_state))
    assert required_bytes(ALONE)["parameters and optimizer"] <= held
    assert bytes_of(given.streams) >= required_bytes(ALONE)["data"]
    assert abstract_data(ALONE).streams.keys() == given.streams.keys()


@pytest.mark.parametrize(
    ("changes", "most"),
    [
        ({"tasks": (ROW.replace(num_outputs=10**12),)}, "parameters and optimizer"),
        ({"tasks": (ROW.replace(num_outputs=10**30),)}, "parameters and optimizer"),
        ({"trunk": nets.MLP((10**12,))}, "parameters and optimizer"),
        ({"batch_size": 2**31, "steps": 1}, "a batch"),
    ],
    ids=["head", "endless head", "trunk", "batch"],
)
def test_what_does_not_fit_is_refused(changes, most):
    run = ALONE.replace(**changes)
    with pytest.raises(BadInput, match=r"run 'hard': needs at least .* of memory \(.*there are"):
        check_room(run)
    found = required_bytes(run)
    assert max(found, key=found.get) == most


def test_the_rule_is_what_there_is(monkeypatch):
    total = sum(required_bytes(ALONE).values())
    monkeypatch.setattr(memory_check, "device_memory", lambda: total)
    check_room(ALONE)
    monkeypatch.setattr(memory_check, "device_memory", lambda: total - 1)
    with pytest.raises(BadInput, match="needs at least"):
        check_room(ALONE)


def test_this_machine_has_memory():
    assert 2**28 < memory_check.device_memory() < 2**50


def test_sizes_in_words():
    texts = ("999 B", "1.5 kB", "2 GB", "3 TB")
    assert tuple(map(size_text, (999, 1500, 2e9, 3e12))) == texts


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 2**31}, r"Run\.steps must be below 2\^31"),
        ({"steps": 2**31 - 1, "batch_size": 2}, None),
        ({"steps": 2**31 - 1, "batch_size": 3}, r"below 2\^32, where batches would begin anew"),
        (
            {"steps": 2**30, "batch_size": 2, "tasks": (ROW.replace(auxiliary=FIXMATCH),)},
            r"below 2\^32",
        ),
        ({"num_seeds": 10_001}, r"Run\.num_seeds must be at most 10000, not 10001"),
    ],
    ids=["steps", "fits", "seen", "unlabelled", "seeds"],
)
def test_what_32_bits_cannot_count_is_refused(changes, said):
    if said is None:
        assert ALONE.replace(**changes).batch_size == 2
        return
    with pytest.raises(BadInput, match=said):
        ALONE.replace(**changes)


def test_a_long_chain_is_refused():
    run = ALONE
    for place in range(49):
        run = ALONE.replace(name=f"r{place}", initialization={"init_from": run})
    with pytest.raises(
        BadInput,
        match=r"Run\.initialization.init_from must end a chain of at most 50 runs.* not 51",
    ):
        ALONE.replace(name="last", initialization={"init_from": run})


def test_a_chain_that_branches_without_end_is_refused():
    run = ALONE
    with pytest.raises(
        BadInput, match=r"Run\.labels.teachers must need at most 10000 runs.* not 16383"
    ):
        for place in range(40):  # 2^40 ways from the last to the first.
            run = ALONE.replace(
                name=f"r{place}", initialization={"init_from": run}, labels={"teachers": (run,)}
            )
    assert run.name == "r11"
    assert [one.name for one in dependency_order(run)] == [
        "hard",
        *(f"r{place}" for place in range(12)),
    ]


def test_unlabelled_examples_count_only_where_they_are_drawn():
    assert ALONE.replace(steps=2**28, batch_size=8, labels={"unlabelled_ratio": 7}).steps == 2**28
    with pytest.raises(BadInput, match=r"not 15032385536"):  # 7 * 2^31
        ALONE.replace(
            steps=2**28,
            batch_size=8,
            labels={"unlabelled_ratio": 7},
            tasks=(ROW.replace(auxiliary=FIXMATCH),),
        )
