"""The leading axis P of a population, of its runs: mapping over it, stacking and unstacking."""

import operator
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec

from mtl_jax.config.run import Run
from mtl_jax.core.numbers import Path, with_numbers


def map_runs(
    template: Run,
    function: Callable[[Any, Run], Any],
    numbers: dict[Path, Any],
    inputs: Any,
    vmapped: int,
) -> Any:
    """Maps a function `(input, run)` over P inputs, and the template with P times other numbers.

    Args:
      template: the run.
      function: the function.
      numbers: the numbers `[P]`, by path.
      inputs: the inputs `[P, ...]`.
      vmapped: how many are vmapped at a time.
    """
    args = (inputs, numbers)

    def one(args: tuple[Any, dict[Path, Any]]) -> Any:
        own_input, own = args
        return function(own_input, with_numbers(template, own))

    if vmapped == jax.tree.leaves(inputs)[0].shape[0]:
        return jax.vmap(one)(args)
    return jax.lax.map(one, args, batch_size=vmapped if vmapped > 1 else None)


@jax.jit
def stack(states: list[Any]) -> Any:
    """States with a leading axis P, from P states."""
    return jax.tree.map(lambda *leaves: jax.numpy.stack(leaves), *states)


@jax.jit
def unstack(states: Any) -> list[Any]:
    """P states, from states with a leading axis P."""
    count = jax.tree.leaves(states)[0].shape[0]
    return [jax.tree.map(operator.itemgetter(place), states) for place in range(count)]


def add_axis(sharding: NamedSharding) -> NamedSharding:
    """The sharding of arrays with one more leading axis, which is not sharded."""
    return NamedSharding(sharding.mesh, PartitionSpec(None, *sharding.spec))
