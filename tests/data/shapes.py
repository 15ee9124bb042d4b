"""What every source says of its training part before it is read, and what it reads when asked."""

import pickle

import jax
import numpy as np

from mtl_jax.core.rows import Rows


def check_shapes(source, too_large=()):
    """Requires that `shapes` tells what `load` gives, and only labels `too_large` besides."""
    told = {name: (found.shape, found.dtype) for name, found in source.shapes().items()}
    train = {name: (array.shape, array.dtype) for name, array in source.load().train.items()}
    assert {name: told[name] for name in train} == train
    assert told.keys() - train.keys() == set(too_large)
    if source.has_random_access:
        check_open(source)


def check_open(source):
    """Requires that `open_splits` gives the arrays of `load`, some of them as rows."""
    opened, loaded = source.open_splits(), source.load()
    assert jax.tree.structure(opened) == jax.tree.structure(loaded)
    pairs = list(zip(jax.tree.leaves(opened), jax.tree.leaves(loaded), strict=True))
    assert any(isinstance(rows, Rows) for rows, _ in pairs)
    for rows, array in pairs:
        assert (rows.shape, rows.dtype) == (array.shape, array.dtype)
        np.testing.assert_array_equal(np.asarray(rows), array)
        if isinstance(rows, Rows):
            index = np.array([len(array) - 1, 0, 0])
            np.testing.assert_array_equal(
                pickle.loads(pickle.dumps(rows)).read(index), array[index]
            )
            assert rows.identity() == rows.identity()
