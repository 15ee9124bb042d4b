"""Files of PyTorch: tensors alone, no code; run where PyTorch is."""

import argparse
import collections
import pathlib
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.nets.pretrained import read_tensors


def test_without_pytorch_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "model.pth").write_bytes(b"")
    with pytest.raises(BadInput, match=r"need PyTorch: pip install mtl_jax\[pretrained\]"):
        read_tensors(str(tmp_path / "model.pth"))


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize(
    "name", ["model.pth", "model.pt", "m.bin", "last.ckpt", "m.pth.tar", "M.PTH", "M.CKPT"]
)
def test_round_trip(name, tmp_path, torch):
    values = torch.arange(6.0).reshape(2, 3)
    torch.save(
        {
            "a": torch.nn.Parameter(values),
            "turned": values.T,
            "half": values.to(torch.bfloat16),
            "n": torch.tensor(3),
        },
        tmp_path / name,
    )
    found = read_tensors(str(tmp_path / name))
    np.testing.assert_array_equal(found["a"], values.numpy())
    np.testing.assert_array_equal(found["turned"], values.numpy().T)
    assert found["half"].dtype == jnp.bfloat16 and found["n"].dtype == np.int64
    np.testing.assert_array_equal(found["half"].astype(np.float32), values.numpy())


def test_a_checkpoint_of_several_parts(tmp_path, torch):
    part = {"conv1.weight": torch.ones(2)}
    whole = {"model": part, "ema_model": {"conv1.weight": torch.zeros(2)}, "epoch": 3}
    torch.save(whole | {"optimizer": {"state": {0: {"step": 1}}}}, tmp_path / "model.pth")
    np.testing.assert_array_equal(
        read_tensors(str(tmp_path / "model.pth"), "model")["conv1.weight"], 1.0
    )
    hint = r"part= must name one: 'model' \(tensors: 1\), 'ema_model' \(tensors: 1\)$"
    with pytest.raises(BadInput, match=hint):
        read_tensors(str(tmp_path / "model.pth"))
    with pytest.raises(BadInput, match=r"tensors alone, .* not state/0/step \(int\)"):
        read_tensors(str(tmp_path / "model.pth"), "optimizer")


def test_one_part_wants_its_name_too(tmp_path, torch):
    torch.save({"state_dict": {"conv1.weight": torch.ones(2)}}, tmp_path / "model.pth")
    with pytest.raises(BadInput, match=r"part= must name one: 'state_dict' \(tensors: 1\)$"):
        read_tensors(str(tmp_path / "model.pth"))


def test_pickled_code_is_never_run(tmp_path, torch):
    torch.save({"a": Loud()}, tmp_path / "model.pth")
    with pytest.raises(BadInput, match=r"model.pth' must be .* without pickled objects"):
        read_tensors(str(tmp_path / "model.pth"))


class Loud:
    """Ends the test if it is unpickled."""

    def __reduce__(self):
        return pytest.exit, ("a pickle was run",)


@pytest.mark.parametrize("kept", [0, 4, 200, -2], ids=str)
def test_a_file_that_is_cut_off(kept, tmp_path, torch):
    path = tmp_path / "model.pth"
    torch.save({"a": torch.arange(1000.0)}, path)
    path.write_bytes(pathlib.Path(path).read_bytes()[:kept])
    with pytest.raises(BadInput, match=r"model.pth' must be a whole \.pth file of tensors"):
        read_tensors(str(path))


def test_a_tensor_alone(tmp_path, torch):
    torch.save(torch.ones(2), tmp_path / "model.pth")
    with pytest.raises(BadInput, match="holds a Tensor, not tensors by name"):
        read_tensors(str(tmp_path / "model.pth"))


BESIDE = {
    "args": argparse.Namespace(rate=0.1, out=pathlib.Path("runs")),
    "best": np.float64(0.9),
    "history": np.arange(3),
    "counts": collections.defaultdict(int, {"a": 1}),
    "epoch": 3,
    "name": "resnet",
    "nothing": None,
}


@pytest.mark.parametrize("whole", [True, False], ids=["zip", "legacy"])
def test_what_stands_beside_the_tensors_of_a_checkpoint(whole, tmp_path, torch):
    part = collections.OrderedDict({"conv1.weight": torch.ones(2)})
    path = str(tmp_path / "checkpoint.pth.tar")
    torch.save({"model": part, **BESIDE}, path, _use_new_zipfile_serialization=whole)
    assert read_tensors(path, "model").keys() == {"conv1.weight"}
    with pytest.raises(BadInput, match=r"part= must name one: 'model' \(tensors: 1\)$"):
        read_tensors(path)


def test_numbers_and_texts_beside_tensors_are_left_out(tmp_path, torch):
    path = str(tmp_path / "model.pth")
    beside = {name: BESIDE[name] for name in ("best", "epoch", "name", "nothing")}
    torch.save({"conv1.weight": torch.ones(2), **beside}, path)
    assert read_tensors(path).keys() == {"conv1.weight"}
    torch.save({"conv1.weight": torch.ones(2), "more": [torch.ones(2)]}, path)
    with pytest.raises(BadInput, match=r"not more \(list\)$"):
        read_tensors(path)
    torch.save(beside, path)
    with pytest.raises(
        BadInput, match=r"must hold tensors alone, of numbers; not best \(float64\)"
    ):
        read_tensors(path)


def test_keys_that_are_numbers(tmp_path, torch):
    torch.save({1: {"conv1.weight": torch.ones(2)}}, tmp_path / "model.pth")
    assert read_tensors(str(tmp_path / "model.pth"), "1").keys() == {"conv1.weight"}


class Own(dict):
    """A class that no other program knows."""


def test_a_pickled_module_or_class_is_named_in_a_short_line(tmp_path, torch):
    path = str(tmp_path / "model.pth")
    for held, name in (
        (torch.nn.Linear(2, 2), r"torch\.nn\.modules\.linear\.Linear"),
        (Own(), "Own"),
    ):
        for whole in (held, {"model": held, "epoch": 3}):
            torch.save(whole, path)
            with pytest.raises(BadInput, match=rf"it holds a [\w.]*{name}; save .*state_dict\(\)"):
                read_tensors(path)
            with pytest.raises(BadInput) as caught:
                read_tensors(path)
            assert len(str(caught.value).replace(str(tmp_path), "")) < 300


def test_tensors_that_are_no_array_of_numbers(tmp_path, torch):
    path = str(tmp_path / "model.pth")
    for value, kind in (
        (torch.ones(2).to(torch.float8_e4m3fn), "float8_e4m3fn"),
        (torch.eye(2).to_sparse(), "float32 sparse"),
    ):
        torch.save({"good": torch.ones(2), "odd": value}, path)
        with pytest.raises(BadInput, match=rf"of numbers; not odd \({kind}\)$"):
            read_tensors(path)
    torch.save({"turned": torch.ones(2).to(torch.complex64).conj()}, path)
    assert read_tensors(path)["turned"].dtype == np.complex64
