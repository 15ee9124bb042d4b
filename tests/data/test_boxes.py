"""Boxes: VOC and COCO give the same rows, and faults name the annotation."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from mtl_jax.core.validation import BadInput, DataWarning
from mtl_jax.data import COCO, VOC, BoxCount, Boxes, BoxPresence, DerivedLabels
from tests.data.shapes import check_shapes

HEIGHT, WIDTH = 12, 16
# Edges of the boxes of each image: class, x0, y0, x1, y1.
BOXES = {
    1: [("cell", 0, 0, 4, 6), ("plate", 2, 3, 16, 12)],
    2: [("plate", 5, 1, 7, 2)],
    3: [],
    4: [("cell", 8, 8, 9, 9), ("cell", 1, 2, 3, 4), ("blob", 0, 6, 16, 12)],
    5: [("blob", 0, 0, 1, 1)],
    6: [("cell", 3, 3, 5, 5)],
}
PARTS = {"train": (1, 2, 3), "val": (4,), "test": (5, 6)}
NAMES = ("blob", "cell", "plate")


def draw(folder, at):
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.full((HEIGHT, WIDTH, 3), 20 * at, np.uint8)
    Image.fromarray(pixels).save(folder / f"{at:03}.jpg")


def write_xml(root, at, boxes, size=(HEIGHT, WIDTH), first_pixel=1):
    tree = ElementTree.Element("annotation")
    ElementTree.SubElement(tree, "filename").text = f"{at:03}.jpg"
    sides = ElementTree.SubElement(tree, "size")
    for name, value in (("width", size[1]), ("height", size[0]), ("depth", 3)):
        ElementTree.SubElement(sides, name).text = str(value)
    for name, x0, y0, x1, y1 in boxes:
        item = ElementTree.SubElement(tree, "object")
        ElementTree.SubElement(item, "name").text = name
        ElementTree.SubElement(item, "difficult").text = str(int(name == "blob"))
        box = ElementTree.SubElement(item, "bndbox")
        edges = {"xmin": x0 + first_pixel, "ymin": y0 + first_pixel, "xmax": x1, "ymax": y1}
        for edge, value in edges.items():
            ElementTree.SubElement(box, edge).text = str(value)
    file = root / "Annotations" / f"{at:03}.xml"
    file.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(tree).write(file)


def write_voc(root, first_pixel=1):
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for part, images in PARTS.items():
        (lists / f"{part}.txt").write_text("".join(f"{at:03}\n" for at in images))
    for at, boxes in BOXES.items():
        draw(root / "JPEGImages", at)
        write_xml(root, at, boxes, first_pixel=first_pixel)
    return str(root)


def coco_content(images):
    ids = {"plate": 7, "blob": 2, "cell": 5}
    return {
        "images": [
            {"id": 10 * at, "file_name": f"{at:03}.jpg", "height": HEIGHT, "width": WIDTH}
            for at in images
        ],
        "annotations": [
            {
                "id": 100 * at + i,
                "image_id": 10 * at,
                "category_id": ids[name],
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "iscrowd": int(name == "blob"),
            }
            for at in images
            for i, (name, x0, y0, x1, y1) in enumerate(BOXES[at])
        ],
        "categories": [{"id": key, "name": name} for name, key in ids.items()],
    }


def write_coco(root):
    for part, images in PARTS.items():
        for at in images:
            draw(root / part, at)
        file = root / "annotations" / f"{part}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(coco_content(images)))
    return str(root)


COCO_PARTS = {
    field: (f"annotations/{part}.json", part)
    for field, part in (("train", "train"), ("validation", "val"), ("test", "test"))
}


def expected(at, count, scale=(1.0, 1.0)):
    rows = np.zeros((count, 5), np.float32)
    rows[:, 0] = -1
    for row, (name, *edges) in zip(rows, BOXES[at], strict=False):
        row[:] = NAMES.index(name), *(np.array(edges) * (*scale[::-1], *scale[::-1]))
    return rows


@pytest.mark.parametrize("first_pixel", [0, 1])
@pytest.mark.parametrize("size", [None, (6, 32)])
def test_boxes_of_voc_by_hand(tmp_path, size, first_pixel):
    source = Boxes(write_voc(tmp_path, first_pixel), VOC(first_pixel=first_pixel), size)
    scale = (1.0, 1.0) if size is None else (0.5, 2.0)
    check_shapes(source)
    assert source.classes() == {"boxes": NAMES}
    for part, images in zip(source.load(), PARTS.values(), strict=True):
        greys = np.rint(part["inputs"][:, 3, 3, 0] / 20)
        np.testing.assert_array_equal(greys, images)
        np.testing.assert_allclose(part["boxes"], [expected(at, 3, scale) for at in images])
        assert part["boxes"].dtype == np.float32


def test_coco_gives_what_voc_gives(tmp_path):
    one = Boxes(write_voc(tmp_path / "voc")).load()
    source = Boxes(write_coco(tmp_path / "coco"), COCO(**COCO_PARTS, crowd=True))
    check_shapes(source)
    assert source.classes() == {"boxes": ("blob", "cell", "plate")}
    for part, same in zip(source.load(), one, strict=True):
        np.testing.assert_array_equal(part["boxes"], same["boxes"])
        np.testing.assert_array_equal(part["inputs"], same["inputs"])


def test_crowds_and_difficult_ones_may_be_left_out(tmp_path):
    voc = Boxes(write_voc(tmp_path / "voc"), VOC(difficult=False)).load()
    coco = Boxes(write_coco(tmp_path / "coco"), COCO(**COCO_PARTS)).load()
    assert [len(part["boxes"][0]) for part in coco] == [2, 2, 2]
    for part, same in zip(voc, coco, strict=True):
        np.testing.assert_array_equal(part["boxes"][..., 1:], same["boxes"][..., 1:])


def test_validation_is_sampled_from_train_where_there_is_none(tmp_path):
    source = Boxes(write_voc(tmp_path), VOC(validation=None), validation=0.3)
    check_shapes(source)
    train, validation, test = source.load()
    assert [len(part["boxes"]) for part in (train, validation, test)] == [2, 1, 2]
    greys = np.concatenate([train["inputs"], validation["inputs"]])[:, 0, 0, 0] / 20
    assert sorted(np.rint(greys)) == [1, 2, 3]


def test_counts_and_presence_are_derived(tmp_path):
    labels = (("counts", BoxCount("boxes", (0, 1, 2))), ("there", BoxPresence("boxes", (1,))))
    source = DerivedLabels(Boxes(write_voc(tmp_path)), labels)
    check_shapes(source)
    splits = source.load()
    assert splits.train["counts"].tolist() == [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
    assert splits.validation["counts"].tolist() == [[1, 2, 0]]
    assert splits.train["there"].tolist() == [[1], [0], [0]]


def test_an_image_without_a_label_has_no_count():
    boxes = np.array([[[0, 1, 1, 2, 2], [-1, 0, 0, 0, 0]], np.full((2, 5), np.nan)])
    for function in (BoxCount("boxes", (0,)), BoxPresence("boxes", (0,))):
        np.testing.assert_array_equal(function({"boxes": boxes}), [[1.0], [np.nan]])


def test_the_order_of_classes_and_the_number_of_rows_may_be_given(tmp_path):
    path = write_voc(tmp_path)
    source = Boxes(path, class_names=("plate", "cell", "blob"), max_boxes=7, label="cells")
    check_shapes(source)
    train = source.load().train
    assert train["cells"].shape == (3, 7, 5) and train["cells"][0, :2, 0].tolist() == [1, 0]
    with pytest.raises(BadInput, match=r"max_boxes .*of .*004\.xml, 3, not 2"):
        Boxes(path, max_boxes=2).shapes()
    with pytest.raises(BadInput, match=r"004\.xml must have boxes of the classes .*, not 'blob'"):
        Boxes(path, class_names=("plate", "cell")).shapes()


@pytest.mark.parametrize(
    ("box", "text"),
    [
        (("cell", 4, 2, 4, 6), "must have an area"),
        (("cell", 4, 6, 5, 2), "must have an area"),
        (("cell", 4, 2, 17, 6), "must lie in its image of 12 x 16 pixels"),
        (("cell", -1, 2, 4, 6), "must lie in its image"),
    ],
)
def test_invalid_boxes_are_refused_or_counted(tmp_path, box, text):
    path = write_voc(tmp_path)
    write_xml(tmp_path, 1, [BOXES[1][0], box])
    with pytest.raises(BadInput, match=rf"001\.xml: box \('cell', .*\) {text}.*invalid=\"skip\""):
        Boxes(path).shapes()
    source = Boxes(path, invalid="skip")
    with pytest.warns(DataWarning, match=rf"1 boxes are left out, the first: .*001\.xml.*{text}"):
        train = source.load().train
    np.testing.assert_array_equal(train["boxes"][0], expected(1, 3) * [[1], [0], [1]] - [
        [0] * 5, [1, 0, 0, 0, 0], [0] * 5
    ])  # fmt: skip


def test_boxes_are_clipped_by_less_than_half_a_pixel(tmp_path):
    path = write_voc(tmp_path)
    write_xml(tmp_path, 1, [("cell", -0.25, 2, 16.5, 6)])
    assert Boxes(path).load().train["boxes"][0, 0].tolist() == [1, 0, 2, 16, 6]


def test_files_that_do_not_fit_are_named(tmp_path):
    path = write_voc(tmp_path)
    write_xml(tmp_path, 2, BOXES[2], size=(16, 12))
    with pytest.raises(BadInput, match=r"002\.xml must have the size of .*002\.jpg, \(12, 16\)"):
        Boxes(path).load()
    write_xml(tmp_path, 2, BOXES[2])
    (tmp_path / "JPEGImages" / "002.jpg").unlink()
    with pytest.raises(BadInput, match=r"002\.jpg cannot be read as an image"):
        Boxes(path).load()
    (tmp_path / "Annotations" / "002.xml").unlink()
    with pytest.raises(BadInput, match=r"002\.xml must be a file, and there is none"):
        Boxes(path).shapes()
    (tmp_path / "Annotations" / "002.xml").write_text("<annotation>")
    with pytest.raises(BadInput, match=r"002\.xml must be XML"):
        Boxes(path).shapes()
    (tmp_path / "ImageSets" / "Main" / "val.txt").unlink()
    with pytest.raises(BadInput, match=r"val\.txt must be a file, and there is none"):
        Boxes(path).shapes()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda c: c.pop("categories"), "must have images, categories and annotations .*'cat"),
        (lambda c: c["annotations"][0].update(image_id=3), "a box of image 3, which it lacks"),
        (lambda c: c["annotations"][0].update(category_id=3), "a box of category 3, which"),
        (lambda c: c["annotations"][0].update(bbox=[1, 2]), r"must have boxes .*not \[1, 2\]"),
        (lambda c: c["categories"][0].update(id=1), "a box of category 7, which it lacks"),
        (lambda c: c["categories"].append({"id": 9, "name": "x"}), "must have train's categories"),
    ],
)
def test_json_that_does_not_fit_is_named(tmp_path, change, text):
    path = write_coco(tmp_path)
    content = coco_content(PARTS["val"] + PARTS["train"])
    change(content)
    (tmp_path / "annotations" / "val.json").write_text(json.dumps(content))
    with pytest.raises(BadInput, match=rf"val\.json .*{text}"):
        Boxes(path, COCO(**COCO_PARTS)).shapes()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"layout": "voc"}, "layout must be a layout"),
        ({"size": (1,)}, "size must be"),
        ({"label": "inputs"}, "label must be a name other"),
        ({"class_names": ("a", "a")}, "class_names must be different names"),
        ({"max_boxes": 0}, "max_boxes must be at least 1"),
        ({"invalid": "drop"}, "invalid must be one of"),
        ({"validation": 1.0}, "validation must lie between"),
    ],
)
def test_settings_are_checked(settings, text):
    with pytest.raises(BadInput, match=rf"Boxes\.{text}"):
        Boxes("x", **settings)


def test_settings_of_layouts_are_checked():
    with pytest.raises(BadInput, match=r"VOC\.test must be another list"):
        VOC(test="train")
    with pytest.raises(BadInput, match=r"VOC\.first_pixel must be one of"):
        VOC(first_pixel=2)
    with pytest.raises(BadInput, match=r"COCO\.train must be a file and a folder"):
        COCO(train="a.json")
    with pytest.raises(BadInput, match=r"COCO\.test must have a file of its own"):
        COCO(test=("annotations/instances_train2017.json", "x"))
