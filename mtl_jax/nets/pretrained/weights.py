"""Pretrained weights as a field of a run, loaded when needed."""

import dataclasses
import re
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from mtl_jax.core.features import as_vector
from mtl_jax.core.validation import BadInput, require, require_pattern
from mtl_jax.nets.pretrained.files import read_tensors
from mtl_jax.nets.pretrained.match import match_tensors
from mtl_jax.nets.pretrained.name_map import NameMap
from mtl_jax.nets.pretrained.preprocessing import Preprocessing
from mtl_jax.nets.pretrained.select import prefix_hint, select_tensors, without_new


class Weights(NamedTuple):
    """The content of a file for a trunk: float32 host arrays in the trees of its variables."""

    params: dict[str, Any]  # Without the newly initialized ones.
    stats: dict[str, Any]  # BatchNorm's running means and (unbiased) variances.
    head: dict[str, np.ndarray] | None  # Kernel [D, C] and bias [C] of the file's classifier.
    preprocessing: Preprocessing | None  # For images; not a leaf of this tree.


@dataclasses.dataclass(frozen=True)
class Pretrained:
    r"""A file of pretrained weights, with options for loading it.

    All tensors of the file and all variables of the trunk must match, except those listed in
    `skip` and `new_params`; patterns are regular expressions for full names, and each must match
    at least one.

    Attributes:
      path: a `.safetensors`, `.npz` or PyTorch file (`.pth`, `.pt`, `.bin`, `.ckpt`,
        `.pth.tar`), an index of several (`.index.json`), a folder with one of these, or the
        folder of one of our runs.
      names: the names of its tensors, such as `nets.pretrained.TORCHVISION_RESNET`.
      skip: patterns of names in the file to be skipped; `(r"fc\..*",)` for the classifier.
      rename: pairs of a pattern and its replacement, with groups as `\1`, of which the first
        match is applied; `((r"module\.(.*)", r"\1"),)` undoes PyTorch's data parallelism.
      new_params: patterns of the trunk's paths that are not in the file, `params/.*adapter.*`; they
        are excluded from the params.
      cast: whether floats of another precision are cast to float32.
      part: the entry that contains the tensors, if the file has several (`model`, `ema_model`);
        for a run, the index of the seed, from 0.
      sha256: hash of the file, 64 hexadecimal digits; None skips the check; not for a run.
      preprocessing: preprocessing of images, if it differs from the default of `names`.

    Raises:
      BadInput: for an invalid pattern, or a hash of another form.

    Example:
      >>> import tempfile
      >>> import numpy as np
      >>> from mtl_jax import nets
      >>> from mtl_jax.nets.pretrained import NameMap, NameRule, Pretrained
      >>> names = NameMap("an MLP", (NameRule(r"layer\.(\w+)", r"params/Dense_0/\1"),))
      >>> arrays = {"layer.kernel": np.ones((4, 3), "f4"), "layer.bias": np.ones(3, "f4")}
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     np.savez(f"{folder}/mlp.npz", **arrays)
      ...     weights = Pretrained(f"{folder}/mlp.npz", names).load(nets.MLP((3,)), (4,))
      >>> weights.params["Dense_0"]["kernel"].shape
      (4, 3)
    """

    path: str
    names: NameMap
    skip: tuple[str, ...] = ()
    rename: tuple[tuple[str, str], ...] = ()
    new_params: tuple[str, ...] = ()
    cast: bool = False
    part: str | None = None
    sha256: str | None = None
    preprocessing: Preprocessing | None = None

    def __post_init__(self):
        require(isinstance(self.path, str), self, "path", "must be a string", self.path)
        valid = isinstance(self.names, NameMap)
        require(
            valid, self, "names", "must be a NameMap of nets.pretrained", type(self.names).__name__
        )
        for field in ("skip", "rename", "new_params"):
            value = getattr(self, field)
            require(isinstance(value, tuple), self, field, "must be a tuple", value)
        for field in ("part", "sha256"):
            value = getattr(self, field)
            valid = value is None or isinstance(value, str)
            require(valid, self, field, "must be a string or None", value)
        for pattern in self.skip:
            require_pattern(self, "skip", pattern)
        for pattern in self.new_params:
            require_pattern(self, "new_params", pattern)
        for pair in self.rename:
            valid = isinstance(pair, tuple) and len(pair) == 2
            require(valid, self, "rename", "must hold pairs (pattern, name)", pair)
            require_pattern(self, "rename", pair[0])
            require(isinstance(pair[1], str), self, "rename", "must name by texts", pair[1])
        valid = self.sha256 is None or re.fullmatch("[0-9a-f]{64}", self.sha256)
        require(bool(valid), self, "sha256", "must be 64 hexadecimal digits", self.sha256)

    def load(
        self,
        trunk: nn.Module,
        shape: tuple[int, ...],
        *,
        outputs: int | None = None,
        dtype: Any = np.float32,
    ) -> Weights:
        """Loads the weights for a trunk.

        Args:
          trunk: `(x [N, ...], train) -> features [N, D]`, unbound.
          shape: shape of one example; for an image `(H, W, C)`.
          outputs: required number of outputs of the file's classifier; None for any number.
          dtype: dtype of the examples; int32 for token ids.

        Returns:
          The weights. If the file has no classifier, or it is skipped, the head is None.

        Raises:
          BadInput: for a file that cannot be read, has another hash, or does not match; a single
            error reports all mismatched tensors of both sides, or a prefix that all have.
        """
        shapes, features = variable_shapes(trunk, shape, dtype)
        content = read_tensors(self.path, self.part, self.sha256)
        try:
            shapes = without_new(shapes, self.new_params)
            tensors = select_tensors(content, self.skip, self.rename)
            hint = prefix_hint(tensors, self.names.table, len(shapes))
            # The suggested pattern would not apply to names that are already renamed.
            if hint is not None and not self.rename:
                raise BadInput(hint)
            arrays = match_tensors(
                tensors, self.names, shapes, features, outputs=outputs, cast=self.cast
            )
        except BadInput as error:
            text = f"weights {self.path!r} for {type(trunk).__name__}: {error}"
            raise BadInput(text) from None
        trees = unflatten_dict(arrays, sep="/")
        preprocessing = self.preprocessing or self.names.preprocessing
        return Weights(
            trees.get("params", {}), trees.get("batch_stats", {}), trees.get("head"), preprocessing
        )


def variable_shapes(trunk: nn.Module, shape: tuple[int, ...], dtype: Any) -> tuple[dict, int]:
    """Shapes of a trunk's variables by path, and the number D of its features."""
    x = jax.ShapeDtypeStruct((1, *shape), dtype)

    def init(x):
        keys = {"params": jax.random.key(0), "draw": jax.random.key(0)}
        features, variables = trunk.init_with_output(keys, x, train=False)
        return as_vector(features), variables

    features, variables = jax.eval_shape(init, x)
    shapes = {path: leaf.shape for path, leaf in flatten_dict(variables, sep="/").items()}
    return shapes, features.shape[-1]
