"""Files of tensors: what comes back, and one clear error for every wrong file."""

import json
import pathlib
import pickle

import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.nets.pretrained import read_tensors
from mtl_jax.nets.pretrained.files import require_hash
from tests.nets.pretrained.state_dicts import saved

TENSORS = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.asarray([1.5, -2.0], np.float16),
    "n": np.asarray([3], np.int64),
}


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("name", ["model.safetensors", "model.npz"])
def test_round_trip(name, tmp_path):
    same(read_tensors(saved(tmp_path, TENSORS, name)), TENSORS)


@pytest.mark.parametrize("name", ["model.safetensors", "model.npz"])
def test_bfloat16_comes_back(name, tmp_path):
    """Numpy does not know it: an npz holds two nameless bytes for each number."""
    tensors = {"a": np.asarray([1.0, -3.0, 0.15625], jnp.bfloat16)}
    same(read_tensors(saved(tmp_path, tensors, name)), tensors)


def test_a_part_is_what_stands_below_a_name(tmp_path):
    path = saved(
        tmp_path, {"img/a": np.ones(2), "img/b/c": np.zeros(3), "txt/a": np.ones(1)}, "m.npz"
    )
    assert read_tensors(path).keys() == {"img/a", "img/b/c", "txt/a"}
    same(read_tensors(path, "img"), {"a": np.ones(2), "b/c": np.zeros(3)})
    with pytest.raises(BadInput, match=r"must have the part 'image' \(did you mean img\?\)"):
        read_tensors(path, "image")


def test_a_path_that_is_no_file(tmp_path):
    (tmp_path / "folder.npz").mkdir()
    for name, rule in (
        ("folder.npz", "must be a file, not a folder"),
        ("", "must be a file, not a folder"),
        ("none.npz", "must be a file, there is none"),
        ("model.h5", r"must end in \.safetensors, \.npz, \.pth, .*\.pth\.tar, .*, not '\.h5'"),
    ):
        with pytest.raises(BadInput, match=rf"weights '.*{name}' {rule}"):
            read_tensors(str(tmp_path / name))


@pytest.mark.parametrize("kept", [0, 4, 40, 0.5, -2], ids=str)
@pytest.mark.parametrize("name", ["model.safetensors", "model.npz"])
def test_a_file_that_is_cut_off(name, kept, tmp_path):
    path = saved(tmp_path, {"a": np.arange(1000.0)}, name)
    whole = pathlib.Path(path).read_bytes()
    pathlib.Path(path).write_bytes(whole[: int(kept * len(whole)) if kept == 0.5 else kept])
    with pytest.raises(BadInput, match=rf"weights '.*{name}' must be a whole .* file of tensors"):
        read_tensors(path)


def test_pickles_are_never_run(tmp_path):
    path = str(tmp_path / "model.npz")
    np.savez(path, a=np.ones(2), b=np.asarray([Loud()], object))
    with pytest.raises(
        BadInput, match=r"model.npz' must be .* without pickled objects \(ValueError"
    ):
        read_tensors(path)
    for name in ("model.npz", "model.safetensors"):
        (tmp_path / name).write_bytes(pickle.dumps({"a": Loud()}))
        with pytest.raises(BadInput, match=rf"{name}' must be .* without pickled objects"):
            read_tensors(str(tmp_path / name))


class Loud:
    """Ends the test if it is unpickled."""

    def __reduce__(self):
        return pytest.exit, ("a pickle was run",)


def test_an_array_alone_is_no_file_of_tensors(tmp_path):
    with open(tmp_path / "model.npz", "wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(BadInput, match=r"model.npz' must be a whole .npz file of tensors"):
        read_tensors(str(tmp_path / "model.npz"))


def test_an_empty_file_of_tensors(tmp_path):
    with pytest.raises(BadInput, match="must hold tensors alone, of numbers; it is empty"):
        read_tensors(saved(tmp_path, {}))


def test_hash(tmp_path):
    path = str(tmp_path / "model.npz")
    pathlib.Path(path).write_bytes(b"abc")
    found = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    require_hash(path, found)
    with pytest.raises(
        BadInput, match=rf"model.npz' must have the SHA-256 {64 * '0'}, not {found}"
    ):
        require_hash(path, 64 * "0")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "Git LFS pointer"),
        (b"\n<!DOCTYPE html>\n<html>", "a web page"),
        (b"<HTML><body>404</body>", "a web page"),
        (b"<?xml version='1.0'?><Error>", "a web page"),
    ],
)
@pytest.mark.parametrize("name", ["model.safetensors", "model.npz", "model.pth", "model.bin"])
def test_what_lies_where_a_file_should(name, content, reason, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(
        BadInput, match=rf"{name}' must be a whole .* \(it is a.* ?{reason}|{reason}"
    ):
        read_tensors(str(tmp_path / name))


def test_safetensors_by_another_name(tmp_path):
    path = pathlib.Path(saved(tmp_path, TENSORS))
    same(read_tensors(str(path.rename(tmp_path / "M.SafeTensors"))), TENSORS)
    path = (tmp_path / "M.SafeTensors").rename(tmp_path / "model.bin")
    with pytest.raises(BadInput, match="it holds safetensors: let its name end in"):
        read_tensors(str(path))


@pytest.mark.parametrize("kind", ["float8_e4m3fn", "float8_e5m2"])
def test_types_that_numpy_has_not(kind, tmp_path):
    """Written by hand: a header in JSON after its length, then the bytes."""
    code = {"float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"}[kind]
    names = [f"layer{at}" for at in range(60)]
    header = {
        n: {"dtype": code, "shape": [1], "data_offsets": [i, i + 1]} for i, n in enumerate(names)
    }
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + bytes(60)
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(BadInput) as caught:
        read_tensors(str(tmp_path / "model.safetensors"))
    said = str(caught.value).replace(str(tmp_path), "")
    assert f"({code})" in said and said.endswith(" and 57 more") and len(said) < 200
