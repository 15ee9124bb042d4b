"""Stateless batch sampling: a batch is a function of the key and the step alone."""

import functools

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require

ROUNDS = 6
HALF = 3  # Below 64 values, permutations are not uniformly distributed, however many the rounds.
GOLDEN = 0x9E3779B9  # 2**32 over the golden ratio: decorrelates the round keys.


def batch_index(key: jax.Array, step: jax.Array, size: int, batch: int) -> jax.Array:
    """The batch of a step in an infinite stream of epochs, each in a new random order.

    `index_i = E_{key, p // size}(p % size)` with `p = step * batch + i`: E is a keyed
    bijection of 0..size-1, so an epoch visits every example exactly once, and any step can
    be computed independently. E is a Feistel network on the next even number of bits, at least 6,
    applied repeatedly until the result is a valid index (cycle walking); no permutation is stored.
    A batch may span several epochs, and may therefore be larger than `size`.

    Positions are 32-bit: the stream restarts at p = 2**32.

    Args:
      key: a typed key, `[]`.
      step: integer, `[]`, may be traced.
      size: number of examples N, at most 2**31 - 1.
      batch: batch size B.

    Returns:
      Indices of examples, int32 `[B]`.

    Raises:
      BadInput: for a size or batch out of range.
      ValueError: if `key` is not a single typed key, or `step` not a single integer.

    Reference: Black and Rogaway, Ciphers with Arbitrary Finite Domains, CT-RSA 2002, the
      cycle-walking cipher (https://eprint.iacr.org/2001/012).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import data
      >>> index = data.batch_index(jax.random.key(0), jnp.int32(0), size=6, batch=6)
      >>> sorted(index.tolist())
      [0, 1, 2, 3, 4, 5]
    """
    for name, value, max_value in (("size", size, 2**31 - 1), ("batch", batch, 2**31 - 1)):
        valid = isinstance(value, int) and 1 <= value <= max_value
        require(valid, "batch_index", name, f"must be an integer from 1 to {max_value}", value)
    step = jnp.asarray(step)
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.shape:
        raise ValueError(f"key must be one typed key, not {key.dtype}{list(key.shape)}")
    if not jnp.issubdtype(step.dtype, jnp.integer) or step.shape:
        raise ValueError(f"step must be one integer, not {step.dtype}{list(step.shape)}")
    position = step.astype(jnp.uint32) * jnp.uint32(batch) + jnp.arange(batch, dtype=jnp.uint32)
    epoch, offset = position // jnp.uint32(size), position % jnp.uint32(size)
    return permute_index(offset, round_keys(key, epoch), size).astype(jnp.int32)


# Jitted so that runs share one trace.
@functools.partial(jax.jit, static_argnames="size")
def permute_index(offset: jax.Array, keys: jax.Array, size: int) -> jax.Array:
    """Maps positions in an epoch to example indices, bijectively on 0..size-1, `[B]`."""
    half = max(HALF, ((size - 1).bit_length() + 1) // 2)

    def walk(value):
        return jnp.where(value < jnp.uint32(size), value, feistel(value, keys, half))

    def outside(value):
        return jnp.any(value >= jnp.uint32(size))

    return jax.lax.while_loop(outside, walk, feistel(offset, keys, half))


def feistel(value: jax.Array, keys: jax.Array, half: int) -> jax.Array:
    """A keyed bijection of integers of `2 * half` bits: `(l, r) -> (r, l ^ mix(r ^ k))`."""
    shift, mask = jnp.uint32(half), jnp.uint32(2**half - 1)
    left, right = value >> shift, value & mask
    for key in keys:
        left, right = right, left ^ (mix(right ^ key) & mask)
    return (left << shift) | right


def round_keys(key: jax.Array, epoch: jax.Array) -> jax.Array:
    """A key for each round and epoch, `[ROUNDS, B]`, derived from all words of the key's data."""
    rounds = [i * GOLDEN % 2**32 for i in range(1, ROUNDS + 1)]
    state = jnp.asarray(rounds, jnp.uint32)[:, None]
    for word in jax.random.key_data(key).reshape(-1):
        state = mix(state ^ word)
    return mix(state ^ epoch[None])


def mix(bits: jax.Array) -> jax.Array:
    """MurmurHash3's finaliser: a bijection of 32 bits in which every bit affects all others."""
    bits = (bits ^ (bits >> jnp.uint32(16))) * jnp.uint32(0x85EBCA6B)
    bits = (bits ^ (bits >> jnp.uint32(13))) * jnp.uint32(0xC2B2AE35)
    return bits ^ (bits >> jnp.uint32(16))
