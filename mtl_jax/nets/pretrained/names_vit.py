"""Names of the tensors of Vision Transformers in timm's and Google's files."""

import math

import jax
import numpy as np

from mtl_jax.nets.pretrained.name_map import NameMap, NameRule, Shapes
from mtl_jax.nets.pretrained.preprocessing import Preprocessing
from mtl_jax.nets.pretrained.rules_transformer import linears, norms, split_heads
from mtl_jax.nets.pretrained.transpose import conv

PLACES = "params/patches/places"
FIRST = "params/patches/class_place"
PARTS = ("query", "key", "value")


def vector(array: np.ndarray) -> np.ndarray:
    """The only row `[1, ..., 1, D]` of an array, `[D]`.

    Raises:
      ValueError: if there are more.
    """
    return array.reshape(array.shape[-1])


def table(array: np.ndarray) -> np.ndarray:
    """The only table `[1, P, D]` of an array, `[P, D]`.

    Raises:
      ValueError: if there are more, or other axes.
    """
    return array.reshape(array.shape[-2:])


def split_class(array: np.ndarray) -> dict[str, np.ndarray]:
    """Position embeddings `[1, 1 + P, D]` of the class token and of the patches.

    Raises:
      ValueError: for other axes.
    """
    rows = table(array)
    return {"class_place": rows[0], "places": rows[1:]}


def split_qkv(array: np.ndarray) -> dict[str, np.ndarray]:
    """PyTorch's `[3 D, D]` or `[3 D]` of queries, keys and values, as three arrays.

    Raises:
      ValueError: for an array that cannot be split in three.
    """
    leaf = "kernel" if array.ndim == 2 else "bias"
    parts = np.split(array.T, 3, axis=-1)
    return {f"{name}/{leaf}": part for name, part in zip(PARTS, parts, strict=True)}


def resize_positions(
    tensors: dict[str, np.ndarray], shapes: Shapes, *, method: str, antialias: bool
) -> dict[str, np.ndarray]:
    """The position embeddings of patches `[P, D]`, a square, on the trunk's grid `[h, w, D]`."""
    rows, shape = tensors.get(PLACES), shapes.get(PLACES, ())
    side = 0 if rows is None else math.isqrt(len(rows))
    if rows is None or side**2 != len(rows) or shape[2:] != rows.shape[1:]:
        return tensors
    grid = rows.reshape(side, side, -1)
    if grid.shape != tuple(shape):
        grid = np.asarray(jax.image.resize(grid, shape, method, antialias=antialias))
    return {**tensors, PLACES: grid}


def fit_timm(tensors: dict[str, np.ndarray], shapes: Shapes) -> dict[str, np.ndarray]:
    """Splits heads, and resizes position embeddings like timm: bicubic, antialiased if shrunk."""
    return resize_positions(split_heads(tensors, shapes), shapes, method="cubic", antialias=True)


def fit_google(tensors: dict[str, np.ndarray], shapes: Shapes) -> dict[str, np.ndarray]:
    """Resizes position embeddings linearly; without one for the class token, it is set to 0.

    Pixel centres are aligned, as timm does with these files. Google's own code aligns the centres
    of the corner pixels instead (`scipy.ndimage.zoom`), which differs visibly.
    """
    if FIRST not in tensors and PLACES in tensors and FIRST in shapes:
        tensors = {**tensors, FIRST: np.zeros(shapes[FIRST], tensors[PLACES].dtype)}
    return resize_positions(tensors, shapes, method="linear", antialias=False)


HALF = Preprocessing(224, (0.5,) * 3, (0.5,) * 3)
BLOCK = r"params/block\1"

TIMM_VIT = NameMap(
    "timm's ViT",
    (
        NameRule("cls_token", "params/patches/class", vector),
        NameRule("pos_embed", "params/patches", split_class),
        NameRule(r"patch_embed\.proj\.weight", "params/patches/kernel", conv),
        NameRule(r"patch_embed\.proj\.bias", "params/patches/bias"),
        *norms(r"blocks\.(\d+)\.norm1", f"{BLOCK}/norm_attention"),
        NameRule(r"blocks\.(\d+)\.attn\.qkv\.(?:weight|bias)", f"{BLOCK}/attention", split_qkv),
        *linears(r"blocks\.(\d+)\.attn\.proj", f"{BLOCK}/attention/out"),
        *norms(r"blocks\.(\d+)\.norm2", f"{BLOCK}/norm_mlp"),
        *linears(r"blocks\.(\d+)\.mlp\.fc1", f"{BLOCK}/mlp_in"),
        *linears(r"blocks\.(\d+)\.mlp\.fc2", f"{BLOCK}/mlp_out"),
        *norms("norm", "params/norm/norm"),
        *linears("head", "head"),
    ),
    HALF,
    fit_timm,
)

ENCODER = r"(?:params/)?Transformer/encoderblock_(\d+)"
LEAF = r"(scale|bias|kernel)"

# The two namings number the parts of a block consecutively, or each kind separately.
GOOGLE_VIT = NameMap(
    "Google's ViT",
    (
        NameRule(r"(?:params/)?cls", "params/patches/class", vector),
        NameRule(
            r"(?:params/)?Transformer/posembed_input/pos_embedding", "params/patches", split_class
        ),
        NameRule(r"(?:params/)?pos_embedding", PLACES, table),
        NameRule(rf"(?:params/)?embedding/{LEAF}", r"params/patches/\1"),
        NameRule(rf"{ENCODER}/LayerNorm_0/{LEAF}", rf"{BLOCK}/norm_attention/\2"),
        NameRule(
            rf"{ENCODER}/MultiHeadDotProductAttention_[01]/(query|key|value|out)/{LEAF}",
            rf"{BLOCK}/attention/\2/\3",
        ),
        NameRule(rf"{ENCODER}/LayerNorm_[12]/{LEAF}", rf"{BLOCK}/norm_mlp/\2"),
        NameRule(rf"{ENCODER}/MlpBlock_[03]/Dense_0/{LEAF}", rf"{BLOCK}/mlp_in/\2"),
        NameRule(rf"{ENCODER}/MlpBlock_[03]/Dense_1/{LEAF}", rf"{BLOCK}/mlp_out/\2"),
        NameRule(rf"(?:params/)?Transformer/encoder_norm/{LEAF}", r"params/norm/norm/\1"),
        NameRule(rf"(?:params/)?head/{LEAF}", r"head/\1"),
    ),
    HALF,
    fit_google,
)
