"""CamVid: folders as SegNet has them, and labels that are derived from the maps."""

import numpy as np
import pytest
from PIL import Image

from mtl_jax.core.validation import BadInput
from mtl_jax.data import CamVid, ClassPresence, ClassShare, DerivedLabels
from tests.data.shapes import check_shapes


@pytest.fixture
def folder(tmp_path):
    """Two images of each part; the maps hold all twelve values."""
    for at, part in enumerate(("train", "val", "test") * 2):
        for name in (part, f"{part}annot"):
            (tmp_path / name).mkdir(exist_ok=True)
        image = np.full((6, 8, 3), 9 * at, np.uint8)
        Image.fromarray(image).save(tmp_path / part / f"0001TP_{at}.png")
        labels = ((np.arange(48) + at) % 12).astype(np.uint8).reshape(6, 8)
        Image.fromarray(labels).save(tmp_path / f"{part}annot" / f"0001TP_{at}.png")
    return str(tmp_path)


def test_void_is_missing(folder):
    source = CamVid(folder)
    check_shapes(source)
    assert len(source.classes()["segmentation"]) == 11
    for first, part in enumerate(source.load()):
        np.testing.assert_array_equal(part["inputs"][:, 0, 0, 0], [9 * first, 9 * (first + 3)])
        values = (np.arange(48).reshape(6, 8) + first) % 12
        np.testing.assert_array_equal(part["segmentation"][0], np.where(values == 11, -1, values))


def test_derived_labels_of_camvid(folder):
    presence = ClassPresence("segmentation", (8, 9, 6, 10), min_pixels=2)
    labels = (("presence", presence), ("road", ClassShare("segmentation", (3,))))
    source = DerivedLabels(CamVid(folder, size=(3, 4)), labels)
    check_shapes(source)
    for part in source.load():
        maps = part["segmentation"]
        for row, found, share in zip(maps, part["presence"], part["road"], strict=True):
            assert found.tolist() == [(row == c).sum() >= 2 for c in (8, 9, 6, 10)]
            np.testing.assert_allclose(share, [(row == 3).sum() / (row >= 0).sum()], rtol=1e-6)
    assert source.classes() == CamVid(folder).classes()


@pytest.mark.parametrize(("path", "size"), [(3, None), ("x", (0, 1)), ("x", 4)])
def test_settings_are_checked(path, size):
    with pytest.raises(BadInput, match=r"CamVid\.(path|size) must be"):
        CamVid(path, size)
