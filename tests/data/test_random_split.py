"""Draws: streams of different users differ, and parts hold their share of every class."""

import numpy as np
import pytest

from mtl_jax.data.random_split import generator, stratified_split


def test_streams_are_tied_to_seed_and_name():
    def first(seed, name):
        return generator(seed, name).integers(2**62)

    assert first(0, "a") == first(0, "a")
    assert len({first(0, "a"), first(1, "a"), first(0, "b")}) == 3


def test_every_part_has_its_share_of_every_class():
    labels = np.repeat([0, 1, 2], [100, 40, 60])
    parts = stratified_split(labels, 0.3, 0.2, generator(0, "test"))
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(200))
    counts = np.array([np.bincount(labels[part]) for part in parts])
    np.testing.assert_allclose(counts, np.outer([0.5, 0.3, 0.2], [100, 40, 60]), atol=2)
    np.testing.assert_array_equal(counts.sum(1), [100, 60, 40])


def test_classes_smaller_than_a_share_still_fill_the_parts():
    labels = np.arange(30) // 3  # A tenth of each class is less than one example.
    sizes = [len(part) for part in stratified_split(labels, 0.1, 0.1, generator(0, "test"))]
    assert sizes == [24, 3, 3]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_seed_alone_decides(seed):
    labels = np.zeros(50, int)
    one, same = (stratified_split(labels, 0.2, 0.2, generator(seed, "test"))[2] for _ in range(2))
    other = stratified_split(labels, 0.2, 0.2, generator(seed + 1, "test"))[2]
    np.testing.assert_array_equal(one, same)
    assert set(one) != set(other)


def test_parts_in_which_no_class_lacks_are_as_ever():
    parts = stratified_split(np.arange(20) % 3, 0.2, 0.2, generator(0, "test"))
    # Of commit 8dd7f5c.
    assert [part.tolist() for part in parts[1:]] == [[3, 14, 16, 18], [1, 7, 12, 17]]


@pytest.mark.parametrize("seed", range(10))
def test_a_class_keeps_its_first_example_in_train(seed):
    labels = np.concatenate([np.zeros(30, int), np.arange(1, 9), [9, 9], [-1]])
    parts = stratified_split(labels, 0.3, 0.3, generator(seed, "test"))
    assert set(labels[parts[0]]) >= set(range(10))
    assert [len(part) for part in parts] == [17, 12, 12]  # by hand: 30 % of 41, twice.
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(41))


def test_classes_that_cannot_all_be_in_train_leave_the_parts_as_they_are():
    parts = stratified_split(np.arange(5), 0.4, 0.2, generator(0, "test"))
    assert [len(part) for part in parts] == [2, 2, 1]
