"""Weights in several files: an index, a folder, and one part alone."""

import json
import shutil

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.nets.pretrained import read_tensors
from tests.nets.pretrained.state_dicts import saved

TENSORS = {name: np.full(2, float(i), np.float32) for i, name in enumerate("abcde")}
FIRST, SECOND = (f"model-0000{at}-of-00002.safetensors" for at in (1, 2))
INDEX = "model.safetensors.index.json"


def write(folder, places=None, **extra):
    """Two shards of a, b, c and d, e, and their index."""
    saved(folder, {name: TENSORS[name] for name in "abc"}, FIRST)
    saved(folder, {name: TENSORS[name] for name in "de"} | extra, SECOND)
    places = places or {name: FIRST if name in "abc" else SECOND for name in TENSORS}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}))


def same(found):
    assert found.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(found[name], array)


def test_an_index_and_its_folder_are_all_of_the_shards(tmp_path):
    write(tmp_path)
    same(read_tensors(str(tmp_path / INDEX)))
    same(read_tensors(str(tmp_path)))


def test_what_two_shards_have_is_that_of_the_index(tmp_path):
    write(tmp_path, a=np.full(2, -1.0, np.float32))
    same(read_tensors(str(tmp_path)))


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path)
    same(read_tensors(f"~/{INDEX}"))
    same(read_tensors("~"))
    saved(tmp_path, TENSORS, "whole.safetensors")
    same(read_tensors("~/whole.safetensors"))
    with pytest.raises(BadInput, match="must be a file, there is none"):
        read_tensors("~nobody-of-that-name/whole.safetensors")


def test_no_path_is_not_the_folder_at_hand(tmp_path, monkeypatch):
    saved(tmp_path, TENSORS)
    monkeypatch.chdir(tmp_path)
    same(read_tensors("."))
    with pytest.raises(BadInput, match="'' must be a file, not a folder"):
        read_tensors("")


def test_shards_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    names = [f"pytorch_model-0000{at}-of-00002.bin" for at in (1, 2)]
    for name, keys in zip(names, ("abc", "de"), strict=True):
        torch.save({key: torch.tensor(TENSORS[key]) for key in keys}, tmp_path / name)
    places = {key: names[key in "de"] for key in TENSORS}
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    same(read_tensors(str(index)))
    same(read_tensors(str(tmp_path)))
    with pytest.raises(BadInput, match=r"are part 2 of 2: give pytorch_model.bin.index.json"):
        read_tensors(str(tmp_path / names[1]))


def test_one_part_alone_is_refused(tmp_path):
    write(tmp_path)
    with pytest.raises(BadInput, match=rf"are part 1 of 2: give {INDEX}, which names all$"):
        read_tensors(str(tmp_path / FIRST))
    (tmp_path / INDEX).unlink()
    with pytest.raises(BadInput, match=rf"are part 2 of 2: need {INDEX} too$"):
        read_tensors(str(tmp_path / SECOND))
    shutil.copy(tmp_path / FIRST, tmp_path / "model-00001-of-00001.safetensors")
    assert read_tensors(str(tmp_path / "model-00001-of-00001.safetensors")).keys() == set("abc")


def test_a_folder_with_one_file_or_several(tmp_path):
    saved(tmp_path, TENSORS, "any.npz")
    (tmp_path / "config.json").write_text("{}")
    same(read_tensors(str(tmp_path)))
    saved(tmp_path, TENSORS, "other.safetensors")
    with pytest.raises(BadInput, match=r"not a folder \(which of any.npz, other.safetensors\)"):
        read_tensors(str(tmp_path))
    saved(tmp_path, TENSORS)
    same(read_tensors(str(tmp_path)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=r"must be a file, not a folder \(it has no weights\)"):
        read_tensors(str(tmp_path / "empty"))


def test_shards_that_are_missing_or_lack_a_tensor(tmp_path):
    write(tmp_path)
    (tmp_path / SECOND).unlink()
    with pytest.raises(BadInput, match=rf"must name files beside it; missing: {SECOND}"):
        read_tensors(str(tmp_path))
    write(tmp_path, {**dict.fromkeys("abc", FIRST), "f": SECOND})
    with pytest.raises(BadInput, match=rf"{SECOND} must hold f, as the index says"):
        read_tensors(str(tmp_path))
    write(tmp_path, {"a": f"../{FIRST}"})
    with pytest.raises(BadInput, match="must name files beside it"):
        read_tensors(str(tmp_path))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": 3}}', '{"weight_map": {}}']
)
def test_an_index_that_is_none(text, tmp_path):
    (tmp_path / INDEX).write_text(text)
    with pytest.raises(BadInput, match=r"must be an index of shards|must name files beside it"):
        read_tensors(str(tmp_path / INDEX))


def test_a_hash_is_of_one_file(tmp_path):
    write(tmp_path)
    with pytest.raises(BadInput, match="are several files, and sha256= is of one"):
        read_tensors(str(tmp_path / INDEX), sha256=64 * "0")
