"""Random keys by name, derived from one key per run."""

import zlib

import jax


def fold_in_name(key: jax.Array, name: str) -> jax.Array:
    """Derives a random key for the purpose `name` from `key`.

    It folds in the CRC-32 of the name, which is the same in every process, so that keys do not
    depend on the order of splitting.

    Args:
      key: a typed key, `[]`.
      name: purpose of the key.

    Returns:
      A typed key, `[]`.
    """
    return jax.random.fold_in(key, zlib.crc32(name.encode()))
