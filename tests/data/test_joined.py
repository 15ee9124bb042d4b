"""Domains joined by the names of classes, columns and categories, by hand in small files."""

import numpy as np
import pytest
from PIL import Image

from mtl_jax.core.validation import BadInput
from mtl_jax.data import (
    Arrays,
    Domains,
    FixedLabels,
    Folder,
    Input,
    MultiInput,
    Resized,
    Table,
    Texts,
    WordPiece,
)
from mtl_jax.data.domains import renumber
from mtl_jax.data.join_names import join_names
from mtl_jax.storage.run_data import load_run_data
from tests.data.shapes import check_shapes
from tests.small import RUN

GREY = {"bike": 50, "car": 100, "mug": 150, "pen": 200}


@pytest.fixture
def folder(tmp_path):
    """Makes a domain of class folders, whose images tell their class by one grey."""

    def made(name, *classes):
        for one in classes:
            (tmp_path / name / one).mkdir(parents=True)
            for at in range(10):
                image = np.full((2, 2, 3), GREY[one.lower()], np.uint8)
                image[1, 1] = at  # No two are the same.
                Image.fromarray(image).save(tmp_path / name / one / f"{at}.png")
        return Folder(str(tmp_path / name), size=(2, 2))

    return made


def check_greys(splits, classes):
    """Every label is that of the class whose grey the image has, or is hidden."""
    for part in splits:
        wanted = np.array([GREY[name] for name in classes])
        seen = part["label"] >= 0
        np.testing.assert_array_equal(part["inputs"][seen, 0, 0, 0], wanted[part["label"][seen]])


@pytest.mark.parametrize("labelled", ["sources", "target", "both"])
def test_a_target_that_lacks_a_class_has_the_integers_of_the_sources(folder, labelled):
    source, target = folder("amazon", "bike", "car", "mug"), folder("webcam", "car", "mug")
    assert set(target.load().test["label"]) == {0, 1}, "alone they are other integers"
    domains = Domains((source,), target, labelled)
    splits = domains.load()
    assert domains.classes() == {"label": ("bike", "car", "mug")}
    assert set(splits.test["label"]) == {1, 2} and splits.test["label"].dtype == np.int32
    check_greys(splits, ("bike", "car", "mug"))
    check_shapes(domains)


def test_a_missing_label_is_missing_among_all_classes_too():
    classes = {"label": join_names([("bike", "car"), ("car", "pen")], ["one", "two"], "classes")}
    for domain, wanted in ((0, [-1, 0, 1]), (1, [-1, 1, 2])):
        part = {"inputs": np.zeros((3, 1)), "label": np.array([-1, 0, 1], np.int32)}
        assert renumber(part, domain, classes, None)["label"].tolist() == wanted


def test_sources_with_other_classes_have_all_of_them_the_first_ones_first(folder):
    sources = folder("one", "car", "pen"), folder("two", "bike", "car")
    domains = Domains(sources, folder("three", "bike", "pen"))
    assert domains.classes() == {"label": ("car", "pen", "bike")}
    splits = domains.load()
    check_greys(splits, ("car", "pen", "bike"))
    assert set(splits.train["label"][splits.train["domain"] == 1]) == {0, 2}
    assert set(splits.test["label"]) == {1, 2}


def test_domains_of_the_same_classes_are_as_they_were(folder):
    one, two = (folder(name, "bike", "car", "mug") for name in ("one", "two"))
    splits = Domains((one,), two, "both").load()
    for name in ("inputs", "label"):
        both = np.concatenate([one.load().train[name], two.load().train[name]])
        np.testing.assert_array_equal(splits.train[name], both)


def test_a_class_of_the_target_alone_is_refused_unless_its_labels_are_seen(folder):
    source, target = folder("one", "bike", "car"), folder("two", "car", "pen")
    with pytest.raises(BadInput, match="target has 'pen' among the classes of 'label', which no"):
        Domains((source,), target).load()
    assert Domains((source,), target, "both").classes() == {"label": ("bike", "car", "pen")}


def test_a_name_written_in_another_way_is_refused(folder):
    source, target = folder("one", "bike", "mug"), folder("two", "Mug", "bike")
    for domains in (Domains((source,), target), Domains((source,), target, "both")):
        with pytest.raises(BadInput, match=r"'label' must be written alike: 'mug' in sources\[0\], 'Mug' in the"):  # fmt: skip
            domains.load()
    run = RUN.replace(data=Domains((source,), target), tasks=(RUN.tasks[0].replace(name="label"),))
    with pytest.raises(BadInput, match="must be written alike"):
        load_run_data(run)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ([("a", "b"), ("b", "a")], (("a", "b"), [[0, 1], [1, 0]])),
        ([(0, 2), (1, 2)], ((0, 2, 1), [[0, 1], [2, 1]])),
        ([(1, 2), ("2", "1", "x")], ((1, 2, "x"), [[0, 1], [1, 0, 2]])),
        ([("a", "A"), ("A",)], (("a", "A"), [[0, 1], [1]])),
    ],
)
def test_names_by_hand(told, wanted):
    joined = join_names(told, ("one", "two"), "classes")
    assert (joined.names, [places.tolist() for places in joined.indices]) == wanted


@pytest.mark.parametrize(
    "other", ["traffic_light", "Traffic light", "traffic-light", "\uff54rafficlight"]
)
def test_spellings_that_are_refused(other):
    with pytest.raises(BadInput, match="must be written alike"):
        join_names([("traffic light", "car"), ("car", other)], ("one", "two"), "classes")


def unnamed(label):
    part = {"inputs": np.zeros((3, 2, 2, 3), np.uint8), "label": np.full(3, label, np.int32)}
    return Arrays(part, part, part)


def test_integers_join_names_that_are_the_same_integers_only(folder, tmp_path):
    GREY.update({"0": 10, "1": 20})
    domains = Domains((folder("digits", "0", "1"),), unnamed(1))
    assert domains.classes() == {} and set(domains.load().test["label"]) == {1}
    for other in (Domains((folder("names", "bike", "car"),), unnamed(1)),
                  Domains((unnamed(1),), folder("more", "bike", "car"))):  # fmt: skip
        with pytest.raises(BadInput, match=r"are 'bike', 'car', but .* gives no names"):
            other.load()


def test_sources_around_others_pass_names_on(folder):
    one = folder("one", "bike", "car")
    names = {"label": ("bike", "car")}
    assert Resized(one, (4, 4)).classes() == FixedLabels(one, "label", "none").classes() == names
    assert MultiInput((Input("things", one),)).classes() == {"things": ("bike", "car")}
    assert Resized(unnamed(0), (4, 4)).classes() == {}
    assert MultiInput((Input("things", unnamed(0)),)).classes() == {}


@pytest.fixture
def table(tmp_path):
    """Makes a table of lines `size, colour, y` in any order of columns."""

    def made(name, header, *rows, **settings):
        (tmp_path / f"{name}.csv").write_text("\n".join([header, *rows]) + "\n")
        settings = {"categories": ("colour",), "standardize": False} | settings
        return Table(str(tmp_path / f"{name}.csv"), validation=0.3, test=0.3, **settings)

    return made


def rows_of(colours, order):
    """Rows whose size, rounded down, tells their colour's place in the alphabet, and whose class is the colour."""
    cells = [
        {"size": "abcd".index(c) + n / 10, "colour": c, "y": c} for c in colours for n in range(6)
    ]
    return [",".join(str(row[name]) for name in order.split(",")) for row in cells]


def test_tables_are_joined_by_column_and_category(table):
    first, second = "size,colour,y", "colour,y,size"
    one = table("one", first, *rows_of("abd", first))
    two = table("two", second, *rows_of("bd", second))
    domains = Domains((one,), two)
    assert one.columns() == {"size": None, "colour": ("a", "b", "d")}
    assert two.columns() == {"colour": ("b", "d"), "size": None}
    assert list(domains.columns()) == ["size", "colour=a", "colour=b", "colour=d"]
    for part in domains.load():
        place = {0.0: 0, 1.0: 1, 3.0: 2}  # by hand, of the sizes of a, b and d
        at = np.array([place[np.floor(size)] for size in part["inputs"][:, 0].tolist()])
        np.testing.assert_array_equal(part["inputs"][:, 1:], np.eye(3)[at])
        seen = part["y"] >= 0
        np.testing.assert_array_equal(part["y"][seen], at[seen])
    check_shapes(domains)


def test_a_value_that_only_the_target_has_is_a_feature_more(table):
    header = "size,colour,y"
    swapped = [row[:-1] + "a" for row in rows_of("c", header)]
    one = table("one", header, *rows_of("ab", header))
    domains = Domains((one,), table("two", header, *rows_of("a", header), *swapped))
    assert list(domains.columns()) == ["size", "colour=a", "colour=b", "colour=c"]
    assert domains.shapes()["inputs"].shape[1:] == (4,)
    assert (domains.load().test["y"] == 0).all()


@pytest.mark.parametrize(
    ("header", "settings", "said"),
    [
        ("weight,colour,y", {}, r"the target has column 'weight', which sources\[0\] has not"),
        ("colour,size,y", {"categories": ("size", "colour")}, "'size' must be one of categories"),
    ],
)
def test_other_columns_are_refused(header, settings, said, table):
    rows = rows_of("ab", "size,colour,y")
    if header[0] == "c":
        rows = [f"{c},{n},{c}" for c in "ab" for n in range(6)]
    one = table("one", "size,colour,y", *rows_of("ab", "size,colour,y"))
    two = table("two", header, *rows, **settings)
    for told in (Domains((one,), two).shapes, Domains((one,), two).load):
        with pytest.raises(BadInput, match=said):
            told()


def test_a_column_more_is_refused_on_either_side(table):
    rows = rows_of("ab", "size,colour,y")
    one = table("one", "size,colour,y", *rows)
    more = table("more", "width,size,colour,y", *(f"1,{row}" for row in rows))
    with pytest.raises(
        BadInput,
        match=r"the target has column 'width', which sources\[0\] has not \(there is colour, size\)",
    ):
        Domains((one,), more).shapes()
    with pytest.raises(
        BadInput,
        match=r"sources\[0\] has column 'width', which the target has not .there is colour, size",
    ):
        Domains((more,), one).shapes()


def test_columns_without_names_are_refused_beside_those_with(table):
    one = table("one", "size,colour,y", *rows_of("ab", "size,colour,y"))
    part = {"inputs": np.zeros((3, 3), np.float32), "y": np.zeros(3, np.int32)}
    with pytest.raises(BadInput, match="in every domain or in none, but the target gives no col"):
        Domains((one,), Arrays(part, part, part)).shapes()


def test_values_written_in_two_ways_are_refused(table):
    header = "size,colour,y"
    one = table("one", header, *rows_of("ab", header))
    two = table("two", header, *(row.replace(",a,", ",A,") for row in rows_of("ab", header)))
    with pytest.raises(BadInput, match="values of column 'colour' must be written alike: 'a' in"):
        Domains((one,), two).load()


@pytest.fixture
def texts(tmp_path):
    """Makes texts of two classes with a vocabulary of its own."""

    def made(name, *pieces, classes=("bad", "good"), path=None, **settings):
        marks = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
        (tmp_path / f"{name}.txt").write_text("\n".join((*marks, *pieces, *"012345")))
        rows = [f"{one} {n},{one}" for one in classes for n in range(6)]
        (tmp_path / f"{name}.csv").write_text("\n".join(("text,label", *rows)))
        tokens = WordPiece(str(tmp_path / f"{name}.txt"), length=4, **settings)
        return Texts(str(tmp_path / f"{name}.csv"), tokens, validation=0.3, test=0.3)

    return made


def test_texts_are_joined_by_class_and_need_one_vocabulary(texts):
    one, same = (texts(name, "good", "bad", "fine") for name in ("one", "same"))
    more = texts("more", "good", "bad", "fine", classes=("good",))
    for target in (same, more):
        test = Domains((one,), target).load().test
        # The token of the text tells the class: 4 is good, which is class 1, and 5 is bad.
        np.testing.assert_array_equal(test["inputs"][:, 1] == 4, test["label"] == 1)
    for other in (texts("other", "bad", "good", "fine"), texts("upper", "good", "bad", "fine", lower=False)):  # fmt: skip
        with pytest.raises(
            BadInput, match=r"same vocabulary in every domain, not of WordPiece.*, in the target, W"
        ):
            Domains((one,), other).load()
