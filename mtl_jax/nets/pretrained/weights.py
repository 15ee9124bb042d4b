"""Pretrained weights as data of a run, read when they are needed."""

import dataclasses
import re
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from mtl_jax.core.validation import BadInput, require, require_pattern
from mtl_jax.nets.pretrained.files import read
from mtl_jax.nets.pretrained.match import matched
from mtl_jax.nets.pretrained.name_map import Names
from mtl_jax.nets.pretrained.preprocessing import Preprocessing
from mtl_jax.nets.pretrained.select import chosen, prefix_hint, without_fresh


class Weights(NamedTuple):
    """What a file holds for a trunk: host arrays of float32 in the trees of its variables."""

    params: dict[str, Any]  # without those that are drawn afresh
    stats: dict[str, Any]  # BatchNorm's running means and (unbiased) variances
    head: dict[str, np.ndarray] | None  # kernel [D, C] and bias [C] of the file's classifier
    preprocessing: Preprocessing | None  # of images; no leaf of this tree


@dataclasses.dataclass(frozen=True)
class Pretrained:
    r"""A file of weights, and how it is read.

    All tensors of the file and all variables of the trunk must meet, but for those that `skip`
    and `fresh` name; patterns are regular expressions of whole names, and each must match one.

    Attributes:
      path: of a `.safetensors`, `.npz` or PyTorch file (`.pth`, `.pt`, `.bin`, `.ckpt`,
        `.pth.tar`), of an index of several (`.index.json`), of a folder with one of these, or of
        the folder of an own run.
      names: how its tensors are named, such as `nets.pretrained.TORCHVISION_RESNET`.
      skip: patterns of names of the file that are left out; `(r"fc\..*",)` the classifier.
      rename: pairs of a pattern and the name instead, with groups as `\1`, of which the first
        that matches counts; `((r"module\.(.*)", r"\1"),)` undoes PyTorch's data parallelism.
      fresh: patterns of the trunk's paths that no file has, `params/.*adapter.*`; they are left
        out of the params.
      cast: whether floats of another precision become float32.
      part: the entry that has the tensors, where the file has several (`model`, `ema_model`);
        of an own run, the number of the seed from 0.
      sha256: of the file, 64 hexadecimal digits; None does not look; a run has none.
      preprocessing: of the images, if it is not the usual one of such weights.

    Raises:
      BadInput: for a pattern that is none, or a hash of another form.
    """

    path: str
    names: Names
    skip: tuple[str, ...] = ()
    rename: tuple[tuple[str, str], ...] = ()
    fresh: tuple[str, ...] = ()
    cast: bool = False
    part: str | None = None
    sha256: str | None = None
    preprocessing: Preprocessing | None = None

    def __post_init__(self):
        require(isinstance(self.path, str), self, "path", "must be a text", self.path)
        fine = isinstance(self.names, Names)
        require(fine, self, "names", "must be Names of nets.pretrained", type(self.names).__name__)
        for field in ("skip", "rename", "fresh"):
            value = getattr(self, field)
            require(isinstance(value, tuple), self, field, "must be a tuple", value)
        for field in ("part", "sha256"):
            value = getattr(self, field)
            fine = value is None or isinstance(value, str)
            require(fine, self, field, "must be a text or None", value)
        for pattern in self.skip:
            require_pattern(self, "skip", pattern)
        for pattern in self.fresh:
            require_pattern(self, "fresh", pattern)
        for pair in self.rename:
            fine = isinstance(pair, tuple) and len(pair) == 2
            require(fine, self, "rename", "must hold pairs (pattern, name)", pair)
            require_pattern(self, "rename", pair[0])
            require(isinstance(pair[1], str), self, "rename", "must name by texts", pair[1])
        fine = self.sha256 is None or re.fullmatch("[0-9a-f]{64}", self.sha256)
        require(bool(fine), self, "sha256", "must be 64 hexadecimal digits", self.sha256)

    def load(
        self,
        trunk: nn.Module,
        shape: tuple[int, ...],
        *,
        outputs: int | None = None,
        dtype: Any = np.float32,
    ) -> Weights:
        """Reads the weights of a trunk.

        Args:
          trunk: `(x [N, ...], train) -> features [N, D]`, unbound.
          shape: of one example; of an image `(H, W, C)`.
          outputs: how many the file's classifier must have; None is any number.
          dtype: of examples; of token ids int32.

        Returns:
          The weights. A file without a classifier, or where it is skipped, gives the head None.

        Raises:
          BadInput: for a file that cannot be read, of another hash, or that does not fit; one
            error tells of all tensors of both sides that do not, or of a prefix that all have.
        """
        wanted, features = outline(trunk, shape, dtype)
        found = read(self.path, self.part, self.sha256)
        try:
            wanted = without_fresh(wanted, self.fresh)
            tensors = chosen(found, self.skip, self.rename)
            hint = prefix_hint(tensors, self.names.table, len(wanted))
            # Of names that are already others no pattern could be pasted.
            if hint is not None and not self.rename:
                raise BadInput(hint)
            arrays = matched(tensors, self.names, wanted, features, outputs=outputs, cast=self.cast)
        except BadInput as wrong:
            text = f"weights {self.path!r} for {type(trunk).__name__}: {wrong}"
            raise BadInput(text) from None
        trees = unflatten_dict(arrays, sep="/")
        preprocessing = self.preprocessing or self.names.preprocessing
        return Weights(
            trees.get("params", {}), trees.get("batch_stats", {}), trees.get("head"), preprocessing
        )


def outline(trunk: nn.Module, shape: tuple[int, ...], dtype: Any) -> tuple[dict, int]:
    """Shapes of a trunk's variables by path, and the length D of its features."""
    x = jax.ShapeDtypeStruct((1, *shape), dtype)

    def init(x):
        keys = {"params": jax.random.key(0), "draw": jax.random.key(0)}
        return trunk.init_with_output(keys, x, train=False)

    features, variables = jax.eval_shape(init, x)
    shapes = {path: leaf.shape for path, leaf in flatten_dict(variables, sep="/").items()}
    return shapes, features.shape[-1]
