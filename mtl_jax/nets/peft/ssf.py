"""SSF: a trunk tuned by a scale and a shift of the output of each of its layers."""

import dataclasses
import math
import re

import flax.linen as nn
import jax
from flax.traverse_util import flatten_dict, unflatten_dict

from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.tree import Tree, leaf_paths, leaves_by_path, path_str
from mtl_jax.core.trunk import AddedParams
from mtl_jax.core.validation import BadInput, did_you_mean, regex_error, require, require_number
from mtl_jax.nets.multitask.experts import require_trunk
from mtl_jax.nets.peft.lora import output_shape, require_paths


@dataclasses.dataclass(frozen=True)
class SSF(AddedParams):
    """Scaling and shifting of features, `y' = gamma * y + beta` after every layer of a trunk.

    y are the outputs of a dense layer, a convolution or a norm, `[..., O]`; gamma and beta `[O]`
    are new. It acts on parameters only: `kernel' = gamma * kernel` by output channel (for a
    norm `scale' = gamma * scale`) and `bias' = gamma * bias + beta`. The trunk runs on the output
    of `merge`, in training and evaluation; after merging, it is a plain trunk of the original
    speed.

    A layer without bias, such as a convolution before a norm, is scaled and not shifted: that norm
    shifts it. A BatchNorm with batch statistics cancels the scale of the preceding convolution up
    to its epsilon, so the gradient with respect to such a gamma is close to 0; with running
    statistics, as in a frozen BatchNorm, the scale has an effect. Other parameters, such as
    position embeddings, are unchanged.

    Gradients are computed for both the trunk and the new parameters: to train only the latter, the
    run must freeze the trunk, and it must not apply weight decay to them, since gamma would decay
    to 0.

    Attributes:
      trunk: a plain trunk, `[N, ...] -> [N, D]`.
      noise: standard deviation of the initialization, gamma from `N(1, noise^2)` and beta from
        `N(0, noise^2)`. With 0 the model initially equals the trunk; the authors' code has 0.02.
      layers: a regular expression that the full path of a layer must match, such as
        `stage1/.*`.

    Raises:
      BadInput: for anything but a plain trunk, a number outside its range, or an invalid
        expression.

    Reference: Lian et al., Scaling & Shifting Your Features, NeurIPS 2022, its sections on scaling
      and shifting and on re-parameterization (https://arxiv.org/abs/2210.08823), and its code
      (github.com/dongzelian/SSF).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import nets
      >>> params = {"Dense_0": {"kernel": jnp.ones((1, 2)), "bias": jnp.ones(2)}}
      >>> added = {"Dense_0": {"gamma": jnp.array([1.0, 2.0]), "beta": jnp.array([0.0, 3.0])}}
      >>> merged = nets.SSF(nets.MLP((2,))).merge(params, added)["Dense_0"]
      >>> merged["kernel"].tolist(), merged["bias"].tolist()
      ([[1.0, 2.0]], [1.0, 5.0])
    """

    trunk: nn.Module
    noise: float = 0.0
    layers: str = r".*"

    def __post_init__(self):
        require_trunk(self, "trunk")
        require_number(self, noise=(0.0, math.inf))
        valid = regex_error(self.layers) is None
        require(valid, self, "layers", "must be a regular expression", self.layers)

    new_params = ("shared/added/.*",)  # Absent from a source model.

    @property
    def base_trunk(self) -> nn.Module:
        """The trunk of the source model."""
        return self.trunk

    inner_trunks = ("trunk",)

    def init_params(self, key: jax.Array, params: Tree) -> Tree:
        """Initializes the new parameters for those of a trunk.

        Args:
          key: random key; the values for a layer depend on its path; unused without noise.
          params: parameters of the trunk, a nested dict.

        Returns:
          A nested dict with `{"gamma": [O]}` under the path of each layer, with a bias
          `{"gamma": [O], "beta": [O]}`, for attention's queries, keys and values `[H, Dh]` each.

        Raises:
          BadInput: if no layer matches.
        """
        shapes = {name: leaf for name, leaf in param_shapes(params).items() if self.matches(name)}
        if not shapes:
            layers = {module_path(name) for name in param_shapes(params)}
            raise BadInput(
                f"SSF.layers {self.layers!r} matches none: {did_you_mean(self.layers, layers)}"
            )
        values = {
            name: self.init_param(fold_in_name(key, name), name, like)
            for name, like in shapes.items()
        }
        return unflatten_dict(values, sep="/")

    def matches(self, name: str) -> bool:
        """Whether the layer of a new parameter, given by its path, matches."""
        return re.fullmatch(self.layers, module_path(name)) is not None

    def init_param(self, key: jax.Array, name: str, like: jax.ShapeDtypeStruct) -> jax.Array:
        """Initial value of one new parameter, given by its path."""
        mean = 1.0 if name.endswith("gamma") else 0.0
        return mean + self.noise * jax.random.normal(key, like.shape, like.dtype)

    def merge(self, params: Tree, extra: Tree) -> Tree:
        """The trunk's effective parameters, with the same structure.

        Args:
          params: parameters of the trunk.
          extra: output of `init_params`.

        Returns:
          The tree, with every matching layer scaled and shifted and all other leaves unchanged.

        Raises:
          BadInput: if `extra` has parameters for a missing layer.
        """
        added = flatten_dict(extra, sep="/")
        require_paths("SSF", added, [module_path(name) for name in leaf_paths(params)])

        def update(path, leaf):
            *parents, last = path_str(path).split("/")
            gamma, beta = ("/".join([*parents, new]) for new in ("gamma", "beta"))
            if gamma not in added or last not in ("kernel", "scale", "bias"):
                return leaf
            # Explicit, since ranks must not be promoted silently.
            ones = (1,) * (leaf.ndim - added[gamma].ndim)
            scaled = leaf * added[gamma].reshape(ones + added[gamma].shape)
            return scaled + added[beta] if last == "bias" else scaled

        return jax.tree_util.tree_map_with_path(update, params)


def module_path(name: str) -> str:
    """The path of the module that owns a leaf; empty for the trunk itself."""
    return name.rpartition("/")[0]


def param_shapes(params: Tree) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and dtypes of all possible gammas and betas of a trunk, by path."""
    leaves = leaves_by_path(params)
    shapes = {}
    for name, leaf in leaves.items():
        *parents, last = name.split("/")
        gamma, beta, bias = ("/".join([*parents, new]) for new in ("gamma", "beta", "bias"))
        if last in ("kernel", "scale"):
            like = jax.ShapeDtypeStruct(output_shape(name, leaf), leaf.dtype)
            shapes |= {gamma: like, beta: like} if bias in leaves else {gamma: like}
    return shapes
