"""LoRA: a trunk with low-rank updates of its kernels."""

import dataclasses
import math
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.tree import Tree, leaf_paths, match_paths, path_str
from mtl_jax.core.trunk import AddedParams
from mtl_jax.core.validation import BadInput, regex_error, require, require_int, require_number
from mtl_jax.nets.multitask.experts import require_trunk

# For kernels `[D, H, Dh]` only the first axis is the input; for all others only the last axis is
# the output.
HEADED = r"(.*/)?(query|key|value)s?/kernel"


@dataclasses.dataclass(frozen=True)
class LoRA(AddedParams):
    """Low-rank adaptation of a trunk, `W' = W + (alpha / rank) A B`.

    W `[I, O]` is a kernel of the trunk, A `[I, r]` and B `[r, O]` are new. The paper writes kernels
    transposed, `W + (alpha / r) B A`. A is initialized from `N(0, 1/I)` and B to 0, so that the
    model initially equals the trunk; the gradient with respect to A is 0 until B has changed. The
    paper initializes A from a normal distribution of unspecified variance; PEFT from a uniform one
    of variance `1/(3 I)`. There is no dropout before A.

    Kernels with more axes are reshaped to matrices: I is the product of all axes but the last, O
    the last, so that for a convolution `[h, w, I, O]` A is a convolution to r channels and B a
    1 x 1 one, as in PEFT, and for attention's last layer `[H, Dh, D]` I is H Dh. For `query`,
    `key` and `value` `[D, H, Dh]` I is D and O is H Dh.

    It acts on parameters only: the trunk runs on the output of `merge`, in training and
    evaluation. After merging, it is a plain trunk of the original speed. Gradients are computed
    for both the trunk and the new parameters: to train only the latter, the run must freeze the
    trunk.

    Attributes:
      trunk: a plain trunk, `[N, ...] -> [N, D]`.
      rank: r, at most the smaller side of every kernel.
      alpha: scale, above 0; PEFT's default is 8.
      kernels: a regular expression that the full path of a kernel in the trunk's parameters
        must match, such as `block.*/(query|value)/kernel`.

    Raises:
      BadInput: for anything but a plain trunk, a number outside its range, or an invalid
        expression.

    Reference: Hu et al., LoRA, ICLR 2022, Section 4.1 (https://arxiv.org/abs/2106.09685); PEFT
      (github.com/huggingface/peft).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> lora = nets.LoRA(nets.MLP((3,)), rank=2)
      >>> params = {"Dense_0": {"kernel": jax.numpy.ones((4, 3)), "bias": jax.numpy.ones(3)}}
      >>> added = lora.init_params(jax.random.key(0), params)
      >>> jax.tree.map(jax.numpy.shape, added)
      {'Dense_0': {'kernel': {'a': (4, 2), 'b': (2, 3)}}}
    """

    trunk: nn.Module
    rank: int = 8
    alpha: float = 8.0
    kernels: str = r".*kernel"

    def __post_init__(self):
        require_trunk(self, "trunk")
        require_int(self, rank=1)
        require_number(self, alpha=(0.0, math.inf))
        require(self.alpha > 0, self, "alpha", "must be above 0", self.alpha)
        valid = regex_error(self.kernels) is None
        require(valid, self, "kernels", "must be a regular expression", self.kernels)

    new_params = ("shared/added/.*",)  # Absent from a source model.

    @property
    def base_trunk(self) -> nn.Module:
        """The trunk of the source model."""
        return self.trunk

    inner_trunks = ("trunk",)

    def init_params(self, key: jax.Array, params: Tree) -> Tree:
        """Initializes the new parameters for those of a trunk.

        Args:
          key: random key; the values for a kernel depend on its path, not on other kernels.
          params: parameters of the trunk, a nested dict.

        Returns:
          A nested dict with `{"a": [I, r], "b": [r, O]}` under the path of each kernel, in the
          dtype of the kernel.

        Raises:
          BadInput: if no path matches, or the rank exceeds a side of a matching kernel.
        """
        kernels = select_params(params, self.kernels)
        too_small = [f"{name} {matrix_shape(name, leaf)}" for name, leaf in kernels.items()
                 if min(matrix_shape(name, leaf)) < self.rank]  # fmt: skip
        rule = f"must be at most the smaller side of {', '.join(too_small)}"
        require(not too_small, self, "rank", rule, self.rank)
        factors = {
            name: self.init_pair(fold_in_name(key, name), name, leaf)
            for name, leaf in kernels.items()
        }
        return unflatten_dict(factors, sep="/")

    def init_pair(self, key: jax.Array, name: str, kernel: jax.Array) -> dict[str, jax.Array]:
        """A and B of one kernel."""
        inputs, outputs = matrix_shape(name, kernel)
        a = jax.random.normal(key, (inputs, self.rank), kernel.dtype) * inputs**-0.5
        return {"a": a, "b": jnp.zeros((self.rank, outputs), kernel.dtype)}

    def merge(self, params: Tree, extra: Tree) -> Tree:
        """The trunk's effective parameters, with the same structure.

        Args:
          params: parameters of the trunk.
          extra: output of `init_params`.

        Returns:
          The tree, with every matching kernel updated and all other leaves unchanged.

        Raises:
          BadInput: if `extra` has parameters for a missing kernel.
        """
        factors = flatten_dict(extra, sep="/")
        require_paths("LoRA", factors, leaf_paths(params))

        def update(path, leaf):
            name = path_str(path)
            if f"{name}/a" not in factors:
                return leaf
            change = jnp.matmul(factors[f"{name}/a"], factors[f"{name}/b"], precision="highest")
            return leaf + (self.alpha / self.rank) * change.reshape(leaf.shape)

        return jax.tree_util.tree_map_with_path(update, params)


def require_paths(owner: str, added: Tree, names: list[str]) -> None:
    """Requires that new parameters, by path, belong to existing paths."""
    missing = sorted({name.rpartition("/")[0] for name in added} - set(names))
    if missing:
        raise BadInput(f"{owner}.merge: the trunk has no {', '.join(missing)}")


def select_params(params: Tree, pattern: str) -> dict[str, jax.Array]:
    """The leaves whose full paths match, by path; at least one."""
    matches = jax.tree.leaves(match_paths(params, (pattern,)))
    leaves = zip(leaf_paths(params), jax.tree.leaves(params), matches, strict=True)
    return {name: leaf for name, leaf, matched in leaves if matched}


def output_shape(name: str, kernel: jax.Array) -> tuple[int, ...]:
    """The output axes of a kernel."""
    return kernel.shape[1:] if re.fullmatch(HEADED, name) else kernel.shape[-1:]


def matrix_shape(name: str, kernel: jax.Array) -> tuple[int, int]:
    """Numbers of inputs I and outputs O of a kernel, as a matrix."""
    outputs = math.prod(output_shape(name, kernel))
    return kernel.size // outputs, outputs
