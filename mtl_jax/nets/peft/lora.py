"""LoRA: a trunk whose kernels are moved by products of two thin matrices."""

import dataclasses
import math
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from mtl_jax.core.prng import named
from mtl_jax.core.protocols import Tree
from mtl_jax.core.tree import matches, path_text, paths
from mtl_jax.core.validation import BadInput, pattern_fault, require, require_count, require_number
from mtl_jax.nets.multitask.experts import require_trunk

# Kernels `[D, H, Dh]` of which the first axis alone is the input; of all others the last axis
# alone is the output.
HEADED = r"(.*/)?(query|key|value)s?/kernel"


@dataclasses.dataclass(frozen=True)
class LoRA:
    """Low-rank adaptation of a trunk, `W' = W + (alpha / rank) A B`.

    W `[I, O]` is a kernel of the trunk, A `[I, r]` and B `[r, O]` are new. The paper writes kernels
    transposed, `W + (alpha / r) B A`. A starts at random, `N(0, 1/I)`, and B at 0, so that the
    start is exactly the trunk; A has no gradient until B has moved. The paper draws A from a
    normal distribution whose variance it does not say; PEFT from a uniform one of variance
    `1/(3 I)`. There is no dropout before A.

    Kernels of more axes count as matrices: I is the product of all axes but the last, O the last,
    so that of a convolution `[h, w, I, O]` A is a convolution to r channels and B a 1 x 1 one, as
    in PEFT, and of attention's last layer `[H, Dh, D]` I is H Dh. Of `query`, `key` and `value`
    `[D, H, Dh]` I is D and O is H Dh.

    It acts on parameters alone: the trunk runs on what `merge` gives, in training and after. Merged
    once, it is a plain trunk, as fast as before. Gradients reach both the trunk and the new
    parameters: that only the latter are trained is for the run to say.

    Attributes:
      trunk: a plain trunk, `[N, ...] -> [N, D]`.
      rank: r, at most the smaller side of every kernel.
      alpha: above 0; PEFT's default is 8.
      kernels: a regular expression that the whole path of a kernel in the trunk's parameters
        must match, such as `block.*/(query|value)/kernel`.

    Raises:
      BadInput: for what is no plain trunk, a number outside its range, or no expression.

    Reference: Hu et al., LoRA, ICLR 2022, Section 4.1 (https://arxiv.org/abs/2106.09685); PEFT
      (github.com/huggingface/peft).
    """

    trunk: nn.Module
    rank: int = 8
    alpha: float = 8.0
    kernels: str = r".*kernel"

    def __post_init__(self):
        require_trunk(self, "trunk")
        require_count(self, rank=1)
        require_number(self, alpha=(0.0, math.inf))
        require(self.alpha > 0, self, "alpha", "must be above 0", self.alpha)
        fine = pattern_fault(self.kernels) is None
        require(fine, self, "kernels", "must be a regular expression", self.kernels)

    fresh = ("shared/added/.*",)  # What a source does not have.

    @property
    def around(self) -> nn.Module:
        """The trunk that a source has."""
        return self.trunk

    @property
    def convolutional(self) -> bool:
        """Whether the trunk convolves, which decides how steps are dispatched."""
        return self.trunk.convolutional

    def add(self, key: jax.Array, params: Tree) -> Tree:
        """The new parameters for those of a trunk.

        Args:
          key: each kernel draws by its path, whatever other kernels there are.
          params: of the trunk, a nested dict.

        Returns:
          A nested dict, under the path of each kernel `{"a": [I, r], "b": [r, O]}`, in the
          dtype of the kernel.

        Raises:
          BadInput: if no path matches, or the rank is above a side of a kernel that does.
        """
        found = chosen(params, self.kernels)
        small = [f"{name} {sides(name, leaf)}" for name, leaf in found.items()
                 if min(sides(name, leaf)) < self.rank]  # fmt: skip
        rule = f"must be at most the smaller side of {', '.join(small)}"
        require(not small, self, "rank", rule, self.rank)
        drawn = {name: self.draw(named(key, name), name, leaf) for name, leaf in found.items()}
        return unflatten_dict(drawn, sep="/")

    def draw(self, key: jax.Array, name: str, kernel: jax.Array) -> dict[str, jax.Array]:
        """A and B of one kernel."""
        inputs, outputs = sides(name, kernel)
        a = jax.random.normal(key, (inputs, self.rank), kernel.dtype) * inputs**-0.5
        return {"a": a, "b": jnp.zeros((self.rank, outputs), kernel.dtype)}

    def merge(self, params: Tree, extra: Tree) -> Tree:
        """The trunk's parameters as they act, of the same outline.

        Args:
          params: of the trunk.
          extra: of `add`.

        Returns:
          The tree, with every chosen kernel moved and all else as it was.

        Raises:
          BadInput: if `extra` has parameters for a kernel that is not there.
        """
        parts = flatten_dict(extra, sep="/")
        require_known("LoRA", parts, paths(params))

        def acting(path, leaf):
            name = path_text(path)
            if f"{name}/a" not in parts:
                return leaf
            change = jnp.matmul(parts[f"{name}/a"], parts[f"{name}/b"], precision="highest")
            return leaf + (self.alpha / self.rank) * change.reshape(leaf.shape)

        return jax.tree_util.tree_map_with_path(acting, params)


def require_known(owner: str, parts: Tree, names: list[str]) -> None:
    """Requires that new parameters, by path, belong to paths that there are."""
    lost = sorted({name.rpartition("/")[0] for name in parts} - set(names))
    if lost:
        raise BadInput(f"{owner}.merge: the trunk has no {', '.join(lost)}")


def chosen(params: Tree, pattern: str) -> dict[str, jax.Array]:
    """The leaves whose whole paths match, by path; there is at least one."""
    kept = jax.tree.leaves(matches(params, (pattern,)))
    each = zip(paths(params), jax.tree.leaves(params), kept, strict=True)
    return {name: leaf for name, leaf, keep in each if keep}


def output_shape(name: str, kernel: jax.Array) -> tuple[int, ...]:
    """The axes of a kernel that are its output's."""
    return kernel.shape[1:] if re.fullmatch(HEADED, name) else kernel.shape[-1:]


def sides(name: str, kernel: jax.Array) -> tuple[int, int]:
    """Inputs I and outputs O of a kernel, as a matrix."""
    outputs = math.prod(output_shape(name, kernel))
    return kernel.size // outputs, outputs
