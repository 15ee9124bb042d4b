"""CelebA: reads what TFDS prepared, as forty labels or one."""

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from mtl_jax.core.validation import BadInput
from mtl_jax.data import CelebA
from mtl_jax.data.datasets.celeba import ATTRIBUTES
from tests.data.shapes import check_shapes

BUILDER = tfds.builder_cls("celeb_a")
COUNTS = {"train": 6, "validation": 2, "test": 3}


class StandIn(BUILDER, skip_registration=True):
    """CelebA as its own builder has it, with made up faces."""

    name = "celeb_a"

    def _split_generators(self, dl_manager):
        return {part: self._generate_examples(part, count) for part, count in COUNTS.items()}

    def _generate_examples(self, part, count):
        features = self.info.features
        for i in range(count):
            key = f"{part}{i}"
            pixels = np.full((218, 178, 3), 20 * i, np.uint8)
            yield (
                key,
                {
                    "image": Image.fromarray(pixels),
                    "landmarks": dict.fromkeys(features["landmarks"], i),
                    "attributes": {name: told(i)[k] for k, name in enumerate(ATTRIBUTES)},
                    "identity": dict.fromkeys(features["identity"], i),
                },
            )


def told(i):
    return (np.random.default_rng(i).random(40) < 0.5).tolist()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("tfds"))
    StandIn(data_dir=path, file_format="array_record").download_and_prepare()
    return path


def test_each_attribute_is_a_label_or_all_are_one(folder):
    source = CelebA(folder, size=(8, 6))
    check_shapes(source)
    joint = CelebA(folder, size=(8, 6), joint="face")
    check_shapes(joint)
    for part, same, count in zip(source.load(), joint.load(), COUNTS.values(), strict=True):
        greys = np.rint(part["inputs"][:, 3, 3, 0] / 20).astype(int)
        assert sorted(greys) == list(range(count))
        wanted = np.array([told(i) for i in greys])
        np.testing.assert_array_equal(np.stack([part[a] for a in ATTRIBUTES], 1), wanted)
        np.testing.assert_array_equal(same["face"], wanted)
        np.testing.assert_array_equal(same["inputs"], part["inputs"])
        assert part["Smiling"].dtype == np.int32 and same["face"].dtype == np.float32


def test_names_are_those_of_tfds(tmp_path):
    attributes = tfds.builder("celeb_a", data_dir=str(tmp_path)).info.features["attributes"]
    assert sorted(attributes) == sorted(ATTRIBUTES)


def test_shapes_need_no_data_and_loading_does(tmp_path):
    source = CelebA(str(tmp_path))
    assert source.shapes()["inputs"].shape == (162_770, 64, 64, 3)
    with pytest.raises(
        BadInput, match=r"not prepared in .*: call mtl_jax\.data\.prepare\('celeb_a"
    ):
        source.load()


@pytest.mark.parametrize(
    "settings", [("",), ("x", (1,)), ("x", (8, 8), "inputs"), ("x", (8, 8), 3)]
)
def test_settings_are_checked(settings):
    with pytest.raises(BadInput, match=r"CelebA\.(data_dir|size|joint) must be"):
        CelebA(*settings)
