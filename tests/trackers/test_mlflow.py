"""MLflow's own client reads what was written to a database."""

import pytest

from mtl_jax.trackers import MLflow
from tests.trackers.runs import FIRST, SECOND, SETTINGS, SUMMARY, figures, log_whole, tracked_run

pytestmark = [
    pytest.mark.filterwarnings("default"),  # Of MLflow's own dependencies.
    pytest.mark.slow,  # To make a database.
]
TAG = "train/loss/left_ 50 _"  # It takes neither "," nor "%".


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A client of a database with a run in two parts and figures, and the paths of these."""
    mlflow = pytest.importorskip("mlflow")
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.chdir(folder)
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        log_whole(MLflow(uri), folder)
        paths = figures(folder)
        MLflow(uri).log_figures(tracked_run(folder, name="digits", id="0a", settings={}), paths)
        yield mlflow.MlflowClient(uri), paths


def runs_of(client):
    """The runs of the experiment by name."""
    experiment = client.get_experiment_by_name("digits").experiment_id
    return {run.info.run_name: run for run in client.search_runs([experiment])}


def test_a_run_in_two_parts_is_one_run(logged):
    client, _ = logged
    runs = runs_of(client)
    assert {*runs} == {"hard sharing", "digits"}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


def test_settings_and_scalars(logged):
    client, _ = logged
    run = runs_of(client)["hard sharing"]
    assert run.data.params == {name: str(value) for name, value in SETTINGS.items()}
    history = client.get_metric_history(run.info.run_id, TAG)
    tag = next(iter(FIRST))
    assert [(m.step, m.value) for m in history] == [(4, FIRST[tag]), (8, SECOND[tag])]
    for tag, value in SUMMARY.items():
        (metric,) = client.get_metric_history(run.info.run_id, tag)
        assert (metric.step, metric.value) == (8, value)


def test_figures_are_artifacts(logged, tmp_path):
    client, paths = logged
    run_id = runs_of(client)["digits"].info.run_id
    copied = client.download_artifacts(run_id, "figures", str(tmp_path))
    for path in paths:
        assert (tmp_path / "figures" / path.name).read_bytes() == path.read_bytes(), copied


def test_the_destination_keeps_no_password(logged, monkeypatch):
    given = MLflow("postgresql://me:secret@host/runs").destination
    assert "secret" not in given and given != MLflow().destination
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@host/runs")
    assert MLflow().destination == given


def test_a_run_that_fails_is_marked(logged, tmp_path):
    client, paths = logged
    tracker = MLflow(f"sqlite:///{paths[0].parent / 'mlflow.db'}", experiment="other")
    tracker.start(tracked_run(tmp_path, id="77"))
    tracker.close(finished=False)
    experiment = client.get_experiment_by_name("other").experiment_id
    assert [run.info.status for run in client.search_runs([experiment])] == ["FAILED"]
