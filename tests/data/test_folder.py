"""Folder: labels are the sorted class folders, parts are stratified, bad files are named."""

import numpy as np
import pytest
from PIL import Image

from mtl_jax.checks import BadInput
from mtl_jax.data import Folder, folder
from tests.data.shapes import check_shapes

COLOURS = {"ant": (250, 0, 0), "bee": (0, 250, 0), "cow": (0, 0, 250)}


def write(folder, rows, columns=4, suffix="png"):
    """Writes `rows` pictures of one colour into each class folder."""
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for i in range(rows):
            picture = np.full((6, columns, 3), colour, np.uint8)
            picture[0, 0] = i
            Image.fromarray(picture).save(folder / name / f"{i}.{suffix}")


@pytest.fixture
def tree(tmp_path):
    write(tmp_path, 20)
    return tmp_path


def test_labels_are_the_sorted_class_folders(tree):
    for part in Folder(str(tree), size=(6, 4)).load():
        assert part["image"].dtype == np.uint8 and part["image"].shape[1:] == (6, 4, 3)
        assert part["label"].dtype == np.int32
        colours = np.array(list(COLOURS.values()))[part["label"]]
        np.testing.assert_array_equal(part["image"][:, 5, 3], colours)


def test_parts_are_stratified_disjoint_and_seeded(tree):
    source = Folder(str(tree), size=(6, 4), validation=0.2, test=0.1)
    one, same = source.load(), source.load()
    counts = [np.bincount(part["label"]).tolist() for part in one]
    assert counts == [[14, 14, 14], [4, 4, 4], [2, 2, 2]]
    seen = [(int(y), int(x[0, 0, 0])) for part in one for x, y in zip(*part.values(), strict=True)]
    assert sorted(seen) == [(y, i) for y in range(3) for i in range(20)]
    np.testing.assert_array_equal(one.test["image"], same.test["image"])
    other = Folder(str(tree), size=(6, 4), validation=0.2, test=0.1, seed=1).load()
    assert not np.array_equal(one.test["image"], other.test["image"])


def test_size_is_height_then_width_and_bilinear(tmp_path):
    write(tmp_path, 10)
    ramp = np.repeat(np.array([[0, 200]], np.uint8), 2, 0)
    Image.fromarray(ramp).save(tmp_path / "ant" / "grey.JPEG", format="png")
    parts = Folder(str(tmp_path), size=(3, 5)).load()
    images = np.concatenate([part["image"] for part in parts])
    assert images.shape == (31, 3, 5, 3)
    grey = images[(images[..., 0] == images[..., 2]).all((1, 2))]
    np.testing.assert_array_equal(grey[0, 1, :, 0], [0, 20, 100, 180, 200])  # by hand.


@pytest.mark.parametrize("name", ["validation", "val"])
def test_given_parts_are_kept(tmp_path, name):
    for rows, part in enumerate(("train", name, "test"), start=1):
        write(tmp_path / part, rows)
    sizes = [len(part["label"]) for part in Folder(str(tmp_path), size=(6, 4)).load()]
    assert sizes == [3, 6, 9]


def test_shapes_are_told_without_reading(tree, monkeypatch):
    check_shapes(Folder(str(tree)))
    monkeypatch.setattr(folder, "read", None)
    Folder(str(tree)).shapes()


def test_hidden_and_other_files_are_left_out(tree):
    (tree / ".cache").mkdir()
    (tree / "ant" / "notes.txt").write_text("no picture")
    (tree / "ant" / ".hidden.png").write_text("no picture")
    assert sum(len(part["label"]) for part in Folder(str(tree)).load()) == 60


def test_a_file_that_is_no_picture_is_named(tree):
    (tree / "bee" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(BadInput, match=r"bee/broken\.png cannot be read as an image"):
        Folder(str(tree)).load()


def test_a_truncated_picture_is_named(tree):
    file = tree / "cow" / "3.png"
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(BadInput, match=r"cow/3\.png cannot be read as an image"):
        Folder(str(tree)).load()


def test_missing_things_are_named(tmp_path):
    with pytest.raises(BadInput, match=r"Folder.path must be a folder, not '.*nowhere'"):
        Folder(str(tmp_path / "nowhere")).load()
    with pytest.raises(BadInput, match=r"Folder.path must have class folders"):
        Folder(str(tmp_path)).load()
    write(tmp_path / "few", 1)
    with pytest.raises(BadInput, match=r"Folder.path must have images for validation"):
        Folder(str(tmp_path / "few")).load()
    (tmp_path / "few" / "dog").mkdir()
    with pytest.raises(BadInput, match=r"Folder.path must have images in each class, not '.*dog'"):
        Folder(str(tmp_path / "few")).load()


def test_parts_that_do_not_fit_are_named(tmp_path):
    write(tmp_path / "train", 1)
    write(tmp_path / "test", 1)
    with pytest.raises(BadInput, match=r"must have train, validation \(or val\) and test"):
        Folder(str(tmp_path)).load()
    write(tmp_path / "val", 1)
    (tmp_path / "val" / "bea").mkdir()
    with pytest.raises(BadInput, match=r"val/bea is no class of train \(did you mean bee\?\)"):
        Folder(str(tmp_path)).load()


def test_prints_as_its_own_source():
    assert eval(repr(Folder("x", size=(8, 9)))) == Folder("x", size=(8, 9))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"size": (0, 4)}, r"Folder.size must be \(height, width\), not \(0, 4\)"),
        ({"size": 4}, r"Folder.size must be \(height, width\), not 4"),
        ({"test": 0.0}, "Folder.test must be positive"),
        ({"validation": 0.6, "test": 0.5}, "Folder.validation must be positive and leave"),
        ({"seed": -1}, "Folder.seed must be at least 0"),
    ],
)
def test_bad_settings_are_named(settings, text):
    with pytest.raises(BadInput, match=text):
        Folder("x", **settings)
