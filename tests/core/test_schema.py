"""Names that are data: on disk, of random streams, in fingerprints."""

import json

import jax
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

from mtl_jax.core.fingerprint import fingerprint
from mtl_jax.core.schema import SCHEMA, STATE, require_schema
from mtl_jax.core.step_types import TrainState
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import (
    AdversarialView,
    CutMixView,
    FeatureDropoutView,
    MixedView,
    RotatedView,
    SeparatePass,
    view_key,
)
from mtl_jax.nets.pretrained.run_checkpoint import hash_of_files
from mtl_jax.storage.checkpoint import CheckpointManager, to_host
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.sealed import hash_file
from tests.small import RUN

STATE_1 = TrainState(np.zeros(1), jax.random.key(0), *({} for _ in range(7)))


@pytest.mark.parametrize(
    ("view", "name"),
    [
        ("weak", "weak"),
        (MixedView(("labelled", "weak")), "mixed labelled weak 0.75 mixup True True None"),
        (
            MixedView(("weak", "labelled"), fixed_lambda=0.7),
            "mixed weak labelled 0.75 mixup True True 0.7",
        ),
        (CutMixView("weak", (0.5, 1), 2), "cutmix weak 0.5 1.0 2.0 0.5"),
        (FeatureDropoutView("weak"), "dropout weak 0.5"),
        (RotatedView("strong"), "rotated strong"),
        (AdversarialView("weak", 2, 3), "adversarial weak 2.0 3.0 multiclass"),
        (SeparatePass(("weak2",), "frozen_student"), "separate weak2 frozen_student"),
    ],
    ids=str,
)
def test_streams_have_frozen_names(view, name):
    assert view_key(view) == name  # Another name draws other numbers.


def test_every_part_of_a_state_is_on_disk():
    assert TrainState._fields == STATE
    assert to_host(STATE_1).keys() == set(STATE)


def test_fingerprints_tell_their_version():
    version, digits = fingerprint(RUN).split("-")
    assert version == "4" and len(digits) == 16


def test_another_version_is_told_without_its_fields(tmp_path):
    folder = RunDirectory(tmp_path, RUN)
    folder.create()
    path = folder.path / "run.json"
    written = json.loads(path.read_text())
    for fingerprint_, rule in (
        ("3-0123", "another version of mtl_jax"),
        ("4-0123", "steps: 9 -> 8"),
    ):
        fields = {**written["fields"], "steps": "9"}
        path.write_text(json.dumps({**written, "fingerprint": fingerprint_, "fields": fields}))
        with pytest.raises(BadInput, match=f"another run \\(fingerprint {fingerprint_}.*{rule}"):
            folder.check()


def test_another_schema_is_told(tmp_path):
    require_schema({"schema": SCHEMA}, "x")
    with pytest.raises(BadInput, match="x has schema 1, and this version reads and writes 2"):
        require_schema({}, "x")
    folder = RunDirectory(tmp_path, RUN)
    folder.create()
    folder.write_result({"name": RUN.name}, {})
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
    ocp.save_checkpointables(path, {"state": to_host(STATE_1)}, custom_metadata={"note": {}})
    hash_file(path).write_text(hash_of_files(path))
    with pytest.raises(BadInput, match="3 has schema 1"):
        CheckpointManager(tmp_path, print).restore(STATE_1)
    with pytest.raises(BadInput, match="3 has schema 1"):
        CheckpointManager(tmp_path, print).load(3)
