"""Attention of MTAN: the masks by stage and seed, their correlations, and the texts of the figure."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.config.experiment import Experiment
from mtl_jax.report import attention_use, layer_outputs
from mtl_jax.report.attention_use import correlations, masks_of, plot_attention_use
from mtl_jax.train import build_model
from tests import dense
from tests.figure_text import faults
from tests.report.test_text_overlap import LONG, WORD
from tests.small import COLUMN, HEIGHT, ROW, RUN

MTAN = RUN.replace(name="masks", trunk=nets.MTAN(nets.MLP((4, 4, 4))), tasks=(ROW, HEIGHT))
SEGNET = dense.RUN.replace(name="SegNet", trunk=nets.SegNetMTAN((4, 4)), num_seeds=1)


def trained(run, *_):
    """Initial parameters of every seed."""
    inputs = jnp.asarray(run.data.load().test["inputs"])
    init = jax.jit(build_model(run).init)
    found = [init(jax.random.key(seed), inputs) for seed in range(run.num_seeds)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *found)


@pytest.fixture(autouse=True)
def finished(monkeypatch):
    """Every run is finished after its initialization."""
    monkeypatch.setattr(layer_outputs, "load_trained_params", trained)
    monkeypatch.setattr(attention_use, "is_complete", lambda *_: True)


def test_masks_are_those_of_the_model():
    found = masks_of(MTAN, None)
    assert {task: list(stages) for task, stages in found.items()} == {
        task: ["0", "1", "2"] for task in ("row", "height")
    }
    params, _ = trained(MTAN)
    images = RUN.data.load().test["inputs"]
    x = images.reshape(len(images), -1)
    for seed in (0, 1):  # The first stage by hand: the mask reads what the stage gives.
        own = jax.tree.map(lambda leaf, seed=seed: leaf[seed], params)
        shared = own["shared"]["stage0"]["Dense_0"]
        mask = own["tasks"]["own"]["task_mask0_height"]
        hidden = np.maximum(x @ shared["kernel"] + shared["bias"], 0.0)
        scale = 1.0 / np.sqrt(1.0 + 1e-5)  # Of norms at their initial statistics.
        hidden = np.maximum(hidden @ mask["Dense_0"]["kernel"] * scale, 0.0)
        hidden = hidden @ mask["Dense_1"]["kernel"] * scale
        expected = 1.0 / (1.0 + np.exp(-hidden))
        np.testing.assert_allclose(found["height"]["0"][seed], expected.ravel(), rtol=1e-4)


def test_stages_of_a_segnet_are_in_the_order_of_computation():
    found = masks_of(SEGNET, None)
    assert found.keys() == {"classes", "depth", "normals"}
    assert {tuple(stages) for stages in found.values()} == {("E0", "E1", "D1", "D0")}
    masks = [values for stages in found.values() for values in stages.values()]
    assert all(((values > 0.0) & (values < 1.0)).all() for values in masks)


def test_correlations_by_hand():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 3, 50))  # Of three seeds.
    found = correlations({"a": {"0": a}, "b": {"0": b}, "c": {"0": 1.0 - a}})
    with_b = np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(a, b, strict=True)])
    np.testing.assert_allclose(found["a"]["0"], (with_b - 1.0) / 2)
    np.testing.assert_allclose(found["b"]["0"], np.zeros(3), atol=1e-12)
    np.testing.assert_allclose(found["c"]["0"], (-with_b - 1.0) / 2)
    assert correlations({"a": {"0": a}}) == {}
    constant = correlations({"a": {"0": a}, "b": {"0": np.ones((3, 50))}})
    assert np.isnan(constant["a"]["0"]).all()


def test_lines_are_means_over_seeds_with_their_range():
    (axis,) = plot_attention_use(Experiment(runs=(MTAN,)), {"masks": None}).axes
    found = correlations(masks_of(MTAN, None))
    values = np.array([list(stages.values()) for stages in found.values()])
    lines = [line.get_ydata() for line in axis.get_lines() if len(line.get_ydata()) == 3]
    np.testing.assert_allclose(lines, values.mean(-1), rtol=1e-6)
    low, high = axis.collections[0].get_paths()[0].get_extents().get_points()[:, 1]
    np.testing.assert_allclose([low, high], [values[0].min(), values[0].max()], rtol=1e-6)


def test_without_masks_there_is_nothing():
    runs = (
        RUN.replace(trunk=nets.MMoE(nets.MLP((4,)), experts=2)),
        RUN.replace(name="one trunk"),
    )
    assert plot_attention_use(Experiment(runs=runs), {run.name: None for run in runs}) is None


def test_no_text_covers_another_one(monkeypatch):
    tasks = tuple(COLUMN.replace(name=f"task{n} of a long name {n}") for n in range(40))
    rng = np.random.default_rng(0)
    stages = {f"{part}{n}": rng.random((2, 9)) for part in "ED" for n in range(5)}
    monkeypatch.setattr(
        attention_use, "masks_of", lambda run, _: {task.name: stages for task in run.tasks}
    )
    runs = [MTAN.replace(name=f"{(LONG, WORD)[n % 2]} {n}", tasks=tasks) for n in range(3)]
    for shown in (runs, runs[:1]):
        figure = plot_attention_use(Experiment(runs=tuple(shown)), {run.name: None for run in runs})
        assert faults(figure) == []
