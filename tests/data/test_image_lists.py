"""ImageLists: lines are images and classes, and a domain for each task as LibMTL has it."""

import numpy as np
import pytest
from PIL import Image

from mtl_jax.core.validation import BadInput
from mtl_jax.data import ImageLists, Input, MultiInput
from tests.data.shapes import check_shapes

NAMES = ("back_pack", "bike", "mug")


def write(root, domain="dslr", shift=0):
    """Twelve images of three classes; every fourth is in validation, and every fourth in test."""
    lines = {"train": [], "val": [], "test": []}
    for at in range(12):
        path = f"{domain}/images/{NAMES[at % 3]}/frame {at:04}.png"
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((5, 4, 3), 10 * at + shift, np.uint8)).save(file)
        part = ("train", "val", "test", "train")[at % 4]
        lines[part].append(f"{path} {at % 3}\n")
    for part, rows in lines.items():
        (root / f"{domain}_{part}.txt").write_text("".join(rows))
    return ImageLists.of_domain(str(root), str(root), domain, size=(5, 4))


def test_lines_are_images_and_classes(tmp_path):
    source = write(tmp_path)
    check_shapes(source)
    assert source.classes() == {"label": NAMES}
    wanted = ((0, 3, 4, 7, 8, 11), (1, 5, 9), (2, 6, 10))
    for part, rows in zip(source.load(), wanted, strict=True):
        np.testing.assert_array_equal(part["inputs"][:, 2, 2, 1], 10 * np.array(rows))
        np.testing.assert_array_equal(part["label"], np.array(rows) % 3)


def test_a_domain_for_each_task(tmp_path):
    domains = ("amazon", "dslr")
    source = MultiInput(
        tuple(Input(name, write(tmp_path, name, shift)) for shift, name in enumerate(domains))
    )
    assert source.classes() == {"amazon": NAMES, "dslr": NAMES}
    test = source.load().test
    for shift, name in enumerate(domains):
        assert test[name]["inputs"][:, 0, 0, 0].tolist() == [20 + shift, 60 + shift, 100 + shift]
        assert test[name][name].tolist() == [2, 0, 1]


def test_folders_that_are_no_names_are_none(tmp_path):
    source = write(tmp_path)
    file = tmp_path / "dslr_val.txt"
    assert source.classes() == {"label": NAMES}
    file.write_text(file.read_text().replace(" 0\n", " 1\n"))
    assert source.classes() == {}


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("mug.png", "must be a path and a class, not 'mug.png'"),
        ("mug.png mug", "must be a path and a class"),
        ("mug.png -1", "must be a path and a class"),
        ("dslr/images/bike/frame 0001.png 1", "must not name 'dslr.*0001.png' again"),
    ],
)
def test_lines_that_do_not_fit_are_named(tmp_path, line, text):
    source = write(tmp_path)
    with (tmp_path / "dslr_val.txt").open("a") as file:
        file.write(f"\n{line}\n")
    with pytest.raises(BadInput, match=rf"dslr_val\.txt, line 5 {text}"):
        source.load()


def test_files_that_are_missing_are_named(tmp_path):
    source = write(tmp_path)
    (tmp_path / "dslr" / "images" / "bike" / "frame 0001.png").unlink()
    with pytest.raises(BadInput, match=r"bike/frame 0001\.png cannot be read as an image"):
        source.load()
    (tmp_path / "dslr_train.txt").write_text("\n")
    with pytest.raises(BadInput, match=r"dslr_train\.txt must name images, and is empty"):
        source.shapes()
    (tmp_path / "dslr_train.txt").unlink()
    with pytest.raises(BadInput, match=r"dslr_train\.txt cannot be read"):
        source.shapes()


@pytest.mark.parametrize(
    "settings", [(3, ("a", "b", "c")), ("x", ("a", "b")), ("x", ("a", "b", "b")), ("x", "abc")]
)
def test_settings_are_checked(settings):
    with pytest.raises(BadInput, match=r"ImageLists\.(path|lists) must be"):
        ImageLists(*settings)
