"""CutMix of examples: a rectangle of one image, with its labels, pasted into another."""

import jax
import jax.numpy as jnp

from mtl_jax.augment.example.boxes import areas, clip_boxes, keep_boxes
from mtl_jax.augment.example.validation import kinds_of
from mtl_jax.augment.mix import mixup, sample_rectangles
from mtl_jax.core.example_transform import Example, Kinds
from mtl_jax.core.validation import require


def cutmix_examples(
    key: jax.Array,
    first: Example,
    second: Example,
    ratio: jax.Array,
    kinds: Kinds,
    min_visible: float = 0.25,
) -> tuple[Example, jax.Array]:
    """Pastes a rectangle of the second image, with its labels, into the first at its place.

    The rectangles are those of `mtl_jax.augment.cutmix` for the same key. Classes, maps, depths
    and normals are those of the image that each pixel is of. Boxes of the second image are
    clipped to the rectangle; boxes of the first keep their extent unless the rectangle hides too
    much of them. Values become `r y + (1 - r) y'`, with r the actual fraction of the first.

    For CutMix consistency, the labels are the predictions of the two images before they are
    mixed, and the mixed ones the targets of the mixed image.

    Args:
      key: for the positions, `[]`.
      first: a batch of N examples.
      second: the examples they are mixed with, such as the first in another order.
      ratio: requested fraction of the first, `[N]`.
      kinds: of the labels; for those that are not named it follows as in `Joint`.
      min_visible: a box is dropped if a smaller fraction of its area is left.

    Returns:
      The mixed examples, boxes of both `[N, 2 M, 5]`; and the actual fraction of the first, `[N]`.

    Raises:
      BadInput: as `Joint`, and for integers as values: classes must be one-hot to be mixed.

    Reference: Yun et al., CutMix, ICCV 2019, Eqs. 1 and 2 (https://arxiv.org/abs/1905.04899); of
      predictions per pixel, French et al., Semi-supervised Semantic Segmentation Needs Strong,
      Varied Perturbations, BMVC 2020 (https://arxiv.org/abs/1906.01916).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import example
      >>> dark = example.Example(jnp.zeros((1, 4, 4, 1)), {"parts": jnp.zeros((1, 4, 4), jnp.int32)})
      >>> light = example.Example(jnp.ones((1, 4, 4, 1)), {"parts": jnp.ones((1, 4, 4), jnp.int32)})
      >>> mixed, fraction = example.cutmix_examples(
      ...     jax.random.key(0), dark, light, jnp.array([0.5]), {"parts": "classes"}
      ... )
      >>> (mixed.inputs[..., 0] == mixed.labels["parts"].astype(float)).all().item()
      True
    """
    owner = "cutmix_examples"
    require(0.0 <= min_visible <= 1.0, owner, "min_visible", "must lie in 0..1", min_visible)
    same = first.labels.keys() == second.labels.keys()
    rule = f"must be those of the first, {[*first.labels]}"
    require(same, owner, "second.labels", rule, [*second.labels])
    height, width = first.inputs.shape[1:3]
    shapes = {n: jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for n, x in first.labels.items()}
    found = kinds_of(owner, kinds, (height, width), shapes)
    rows, columns = sample_rectangles(key, ratio, height, width)
    pasted = rows[:, :, None] & columns[:, None, :]
    fraction = 1.0 - pasted.mean((1, 2), dtype=ratio.dtype)

    labels = {}
    for name, label in first.labels.items():
        other = second.labels[name]
        if found[name] == "value":
            is_float = jnp.issubdtype(label.dtype, jnp.floating)
            rule = f"must be floats to be mixed, as one-hot vectors are: {name!r}"
            require(is_float, owner, "first.labels", rule, str(label.dtype))
            labels[name] = mix_values(label, other, fraction)
        elif found[name] == "boxes":
            mix = jax.vmap(mix_boxes, (0, 0, 0, 0, None))
            labels[name] = mix(label, other, rows, columns, min_visible)
        else:
            labels[name] = paste(label, other, pasted)
    return Example(paste(first.inputs, second.inputs, pasted), labels), fraction


def paste(first: jax.Array, second: jax.Array, pasted: jax.Array) -> jax.Array:
    """The second `[N, H, W, ...]` where `pasted` `[N, H, W]`, else the first."""
    mask = pasted.reshape(*pasted.shape, *(1,) * (first.ndim - 3))
    return jnp.where(mask, second, first)


def mix_values(first: jax.Array, second: jax.Array, fraction: jax.Array) -> jax.Array:
    """Values `[N, ...]` mixed; a missing one (NaN) counts only if its image can be seen."""
    share = fraction.reshape(-1, *(1,) * (first.ndim - 1))
    mixed = mixup(first, second, fraction)
    return jnp.where(share == 1.0, first, jnp.where(share == 0.0, second, mixed))


def mix_boxes(
    first: jax.Array, second: jax.Array, rows: jax.Array, columns: jax.Array, min_visible: float
) -> jax.Array:
    """Boxes `[2 M, 5]` of both images, the rectangle given by masks `[H]` and `[W]`."""
    low = jnp.stack([columns.argmax(), rows.argmax()])
    high = low + jnp.stack([columns.sum(), rows.sum()])
    hidden = areas(clip_boxes(first, low, high, 0.0))
    whole = areas(first)
    kept = keep_boxes(first, (whole > hidden) & (whole - hidden >= min_visible * whole))
    return jnp.concatenate([kept, clip_boxes(second, low, high, min_visible)])
