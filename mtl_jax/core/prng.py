"""Random keys by name: one key a run, folded with the step and with the name of its user."""

import zlib

import jax


def named(key: jax.Array, name: str) -> jax.Array:
    """Derives the key of the user `name` from `key`.

    The name goes in by its CRC-32, which is the same in every process, so no order of
    splitting ties two users together.

    Args:
      key: a typed key, `[]`.
      name: who will use it.

    Returns:
      A typed key, `[]`.
    """
    return jax.random.fold_in(key, zlib.crc32(name.encode()))
