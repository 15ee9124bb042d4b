"""Joint: keys, composition, what is missing, kinds of labels, and labels that do not fit."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import augment
from mtl_jax.augment.example import (
    Example,
    HorizontalFlip,
    Joint,
    OnImage,
    RandomAffine,
    RandomResizedCrop,
    RandomScaleCrop,
    Resize,
    VerticalFlip,
)
from mtl_jax.augment.example.geometric import Composed, turn_normals
from mtl_jax.core.validation import BadInput
from tests.augment.example.samples import HEIGHT, KINDS, WIDTH, assert_close, batch, example

COLORS = OnImage(augment.ColorJitter(brightness=0.5, hue=0.2))
OPERATIONS = (augment.operations.Invert(), augment.operations.Posterize())
STRONG = OnImage(augment.RandAugment(OPERATIONS, num_ops=1))
PIPELINE = Joint(
    (RandomScaleCrop(), HorizontalFlip(), STRONG, RandomAffine(20.0, 0.2, 0.1, 0.1), COLORS), KINDS
)
KEY = jax.random.key(7)
DENSE = ("parts", "heat", "depth", "surface")


def test_each_example_of_a_batch_is_what_its_key_makes_of_it():
    keys, examples = jax.random.split(KEY, 5), batch(5)
    mapped = jax.jit(jax.vmap(PIPELINE))(keys, examples)
    assert_close(jax.jit(PIPELINE.apply_batched)(keys, examples), mapped, 1e-4)
    one = jax.jit(PIPELINE)
    for index in range(5):
        single = jax.tree.map(lambda array, i=index: array[i], examples)
        wanted = jax.tree.map(lambda array, i=index: array[i], mapped)
        assert_close(one(keys[index], single), wanted, 1e-4)
    assert len(np.unique(np.asarray(mapped.inputs).mean((1, 2, 3)))) == 5


def test_same_example_differs_by_key():
    same = jax.tree.map(lambda array: np.stack([array] * 8), example())
    found = jax.jit(jax.vmap(PIPELINE))(jax.random.split(KEY, 8), same)
    for name in DENSE:
        assert len(np.unique(np.nan_to_num(found.labels[name]), axis=0)) == 8


@pytest.mark.parametrize("seed", range(4))
def test_what_copies_pixels_composes_to_what_it_does_in_sequence(seed):
    """Crops and flips are exact, so that reading once and reading thrice are the same."""
    parts = (HorizontalFlip(), RandomScaleCrop((1.0,), size=(9, 11)), VerticalFlip())
    key, one = jax.random.key(seed), example()
    kinds = Joint(parts, KINDS).kinds_of(one)
    wanted = one
    for index, part in enumerate(parts):
        wanted = part(jax.random.fold_in(key, index), wanted, kinds)
    assert_close(Composed(parts)(key, one, kinds), wanted, 1e-5)
    assert Composed(parts).output_size((HEIGHT, WIDTH)) == (9, 11)


def test_maps_compose_in_order():
    """A point that goes through three maps goes through the composed one."""
    parts = (RandomAffine(90.0, 0.3, 0.3, 0.3), Resize((20, 10)), RandomResizedCrop((6, 7)))
    size, point, zoom = (HEIGHT, WIDTH), np.array([2.0, 3.0]), 1.0
    composed = Composed(parts).sample(KEY, size)
    mappings = []
    for index, part in enumerate(parts):
        mappings.append(part.sample(jax.random.fold_in(KEY, index), size))
        size = part.output_size(size)
    for mapping in reversed(mappings):
        point = np.asarray(mapping.linear) @ point + np.asarray(mapping.offset)
        zoom *= float(mapping.zoom)
    found = np.asarray(composed.linear) @ np.array([2.0, 3.0]) + np.asarray(composed.offset)
    np.testing.assert_allclose(found, point, rtol=1e-4)
    np.testing.assert_allclose(composed.zoom, zoom, rtol=1e-5)


def test_one_interpolation_is_sharper_than_two():
    image = np.random.default_rng(0).uniform(size=(32, 32, 1)).astype(np.float32)
    turns = (RandomAffine(degrees=30.0),) * 2
    joint = jax.jit(Joint(turns))(KEY, Example(image, {})).inputs[8:24, 8:24]
    twice = Example(image, {})
    for index, turn in enumerate(turns):
        twice = turn(jax.random.fold_in(KEY, index), twice, {})
    assert joint.std() > 1.1 * twice.inputs[8:24, 8:24].std()


def test_what_is_missing_stays_missing_and_nothing_comes_from_outside():
    """Every label that is known is one of the image's; holes are neither closed nor widened."""
    joint, found_missing = Joint((RandomAffine(30.0, 0.3, 0.2, 0.2),), KINDS), 0
    one = example()
    one.labels["position"] = np.arange(HEIGHT * WIDTH, dtype=np.int32).reshape(HEIGHT, WIDTH)
    for seed in range(4):
        labels = jax.tree.map(np.asarray, jax.jit(joint)(jax.random.key(seed), one)).labels
        row, column = np.divmod(labels["position"], WIDTH)
        outside = labels["position"] < 0
        assert 0.0 < outside.mean() < 0.6
        np.testing.assert_array_equal(labels["parts"], np.where(outside, -1, one.labels["parts"][row, column]))  # fmt: skip
        for name in ("heat", "depth", "surface"):
            known = ~np.isnan(one.labels[name])[row, column]
            known &= ~outside.reshape(*outside.shape, *(1,) * (known.ndim - 2))
            np.testing.assert_array_equal(~np.isnan(labels[name]), known, err_msg=name)
            found_missing += (~known).sum()
        assert np.nanmin(labels["heat"]) >= np.nanmin(one.labels["heat"])
        assert np.nanmax(labels["heat"]) <= np.nanmax(one.labels["heat"])
    assert found_missing > 0


def test_maps_are_interpolated_where_all_is_known():
    heat = np.array([[0.0, 1.0, np.nan, 3.0]], np.float32)
    one = Example(np.zeros((1, 4, 1), np.float32), {"heat": heat})
    wide = Joint((Resize((1, 8)),))(KEY, one).labels["heat"][0]
    nan = np.nan
    np.testing.assert_allclose(wide, [0.0, 0.25, 0.75, 1.0, nan, nan, 3.0, 3.0], atol=1e-6)


def test_normals_keep_their_length():
    one = example()
    for seed in range(3):
        mapping = RandomAffine(180.0, 0.5, 0.5, 0.5).sample(jax.random.key(seed), (8, 8))
        turned = turn_normals(one.labels["surface"], mapping)
        np.testing.assert_allclose(np.linalg.norm(turned, axis=-1), 1.0, rtol=1e-5)
        np.testing.assert_array_equal(turned[..., 2], one.labels["surface"][..., 2])


def test_values_are_left_alone_and_kinds_follow():
    one = example()
    found = Joint((HorizontalFlip(1.0),), KINDS)(KEY, one)
    for name in ("scene", "tags"):
        np.testing.assert_array_equal(found.labels[name], one.labels[name])
    assert Joint((), KINDS).kinds_of(one) == {
        "parts": "classes", "heat": "map", "depth": "depth", "surface": "normals",
        "things": "boxes", "scene": "value", "tags": "value",
    }  # fmt: skip


def test_boxes_are_clipped_at_the_end():
    """A crop shows a quarter of a box that is as large as the image."""
    box = np.array([[4, 0, 0, 16, 12]], np.float32)
    one = Example(example().inputs, {"things": box})
    crop = RandomScaleCrop((1.0,), size=(6, 8))
    kept = Joint((crop,), (("things", "boxes"),))(KEY, one).labels["things"]
    assert kept.tolist() == [[4.0, 0.0, 0.0, 8.0, 6.0]]
    dropped = Joint((crop,), (("things", "boxes"),), min_visible=0.3)(KEY, one).labels["things"]
    assert dropped.tolist() == [[-1.0, 0.0, 0.0, 0.0, 0.0]]


def test_an_image_without_labels():
    found = PIPELINE(KEY, Example(example().inputs, {}))
    assert found.inputs.shape == (HEIGHT, WIDTH, 3) and found.labels == {}


def test_no_transform_is_the_identity():
    assert_close(Joint((), KINDS)(KEY, example()), example())


def test_the_size_of_the_output():
    joint = Joint((RandomScaleCrop(size=(20, 20)), COLORS, Resize((5, 6)), HorizontalFlip()))
    assert joint.output_size((HEIGHT, WIDTH)) == (5, 6)
    assert jax.eval_shape(joint, KEY, Example(example().inputs, {})).inputs.shape == (5, 6, 3)
    assert PIPELINE.output_size((HEIGHT, WIDTH)) == (HEIGHT, WIDTH)


LABEL = np.zeros((HEIGHT, WIDTH), np.float32)


@pytest.mark.parametrize(
    ("kinds", "labels", "message"),
    [
        ((("dpeth", "depth"),), {"depth": LABEL}, r"must name labels .*did you mean depth\?"),
        ((("a", "classes"),), {"a": LABEL}, "'a', of kind 'classes', must be signed integers"),
        ((("a", "depth"),), {"a": LABEL[1:]}, r"floats .* with H, W = 12, 16, not 'float32 \[11"),
        ((("a", "normals"),), {"a": LABEL}, r"must be floats \[H, W, 3\]"),
        ((("a", "boxes"),), {"a": LABEL[:, :4]}, r"must be floats \[M, 5\]"),
        ((("a", "boxes"),), {"a": np.zeros((3, 5), np.int32)}, r"must be floats \[M, 5\]"),
        ((), {"a": LABEL[::2, ::2]}, "must say what 'a' is beside an image of 12 x 16"),
        ((), {"a": LABEL.astype(np.uint8)}, "must say what 'a' is"),
        ((), {"a": LABEL > 0}, "must say what 'a' is"),
        ((), {"a": np.zeros((3, 5), np.float32)}, "must say what 'a' is"),
    ],
)
def test_labels_that_do_not_fit(kinds, labels, message):
    one, joint = Example(example().inputs, labels), Joint((HorizontalFlip(),), kinds)
    many = jax.tree.map(lambda array: np.stack([array] * 2), one)
    for call in (
        lambda: joint(KEY, one),
        lambda: jax.vmap(joint)(jax.random.split(KEY, 2), many),
        lambda: joint.apply_batched(jax.random.split(KEY, 2), many),
    ):
        with pytest.raises(BadInput, match=rf"Joint\.kinds .*{message}") as wrong:
            call()
        assert "\n" not in str(wrong.value)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"transforms": [HorizontalFlip()]}, "transforms"),
        ({"transforms": (augment.Flip(),)}, "transforms"),
        ({"kinds": (("a", "depths"),)}, "kinds"),
        ({"kinds": (("a", "depth"), ("a", "map"))}, "kinds"),
        ({"kinds": ("ab",)}, "kinds"),
        ({"min_visible": 1.5}, "min_visible"),
    ],
)
def test_bad_settings(change, field):
    with pytest.raises(BadInput, match=rf"Joint\.{field} must"):
        dataclasses.replace(PIPELINE, **change)


def test_other_images_are_refused():
    with pytest.raises(ValueError, match=r"Joint takes one image .* vmap"):
        PIPELINE(KEY, batch(2))
    with pytest.raises(ValueError, match=r"floats in .* or uint8, not int32"):
        PIPELINE(KEY, Example(jnp.zeros((4, 4, 1), jnp.int32), {}))


def test_a_policy_that_changes_the_size_is_refused():
    class Half(augment.Flip):
        def __call__(self, key, image):
            return image[::2]

    with pytest.raises(BadInput, match=r"OnImage\.policy must keep the image's shape"):
        Joint((OnImage(Half()),))(KEY, Example(example().inputs, {}))
