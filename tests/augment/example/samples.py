"""Examples with a label of each kind."""

import numpy as np

from mtl_jax.augment.example import Example

KINDS = (("depth", "depth"), ("surface", "normals"), ("things", "boxes"))
HEIGHT, WIDTH = 12, 16


def example(seed=0, height=HEIGHT, width=WIDTH):
    """One example."""
    draw = np.random.default_rng(seed)
    parts = draw.integers(0, 9, (height, width)).astype(np.int32)
    parts[2, 3:6] = -1
    heat = draw.normal(size=(height, width, 2)).astype(np.float32)
    heat[5:7, 4, 0] = np.nan
    depth = draw.uniform(1, 5, (height, width)).astype(np.float32)
    depth[3, :2] = np.nan
    surface = draw.normal(size=(height, width, 3)).astype(np.float32)
    surface /= np.linalg.norm(surface, axis=-1, keepdims=True)
    things = np.array([[1, 2, 3, 7, 9], [0, 10, 1, 15.5, 4], [-1, 0, 0, 0, 0]], np.float32)
    labels = {"parts": parts, "heat": heat, "depth": depth, "surface": surface, "things": things}
    labels |= {"scene": np.int32(seed), "tags": draw.uniform(size=3).astype(np.float32)}
    return Example(draw.uniform(size=(height, width, 3)).astype(np.float32), labels)


def batch(count):
    """A batch of examples."""
    many = [example(seed) for seed in range(count)]
    labels = {name: np.stack([e.labels[name] for e in many]) for name in many[0].labels}
    return Example(np.stack([e.inputs for e in many]), labels)


def assert_close(found, wanted, atol=0.0):
    """Requires that two examples are the same, floats up to a tolerance."""
    np.testing.assert_allclose(found.inputs, wanted.inputs, rtol=0, atol=atol, err_msg="inputs")
    assert found.labels.keys() == wanted.labels.keys()
    for name, label in wanted.labels.items():
        np.testing.assert_allclose(found.labels[name], label, rtol=0, atol=atol, err_msg=name)
