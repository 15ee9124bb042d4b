"""Tfds: reads what TFDS prepared without TensorFlow, and says what to do where it cannot."""

import importlib.util
import json
import re

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from mtl_jax.core.validation import BadInput
from mtl_jax.data import Tfds, prepare, sample_labelled_subset
from tests.data.shapes import check_shapes
from tests.data.stand_ins import StandIn, Unlabelled


class ManyLabels(tfds.core.GeneratorBasedBuilder):
    """Grey pictures with labels of every kind, and of two sizes if it is told to."""

    VERSION = tfds.core.Version("1.0.0")
    uneven = False

    def _info(self):
        features = {
            "picture": tfds.features.Image(shape=(None, None, 1)),
            "kind": tfds.features.ClassLabel(num_classes=3),
            "age": np.float64,
            "flag": np.bool_,
            "serial": np.int64,
            "box": tfds.features.Tensor(shape=(2,), dtype=np.float32),
            "note": tfds.features.Text(),
            "nested": {"inner": np.int32},
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"whole": self._generate_examples()}

    def _generate_examples(self):
        for i in range(10):
            side = 4 + 2 * (self.uneven and i % 2)
            yield (
                i,
                {
                    "picture": Image.fromarray(np.full((side, 4), i, np.uint8)),
                    "kind": i % 3,
                    "age": i / 4,
                    "flag": i % 2 == 0,
                    "serial": 2**40 + i,
                    "box": np.zeros(2, np.float32),
                    "note": "text",
                    "nested": {"inner": i},
                },
            )


class Uneven(ManyLabels):
    """The same with pictures of two sizes."""

    uneven = True


class FromArrays(ManyLabels):
    """Gives pictures as arrays, which TFDS encodes by TensorFlow."""

    def _generate_examples(self):
        for key, example in super()._generate_examples():
            yield key, example | {"picture": np.zeros((4, 4, 1), np.uint8)}


ALL = {
    "split": ("whole[:60%]", "whole[60%:80%]", "whole[80%:]"),
    "rename": (("picture", "inputs"), ("kind", "class")),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder where TFDS has prepared the sets."""
    path = str(tmp_path_factory.mktemp("tfds"))
    for builder in (StandIn, Unlabelled):
        builder(data_dir=path, file_format="array_record").download_and_prepare()
    prepare("many_labels", path)
    prepare("uneven", path)
    return path


def test_reads_cifar10(folder):
    splits = Tfds("cifar10", folder).load()
    assert [len(part["label"]) for part in splits] == [36, 4, 16]
    for part in splits:
        assert part.keys() == {"inputs", "label"}
        assert part["inputs"].shape[1:] == (32, 32, 3) and part["inputs"].dtype == np.uint8
        assert part["label"].dtype == np.int32
        np.testing.assert_array_equal(part["inputs"][:, 0, 0, 0] % 10, part["label"])
        np.testing.assert_array_equal(part["inputs"][:, 5, 7, 1], 2 * part["inputs"][:, 0, 0, 0])
    seen = np.concatenate([part["inputs"][:, 0, 0, 0] for part in splits[:2]])
    np.testing.assert_array_equal(np.sort(seen), np.arange(40))


def test_home_is_the_users_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", folder)
    assert len(Tfds("cifar10", "~").load().test["label"]) == 16


def test_parts_are_joined_and_classes_may_be_missing(folder):
    source = Tfds("stl10", folder, ("train[:90%]+unlabelled", "train[90%:]", "test"))
    check_shapes(source)
    train, validation, test = source.load()
    assert [len(part["label"]) for part in (train, validation, test)] == [68, 2, 10]
    numbers = train["inputs"][:, 0, 0, 0].astype(int)
    assert set(numbers) | set(validation["inputs"][:, 0, 0, 0]) == {*range(20), *range(30, 80)}
    np.testing.assert_array_equal(train["label"], np.where(numbers < 20, numbers % 10, -1))
    index, mask = sample_labelled_subset({"label": train["label"]}, 10, partial=False, seed=0)
    assert mask["label"].all() and set(train["label"][index]) == set(range(10))


@pytest.mark.parametrize(
    ("name", "split", "count", "side"),
    [
        ("cifar10", "train[:98%]", 49_000, 32),
        ("cifar100", "train[:49_995]", 49_995, 32),
        ("svhn_cropped", "train[:-5000]+extra", 599_388, 32),  # 73,257 + 531,131 - 5,000
        ("stl10", "train[:4500]+unlabelled", 104_500, 96),
    ],
)
def test_shapes_of_known_sets_need_no_data(tmp_path, name, split, count, side):
    shapes = Tfds(name, str(tmp_path), (split, "train[-5:]", "test")).shapes()
    assert shapes["inputs"].shape == (count, side, side, 3) and shapes["inputs"].dtype == np.uint8
    assert shapes["label"].shape == (count,) and shapes["label"].dtype == np.int32
    with pytest.raises(BadInput, match=f"'{name}' is not prepared in .*: call mtl_jax.data.prep"):
        Tfds(name, str(tmp_path), (split, "train[-5:]", "test")).load()
    for wrong in ("nope", "train[:0]"):
        with pytest.raises(BadInput, match=r"must name parts that have .*, 'train'.*\], not '"):
            Tfds(name, str(tmp_path), (wrong, "train", "test")).shapes()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("split", "text"),
    [
        (
            ("train[:80%]", "train[70%:]", "test"),
            "'train[:80%]' and 'train[70%:]' share 4 examples of",
        ),
        (
            ("train[:30]", "train[-11:]", "test"),
            "'train[:30]' and 'train[-11:]' share 1 examples of",
        ),
        (("train", "train[:5]", "test"), "'train' and 'train[:5]' share 5 examples of 'train'"),
        (("train", "test", "test"), "'test' and 'test' share 16 examples of 'test'"),
        (("train[:8]+train[4:6]", "train[9:]", "test"), "'train[:8]+train[4:6]' share 2 examples"),
        (("all", "train[:50%]", "test"), "'all' and 'train[:50%]' share 20 examples of 'train'"),
    ],
)
def test_slices_that_share_examples_are_refused(folder, split, text):
    source = Tfds("cifar10", folder, split)  # By hand: train has 40 examples and test 16.
    for read in (source.load, source.shapes):
        with pytest.raises(BadInput, match=r"Tfds\.split must have slices.*" + re.escape(text)):
            read()


def test_slices_that_meet_are_fine(folder):
    parts = Tfds("cifar10", folder, ("train[:33%]", "train[33%:77%]", "train[77%:]+test")).load()
    numbers = np.concatenate([part["inputs"][:, 0, 0, 0] for part in parts])
    np.testing.assert_array_equal(np.sort(numbers), np.arange(56))


def test_shapes_of_other_sets_do(tmp_path):
    with pytest.raises(BadInput, match=r"'many_labels' is not prepared in .*: call mtl_jax"):
        Tfds("many_labels", str(tmp_path), **ALL).shapes()


def test_keeps_every_single_number_as_a_label(folder):
    part = Tfds("many_labels", folder, **ALL).load().train
    assert part["inputs"].shape == (6, 4, 4, 1)
    number = part["inputs"][:, 0, 0, 0]
    expected = {
        "class": (number % 3).astype(np.int32),
        "age": (number / 4).astype(np.float32),
        "flag": (number % 2 == 0).astype(np.int32),
    }
    assert part.keys() == {"inputs", *expected}
    for name, values in expected.items():
        assert part[name].dtype == values.dtype
        np.testing.assert_array_equal(part[name], values)


@pytest.mark.parametrize(
    ("name", "settings", "too_large"),
    [
        ("cifar10", {}, ()),
        ("many_labels", ALL, ("serial",)),
        ("uneven", {"size": (5, 3), **ALL}, ("serial",)),
    ],
)
def test_shapes_are_told_before_reading(folder, name, settings, too_large):
    check_shapes(Tfds(name, folder, **settings), too_large)


def test_a_damaged_picture_is_named_by_its_number(folder, monkeypatch):
    read = Tfds.source

    def damaged(self, builder, split, image):
        examples = list(read(self, builder, split, image))
        return [examples[0], {**examples[1], image: b"none"}]

    monkeypatch.setattr(Tfds, "source", damaged)
    text = r"image 2 of 'many_labels', 'whole\[:60%\]', cannot be read as an image, it has 4 bytes"
    with pytest.raises(BadInput, match=text):
        Tfds("many_labels", folder, **ALL).load()


def test_pictures_of_no_fixed_size_are_measured(folder):
    assert Tfds("uneven", folder, **ALL).shapes()["inputs"].shape[1:] in {(4, 4, 1), (6, 4, 1)}


def test_the_log_has_no_advice(folder, caplog):
    Tfds("many_labels", folder, **ALL).load()
    assert "OpenCV" not in caplog.text


def test_pictures_of_several_sizes_need_a_size(folder):
    text = r"Tfds.size is needed, since 'uneven' has images of 2 sizes, as \[\(4, 4\), \(6, 4\)\]"
    with pytest.raises(BadInput, match=text):
        Tfds("uneven", folder, **ALL).load()
    part = Tfds("uneven", folder, size=(5, 3), **ALL).load().test
    assert part["inputs"].shape == (2, 5, 3, 1)


def test_what_is_not_prepared_says_how(tmp_path):
    with pytest.raises(BadInput, match=r"'mnist' is not prepared in .*: call mtl_jax.data.prepare"):
        Tfds("mnist", str(tmp_path)).load()


def test_data_without_random_access_says_so(tmp_path):
    StandIn(data_dir=str(tmp_path), file_format="array_record").download_and_prepare()
    file = tmp_path / "cifar10" / "3.0.2" / "dataset_info.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"fileFormat": "tfrecord"}))
    with pytest.raises(BadInput, match="is prepared as tfrecord, which has no random access"):
        Tfds("cifar10", str(tmp_path)).load()
    with pytest.raises(BadInput, match=r"cannot be opened in .*: .*File format is already set"):
        prepare("cifar10", str(tmp_path))


def test_preparing_twice_changes_nothing(folder):
    before = Tfds("many_labels", folder, **ALL).load()
    prepare("many_labels", folder)
    after = Tfds("many_labels", folder, **ALL).load()
    np.testing.assert_array_equal(before.train["inputs"], after.train["inputs"])


@pytest.mark.skipif(importlib.util.find_spec("tensorflow"), reason="TensorFlow is installed")
def test_a_need_for_tensorflow_says_how_to_get_it(tmp_path):
    with pytest.raises(
        BadInput, match=r"'from_arrays' needs .*: pip install mtl_jax\[tensorflow\]"
    ):
        prepare("from_arrays", str(tmp_path))


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        ("no_such_set", {}, "'no_such_set' cannot be opened in .*: Dataset no_such_set not found"),
        ("cifar10:9.9.9", {}, "cannot be loaded at version 9.9.9"),
        ("cifar 10!", {}, "'cifar 10!' cannot be opened"),
        ("cifar10", {"split": ("train", "nope", "test")}, r"\['train', 'test'\], not 'nope'"),
        ("cifar10", {"split": ("train", "test[:0%]", "test")}, r"not 'test\[:0%\]'"),
        ("cifar10", {"rename": (("lable", "a"),)}, r"did you mean label\?\), not 'lable'"),
        ("many_labels", {}, r"must have one image called 'inputs'; its images are \['picture'\]"),
        ("cifar10", {"rename": (("label", "inputs"),)}, "must have one image called 'inputs'"),
        (
            "many_labels",
            {"rename": (("picture", "inputs"), ("kind", "age"))},
            "Tfds.rename must not give one name to two features",
        ),
    ],
)
def test_what_cannot_be_read_is_named(folder, name, settings, text):
    with pytest.raises(BadInput, match=text):
        Tfds(name, folder, **settings).load()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"split": ("train", "test")}, "Tfds.split must be three strings"),
        ({"rename": ("label", "a")}, "Tfds.rename must be pairs of names"),
    ],
)
def test_bad_settings_are_named(settings, text):
    with pytest.raises(BadInput, match=text):
        Tfds(**({"name": "cifar10", "data_dir": "data"} | settings))
