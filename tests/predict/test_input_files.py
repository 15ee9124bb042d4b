"""Inputs from files: images as Pillow reads them, tables, texts, arrays, and what is refused."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from mtl_jax import data
from mtl_jax.core.validation import BadInput
from mtl_jax.predict import ArraySpec, InputSpec, Tokenizer, input_files
from mtl_jax.predict.input_files import read_batches

RGB = InputSpec("image", {"inputs": ArraySpec((4, 6, 3), "uint8")})
GRAY = InputSpec("image", {"inputs": ArraySpec((4, 6, 1), "uint8")})
VECTOR = InputSpec("vector", {"inputs": ArraySpec((2,), "float32")})
TEXT = InputSpec(
    "tokens", {"inputs": ArraySpec((4,), "int32")}, text="review", tokenizer=Tokenizer(4, True)
)
SERIES = InputSpec("series", {"inputs": ArraySpec((5, 2), "float32")})
ARRAYS = InputSpec("arrays", {"a": ArraySpec((2,), "float32"), "b": ArraySpec((), "int32")})


def read(path, spec, folder=None):
    """Names, and inputs concatenated."""
    batches = list(read_batches(path, spec, folder or path.parent))
    names = [name for batch in batches for name in batch.names]
    return names, {k: np.concatenate([b.inputs[k] for b in batches]) for k in spec.arrays}


@pytest.fixture
def images(tmp_path):
    """A folder of three images of other sizes and modes."""
    rng = np.random.default_rng(0)
    (tmp_path / "sub").mkdir()
    Image.fromarray(rng.integers(256, size=(9, 7, 3), dtype=np.uint8)).save(tmp_path / "b.png")
    Image.fromarray(rng.integers(256, size=(4, 6), dtype=np.uint8)).save(tmp_path / "sub" / "a.png")
    Image.fromarray(rng.integers(256, size=(2, 3, 4), dtype=np.uint8)).save(tmp_path / "A.png")
    (tmp_path / "notes.txt").write_text("none")
    (tmp_path / ".hidden.png").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("size", [2, 256])
def test_a_folder_of_images(images, monkeypatch, size):
    monkeypatch.setattr(input_files, "BATCH_SIZE", size)
    names, found = read(images, RGB)
    assert names == ["A.png", "b.png", "sub/a.png"]
    with Image.open(images / "b.png") as image:
        wanted = np.asarray(image.resize((6, 4), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(found["inputs"][1], wanted)
    with Image.open(images / "sub" / "a.png") as image:
        np.testing.assert_array_equal(found["inputs"][2], np.asarray(image)[..., None] + [0, 0, 0])


def test_images_are_resized_as_the_training_data(images):
    """By Pillow to the size that the files had there, then by area averaging."""
    spec = dataclasses.replace(GRAY, resized_from=((9, 7),))
    _, found = read(images / "b.png", spec)
    with Image.open(images / "b.png") as image:
        pixels = np.asarray(image.convert("L"))[None, ..., None]
    part = {"inputs": pixels, "row": np.zeros(1, np.int32)}
    source = data.Arrays(part, part, part)
    np.testing.assert_array_equal(
        found["inputs"], data.Resized(source, (4, 6)).load().train["inputs"]
    )
    assert (found["inputs"] != read(images / "b.png", GRAY)[1]["inputs"]).any()


def test_gray_images_and_one_file(images):
    names, found = read(images / "b.png", GRAY)
    with Image.open(images / "b.png") as image:
        wanted = image.convert("L").resize((6, 4), Image.Resampling.BILINEAR)
    assert names == ["b.png"] and found["inputs"].shape == (1, 4, 6, 1)
    np.testing.assert_array_equal(found["inputs"][0, ..., 0], np.asarray(wanted))


def test_images_of_a_table(images):
    (images / "list.csv").write_text("file,label\nsub/a.png,1\nb.png,0\n")
    names, found = read(images / "list.csv", RGB)
    assert names == ["sub/a.png", "b.png"] and found["inputs"].shape == (2, 4, 6, 3)


def test_a_table_without_names_of_columns(tmp_path):
    (tmp_path / "x.csv").write_text("u,v\n1,2\n3.5,-4\n")
    names, found = read(tmp_path / "x.csv", VECTOR)
    assert names == ["1", "2"] and found["inputs"].tolist() == [[1.0, 2.0], [3.5, -4.0]]
    (tmp_path / "x.csv").write_text("u\n1\n")
    with pytest.raises(BadInput, match=r"x.csv must have 2 columns, the features in order, not 1"):
        read(tmp_path / "x.csv", VECTOR)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_texts(tmp_path, suffix):
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\ngood\nbad")
    file = tmp_path / f"texts{suffix}"
    rows = ["Good", "so bad and good"]
    lines = rows if suffix == ".csv" else [json.dumps({"review": row}) for row in rows]
    file.write_text("\n".join(["review"] * (suffix == ".csv") + lines))
    _, found = read(file, TEXT, tmp_path)
    assert found["inputs"].tolist() == [[2, 4, 3, 0], [2, 1, 5, 3]]  # by hand
    (tmp_path / "other.csv").write_text("text\na\n")
    with pytest.raises(BadInput, match=r"other.csv must have the column 'review' \(there is text"):
        read(tmp_path / "other.csv", TEXT, tmp_path)


def test_arrays(tmp_path):
    x, a = np.ones((3, 5, 2), np.float32), np.ones((3, 2), np.float32)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", other=x)
    for file in ("x.npy", "x.npz"):
        names, found = read(tmp_path / file, SERIES)
        assert names == ["1", "2", "3"] and found["inputs"].shape == (3, 5, 2)
    np.savez(tmp_path / "ab.npz", a=a, b=np.arange(3), c=a)
    assert read(tmp_path / "ab.npz", ARRAYS)[1]["b"].tolist() == [0, 1, 2]
    np.savez(tmp_path / "a.npz", a=a, c=a)
    with pytest.raises(BadInput, match=r"a.npz must hold 'b' \(there is a, c"):
        read(tmp_path / "a.npz", ARRAYS)
    np.savez(tmp_path / "none.npz", inputs=x[:0])
    with pytest.raises(BadInput, match=r"none.npz must have at least one input"):
        read(tmp_path / "none.npz", SERIES)
    (tmp_path / "bad.npz").write_bytes(b"PK")
    with pytest.raises(BadInput, match=r"bad.npz must be whole, of arrays"):
        read(tmp_path / "bad.npz", SERIES)


@pytest.mark.parametrize(
    ("name", "spec", "text"),
    [
        ("none.csv", VECTOR, "there is no .*none.csv"),
        ("x.txt", RGB, "x.txt must be an image, a folder of images, a table"),
        ("x.csv", SERIES, "x.csv must be .npz or .npy with the series"),
        ("x.csv", ARRAYS, "x.csv must be .npz with the arrays by name"),
        ("empty", RGB, r"empty must have images \(\."),
        ("empty", VECTOR, "empty must be one of .csv, .* not a folder"),
        ("x.csv", RGB, r"x.csv must have the column 'file'"),
        ("broken.png", RGB, "broken.png cannot be read as an image"),
    ],
)
def test_other_files_are_refused(tmp_path, name, spec, text):
    (tmp_path / "x.txt").write_text("a")
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=text):
        read(tmp_path / name, spec)


def test_images_of_other_channels_come_as_arrays(images):
    spec = InputSpec("image", {"inputs": ArraySpec((4, 6, 2), "uint8")})
    with pytest.raises(BadInput, match=r"images of 2 channels must be given as .npz"):
        read(images, spec)
