"""ImageTable: each row gets its own image and labels, parts are given or drawn, gaps are kept."""

import csv
import re
import shutil
import unicodedata

import numpy as np
import pytest
from PIL import Image

from mtl_jax.core.validation import BadInput, DataWarning
from mtl_jax.data import ImageTable
from tests.data.shapes import check_shapes

KINDS = ("cat", "dog", "")


def value(row):
    """The grey of the image of a row."""
    return 3 * row + 10


def draw(folder, rows, suffix="png", name="{}"):
    """Writes an image of one grey for each row."""
    for row in rows:
        file = folder / f"{name.format(row)}.{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 6), value(row)).save(file)


def write(file, rows, name="{}.png", delimiter=",", **columns):
    """Writes a table of file names and columns, each a function of the row."""
    columns = {"label": lambda row: KINDS[row % 2], **columns}
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, delimiter=delimiter)
        writer.writerow(["file", *columns])
        writer.writerows([name.format(row), *(f(row) for f in columns.values())] for row in rows)


def rows_of(part):
    """Which rows the images of a part are of."""
    greys = part["inputs"][:, 2, 1]
    assert (greys == greys[:, :1]).all()
    return ((greys[:, 0].astype(int) - 10) // 3).tolist()


@pytest.fixture
def table(tmp_path):
    """A table of 20 rows, and its images beside it."""
    draw(tmp_path, range(20))
    write(tmp_path / "labels.csv", range(20))
    return tmp_path / "labels.csv"


def source_of(path, **settings):
    return ImageTable(str(path), size=(6, 4), **settings)


def test_each_row_gets_its_image_and_its_labels(tmp_path):
    rows = np.random.default_rng(0).permutation(30).tolist()
    draw(tmp_path, rows)
    gap = {"kind": lambda row: KINDS[row % 3], "size": lambda row: "" if row % 5 else row / 2}
    write(tmp_path / "labels.csv", rows, **gap)
    shares = {"validation": 0.3, "test": 0.3}
    tasks = {"labels": ("label", "kind"), "numbers": ("size",)}
    source = source_of(tmp_path / "labels.csv", **tasks, **shares)
    parts = source.load()
    assert source.classes() == {"label": ("cat", "dog"), "kind": ("cat", "dog")}
    for part in parts:
        assert part["inputs"].dtype == np.uint8 and part["inputs"].shape[1:] == (6, 4, 3)
        seen = np.array(rows_of(part))
        np.testing.assert_array_equal(part["label"], seen % 2)
        np.testing.assert_array_equal(part["kind"], np.array([0, 1, -1])[seen % 3])
        wanted = np.where(seen % 5, np.nan, seen / 2).astype(np.float32)
        np.testing.assert_array_equal(part["size"], wanted)
        assert (part["label"].dtype, part["size"].dtype) == (np.int32, np.float32)
    # Examples come in the order of the rows.
    place = [rows.index(row) for row in rows_of(parts.train)]
    assert place == sorted(place)
    check_shapes(source)


def test_parts_are_drawn_in_every_class_alike(table):
    source = source_of(table, validation=0.2, test=0.1)
    one, same = source.load(), source.load()
    assert [np.bincount(part["label"]).tolist() for part in one] == [[7, 7], [2, 2], [1, 1]]
    assert sorted(row for part in one for row in rows_of(part)) == list(range(20))
    assert [rows_of(part) for part in one] == [rows_of(part) for part in same]
    other = source_of(table, validation=0.2, test=0.1, seed=1).load()
    assert rows_of(other.train) != rows_of(one.train)


def test_rows_without_a_label_stay_in_train(tmp_path):
    draw(tmp_path, range(40))
    write(tmp_path / "labels.csv", range(40), label=lambda row: KINDS[row % 2] if row < 20 else "")
    source = source_of(tmp_path / "labels.csv", validation=0.2, test=0.1)
    parts = source.load()
    assert [np.bincount(part["label"] + 1).tolist() for part in parts] == [
        [20, 7, 7],
        [0, 2, 2],
        [0, 1, 1],
    ]
    assert set(rows_of(parts.train)) >= set(range(20, 40))
    assert source.num_labelled() == 14
    check_shapes(source)


def test_a_row_with_a_label_of_another_task_is_drawn(tmp_path):
    draw(tmp_path, range(40))
    gap = {"label": lambda row: KINDS[row % 2] if row < 20 else "", "size": lambda row: row}
    write(tmp_path / "labels.csv", range(40), **gap)
    source = source_of(tmp_path / "labels.csv", numbers=("size",))
    assert [len(part["label"]) for part in source.load()] == [32, 4, 4]
    assert source.num_labelled() == 32


def test_how_the_file_is_written_is_told_as_for_tables(tmp_path):
    draw(tmp_path, range(40))
    columns = {
        "label": lambda row: ("NA", "-", "cat")[row % 3],
        "size": lambda row: f"{row},5" if row % 2 else "-",
    }
    write(tmp_path / "labels.csv", range(40), delimiter=";", **columns)
    marks = {"delimiter": ";", "decimal": ",", "missing": ("-",), "not_missing": ("NA",)}
    source = source_of(tmp_path / "labels.csv", numbers=("size",), **marks)
    assert source.classes() == {"label": ("NA", "cat")}
    for part in source.load():
        seen = np.array(rows_of(part))
        np.testing.assert_array_equal(part["label"], np.array([0, -1, 1])[seen % 3])
        np.testing.assert_array_equal(part["size"], np.where(seen % 2, seen + 0.5, np.nan))


def test_labels_may_all_be_numbers(tmp_path):
    draw(tmp_path, range(20))
    write(tmp_path / "labels.csv", range(20), size=lambda row: row / 4, part=lambda row: "train")
    source = source_of(tmp_path / "labels.csv", labels=(), numbers=("size",))
    for part in source.load():
        np.testing.assert_array_equal(part["size"] * 4, rows_of(part))
    assert source.classes() == {}


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "Valid", "TEST")])
def test_a_column_may_say_the_parts(tmp_path, names, suffix):
    draw(tmp_path, range(12))
    part = {"part": lambda row: names[min(row % 4, 2)]}
    delimiter = "\t" if suffix == "tsv" else ","
    write(tmp_path / f"labels.{suffix}", range(12), delimiter=delimiter, **part)
    source = source_of(tmp_path / f"labels.{suffix}", split="part", labels=("label",))
    with pytest.warns(DataWarning):  # Validation has odd rows only.
        parts = source.load()
    assert [rows_of(each) for each in parts] == [[0, 4, 8], [1, 5, 9], [2, 3, 6, 7, 10, 11]]
    for each in parts:
        np.testing.assert_array_equal(each["label"], np.array(rows_of(each)) % 2)
    assert source.num_labelled() == 3


def test_validation_is_drawn_from_train_where_no_row_names_it(tmp_path):
    draw(tmp_path, range(24))
    write(tmp_path / "labels.csv", range(24), part=lambda row: "test" if row < 4 else "train")
    parts = source_of(tmp_path / "labels.csv", split="part", validation=0.2, test=0.7).load()
    assert rows_of(parts.test) == [0, 1, 2, 3]
    assert np.bincount(parts.validation["label"]).tolist() == [2, 2]
    assert sorted(rows_of(parts.train) + rows_of(parts.validation)) == list(range(4, 24))


def test_three_files_are_the_parts(tmp_path):
    draw(tmp_path / "images", range(12))
    for part, first in (("train", 0), ("val", 6), ("test", 8)):
        rows = range(first, {"train": 6, "val": 8, "test": 12}[part])
        write(tmp_path / f"{part}.csv", rows, name="images/{}.png")
    parts = source_of(tmp_path).load()
    assert [rows_of(part) for part in parts] == [[*range(6)], [6, 7], [8, 9, 10, 11]]


@pytest.mark.parametrize(
    ("lies", "named"),
    [
        ("{}.png", "{}.png"),
        ("{}.png", "{}"),
        ("a/{}.png", "./a/{}.png"),
        ("a/{}.png", "a/{}"),
        ("a/b/{}.png", "a\\b\\{}.png"),
        ("a/b/{}.png", "{}.png"),
        ("a/b/x.{}.png", "x.{}"),
        ("../beside/{}.png", "../beside/{}.png"),
    ],
)
def test_images_are_named_in_several_ways(tmp_path, lies, named):
    draw(tmp_path / "images", range(20), name=lies.removesuffix(".png"))
    write(tmp_path / "labels.csv", range(20), name=named)
    (tmp_path / "images").mkdir(exist_ok=True)
    source = source_of(tmp_path / "labels.csv", folder=str(tmp_path / "images"))
    for part in source.load():
        np.testing.assert_array_equal(part["label"], np.array(rows_of(part)) % 2)


def test_names_with_zeros_and_accents_are_found(tmp_path):
    draw(tmp_path, range(20), name=unicodedata.normalize("NFD", "é0{}"))
    write(tmp_path / "labels.csv", range(20), name=unicodedata.normalize("NFC", "é0{}"))
    parts = source_of(tmp_path / "labels.csv").load()
    assert sorted(row for part in parts for row in rows_of(part)) == list(range(20))


def test_the_nearer_name_is_taken(tmp_path):
    """A path before a name alone, and both before those without suffix."""
    draw(tmp_path, range(20))
    draw(tmp_path / "deep", [30], name="1")
    write(tmp_path / "labels.csv", range(20))
    with pytest.warns(DataWarning, match=r"without a row are ignored: 1, deep/1\.png"):
        parts = source_of(tmp_path / "labels.csv").load()
    assert sorted(row for part in parts for row in rows_of(part)) == list(range(20))


def told(source):
    """What is told when a source is read."""
    with pytest.warns(DataWarning) as caught:
        source.load()
    lead = re.compile(rf"ImageTable( {source.path!r})?: ")
    assert all(lead.match(str(each.message)) for each in caught)
    return [lead.sub("", str(each.message)) for each in caught]


def test_images_without_a_row_are_told(table):
    draw(table.parent, range(30, 37))
    assert told(source_of(table)) == [
        "images without a row are ignored: 7, 30.png, 31.png, 32.png, 33.png, 34.png and 2 more"
    ]


def test_rows_of_one_image_are_told(table):
    with table.open("a") as lines:
        lines.write("3.png,dog\n4.png,dog\n4.png,cat\n")
    (line, *rest) = told(source_of(table, validation=0.3, test=0.3))
    assert line == "2 images have several rows, 1 of them with different labels: 3.png, 4.png"
    assert all("files of" in each for each in rest)


def test_the_same_image_in_two_parts_is_told(tmp_path):
    draw(tmp_path, range(12))
    shutil.copy(tmp_path / "0.png", tmp_path / "6.png")
    for part, rows in (("train", range(6)), ("val", (6, 7)), ("test", range(8, 12))):
        write(tmp_path / f"{part}.csv", rows)
    with (tmp_path / "test.csv").open("a") as lines:
        lines.write("7.png,dog\n")
    assert told(source_of(tmp_path))[1:] == [
        "1 of 2 files of validation have the bytes of a file of train; "
        + "1 of 5 files of test have the bytes of a file of validation"
    ]


@pytest.mark.parametrize("split", [None, "part"])
def test_a_copy_of_train_is_no_test_part(tmp_path, split):
    draw(tmp_path, range(8))
    for row in range(6):
        shutil.copy(tmp_path / f"{row}.png", tmp_path / f"{row + 8}.png")
    parts = {"train": range(6), "val": range(6, 8), "test": range(8, 14)}
    for part, rows in parts.items():
        write(tmp_path / f"{part}.csv", rows)
    name = {row: part for part, rows in parts.items() for row in rows}
    write(tmp_path / "all" / "labels.csv", range(14), part=name.get)
    path = tmp_path if split is None else tmp_path / "all" / "labels.csv"
    with pytest.raises(BadInput, match="6 of 6 files of test have the bytes of a file of train"):
        source_of(path, split=split, folder=str(tmp_path)).load()


def test_drawn_parts_that_repeat_others_are_told(tmp_path):
    draw(tmp_path, [0])
    for row in range(1, 20):
        shutil.copy(tmp_path / "0.png", tmp_path / f"{row}.png")
    write(tmp_path / "labels.csv", range(20))
    (line,) = told(source_of(tmp_path / "labels.csv"))
    assert line.startswith("2 of 2 files of validation have the bytes of a file of train; ")


def test_a_part_without_rows_is_named(table):
    write(table, range(3))
    with pytest.raises(
        BadInput, match=r"ImageTable.path must have rows for validation, not '.*csv'"
    ):
        source_of(table).shapes()


def test_classes_that_a_part_lacks_are_told(tmp_path):
    draw(tmp_path, range(12))
    parts = {"part": lambda row: ("train", "val", "test", "train")[row % 4]}
    write(tmp_path / "labels.csv", range(12), **parts)
    assert told(source_of(tmp_path / "labels.csv", split="part")) == [
        "validation has no image of cat, of 'label'",
        "test has no image of dog, of 'label'",
    ]


def test_rows_without_an_image_are_counted_and_named(table):
    for row in (4, 7):
        (table.parent / f"{row}.png").unlink()
    text = r"labels\.csv, line 6: column 'file' must name an image below .* \(2 of 20 rows do not\)"
    with pytest.raises(BadInput, match=text + r", not '4\.png'"):
        source_of(table).load()
    source_of(table).shapes()


def test_a_name_of_several_images_is_refused(tmp_path):
    draw(tmp_path / "a", range(20))
    draw(tmp_path / "b", [2])
    write(tmp_path / "labels.csv", range(20))
    text = r"line 4: .* must name one image .*some have the same name \(1 of 20 rows do not\)"
    with pytest.raises(BadInput, match=text):
        source_of(tmp_path / "labels.csv").load()


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (
            lambda row: "train",
            r"ImageTable.split must have rows of train and of test .*\['train'\]",
        ),
        (lambda row: ("train", "test", "tset")[row % 3], "line 4: column 'part' must name train, "),
        (lambda row: ("train", "test", "")[row % 3], "line 4: column 'part' must name train, val"),
    ],
)
def test_parts_that_do_not_fit_are_named(tmp_path, part, text):
    draw(tmp_path, range(12))
    write(tmp_path / "labels.csv", range(12), part=part)
    with pytest.raises(BadInput, match=text):
        source_of(tmp_path / "labels.csv", split="part").shapes()


def test_what_is_wrong_with_the_files_is_named(table):
    write(table, [*range(6)], name="")
    with pytest.raises(
        BadInput, match=r"line 2: column 'file' must name an image .*6 of 6.*not ''"
    ):
        source_of(table, validation=0.3, test=0.3).load()
    (table.parent / "3.png").write_bytes(b"no picture")
    write(table, range(20))
    with pytest.raises(BadInput, match=r"3\.png cannot be read as an image, it has 10 bytes"):
        source_of(table).load()
    with pytest.raises(BadInput, match=r"ImageTable.folder must be a folder, not '.*nowhere'"):
        source_of(table, folder=str(table.parent / "nowhere")).load()
    with pytest.raises(BadInput, match=r"ImageTable.file must name columns of .*labels\.csv"):
        source_of(table, file="image_id").load()
    with pytest.raises(BadInput, match=r"ImageTable.path must be a file or a folder"):
        source_of("nowhere.csv").load()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"size": (0, 4)}, r"ImageTable.size must be \(height, width\), not \(0, 4\)"),
        ({"labels": ("file",)}, "ImageTable.labels must not name a column again, not 'file'"),
        ({"split": "label"}, "ImageTable.split must not name a column again, not 'label'"),
        ({"labels": ()}, "ImageTable.labels and numbers must name a label"),
    ],
)
def test_bad_settings_are_named(settings, text):
    with pytest.raises(BadInput, match=text):
        ImageTable("x.csv", **settings)
