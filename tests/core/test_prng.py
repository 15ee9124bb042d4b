"""Keys by name: the same in every process, apart for every name."""

import zlib

import jax
import numpy as np

from mtl_jax.core.prng import fold_in_name


def words(key):
    return np.asarray(jax.random.key_data(key)).tolist()


def test_a_name_is_its_crc():
    key = jax.random.key(3)
    assert zlib.crc32(b"labelled") == 3105963004
    assert words(fold_in_name(key, "labelled")) == words(jax.random.fold_in(key, 3105963004))


def test_names_and_keys_are_apart():
    keys = [
        fold_in_name(jax.random.key(seed), name) for seed in (0, 1) for name in ("a", "b", "ab", "")
    ]
    assert len({str(words(key)) for key in keys}) == 8


def test_works_under_jit_and_vmap():
    keys = jax.random.split(jax.random.key(0), 2)
    found = jax.jit(jax.vmap(lambda key: fold_in_name(key, "init")))(keys)
    assert words(found) == [words(fold_in_name(key, "init")) for key in keys]
