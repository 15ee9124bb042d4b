"""Weights & Biases, offline: its files hold what was logged."""

import json
import struct

import numpy as np
import pytest

from mtl_jax.trackers import WandB
from tests.trackers.runs import FIRST, SECOND, SETTINGS, SUMMARY, figures, log_whole, tracked_run

pytestmark = [
    pytest.mark.filterwarnings("default"),  # Of W&B's own dependencies.
    pytest.mark.slow,  # Each run starts a process.
]
BLOCK, HEADER = 32768, 7  # Bytes, of a log of LevelDB, which W&B's files are.


def records(data):
    """The records of a file after W&B's own header."""
    messages = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    place, parts = HEADER, []
    while place < len(data):
        room = BLOCK - place % BLOCK
        if room < HEADER:
            place += room
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        parts.append(data[place + HEADER : place + HEADER + length])
        place += HEADER + length
        if kind in (1, 4):  # A whole record, or its last part.
            record = messages.Record()
            record.ParseFromString(b"".join(parts))
            parts = []
            yield record


def read(folder):
    """Records of each offline run, in order of time."""
    paths = sorted(folder.glob("wandb/offline-run-*/*.wandb"), key=lambda p: p.stat().st_mtime_ns)
    return [list(records(path.read_bytes())) for path in paths]


def entries(items):
    """Values by key, without those that W&B adds."""
    found = {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}
    return {key: value for key, value in found.items() if key[0] != "_"}


@pytest.fixture
def offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.chdir(tmp_path)


def test_a_run_in_two_parts(offline, tmp_path):
    log_whole(WandB(), tmp_path)
    parts = read(tmp_path)
    for part in parts:
        (run,) = [record.run for record in part if record.HasField("run")]
        assert (run.project, run.display_name, run.run_id) == ("digits", "hard sharing", "1f2e")
        assert entries(run.config.update) == SETTINGS
    history = [record.history for part in parts for record in part if record.HasField("history")]
    assert [each.step.num for each in history] == [4, 8]
    np.testing.assert_equal([entries(each.item) for each in history], [FIRST, SECOND])
    updates = [entries(r.summary.update) for r in parts[1] if r.HasField("summary")]
    assert SUMMARY in updates
    assert [r.exit.exit_code for part in parts for r in part if r.HasField("exit")] == [1, 0]


def test_figures_are_images(offline, tmp_path):
    paths = figures(tmp_path)
    WandB(project="other").log_figures(tracked_run(tmp_path, name="digits", settings={}), paths)
    (part,) = read(tmp_path)
    assert [r.run.project for r in part if r.HasField("run")] == ["other"]
    logged = {path.read_bytes() for path in tmp_path.glob("wandb/offline-run-*/files/**/*.png")}
    assert logged == {path.read_bytes() for path in paths}
