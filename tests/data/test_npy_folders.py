"""NYUv2 and Cityscapes in MTAN's folders of arrays: order, missing values, parts and faults."""

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.data import Cityscapes, NYUv2
from tests.data.shapes import check_shapes

SIZE = (4, 6)
COUNTS = {"train": 10, "val": 3}


def arrays_of(part, at, classes):
    """The arrays of an image: the first pixel has no label, and the image holds its number."""
    rng = np.random.default_rng(100 * (part == "val") + at)
    depth = rng.uniform(0.5, 9, (*SIZE, 1))
    normal = rng.normal(size=(*SIZE, 3))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    normal[1, 1, 0] = 0.0  # A zero in one direction is no missing normal.
    label = rng.integers(0, classes, SIZE).astype(np.float32)
    depth[0, 0], normal[0, 0], label[0, 0] = 0, 0, -1
    image = np.full((*SIZE, 3), (at + 20 * (part == "val")) / 255)
    return {"image": image, "label": label, "depth": depth, "normal": normal}


def write(root, classes=13, first=False, names=("image", "label", "depth", "normal")):
    for part, count in COUNTS.items():
        for at in range(count):
            arrays = arrays_of(part, at, classes)
            for name in names:
                array = arrays[name.split("_")[0]].astype(np.float32)
                array = np.moveaxis(array, -1, 0) if first and array.ndim == 3 else array
                file = root / part / name / f"{at}.npy"
                file.parent.mkdir(parents=True, exist_ok=True)
                np.save(file, array)
    return str(root)


@pytest.mark.parametrize("first", [False, True])
def test_nyuv2_by_hand(tmp_path, first):
    source = NYUv2(write(tmp_path, first=first), validation=0.2)
    check_shapes(source)
    splits = source.load()
    assert [len(part["inputs"]) for part in splits] == [8, 2, 3]
    seen = [part["inputs"][:, 0, 0, 0].tolist() for part in splits]
    assert sorted(seen[0] + seen[1]) == list(range(10)) and seen[2] == [20, 21, 22]
    assert splits.train["inputs"].dtype == np.uint8
    for part, arrays in (("train", splits.train), ("val", splits.test)):
        for i, number in enumerate(arrays["inputs"][:, 0, 0, 0]):
            wanted = arrays_of(part, int(number) % 20, 13)
            np.testing.assert_array_equal(arrays["segmentation"][i], wanted["label"])
            for name in ("depth", "normal"):
                wanted[name][0, 0] = np.nan
                np.testing.assert_allclose(arrays[name][i], wanted[name], rtol=1e-6)
                assert np.isnan(arrays[name][i]).sum() == arrays[name].shape[-1]


def test_images_may_stay_floats(tmp_path):
    source = NYUv2(write(tmp_path), dtype="float32")
    check_shapes(source)
    image = source.load().test["inputs"]
    np.testing.assert_array_equal(image[:, 0, 0, 0], np.float32(np.arange(20, 23) / 255))


def test_as_published_all_images_train_and_test_is_validation(tmp_path):
    source = NYUv2(write(tmp_path), validation=None)
    check_shapes(source)
    splits = source.load()
    assert splits.train["inputs"][:, 0, 0, 0].tolist() == list(range(10))
    assert splits.validation is splits.test


@pytest.mark.parametrize("name", ["label", "label_19"])
def test_cityscapes(tmp_path, name):
    path = write(tmp_path, 19, names=("image", name, "depth"))
    source = Cityscapes(path, label=name, num_classes=19)
    check_shapes(source)
    train = source.load().train
    assert train.keys() == {"inputs", "segmentation", "depth"}
    assert train["segmentation"].max() == 18 and train["depth"].shape == (9, *SIZE, 1)
    with pytest.raises(BadInput, match=r"npy must have classes below 7, or -1, not 18"):
        Cityscapes(path, label=name).load()


@pytest.mark.parametrize(
    ("name", "array", "text"),
    [
        ("image", np.full((*SIZE, 3), 2.0), r"must have values in \[0, 1\], not 2.0 to 2.0"),
        ("image", np.full((*SIZE, 4), 0.5), r"must have 3 channels, .* not \[4, 6, 4\]"),
        ("label", np.zeros((*SIZE, 1)), r"must have numbers of 2 axes, not float64 \[4, 6, 1\]"),
        ("label", np.full(SIZE, 0.5), r"must have classes below 13, or -1, not 0.5"),
        ("depth", np.ones((4, 5, 1)), r"must be of shape \[4, 6, 1\] as .*depth/0\.npy, not"),
        ("normal", np.array(["a"]), r"must have numbers of 2 or 3 axes, not <U1 \[1\]"),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path, name, array, text):
    path = write(tmp_path)
    np.save(tmp_path / "val" / name / "1.npy", array)
    with pytest.raises(BadInput, match=rf"val/{name}/1\.npy {text}"):
        NYUv2(path).load()


def test_files_that_are_missing_or_damaged_are_named(tmp_path):
    path = write(tmp_path)
    (tmp_path / "train" / "depth" / "4.npy").write_bytes(b"no array")
    with pytest.raises(BadInput, match=r"train/depth/4\.npy cannot be read as an array"):
        NYUv2(path).load()
    (tmp_path / "train" / "depth" / "4.npy").unlink()
    with pytest.raises(BadInput, match=r"train/depth/4\.npy must exist, as there are 10 images"):
        NYUv2(path).shapes()
    with pytest.raises(BadInput, match=r"NYUv2\.path must have train/image"):
        NYUv2(str(tmp_path / "train")).shapes()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"path": 3}, "path must be a string"),
        ({"validation": 1.0}, "validation must lie between"),
        ({"dtype": "int8"}, "dtype must be one of"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"label": 3}, "label must be a string"),
        ({"num_classes": 0}, "num_classes must be at least 1"),
    ],
)
def test_settings_are_checked(settings, text):
    with pytest.raises(BadInput, match=rf"Cityscapes\.{text}"):
        Cityscapes(**({"path": "x"} | settings))
