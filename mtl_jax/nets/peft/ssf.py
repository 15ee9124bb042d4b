"""SSF: a trunk that is tuned by a scale and a shift of what each of its layers gives."""

import dataclasses
import math
import re

import flax.linen as nn
import jax
from flax.traverse_util import flatten_dict, unflatten_dict

from mtl_jax.core.prng import named
from mtl_jax.core.protocols import Tree
from mtl_jax.core.tree import path_text, paths
from mtl_jax.core.validation import BadInput, near, pattern_fault, require, require_number
from mtl_jax.nets.multitask.experts import require_trunk
from mtl_jax.nets.peft.lora import output_shape, require_known


@dataclasses.dataclass(frozen=True)
class SSF:
    """Scaling and shifting of features, `y' = gamma * y + beta` after every layer of a trunk.

    y are the outputs of a dense layer, a convolution or a norm, `[..., O]`; gamma and beta `[O]`
    are new. It acts on parameters alone: `kernel' = gamma * kernel` by output channel (of a
    norm `scale' = gamma * scale`) and `bias' = gamma * bias + beta`. The trunk runs on what
    `merge` gives, in training and after; merged once, it is a plain trunk, as fast as before.

    A layer without bias, such as a convolution before a norm, is scaled and not shifted: that norm
    shifts it. A BatchNorm that normalises by the batch takes the scale of the convolution before
    it out again, but for its epsilon, so such a gamma has next to no gradient; on running
    statistics, as a frozen one has, it acts. Other parameters, such as places of tokens, are not
    touched.

    Gradients reach both the trunk and the new parameters: that only the latter are trained is for
    the run to say, and that nothing decays them, for gamma would decay to 0.

    Attributes:
      trunk: a plain trunk, `[N, ...] -> [N, D]`.
      noise: standard deviation of the start, gamma from `N(1, noise^2)` and beta from
        `N(0, noise^2)`. With 0 the start is exactly the trunk; the authors' code has 0.02.
      layers: a regular expression that the whole path of a layer must match, such as
        `stage1/.*`.

    Raises:
      BadInput: for what is no plain trunk, a number outside its range, or no expression.

    Reference: Lian et al., Scaling & Shifting Your Features, NeurIPS 2022, its sections on scaling
      and shifting and on re-parameterization (https://arxiv.org/abs/2210.08823), and its code
      (github.com/dongzelian/SSF).
    """

    trunk: nn.Module
    noise: float = 0.0
    layers: str = r".*"

    def __post_init__(self):
        require_trunk(self, "trunk")
        require_number(self, noise=(0.0, math.inf))
        fine = pattern_fault(self.layers) is None
        require(fine, self, "layers", "must be a regular expression", self.layers)

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
          key: each layer draws by its path; unused without noise.
          params: of the trunk, a nested dict.

        Returns:
          A nested dict, under the path of each layer `{"gamma": [O]}`, with a bias
          `{"gamma": [O], "beta": [O]}`, of attention's queries, keys and values `[H, Dh]` each.

        Raises:
          BadInput: if no layer matches.
        """
        found = {name: leaf for name, leaf in factors(params).items() if self.chooses(name)}
        if not found:
            layers = {parent(name) for name in factors(params)}
            raise BadInput(f"SSF.layers {self.layers!r} matches none: {near(self.layers, layers)}")
        drawn = {name: self.draw(named(key, name), name, like) for name, like in found.items()}
        return unflatten_dict(drawn, sep="/")

    def chooses(self, name: str) -> bool:
        """Whether the layer of a new parameter, by its path, matches."""
        return re.fullmatch(self.layers, parent(name)) is not None

    def draw(self, key: jax.Array, name: str, like: jax.ShapeDtypeStruct) -> jax.Array:
        """One new parameter, by its path."""
        start = 1.0 if name.endswith("gamma") else 0.0
        return start + self.noise * jax.random.normal(key, like.shape, like.dtype)

    def merge(self, params: Tree, extra: Tree) -> Tree:
        """The trunk's parameters as they act, of the same outline.

        Args:
          params: of the trunk.
          extra: of `add`.

        Returns:
          The tree, with every chosen layer scaled and shifted and all else as it was.

        Raises:
          BadInput: if `extra` has parameters for a layer that is not there.
        """
        parts = flatten_dict(extra, sep="/")
        require_known("SSF", parts, [parent(name) for name in paths(params)])

        def acting(path, leaf):
            *above, last = path_text(path).split("/")
            gamma, beta = ("/".join([*above, new]) for new in ("gamma", "beta"))
            if gamma not in parts or last not in ("kernel", "scale", "bias"):
                return leaf
            # Written out, since ranks are not to be promoted silently.
            ones = (1,) * (leaf.ndim - parts[gamma].ndim)
            scaled = leaf * parts[gamma].reshape(ones + parts[gamma].shape)
            return scaled + parts[beta] if last == "bias" else scaled

        return jax.tree_util.tree_map_with_path(acting, params)


def parent(name: str) -> str:
    """The path of the module that has a leaf; the trunk's own is empty."""
    return name.rpartition("/")[0]


def factors(params: Tree) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and types of every gamma and beta that a trunk can have, by path."""
    leaves = dict(zip(paths(params), jax.tree.leaves(params), strict=True))
    found = {}
    for name, leaf in leaves.items():
        *above, last = name.split("/")
        gamma, beta, bias = ("/".join([*above, new]) for new in ("gamma", "beta", "bias"))
        if last in ("kernel", "scale"):
            like = jax.ShapeDtypeStruct(output_shape(name, leaf), leaf.dtype)
            found |= {gamma: like, beta: like} if bias in leaves else {gamma: like}
    return found
