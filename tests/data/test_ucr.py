"""UCR: what comes out of the package's files and of one's own, and what is refused."""

import importlib.util

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.data import UCR
from mtl_jax.data.datasets import ucr
from tests.data.shapes import check_shapes

has_package = pytest.mark.skipif(
    importlib.util.find_spec("aeon") is None, reason="the data are in the package aeon"
)
TRAIN = """# two classes, two channels
@problemName Small
@classLabel true up down
@data
1,2,3:0,0,0:up
2,3,4:0,0,0:up
3,2,1:0,0,6:down
5,3,1:6,6,6:down

"""
TEST = "@classLabel true up down\n@data\n0,1,2:1,1,1:up\n"


def folder(path, train=TRAIN, test=TEST):
    (path / "Small_TRAIN.ts").write_text(train)
    (path / "Small_TEST.ts").write_text(test)
    return str(path)


def test_channels_are_standardised_over_the_training_part(tmp_path):
    source = UCR("Small", folder(tmp_path), validation=0.5)
    splits = source.load()
    check_shapes(source)
    train = splits.train["inputs"]
    assert train.shape == (2, 3, 2) and train.dtype == np.float32
    np.testing.assert_array_equal(np.sort(splits.train["label"]), [0, 1])
    np.testing.assert_allclose(train.mean((0, 1)), 0.0, atol=1e-6)
    np.testing.assert_allclose(train.std((0, 1)), 1.0, atol=1e-6)
    # By hand: the test series 0, 1, 2 in the mean and unit of the two that train, one a class.
    raw = np.array([[1, 2, 3], [2, 3, 4], [3, 2, 1], [5, 3, 1]], np.float64)
    wanted = []
    for one in raw[:2]:
        for other in raw[2:]:
            both = np.concatenate([one, other])
            wanted.append((np.arange(3) - both.mean()) / both.std())
    found = splits.test["inputs"][0, :, 0]
    assert min(np.abs(found - line).max() for line in wanted) < 1e-5


@has_package
@pytest.mark.parametrize(
    ("name", "sizes", "classes"),
    [
        ("JapaneseVowels", (216, 54, 370), 9),
        ("OSULeaf", (160, 40, 242), 6),
        ("ACSF1", (80, 20, 100), 10),
    ],
)
def test_what_the_package_brings(name, sizes, classes):
    splits = UCR(name).load()
    check_shapes(UCR(name))
    assert tuple(len(part["label"]) for part in splits) == sizes
    for part in splits:
        assert set(part["label"]) == set(range(classes)) and part["label"].dtype == np.int32
        assert part["inputs"].shape[1:] == splits.train["inputs"].shape[1:]
    series = np.concatenate([part["inputs"] for part in splits[:2]]).reshape(sum(sizes[:2]), -1)
    assert len(np.unique(series, axis=0)) == sum(sizes[:2]), "no series is in two parts"


@has_package
def test_vowels_have_the_speakers_of_the_archive():
    splits = UCR().load()
    # The archive's description: 30 utterances a speaker to train on, 24 to 88 to test.
    assert np.bincount(splits.test["label"]).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    assert np.bincount(splits.train["label"]).tolist() == [24] * 9
    other = UCR(seed=1).load().train["inputs"]
    assert not np.array_equal(other, splits.train["inputs"])


def test_shapes_are_told_without_reading(monkeypatch):
    monkeypatch.setattr(ucr, "read_ts", None)
    assert UCR("OSULeaf", validation=0.1).shapes()["inputs"].shape == (180, 427, 1)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    def missing(name):
        return None

    monkeypatch.setattr(ucr.importlib.util, "find_spec", missing)
    with pytest.raises(BadInput, match=r"pip install --no-deps aeon"):
        UCR().load()


@pytest.mark.parametrize(
    ("train", "text"),
    [
        ("@data\n1,2:a\n", r"_TRAIN\.ts must have a line of classes"),
        ("@classLabel true a\n@data\n", r"_TRAIN\.ts must have series"),
        (
            "@classLabel true a\n@data\n1,2:b\n",
            "line 3 is of no class of the list: 'b'; there is a",
        ),
        ("@classLabel true a\n@data\n1,?:a\n", "line 3 must have a number at every time"),
        ("@classLabel true a\n@data\n1,nan:a\n", "line 3 must have a number at every time"),
        (
            "@classLabel true a\n@data\n1,2:3:a\n",
            r"line 3 must have channels of one length.*\[1, 2\]",
        ),
        (
            "@classLabel true a\n@data\n1,2:a\n1:a\n",
            r"line 4 must be \[2, 1\] \[T, C\] .* \[1, 1\]",
        ),
        ("@classLabel true a\n@data\na\n", "line 3 must have"),
    ],
)
def test_bad_files_are_named(train, text, tmp_path):
    with pytest.raises(BadInput, match=text):
        UCR("Small", folder(tmp_path, train)).load()


def test_parts_must_fit_together_and_be_there(tmp_path):
    other = TEST.replace("up down", "down up")
    for test in (other, "@classLabel true up down\n@data\n0,1:1,1:up\n"):
        with pytest.raises(BadInput, match="part of Small must fit together"):
            UCR("Small", folder(tmp_path, test=test)).load()
    with pytest.raises(BadInput, match=r"Other_TRAIN\.ts cannot be read"):
        UCR("Other", str(tmp_path)).shapes()
    with pytest.raises(BadInput, match=r"UCR\.validation must leave a part"):
        UCR("Small", folder(tmp_path), validation=0.01).load()


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"name": "Osuleaf"}, r"UCR\.name must be one that aeon includes \(did you mean OSULeaf"),
    ],
)
def test_bad_settings_are_named(setting, text):
    with pytest.raises(BadInput, match=text):
        UCR(**setting)
