"""Files of PyTorch: tensors alone, no code; run where PyTorch is."""

import pathlib
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.checks import BadInput
from mtl_jax.nets.pretrained import read


def test_without_pytorch_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "model.pth").write_bytes(b"")
    with pytest.raises(BadInput, match=r"need PyTorch: pip install mtl_jax\[pretrained\]"):
        read(str(tmp_path / "model.pth"))


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("name", ["model.pth", "model.pt"])
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
    found = read(str(tmp_path / name))
    np.testing.assert_array_equal(found["a"], values.numpy())
    np.testing.assert_array_equal(found["turned"], values.numpy().T)
    assert found["half"].dtype == jnp.bfloat16 and found["n"].dtype == np.int64
    np.testing.assert_array_equal(found["half"].astype(np.float32), values.numpy())


def test_a_checkpoint_of_several_parts(tmp_path, torch):
    part = {"conv1.weight": torch.ones(2)}
    whole = {"model": part, "ema_model": {"conv1.weight": torch.zeros(2)}, "epoch": 3}
    torch.save(whole | {"optimizer": {"state": {0: {"step": 1}}}}, tmp_path / "model.pth")
    np.testing.assert_array_equal(read(str(tmp_path / "model.pth"), "model")["conv1.weight"], 1.0)
    hint = r"part= must name one: 'model' \(tensors: 1\), 'ema_model' \(tensors: 1\)$"
    with pytest.raises(BadInput, match=hint):
        read(str(tmp_path / "model.pth"))
    with pytest.raises(BadInput, match=r"tensors alone, .* not state/0/step \(int\)"):
        read(str(tmp_path / "model.pth"), "optimizer")


def test_one_part_wants_its_name_too(tmp_path, torch):
    torch.save({"state_dict": {"conv1.weight": torch.ones(2)}}, tmp_path / "model.pth")
    with pytest.raises(BadInput, match=r"part= must name one: 'state_dict' \(tensors: 1\)$"):
        read(str(tmp_path / "model.pth"))


def test_pickled_code_is_never_run(tmp_path, torch):
    torch.save({"a": Loud()}, tmp_path / "model.pth")
    with pytest.raises(BadInput, match=r"model.pth' must be .* without pickled objects"):
        read(str(tmp_path / "model.pth"))


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
        read(str(path))


def test_a_tensor_alone(tmp_path, torch):
    torch.save(torch.ones(2), tmp_path / "model.pth")
    with pytest.raises(BadInput, match="holds a Tensor, not tensors by name"):
        read(str(tmp_path / "model.pth"))
