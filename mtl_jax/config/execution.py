"""Execution options of a run: how steps, seeds and backward passes are looped."""

import dataclasses
from typing import Literal

from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require, require_choice, require_int

MOST = 1000


@typechecked
@dataclasses.dataclass(frozen=True)
class Execution:
    """Execution options of a run; results do not depend on them (up to rounding).

    Measured on 2 CPU cores: matrix-multiply trunks are fastest with steps by `scan`, seeds by
    `vmap`, and unrolled backward passes, since XLA changes the memory layout of vmapped
    gradients (at 40 tasks they take nearly twice as long). The backward pass of a convolution
    inside a loop is 40 times slower there, so convolutional trunks are fastest with `unroll`
    everywhere and one step per call: four steps save less time than their longer compilation
    takes. If a run's `execution` is None, the options are chosen like this by trunk and backend.

    Attributes:
      steps_per_call: number of steps per call of the compiled function.
      step_loop: how the steps of a call are looped.
      seed_loop: how seeds are looped; "map" runs them sequentially.
      jacobian_loop: how the K backward passes of an aggregator are looped.
      jacobian_chunk_size: how many of them are vmapped at a time; None is all of them. With 1
        they run sequentially, and for a Gram method no gradient is stored: each is pushed
        forward again for its inner products with all others, and two backward passes with the
        weights compute the update. Slower, but memory hardly grows with K.
      augment_loop: how an augmentation that has branches is applied: "map" loops over the
        operations and computes only the branch taken, "vmap" computes all branches for all
        images. With "map", several seeds should be unrolled or mapped: if vmapped, every
        operation would be computed for all images.
    """

    steps_per_call: int = 100
    step_loop: Literal["scan", "unroll"] = "scan"
    seed_loop: Literal["vmap", "unroll", "map"] = "vmap"
    jacobian_loop: Literal["vmap", "unroll"] = "vmap"
    jacobian_chunk_size: int | None = None
    augment_loop: Literal["vmap", "map"] = "vmap"

    def __post_init__(self):
        require_int(self, steps_per_call=1)
        rule = f"must be at most {MOST} steps if they are unrolled, each of which is compiled"
        require(
            self.step_loop != "unroll" or self.steps_per_call <= MOST,
            self,
            "steps_per_call",
            rule,
            self.steps_per_call,
        )
        if self.jacobian_chunk_size is not None:
            require_int(self, jacobian_chunk_size=1)
        require_choice(self, step_loop=("scan", "unroll"), seed_loop=("vmap", "unroll", "map"))
        require_choice(self, jacobian_loop=("vmap", "unroll"), augment_loop=("vmap", "map"))
