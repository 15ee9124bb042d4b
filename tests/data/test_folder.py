"""Folder: labels are the sorted class folders, parts are stratified, bad files are named."""

import pathlib
import re
import shutil
import tempfile
import unicodedata

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from PIL import Image

from mtl_jax.core.validation import BadInput, DataWarning
from mtl_jax.data import Folder
from mtl_jax.data.files import folder
from tests.data.encoded import png16
from tests.data.shapes import check_shapes

COLOURS = {"ant": (250, 0, 0), "bee": (0, 250, 0), "cow": (0, 0, 250)}


def write(folder, rows, columns=4, suffix="png", first=0, names=COLOURS):
    """Writes `rows` pictures of one colour into each class folder, numbered in a corner."""
    for name, colour in zip(names, COLOURS.values(), strict=False):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(first, first + rows):
            picture = np.full((6, columns, 3), colour, np.uint8)
            picture[0, 0] = i
            Image.fromarray(picture).save(folder / name / f"{i}.{suffix}")


def write_parts(root, **rows):
    """Writes class folders below those of parts, all pictures different."""
    first = 0
    for part, count in rows.items():
        write(root / part, count, first=first)
        first += count


def numbers(part):
    """Labels and numbers of the pictures of a part."""
    return [(int(y), int(x[0, 0, 0])) for x, y in zip(part["inputs"], part["label"], strict=True)]


@pytest.fixture
def tree(tmp_path):
    write(tmp_path, 20)
    return tmp_path


def test_labels_are_the_sorted_class_folders(tree):
    for part in Folder(str(tree), size=(6, 4)).load():
        assert part["inputs"].dtype == np.uint8 and part["inputs"].shape[1:] == (6, 4, 3)
        assert part["label"].dtype == np.int32
        colours = np.array(list(COLOURS.values()))[part["label"]]
        np.testing.assert_array_equal(part["inputs"][:, 5, 3], colours)


def test_parts_are_stratified_disjoint_and_seeded(tree):
    source = Folder(str(tree), size=(6, 4), validation=0.2, test=0.1)
    one, same = source.load(), source.load()
    counts = [np.bincount(part["label"]).tolist() for part in one]
    assert counts == [[14, 14, 14], [4, 4, 4], [2, 2, 2]]
    seen = [pair for part in one for pair in numbers(part)]
    assert sorted(seen) == [(y, i) for y in range(3) for i in range(20)]
    np.testing.assert_array_equal(one.test["inputs"], same.test["inputs"])
    other = Folder(str(tree), size=(6, 4), validation=0.2, test=0.1, seed=1).load()
    assert not np.array_equal(one.test["inputs"], other.test["inputs"])


def test_size_is_height_then_width_and_bilinear(tmp_path):
    write(tmp_path, 10)
    ramp = np.repeat(np.array([[0, 200]], np.uint8), 2, 0)
    Image.fromarray(ramp).save(tmp_path / "ant" / "grey.JPEG", format="png")
    parts = Folder(str(tmp_path), size=(3, 5)).load()
    images = np.concatenate([part["inputs"] for part in parts])
    assert images.shape == (31, 3, 5, 3)
    grey = images[(images[..., 0] == images[..., 2]).all((1, 2))]
    np.testing.assert_array_equal(grey[0, 1, :, 0], [0, 20, 100, 180, 200])  # by hand.


@pytest.mark.parametrize(
    "names",
    [
        ("train", "validation", "test"),
        ("train", "val", "test"),
        ("Train", "Valid", "Test"),
        ("TRAINING", "dev", "testing"),
    ],
)
def test_given_parts_are_kept(tmp_path, names):
    write_parts(tmp_path, **dict(zip(names, (1, 2, 3), strict=True)))
    parts = Folder(str(tmp_path), size=(6, 4)).load()
    wanted = [[0], [1, 2], [3, 4, 5]]
    assert [numbers(part) for part in parts] == [
        [(y, i) for y in range(3) for i in each] for each in wanted
    ]


def test_validation_is_drawn_from_train_where_it_is_not_given(tmp_path):
    write_parts(tmp_path, train=10, test=5)
    source = Folder(str(tmp_path), size=(6, 4), validation=0.2, test=0.9 / 2)
    one, same = source.load(), source.load()
    assert [np.bincount(part["label"]).tolist() for part in one] == [[8] * 3, [2] * 3, [5] * 3]
    assert sorted(numbers(one.train) + numbers(one.validation)) == [
        (y, i) for y in range(3) for i in range(10)
    ]
    assert numbers(one.test) == [(y, i) for y in range(3) for i in range(10, 15)]
    assert numbers(one.validation) == numbers(same.validation)
    other = Folder(str(tmp_path), size=(6, 4), validation=0.2, seed=1).load()
    assert numbers(other.validation) != numbers(one.validation)
    check_shapes(source)


def test_pictures_in_further_folders_are_read_in_the_order_of_their_paths(tmp_path):
    for part, first in (("train", 0), ("val", 4), ("test", 8)):
        for at, inside in enumerate(("b/images", "", "a", "b")):
            for label, (name, colour) in enumerate(COLOURS.items()):
                folder_ = tmp_path / part / name / inside
                folder_.mkdir(parents=True, exist_ok=True)
                picture = np.full((6, 4, 3), colour, np.uint8)
                picture[0, 0] = first + at
                picture[0, 1] = label
                Image.fromarray(picture).save(folder_ / "1.png")
    parts = Folder(str(tmp_path), size=(6, 4)).load()
    # 1.png, a/1.png, b/1.png, b/images/1.png.
    wanted = [(y, i) for y in range(3) for i in (1, 2, 3, 0)]
    assert numbers(parts.train) == wanted
    assert numbers(parts.test) == [(y, i + 8) for y, i in wanted]


def test_every_suffix_is_read(tmp_path):
    for first, suffix in enumerate(
        ("png", "PGM", "pnm", "jfif", "jpe", "tif", "webp", "gif", "bmp")
    ):
        form = {"PGM": "ppm", "pnm": "ppm", "jfif": "jpeg", "jpe": "jpeg"}.get(suffix, suffix)
        for label, name in enumerate(("a", "b")):
            (tmp_path / name).mkdir(exist_ok=True)
            picture = Image.new("L" if suffix == "PGM" else "RGB", (4, 4), 9 * first + 90 * label)
            picture.save(
                tmp_path / name / f"{first}.{suffix}", format="tiff" if form == "tif" else form
            )
    parts = Folder(str(tmp_path), size=(4, 4)).load()
    assert sum(len(part["label"]) for part in parts) == 18


def test_classes_are_in_the_order_of_strings(tmp_path):
    names = ("10", "2", "1")
    write(tmp_path, 10, names=names)
    source = Folder(str(tmp_path), size=(6, 4))
    assert source.classes() == {"label": ("1", "10", "2")}
    colour = dict(zip(names, COLOURS.values(), strict=True))
    for part in source.load():
        wanted = [colour[source.classes()["label"][label]] for label in part["label"]]
        np.testing.assert_array_equal(part["inputs"][:, 5, 3], wanted)


def test_accents_are_one_however_unicode_writes_them(tmp_path):
    composed, apart = (
        [unicodedata.normalize(form, name) for name in ("café", "thé")] for form in ("NFC", "NFD")
    )
    assert composed != apart
    write(tmp_path / "train", 2, names=composed)
    write(tmp_path / "train", 1, names=apart, first=2)
    write(tmp_path / "val", 1, names=apart, first=3)
    write(tmp_path / "test", 1, names=composed, first=4)
    source = Folder(str(tmp_path), size=(6, 4))
    assert source.classes() == {"label": tuple(composed)}
    assert [np.bincount(part["label"]).tolist() for part in source.load()] == [
        [3, 3],
        [1, 1],
        [1, 1],
    ]


def test_files_come_in_one_order_however_unicode_writes_accents(tmp_path):
    for part, first in (("train", 0), ("val", 4), ("test", 8)):
        for label, name in enumerate(COLOURS):
            (tmp_path / part / name).mkdir(parents=True)
            for at, file in enumerate(("é", "f", "e", "è/a")):  # e < f < è < é as NFC.
                path = tmp_path / part / name / f"{unicodedata.normalize('NFD', file)}.png"
                path.parent.mkdir(exist_ok=True)
                Image.new("RGB", (2, 2), (first + at, label, 0)).save(path)
    parts = Folder(str(tmp_path), size=(2, 2)).load()
    assert numbers(parts.test) == [(y, 8 + i) for y in range(3) for i in (2, 1, 3, 0)]


@pytest.mark.parametrize("place", ["unlabelled", "Unlabeled_images", "train/unlabelled", "both"])
def test_unlabelled_pictures_train_without_a_label(tmp_path, place):
    write_parts(tmp_path, train=2, val=1, test=1)
    places = ["unlabelled/deep", "train/unlabeled"] if place == "both" else [place]
    for first, name in enumerate(places):
        write(tmp_path / name, 4, first=50 + 10 * first)
    source = Folder(str(tmp_path), size=(6, 4))
    parts = source.load()
    assert parts.train.keys() == {"inputs", "label"}
    labelled, rest = numbers(parts.train)[:6], numbers(parts.train)[6:]
    assert labelled == [(y, i) for y in range(3) for i in range(2)]
    wanted = [i for first in range(len(places)) for i in range(50 + 10 * first, 54 + 10 * first)]
    assert sorted(rest) == sorted([(-1, i) for i in wanted] * 3)
    assert [len(part["label"]) for part in parts[1:]] == [3, 3]
    assert source.num_labelled() == 6 and source.classes() == {"label": tuple(COLOURS)}
    check_shapes(source)


def test_unlabelled_pictures_are_drawn_into_no_other_part(tmp_path):
    write_parts(tmp_path, train=10, test=2)
    write(tmp_path / "unlabelled", 20, first=60)
    parts = Folder(str(tmp_path), size=(6, 4), validation=0.2).load()
    assert (parts.train["label"] == -1).sum() == 60
    assert np.bincount(parts.validation["label"]).tolist() == [2, 2, 2]


def test_an_unlabelled_class_is_told(tree):
    write(tree / "unlabelled", 1, first=90)
    drawn = Folder(str(tree), size=(6, 4))
    with pytest.warns(DataWarning, match="'unlabelled' is read as 3 images without a label"):
        parts = drawn.load()
    assert drawn.classes() == {"label": tuple(COLOURS)}
    assert sorted(numbers(parts.train))[:3] == [(-1, 90)] * 3
    assert sum((part["label"] < 0).sum() for part in parts) == 3


def test_a_class_with_the_name_of_a_part_is_told(tmp_path):
    write(tmp_path, 10, names=("car", "plane", "Train"))
    with pytest.warns(DataWarning, match="'Train' is read as a class"):
        Folder(str(tmp_path), size=(6, 4)).load()


NAME = st.text("abAB12éß- ", min_size=1, max_size=4).map(str.strip).filter(bool)
LETTERS = st.lists(NAME, min_size=2, max_size=5, unique_by=str.casefold)


@hypothesis.given(names=LETTERS, data=st.data())
@hypothesis.settings(max_examples=20, deadline=None, derandomize=True)
def test_every_picture_has_the_place_of_its_folder_and_one_part(names, data):
    deep = st.lists(st.sampled_from(["", "a", "b/c"]), min_size=10, max_size=14)
    count, wanted = 0, []
    with tempfile.TemporaryDirectory() as root:
        for name in names:
            for inside in data.draw(deep):
                file = pathlib.Path(
                    root, unicodedata.normalize("NFD", name), inside, f"{count}.png"
                )
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (2, 2), (count, 0, 0)).save(file)
                wanted.append((sorted(names).index(name), count))
                count += 1
        source = Folder(root, size=(2, 2), validation=0.2, test=0.2)
        assert source.classes() == {"label": tuple(sorted(names))}
        assert sorted(pair for part in source.load() for pair in numbers(part)) == sorted(wanted)


def test_shapes_are_told_without_reading(tree, monkeypatch):
    check_shapes(Folder(str(tree)))
    monkeypatch.setattr(folder, "read_all", None)
    Folder(str(tree)).shapes()


def told(source):
    """What is told when a source is read, sorted."""
    with pytest.warns(DataWarning) as caught:
        source.load()
    assert {each.category for each in caught} == {DataWarning}
    lead = re.compile(rf"Folder( {source.path!r})?: ")
    assert all(lead.match(str(each.message)) for each in caught)
    return sorted(lead.sub("", str(each.message)) for each in caught)


def test_hidden_files_are_left_out(tree):
    for folder_ in (".cache", "__MACOSX", "__pycache__", "ant/.ipynb_checkpoints", "ant/@eaDir"):
        write(tree / folder_, 1, first=200)
    (tree / "__MACOSX" / "ant" / "._0.png").write_bytes(b"no picture")
    for name in (".hidden.png", "Thumbs.db", ".DS_Store", "desktop.ini"):
        (tree / "ant" / name).write_text("no picture")
    (tree / "README.md").write_text("no picture")
    assert sum(len(part["label"]) for part in Folder(str(tree)).load()) == 60


def test_what_is_passed_over_is_counted_and_told(tree):
    for at in range(3):
        (tree / "ant" / f"{at}.heiq").write_text("no picture")
    (tree / "bee" / "deep").mkdir()
    (tree / "bee" / "deep" / "notes.TXT").write_text("no picture")
    (tree / "bee" / "none").write_text("no picture")
    (tree / "cow" / "link.png").symlink_to("nowhere.png")
    Image.new("RGB", (4, 4)).save(tree / "loose.PNG")
    assert told(Folder(str(tree))) == [
        "files that are no images are ignored: 3 .heiq, 1 .txt, 1 without suffix, 1 broken link",
        f"images in no class folder of {tree} are ignored: 1",
    ]


def test_what_lies_beside_parts_is_told(tmp_path):
    write_parts(tmp_path, train=1, val=1, test=1)
    write(tmp_path / "extra", 1)
    Image.new("RGB", (4, 4)).save(tmp_path / "test" / "loose.png")
    assert told(Folder(str(tmp_path))) == [
        "folders next to those of parts are ignored: extra",
        f"images in no class folder of {tmp_path / 'test'} are ignored: 1",
    ]


def test_classes_that_a_part_lacks_are_told(tmp_path):
    write_parts(tmp_path, train=1, val=1, test=1)
    shutil.rmtree(tmp_path / "val" / "bee")
    shutil.rmtree(tmp_path / "test" / "ant")
    (tmp_path / "test" / "ant").mkdir()
    source = Folder(str(tmp_path), size=(6, 4))
    assert told(source) == ["test has no image of ant", "validation has no image of bee"]
    with pytest.warns(DataWarning):
        assert numbers(source.load().test) == [(1, 2), (2, 2)]


def test_lacking_classes_are_in_their_order(tmp_path):
    write_parts(tmp_path, train=1, val=1, test=1)
    for name in ("cow", "ant"):
        shutil.rmtree(tmp_path / "val" / name)
    assert told(Folder(str(tmp_path))) == ["validation has no image of ant, cow"]


def test_the_same_picture_in_two_parts_is_told(tmp_path):
    write_parts(tmp_path, train=3, val=2, test=4)
    for label, i in (("ant", 5), ("bee", 6)):
        shutil.copy(tmp_path / "test" / label / f"{i}.png", tmp_path / "train" / "cow" / f"{i}.png")
    shutil.copy(tmp_path / "val" / "cow" / "3.png", tmp_path / "test" / "cow" / "a.png")
    shutil.copy(tmp_path / "val" / "cow" / "3.png", tmp_path / "test" / "cow" / "b.png")
    assert told(Folder(str(tmp_path), size=(6, 4))) == [
        "2 of 14 files of test have the bytes of a file of train; "
        + "2 of 14 files of test have the bytes of a file of validation"
    ]


def test_a_copy_of_train_is_no_test_part(tmp_path):
    write_parts(tmp_path, train=3, val=1)
    shutil.copytree(tmp_path / "train", tmp_path / "test")
    with pytest.raises(BadInput, match="9 of 9 files of test have the bytes of a file of train"):
        Folder(str(tmp_path)).load()
    write(tmp_path / "test", 1, first=90)
    assert told(Folder(str(tmp_path))) == [
        "9 of 12 files of test have the bytes of a file of train"
    ]


def test_test_pictures_among_the_unlabelled_are_told(tmp_path):
    write_parts(tmp_path, train=3, val=1, test=1)
    shutil.copytree(tmp_path / "test", tmp_path / "unlabelled")
    write(tmp_path / "unlabelled", 1, first=0)  # One of train is fine.
    assert told(Folder(str(tmp_path), size=(6, 4))) == [
        "3 of 3 files of test have the bytes of a file of unlabelled"
    ]


def test_links_that_loop_are_not_followed(tree):
    (tree / "ant" / "up").symlink_to(tree)
    (tree / "all").symlink_to(tree)
    (tree / "bee" / "other").symlink_to(tree / "cow")
    (tree / "cow" / "other").symlink_to(tree / "bee")
    with pytest.warns(DataWarning, match=r"ignored: 3 cyclic link|the bytes of"):
        parts = Folder(str(tree), size=(6, 4)).load()
    labels = np.concatenate([part["label"] for part in parts])
    assert np.bincount(labels).tolist() == [20, 40, 40]
    door = tree.parent / f"{tree.name} by a link"
    door.symlink_to(tree)
    assert Folder(str(door)).classes() == {"label": tuple(COLOURS)}
    assert Folder(str(door)).shapes() == Folder(str(tree)).shapes()


def test_very_many_pixels_and_few_bits_are_told(tmp_path, monkeypatch):
    write(tmp_path, 10)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for name in ("ant", "bee"):
        Image.new("L", (20, 6), len(name)).save(tmp_path / name / "wide.png")
        (tmp_path / name / "dim.png").write_bytes(png16(np.full((2, 2), 999, np.uint16)))
    found = [line for line in told(Folder(str(tmp_path), size=(6, 4))) if "bytes" not in line]
    assert len(found) == 2
    assert re.fullmatch(
        r"2 images should be looked at, the first is .*ant/dim\.png \(of 16 bits.*", found[0]
    )
    assert re.search(r"2 images .* first is .*ant/wide\.png \(Image size \(120 pixels\)", found[1])


def test_a_picture_that_pillow_warns_of_is_read_where_warnings_are_errors(tree, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(DataWarning, match=r"48 images should be looked at.*Image size \(24 pixels"):
        Folder(str(tree), size=(6, 4)).load()


def test_a_file_that_is_no_picture_is_named(tree):
    (tree / "bee" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(BadInput, match=r"bee/broken\.png cannot be read as an image"):
        Folder(str(tree)).load()


def test_a_picture_that_may_not_be_opened_is_named(tree, monkeypatch):
    def closed(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pathlib.Path, "read_bytes", closed)
    with pytest.raises(BadInput, match=r"\.png cannot be read as an image: .*Permission denied"):
        Folder(str(tree), (4, 4)).load()


def test_a_truncated_picture_is_named(tree):
    file = tree / "cow" / "3.png"
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(BadInput, match=r"cow/3\.png cannot be read as an image, it has 50 bytes"):
        Folder(str(tree)).load()


def test_pictures_that_fit_in_no_memory_are_named(tree):
    with pytest.raises(BadInput, match=r"Folder: 48 images of size \(9{8}, 9{8}\) must fit in mem"):
        Folder(str(tree), size=(99999999, 99999999)).load()


def test_missing_things_are_named(tmp_path):
    with pytest.raises(BadInput, match=r"Folder.path must be a folder, not '.*nowhere'"):
        Folder(str(tmp_path / "nowhere")).load()
    with pytest.raises(BadInput, match=r"Folder.path must have class folders"):
        Folder(str(tmp_path)).load()
    few = tmp_path / "few"
    write(few, 1)
    with pytest.raises(BadInput, match=r"must have two class folders or more in .*not \['few'\]"):
        Folder(str(tmp_path)).load()
    with pytest.raises(BadInput, match=r"Folder.path must have images for validation"):
        Folder(str(few)).load()
    (few / "dog").mkdir()
    (few / "dog" / "1.heiq").write_text("no picture")
    text = r"must have images in each class; files .* ignored: 1 \.heiq, not '.*dog'"
    with pytest.raises(BadInput, match=text):
        Folder(str(few)).load()
    (few / "dog").rename(few / "unlabelled")
    with pytest.raises(BadInput, match=r"must have images in each folder, not '.*unlabelled'"):
        Folder(str(few), validation=0.3, test=0.3).load()


def test_parts_that_do_not_fit_are_named(tmp_path):
    write(tmp_path / "train", 10)
    rule = "must have train and test, and may have validation"
    with pytest.raises(BadInput, match=rule):
        Folder(str(tmp_path)).load()
    write(tmp_path / "val", 1)
    with pytest.raises(BadInput, match=rule):
        Folder(str(tmp_path)).load()
    (tmp_path / "Test").symlink_to(tmp_path / "train")
    with pytest.raises(BadInput, match=r"must have another folder for each part, not .*train"):
        Folder(str(tmp_path)).load()
    (tmp_path / "Test").unlink()
    write(tmp_path / "test", 1)
    (tmp_path / "val" / "bea").mkdir()
    with pytest.raises(BadInput, match=r"val/bea is no class of train \(did you mean bee\?\)"):
        Folder(str(tmp_path)).load()
    (tmp_path / "dev").mkdir()
    text = r"must have one folder for validation, not \['dev', 'val'\]"
    with pytest.raises(BadInput, match=text):
        Folder(str(tmp_path)).load()


def test_parts_below_classes_are_not_mixed(tmp_path):
    for name in COLOURS:
        write_parts(tmp_path / name, Train=2, TEST=2)
    with pytest.raises(BadInput, match=r"ant has folders of train and test.*put the classes into"):
        Folder(str(tmp_path)).load()


def test_classes_that_differ_in_case_are_named(tree):
    write(tree, 1, names=("Bee",))
    with pytest.raises(BadInput, match=r"differ not only in case, not \['Bee', 'bee'\]"):
        Folder(str(tree)).load()


def test_a_folder_that_may_not_be_read_is_named(tree, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pathlib.Path, "iterdir", refuse)
    with pytest.raises(BadInput, match=r"cannot be read: .*Permission denied"):
        Folder(str(tree)).load()


def test_one_pixel_is_a_size(tree):
    for part in Folder(str(tree), size=(1, 1)).load():
        assert part["inputs"].shape[1:] == (1, 1, 3)
        assert (part["inputs"][:, 0, 0].argmax(1) == part["label"]).all()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"size": (0, 4)}, r"Folder.size must be \(height, width\), not \(0, 4\)"),
        ({"validation": 0.6, "test": 0.5}, "Folder.validation must be positive and leave"),
    ],
)
def test_bad_settings_are_named(settings, text):
    with pytest.raises(BadInput, match=text):
        Folder("x", **settings)
