"""How the steps, seeds and backward passes of a run lie in time."""

import dataclasses
from typing import Literal

from mtl_jax.core.typechecked import typed
from mtl_jax.core.validation import require, require_choice, require_count

MOST = 1000


@typed
@dataclasses.dataclass(frozen=True)
class Dispatch:
    """How a run is laid out in time; results never depend on it (beyond rounding).

    Measured on 2 CPU cores: matrix-multiply trunks want steps by `scan`, seeds by `vmap`, and
    backward passes unrolled, since XLA lays the gradients of vmapped ones out anew (at 40 tasks
    they take nearly twice as long); a convolution's backward pass inside a loop is 40 times
    slower there, so convolutional trunks want `unroll` everywhere, and one step a dispatch: what
    four of them win is less than they take longer to compile. None in a run takes this choice
    by trunk and backend.

    Attributes:
      block: steps in one dispatch.
      steps: how the steps of a block follow each other.
      seeds: how seeds lie side by side; "map" takes them one after the other.
      pullbacks: how the K backward passes of an aggregator lie side by side.
      pullback_chunk: how many of them go at a time if they are vmapped; None is all of them.
        With 1 they go one after the other, and for a Gram method no gradient is kept: each
        goes forward again for its products with all others, and two passes back with the
        weights make the step. Slower, but memory hardly grows with K.
      policies: how images go through an augmentation that has branches: "map" goes from one
        change to the next and computes only the branch taken, "vmap" computes all branches of
        all. With "map" several seeds should be unrolled or mapped: vmapped, every change would
        pay for all images.
    """

    block: int = 100
    steps: Literal["scan", "unroll"] = "scan"
    seeds: Literal["vmap", "unroll", "map"] = "vmap"
    pullbacks: Literal["vmap", "unroll"] = "vmap"
    pullback_chunk: int | None = None
    policies: Literal["vmap", "map"] = "vmap"

    def __post_init__(self):
        require_count(self, block=1)
        rule = f"must be at most {MOST} steps if they are unrolled, each of which is compiled"
        require(self.steps != "unroll" or self.block <= MOST, self, "block", rule, self.block)
        if self.pullback_chunk is not None:
            require_count(self, pullback_chunk=1)
        require_choice(self, steps=("scan", "unroll"), seeds=("vmap", "unroll", "map"))
        require_choice(self, pullbacks=("vmap", "unroll"), policies=("vmap", "map"))
