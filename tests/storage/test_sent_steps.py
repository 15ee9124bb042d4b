"""What trackers were sent is kept by destination, under one id."""

import json

import pytest

from mtl_jax.storage.sent_steps import Sent, read_sent, write_sent


def test_a_new_folder_gets_an_id_that_stays(tmp_path):
    first = read_sent(tmp_path, "TensorBoard()")
    assert first == Sent(first.run_id, step=0, finished=False) and len(first.run_id) == 32
    assert read_sent(tmp_path, "Other()").run_id == first.run_id
    (tmp_path / "other").mkdir()
    assert read_sent(tmp_path / "other", "TensorBoard()").run_id != first.run_id


def test_destinations_are_apart(tmp_path):
    run_id = read_sent(tmp_path, "a").run_id
    write_sent(tmp_path, "a", 8, finished=True)
    write_sent(tmp_path, "b", 4, finished=False)
    assert read_sent(tmp_path, "a") == Sent(run_id, 8, finished=True)
    assert read_sent(tmp_path, "b") == Sent(run_id, 4, finished=False)


def test_a_damaged_file_raises(tmp_path):
    """It is an error of the tracker, which a launch turns into a warning."""
    (tmp_path / "trackers.json").write_text("{")
    with pytest.raises(json.JSONDecodeError):
        read_sent(tmp_path, "a")
