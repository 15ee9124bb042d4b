"""TensorBoard's own reader reads what was written."""

import numpy as np
import pytest

from mtl_jax.trackers import TensorBoard
from tests.trackers.runs import (
    FIRST,
    NAN,
    SECOND,
    SETTINGS,
    SUMMARY,
    TAG,
    figures,
    log_whole,
    tracked_run,
)

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
plugin_data = pytest.importorskip("tensorboard.plugins.hparams.plugin_data_pb2")


def read(folder):
    """All events of a folder."""
    events = accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    return events.Reload()


def scalars(events, tag):
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_scalars_of_a_run_in_two_parts(tmp_path):
    log_whole(TensorBoard(), tmp_path)
    events = read(tmp_path)
    assert {*events.Tags()["scalars"]} == {*FIRST, *SUMMARY}
    assert scalars(events, TAG) == [(4, np.float32(FIRST[TAG])), (8, np.float32(SECOND[TAG]))]
    np.testing.assert_equal(scalars(events, NAN), [(4, np.nan), (8, np.inf)])
    for tag, value in SUMMARY.items():
        assert scalars(events, tag) == [(8, value)]


def test_scalars_are_on_the_disk_before_the_end(tmp_path):
    tracker = TensorBoard()
    tracker.start(tracked_run(tmp_path))
    tracker.log(4, FIRST)
    assert scalars(read(tmp_path), TAG) == [(4, np.float32(0.1))]
    tracker.close(finished=False)


def test_steps_after_the_last_known_one_are_replaced(tmp_path):
    """As if the process was killed after it wrote step 8, and before it noted that."""
    tracker = TensorBoard()
    for step, values in ((0, (1.0, 2.0)), (4, (3.0,))):
        tracker.start(tracked_run(tmp_path, step=step))
        for at, value in zip((4, 8)[-len(values) :], values, strict=True):
            tracker.log(at, {"train/loss": value})
        tracker.close(finished=False)
    assert scalars(read(tmp_path), "train/loss") == [(4, 1.0), (8, 3.0)]


def test_settings_are_text_once(tmp_path):
    log_whole(TensorBoard(), tmp_path)
    (event,) = read(tmp_path).Tensors("settings/text_summary")
    lines = event.tensor_proto.string_val[0].decode().splitlines()
    assert lines == [f"    {name} = {value!r}" for name, value in SETTINGS.items()]


def test_settings_and_test_metrics_are_hyperparameters(tmp_path):
    tracker = TensorBoard()
    tracker.start(tracked_run(tmp_path, settings={**SETTINGS, "data": "x" * 101}))
    tracker.log_summary(8, SUMMARY)
    tracker.close(finished=True)
    content = read(tmp_path).SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    found = plugin_data.HParamsPluginData.FromString(content).session_start_info.hparams
    values = {name: getattr(value, value.WhichOneof("kind")) for name, value in found.items()}
    assert values == {"steps": 8.0, "optimizer": "SGD(0.05)", "labels.partial": True}
    content = read(tmp_path).SummaryMetadata("_hparams_/experiment").plugin_data.content
    infos = plugin_data.HParamsPluginData.FromString(content).experiment.metric_infos
    assert [info.name.tag for info in infos] == ["test/row/accuracy"]


def test_figures_are_the_files_of_the_last_launch(tmp_path):
    paths = figures(tmp_path)
    tracker = TensorBoard()
    for _ in range(2):
        tracker.log_figures(tracked_run(tmp_path, settings={}), paths)
    events = read(tmp_path)
    assert events.Tags()["images"] == ["figures/curves", "figures/gains"]
    for path, height in zip(paths, (3, 4), strict=True):
        (image,) = events.Images(f"figures/{path.stem}")
        assert image.encoded_image_string == path.read_bytes()
        assert (image.height, image.width) == (height, 5)


def test_a_folder_of_its_own(tmp_path):
    tracker = TensorBoard(str(tmp_path / "logs"))
    log_whole(tracker, tmp_path / "results")
    assert not (tmp_path / "results").exists()
    assert len(scalars(read(tmp_path / "logs" / "digits" / "hard sharing"), TAG)) == 2
    assert tracker.destination != TensorBoard().destination


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "logs").write_text("")
    tracker = TensorBoard(str(tmp_path / "logs"))
    with pytest.raises(OSError, match="Not a directory"):
        tracker.start(tracked_run(tmp_path))
    tracker.close(finished=False)
