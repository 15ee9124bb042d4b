"""FashionMNIST: files, their Debian place or TFDS, stratified parts, and what is refused."""

import gzip

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from mtl_jax.core.validation import BadInput
from mtl_jax.data import FashionMNIST
from mtl_jax.data.datasets import fashion
from tests.data.shapes import check_shapes
from tests.data.test_idx import packed


class StandIn(tfds.builder_cls("fashion_mnist"), skip_registration=True):
    """Fashion-MNIST as its own builder has it, with made up pictures."""

    name = "fashion_mnist"

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(0, 100), "test": self._generate_examples(100, 120)}

    def _generate_examples(self, first, last):
        for i in range(first, last):
            yield i, {"image": Image.fromarray(np.full((28, 28), i, np.uint8)), "label": i % 10}


def numbered(first, last):
    """Pictures of one grey each, which is their number, and their last digits as labels."""
    number = np.arange(first, last, dtype=np.uint8)
    return np.tile(number[:, None, None], (1, 28, 28)), number % 10


@pytest.fixture
def small(monkeypatch):
    """The data set with a hundred training images and twenty of test."""
    monkeypatch.setattr(fashion, "TRAIN", 100)
    monkeypatch.setattr(fashion, "TEST", 20)
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)


@pytest.fixture
def folder(tmp_path, small):
    """A folder with its four files, some of them gzipped."""
    for name, (images, labels) in (("train", numbered(0, 100)), ("t10k", numbered(100, 120))):
        (tmp_path / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(packed(images)))
        (tmp_path / f"{name}-labels-idx1-ubyte").write_bytes(packed(labels))
    return tmp_path


def check_parts(splits):
    """Requires images with their own labels, and each image in one part."""
    assert [len(part["label"]) for part in splits] == [80, 20, 20]
    for part in splits:
        assert part["inputs"].shape[1:] == (28, 28, 1) and part["inputs"].dtype == np.uint8
        assert part["label"].dtype == np.int32
        np.testing.assert_array_equal(part["inputs"][:, 9, 3, 0] % 10, part["label"])
    seen = [np.sort(part["inputs"][:, 0, 0, 0]) for part in splits]
    np.testing.assert_array_equal(np.sort(np.concatenate(seen[:2])), np.arange(100))
    np.testing.assert_array_equal(seen[2], np.arange(100, 120))


def test_files_of_a_folder(folder):
    splits = FashionMNIST(str(folder), validation=0.2).load()
    check_parts(splits)
    np.testing.assert_array_equal(np.bincount(splits.validation["label"]), [2] * 10)
    other = FashionMNIST(str(folder), validation=0.2, seed=1).load()
    assert not np.array_equal(splits.validation["inputs"], other.validation["inputs"])


def test_the_place_of_the_debian_package_is_looked_at_first(folder, monkeypatch):
    monkeypatch.setattr(fashion, "DEBIAN", folder)
    check_parts(FashionMNIST(validation=0.2).load())


def test_else_tfds_is_read(tmp_path, small, monkeypatch):
    StandIn(data_dir=str(tmp_path), file_format="array_record").download_and_prepare()
    monkeypatch.setattr(fashion, "DEBIAN", tmp_path / "nowhere")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    check_parts(FashionMNIST(validation=0.2).load())


def test_if_it_is_nowhere_it_says_how_to_get_it(tmp_path, small, monkeypatch):
    monkeypatch.setattr(fashion, "DEBIAN", tmp_path / "nowhere")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    text = r"nowhere \(apt-get install dataset-fashion-mnist\).*mtl_jax.data.prepare\('fashion_mni"
    with pytest.raises(BadInput, match=text):
        FashionMNIST().load()


def test_shapes_are_told_without_reading(folder):
    check_shapes(FashionMNIST(str(folder), validation=0.3))
    FashionMNIST("nowhere").shapes()


def test_the_real_sizes():
    shapes = FashionMNIST(validation=1 / 12).shapes()
    assert shapes["inputs"].shape == (55_000, 28, 28, 1)


def test_a_missing_file_is_named(folder):
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(BadInput, match="must hold t10k-labels-idx1-ubyte or t10k-labels"):
        FashionMNIST(str(folder)).load()


def test_files_of_another_data_set_are_named(folder):
    (folder / "t10k-labels-idx1-ubyte").write_bytes(packed(np.arange(20, dtype=np.uint8)))
    with pytest.raises(BadInput, match="must have labels below 10, not 19"):
        FashionMNIST(str(folder)).load()
