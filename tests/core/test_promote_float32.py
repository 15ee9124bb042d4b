"""wide: raises half precision, and nothing else."""

import jax
import jax.numpy as jnp
import pytest

from mtl_jax.core.tree import promote_float32


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("bfloat16", "float32"), ("float16", "float32"), ("float32",) * 2, ("float64",) * 2],
)
def test_dtypes(given, wanted):
    with jax.enable_x64(True):
        assert promote_float32(jnp.ones(2, given)).dtype == wanted
