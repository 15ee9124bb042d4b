"""DenseFolder: images meet their own maps, values become classes, and faults name the file."""

import numpy as np
import pytest
from PIL import Image

from mtl_jax.core.validation import BadInput
from mtl_jax.data import ClassMap, DenseFolder, NumberMap
from tests.data.shapes import check_shapes

PALETTE = [c for i in range(256) for c in (i, 255 - i, i // 2)]
COLORS = ((128, 0, 0), (0, 128, 0), (0, 0, 0))  # of classes 0 and 1, and of none


def pixels(at, size=(6, 8)):
    """The classes of an image: 0 to 2, and 255 where they are ignored."""
    values = np.random.default_rng(at).integers(0, 4, size).astype(np.uint8)
    return np.where(values == 3, 255, values).astype(np.uint8)


def save(array, file, mode=None):
    file.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    if mode == "P":
        image.putpalette(PALETTE)
    image.save(file)


def picture(at, size=(6, 8)):
    return np.full((*size, 3), (at, 2 * at, 255), np.uint8)


def write(root, mode="L"):
    """Nine images in three parts; the first channel of an image is its number."""
    for at in range(9):
        part = ("train", "val", "test")[at % 3]
        save(picture(at), root / "images" / part / f"{at}.png")
        save(pixels(at), root / "labels" / part / f"{at}.png", mode)
    return str(root)


def expected(at, size=(6, 8)):
    values = pixels(at, size).astype(np.int32)
    return np.where(values == 255, -1, values)


@pytest.mark.parametrize("mode", ["L", "P"])
def test_images_meet_their_maps(tmp_path, mode):
    source = DenseFolder(write(tmp_path, mode))
    for first, part in enumerate(source.load()):
        assert part["inputs"].dtype == np.uint8 and part["segmentation"].dtype == np.int32
        numbers = part["inputs"][:, 0, 0, 0].tolist()
        assert numbers == [first, first + 3, first + 6]
        np.testing.assert_array_equal(part["segmentation"], [expected(n) for n in numbers])
    check_shapes(source)
    assert source.num_labelled() == 3


@pytest.mark.parametrize("size", [(3, 4), (4, 16), (12, 24)])
def test_maps_are_resized_to_the_nearest_pixel(tmp_path, size):
    source = DenseFolder(write(tmp_path), size=size)
    train = source.load().train
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int)
        for new, old in zip(size, (6, 8), strict=True)
    )
    for at, found in zip((0, 3, 6), train["segmentation"], strict=True):
        np.testing.assert_array_equal(found, expected(at)[np.ix_(rows, columns)])
    check_shapes(source)


def test_colors_are_classes(tmp_path):
    colors = np.array(COLORS, np.uint8)
    root = write(tmp_path)
    for at in range(9):
        part = ("train", "val", "test")[at % 3]
        save(colors[np.minimum(pixels(at), 2)], tmp_path / "labels" / part / f"{at}.png")
    label = ClassMap("kind", mapping=((COLORS[0], 0), (COLORS[1], 1)), ignore=(COLORS[2],))
    train = DenseFolder(root, (label,)).load().train
    values = np.minimum(pixels(3), 2).astype(int)
    np.testing.assert_array_equal(train["kind"][1], np.array([0, 1, -1])[values])
    wrong = ClassMap("kind", mapping=((COLORS[0], 0),), ignore=(COLORS[2],))
    with pytest.raises(BadInput, match=r"0\.png: pixel values of 'kind' .*not \(0, 128, 0\)"):
        DenseFolder(root, (wrong,)).load()
    with pytest.raises(BadInput, match=r"0\.png: a label map must have one channel, not RGB"):
        DenseFolder(root).load()


def test_values_are_translated_and_the_others_ignored(tmp_path):
    label = ClassMap("kind", mapping=((0, 1), (2, 0)), ignore=tuple(range(256)))
    train = DenseFolder(write(tmp_path), (label,)).load().train
    table = {0: 1, 1: -1, 2: 0, 255: -1}
    wanted = np.vectorize(table.get)(pixels(6))
    np.testing.assert_array_equal(train["kind"][2], wanted)


def test_depth_of_sixteen_bits(tmp_path):
    root = write(tmp_path)
    for at in range(9):
        part = ("train", "val", "test")[at % 3]
        depth = (pixels(at).astype(np.uint16) % 255) * 4000
        save(depth, tmp_path / "depth" / part / f"{at}.png")
    maps = (ClassMap("segmentation"), NumberMap("depth", "depth/{part}", scale=0.001))
    source = DenseFolder(root, maps)
    train = source.load().train
    values = (pixels(3) % 255) * 4.0
    wanted = np.where(values == 0, np.nan, values)[..., None]
    np.testing.assert_allclose(train["depth"][1], wanted, rtol=1e-6)
    assert train["depth"].dtype == np.float32
    check_shapes(source)


def test_lists_name_the_parts_as_pascal_voc_has_them(tmp_path):
    for at in range(9):
        save(picture(20 * at), tmp_path / "JPEGImages" / f"2007_{at}.jpg")
        if at < 8:  # The last image has no map, and is in no list.
            save(pixels(at), tmp_path / "SegmentationClass" / f"2007_{at}.png", "P")
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_0\n2007_4\n2007_2\n2007_5\n2007_6\n")
    (lists / "val.txt").write_text("2007_1\n2007_3\n2007_7\n")
    settings = {
        "images": "JPEGImages",
        "lists": "ImageSets/Segmentation/{part}.txt",
        "parts": ("train", None, "val"),
    }
    source = DenseFolder(
        str(tmp_path), (ClassMap("s", "SegmentationClass"),), validation=0.4, **settings
    )
    train, validation, test = source.load()
    np.testing.assert_array_equal(test["s"], [expected(at) for at in (1, 3, 7)])
    assert [len(part["s"]) for part in (train, validation)] == [3, 2]
    seen = np.concatenate([train["inputs"], validation["inputs"]])[:, 0, 0, 0] / 20
    assert sorted(np.rint(seen)) == [0, 2, 4, 5, 6]
    check_shapes(source)
    (lists / "val.txt").write_text("2007_1\n2007_33\n")
    with pytest.raises(BadInput, match=r"val\.txt, line 2 must name an image, not '2007_33'"):
        source.load()


def test_names_may_have_endings_as_cityscapes_has_them(tmp_path):
    for at in range(4):
        part = ("train", "val")[at % 2]
        stem = f"{part}/town/town_{at}"
        save(picture(at), tmp_path / "leftImg8bit" / f"{stem}_leftImg8bit.png")
        save(pixels(at), tmp_path / "gtFine" / f"{stem}_gtFine_labelIds.png")
        save(picture(at), tmp_path / "gtFine" / f"{stem}_gtFine_color.png")
    source = DenseFolder(
        str(tmp_path),
        (ClassMap("s", "gtFine/{part}", "_gtFine_labelIds"),),
        "leftImg8bit/{part}",
        parts=("train", None, "val"),
        ending="_leftImg8bit",
    )
    np.testing.assert_array_equal(source.load().test["s"], [expected(1), expected(3)])


def test_maps_may_be_missing_where_that_is_said(tmp_path):
    root = write(tmp_path)
    (tmp_path / "labels" / "train" / "3.png").unlink()
    with pytest.raises(BadInput, match=r"train/3\.png must have one map of 'segmentation', .*none"):
        DenseFolder(root).shapes()
    source = DenseFolder(root, (ClassMap("segmentation", optional=True),))
    train = source.load().train
    assert (train["segmentation"][1] == -1).all() and (train["segmentation"][2] >= 0).any()
    assert source.num_labelled() == 2


def test_a_map_of_another_size_is_refused(tmp_path):
    root = write(tmp_path)
    save(pixels(1, (8, 6)), tmp_path / "labels" / "val" / "1.png")
    with pytest.raises(
        BadInput, match=r"labels/val/1\.png must have the size \(6, 8\) of .*images"
    ):
        DenseFolder(root).load()


def test_images_of_several_sizes_need_one(tmp_path):
    root = write(tmp_path)
    save(picture(1, (8, 6)), tmp_path / "images" / "val" / "1.png")
    save(pixels(1, (8, 6)), tmp_path / "labels" / "val" / "1.png")
    with pytest.raises(BadInput, match=r"0\.png and .*1\.png must be of one size if size is None"):
        DenseFolder(root).load()
    assert DenseFolder(root, size=(6, 8)).load().validation["segmentation"].shape == (3, 6, 8)


def test_a_class_beyond_the_names_is_refused(tmp_path):
    label = ClassMap("segmentation", classes=("road", "car"))
    source = DenseFolder(write(tmp_path), (label,))
    assert source.classes() == {"segmentation": ("road", "car")}
    with pytest.raises(BadInput, match=r"labels/train/0\.png: pixel values .*, not 2$"):
        source.load()


def test_damaged_files_are_named(tmp_path):
    root = write(tmp_path)
    file = tmp_path / "labels" / "test" / "5.png"
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(BadInput, match=r"test/5\.png cannot be read"):
        DenseFolder(root).load()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"path": 3}, "path must be a string, not 3"),
        ({"labels": ()}, "labels must be a tuple"),
        ({"labels": (ClassMap("a"), NumberMap("a"))}, "labels must have different names"),
        ({"images": "images"}, 'images must have "{part}" in its name'),
        ({"lists": "all.txt"}, 'lists must have "{part}" in its name'),
        ({"parts": ("train", "test")}, "parts must be three different names"),
        ({"parts": ("train", "train", "test")}, "parts must be three different names"),
        ({"parts": (None, "val", "test")}, "parts must be three different names"),
        ({"size": (0, 3)}, "size must be"),
        ({"validation": 0.0}, "validation must lie between 0 and 1"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_settings_are_checked(settings, text):
    with pytest.raises(BadInput, match=f"DenseFolder.{text}"):
        DenseFolder(**({"path": "x"} | settings))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"name": "inputs"}, "ClassMap.name must not be"),
        ({"optional": 1}, "ClassMap.optional must be True or False"),
        ({"ignore": (-1,)}, "ClassMap.ignore must be a tuple of pixel values or colors"),
        ({"mapping": ((1, 0), (1, 2))}, "ClassMap.mapping must hold each value once"),
        ({"mapping": ((1, 0), ((0, 0, 0), 2))}, "ClassMap.mapping must hold each value once"),
        ({"mapping": ((3, 2),), "classes": ("a", "b")}, "must map to the 2 classes, not 2"),
        ({"mapping": ((1, 0.5),)}, "ClassMap.mapping must be pairs"),
    ],
)
def test_settings_of_maps_are_checked(settings, text):
    with pytest.raises(BadInput, match=text):
        ClassMap(**({"name": "a"} | settings))


def test_folders_that_do_not_exist_are_named(tmp_path):
    with pytest.raises(BadInput, match=r"DenseFolder\.path must be a folder"):
        DenseFolder(str(tmp_path / "none")).shapes()
    root = write(tmp_path)
    with pytest.raises(BadInput, match="depth/train must be a folder, and is none"):
        DenseFolder(root, (NumberMap("depth", "depth/{part}"),)).shapes()
