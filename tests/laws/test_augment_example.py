"""What every transform of an example keeps; a new one is tested by being exported."""

import dataclasses

import jax
import numpy as np
import pytest

from mtl_jax import augment
from mtl_jax.augment import example
from mtl_jax.core.example_transform import ExampleTransform
from mtl_jax.core.validation import BadInput
from tests.augment.example import samples

# A value for each field there is; a transform with a new field needs a line here.
VALUES = {
    "area": (0.3, 0.9),
    "continuous": True,
    "degrees": 30.0,
    "policy": augment.ColorJitter(brightness=0.5),
    "probability": 0.5,
    "ratio": (0.5, 2.0),
    "scale": 0.2,
    "scales": (0.7, 1.5),
    "shear": 0.2,
    "size": (10, 15),
    "translate": 0.2,
}
# What makes only few different things of one example.
FEW = {example.HorizontalFlip: 2, example.VerticalFlip: 2, example.Resize: 1}
CLASSES = [
    make
    for make in vars(example).values()
    if isinstance(make, type) and issubclass(make, ExampleTransform)
]
TRANSFORMS = [
    make(**{f.name: VALUES[f.name] for f in dataclasses.fields(make)}) for make in CLASSES
]
COUNT = 24
SIZE = samples.HEIGHT, samples.WIDTH
every = pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda t: type(t).__name__)


@pytest.fixture(scope="module")
def keys():
    return jax.random.split(jax.random.key(3), COUNT)


def joint(transform):
    return example.Joint((transform,), samples.KINDS)


def cast(one, dtype):
    """The example with floats of another dtype."""
    return jax.tree.map(lambda x: x.astype(dtype) if x.dtype == np.float32 else x, one)


def shapes(one):
    """Shapes and dtypes."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), one)


def test_there_are_transforms():
    assert len(TRANSFORMS) >= 7


@every
def test_repr_makes_it_again(transform):
    again = eval(repr(joint(transform)), vars(augment) | vars(example))
    assert again == joint(transform) and hash(again) == hash(joint(transform))


@every
def test_ranges_labels_and_keys(transform, keys):
    one = samples.example()
    same = jax.tree.map(lambda array: np.stack([array] * COUNT), one)
    many = jax.jit(jax.vmap(joint(transform)))
    out = jax.tree.map(np.asarray, many(keys, same))
    jax.tree.map(np.testing.assert_array_equal, out, many(keys, same))
    assert (out.inputs >= 0.0).all() and (out.inputs <= 1.0).all()
    assert len(np.unique(out.inputs, axis=0)) >= FEW.get(type(transform), COUNT // 2)
    assert np.isin(out.labels["parts"], one.labels["parts"]).all()
    length = np.linalg.norm(out.labels["surface"], axis=-1)
    np.testing.assert_allclose(length[~np.isnan(length)], 1.0, rtol=1e-5)
    assert np.isnan(out.labels["depth"]).mean() < 0.6
    height, width = transform.output_size(SIZE)
    kept = out.labels["things"][out.labels["things"][..., 0] >= 0]
    assert len(kept) > COUNT // 2
    assert (kept[:, 1:] >= 0).all() and (kept[:, 1:] <= [width, height, width, height]).all()
    assert (kept[:, 3:] > kept[:, 1:3]).all()
    assert (out.labels["things"][:, 2] == [-1, 0, 0, 0, 0]).all()
    np.testing.assert_array_equal(out.labels["tags"], same.labels["tags"])


@every
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_shapes_and_dtypes(transform, dtype, keys):
    with jax.enable_x64(dtype == "float64"):
        one = cast(samples.example(), dtype)
        wanted = cast(samples.example(height=10, width=15), dtype)
        wanted = one if transform.output_size(SIZE) == SIZE else wanted
        assert jax.eval_shape(joint(transform), keys[0], shapes(one)) == shapes(wanted)


@every
def test_bytes_stay_bytes(transform, keys):
    one = samples.example()
    levels = np.round(one.inputs * 255).astype(np.uint8)
    call = jax.jit(joint(transform))
    out = call(keys[0], one._replace(inputs=levels)).inputs
    floats = call(keys[0], one._replace(inputs=levels / np.float32(255))).inputs
    assert out.dtype == np.uint8
    assert np.abs(np.asarray(out) - 255.0 * np.asarray(floats)).max() < 0.51


@every
def test_others_than_fields_are_refused(transform):
    with pytest.raises(BadInput, match="is no field"):
        type(transform)(no_such_field=1)


@every
def test_other_images_are_refused(transform, keys):
    labels = {"parts": np.zeros((4, 4), np.int32)}
    with pytest.raises(ValueError, match=r"floats in .* or uint8, not int32"):
        joint(transform)(keys[0], example.Example(np.zeros((4, 4, 1), np.int32), labels))
    with pytest.raises(ValueError, match=r"one image .* vmap"):
        joint(transform)(keys[0], example.Example(np.zeros((2, 4, 4, 1), np.float32), labels))
