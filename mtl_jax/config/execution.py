"""Execution options of a run: how steps, seeds and backward passes are looped."""

import dataclasses
from typing import Literal

from mtl_jax.core.fingerprint import Identified
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require, require_choice, require_int

MOST = 1000
DataLocation = Literal["device", "host", "disk"]


@typechecked
@dataclasses.dataclass(frozen=True)
class Execution(Identified):
    """Execution options of a run; results do not depend on them (up to rounding).

    `data_location` and `num_workers`, which do not change a bit of them, are no part of a run's
    fingerprint.

    Measured on 2 CPU cores: matrix-multiply trunks are fastest with steps by `scan`, seeds by
    `vmap`, and unrolled backward passes, since XLA changes the memory layout of vmapped
    gradients (at 40 tasks they take nearly twice as long). The backward pass of a convolution
    inside a loop is 40 times slower there, so convolutional trunks are fastest with `unroll`
    everywhere and one step per call: four steps save less time than their longer compilation
    takes. If a run's `execution` is None, or sets no more than the last five fields, the loops are
    chosen like this by trunk and backend.

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
      precision: "bfloat16" computes the model's forward and backward passes in training in
        bfloat16; parameters, statistics, losses, gradients and evaluations stay in float32. None
        is float32.
      microbatches: number of parts of a batch that pass through the model one after the other, so
        that activations of one alone are in memory; must divide the batch size. Losses and
        balancing are of the whole batch; BatchNorm normalizes each part by itself. None is 1.
      remat: whether backward passes compute the activations inside blocks of the model again, so
        that only the outputs of blocks are kept; results differ in rounding at most. None is False.
      data_location: where the examples are during training: on the "device", in the memory of the
        "host", or on "disk", from which sources with random access (`DataSource.open_splits`) are read.
        From the last two, the examples of a block of steps are placed on the device while the
        block before is trained; they are the same ones, so results agree bitwise. None is the
        first place of which the training data take at most a quarter.
      num_workers: processes that read examples from disk; 0 reads in threads. None is one for each
        core if at least 20,000 examples are read, else 0; also for `Rows` that an experiment file
        defines, which processes cannot import.
    """

    steps_per_call: int = 100
    step_loop: Literal["scan", "unroll"] = "scan"
    seed_loop: Literal["vmap", "unroll", "map"] = "vmap"
    jacobian_loop: Literal["vmap", "unroll"] = "vmap"
    jacobian_chunk_size: int | None = None
    augment_loop: Literal["vmap", "map"] = "vmap"
    precision: Literal["float32", "bfloat16"] | None = None
    microbatches: int | None = None
    remat: bool | None = None
    data_location: DataLocation | None = None
    num_workers: int | None = None

    def identity(self) -> "Execution | None":
        """The execution without the place of the data; None if it says nothing else."""
        without = dataclasses.replace(self, data_location=None, num_workers=None)
        return None if without == Execution() != self else without

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
        rule = "overflows at 65,504, which needs a scaling of the losses; use bfloat16"
        require(self.precision != "float16", self, "precision", rule, self.precision)
        require_choice(self, precision=(None, "float32", "bfloat16"))
        least = {"microbatches": 1, "jacobian_chunk_size": 1, "num_workers": 0}
        require_int(self, **{n: low for n, low in least.items() if getattr(self, n) is not None})
        require_choice(self, data_location=(None, "device", "host", "disk"))
        require_choice(self, step_loop=("scan", "unroll"), seed_loop=("vmap", "unroll", "map"))
        require_choice(self, jacobian_loop=("vmap", "unroll"), augment_loop=("vmap", "map"))
