"""Names that are data: on disk, of random streams, in fingerprints."""

import json

import jax
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

from mtl_jax.core.fingerprint import fingerprint
from mtl_jax.core.schema import SCHEMA, STATE, require_schema
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import Adversarial, Apart, Mixed, Rotated, name_of
from mtl_jax.nets.pretrained.run_checkpoint import hash_of_files
from mtl_jax.storage.checkpoint import Checkpoints, plain, seal
from mtl_jax.storage.run_directory import Folder
from mtl_jax.train import TrainState
from tests.small import RUN

STATE_1 = TrainState(np.zeros(1), jax.random.key(0), *({} for _ in range(8)))


@pytest.mark.parametrize(
    ("view", "name"),
    [
        ("weak", "weak"),
        (Mixed(("labelled", "weak")), "mixed labelled weak 0.75 mixup True True None"),
        (Mixed(("weak", "labelled"), ratio=0.7), "mixed weak labelled 0.75 mixup True True 0.7"),
        (Rotated("strong"), "rotated strong"),
        (Adversarial("weak", 2, 3), "adversarial weak 2.0 3.0 multiclass"),
        (Apart(("weak2",), "frozen_student"), "separate weak2 frozen_student"),
    ],
    ids=str,
)
def test_streams_have_frozen_names(view, name):
    assert name_of(view) == name  # Another name draws other numbers.


def test_every_part_of_a_state_is_on_disk():
    assert sorted(STATE.values()) == sorted(TrainState._fields)
    assert plain(STATE_1).keys() == STATE.keys()


def test_fingerprints_tell_their_version():
    version, digits = fingerprint(RUN).split("-")
    assert version == "2" and len(digits) == 16


def test_another_schema_is_told(tmp_path):
    require_schema({"schema": SCHEMA}, "x")
    with pytest.raises(BadInput, match="x has schema 1, and this version reads and writes 2"):
        require_schema({}, "x")
    folder = Folder(tmp_path, RUN)
    folder.claim()
    folder.finish({"name": RUN.name}, {})
    assert folder.result()["schema"] == SCHEMA
    for name in ("result.json", "run.json"):
        path = folder.path / name
        old = {key: each for key, each in json.loads(path.read_text()).items() if key != "schema"}
        path.write_text(json.dumps(old))
    with pytest.raises(BadInput, match=r"result.json has schema 1"):
        folder.result()
    with pytest.raises(BadInput, match=r"run.json has schema 1"):
        folder.check()


def test_a_checkpoint_of_another_schema_is_told(tmp_path):
    path = tmp_path / "3"
    ocp.save_checkpointables(path, {"state": plain(STATE_1)}, custom_metadata={"note": {}})
    seal(path).write_text(hash_of_files(path))
    with pytest.raises(BadInput, match="3 has schema 1"):
        Checkpoints(tmp_path, print).restore(STATE_1)
    with pytest.raises(BadInput, match="3 has schema 1"):
        Checkpoints(tmp_path, print).tree(3)
