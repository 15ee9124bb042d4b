"""Which parameters are exported: of which seed, averaged, merged; and the soups that there are."""

import jax
import numpy as np
import pytest

from mtl_jax import data, nets
from mtl_jax.core.validation import BadInput
from mtl_jax.export import Choice, load_trained
from mtl_jax.export.trained_model import require_soup, seed_index
from mtl_jax.nets.pretrained import EXPORTED, Pretrained
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.trained_params import write_selected
from mtl_jax.train import build_model, init_model
from tests.small import DATA, RUN

FINE_TUNED = RUN.replace(
    name="tuned", initialization={"init_from": Pretrained("weights.npz", EXPORTED)}
)


def stored(tmp_path, run, change=0.0):
    """The folder of a run with two seeds of random selected parameters."""
    x = DATA.train["inputs"][0]
    models = [jax.jit(lambda s: init_model(build_model(run), s, x))(np.int32(s)) for s in (0, 1)]
    params, stats = jax.tree.map(lambda *leaves: np.stack(leaves), *models)
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: leaf + change * rng.normal(size=leaf.shape).astype(np.float32), params
    )
    folder = RunDirectory(tmp_path, run)
    folder.path.mkdir()
    write_selected(folder, {"params": params, "batch_stats": stats})
    return folder, params


def test_the_chosen_seed(tmp_path):
    run = RUN.replace(first_seed=3)
    folder, params = stored(tmp_path, run)
    for seed, index in ((None, 0), (3, 0), (4, 1)):
        found = load_trained(run, folder, Choice(seed=seed))
        wanted = jax.tree.map(lambda leaf, i=index: leaf[i], params)
        jax.tree.map(np.testing.assert_array_equal, found.params, wanted)
    with pytest.raises(BadInput, match=r"Choice\.seed must be one of \(3, 4\), not 0"):
        seed_index(run, Choice(seed=0))


def test_a_soup_is_the_mean_of_merged_parameters(tmp_path):
    """A mean of the factors of LoRA would be another one."""
    run = FINE_TUNED.replace(trunk=nets.LoRA(nets.MLP((12,)), rank=2, alpha=4.0))
    folder, params = stored(tmp_path, run, change=0.5)
    found = load_trained(run, folder, Choice(seed="soup"))
    a, b = (params["shared"]["added"]["Dense_0"]["kernel"][name] for name in "ab")
    wanted = (params["shared"]["Dense_0"]["kernel"] + 2.0 * a @ b).mean(0)
    np.testing.assert_allclose(found.params["shared"]["Dense_0"]["kernel"], wanted, rtol=1e-5)
    assert np.abs(2.0 * (a @ b).mean(0) - 2.0 * a.mean(0) @ b.mean(0)).max() > 0.1
    assert "added" not in found.params["shared"]


@pytest.mark.parametrize(
    "run",
    [
        RUN,
        RUN.replace(name="child", initialization={"init_from": RUN}),
        FINE_TUNED.replace(tasks=(RUN.tasks[0].replace(head=nets.heads.Linear(3)),)),
        FINE_TUNED.replace(data=data.PerSeed(data.Digits()), tasks=(RUN.tasks[0].replace(name="digit", num_outputs=10),)),
    ],
    ids=["random", "seeds of a source", "another head", "data of seeds"],
)  # fmt: skip
def test_seeds_that_start_differently_have_no_soup(run):
    with pytest.raises(
        BadInput, match="a mean of networks from different random starts is useless"
    ):
        require_soup(run)


def test_a_soup_of_one_file_of_weights():
    require_soup(FINE_TUNED)
    require_soup(FINE_TUNED.replace(trunk=nets.LoRA(nets.MLP((12,)), rank=1)))
    adapted = {"init_from": Pretrained("weights.npz", EXPORTED), "new_params": ("shared/new/.*",)}
    with pytest.raises(BadInput, match="without new parameters"):
        require_soup(FINE_TUNED.replace(initialization=adapted))


def test_statistics_that_differ_have_no_soup(tmp_path):
    run = FINE_TUNED.replace(trunk=nets.MLP((12,), batch_norm=True))
    folder, params = stored(tmp_path, run)
    stats = {"BatchNorm_0": {"mean": np.arange(24.0).reshape(2, 12), "var": np.ones((2, 12))}}
    other = RunDirectory(tmp_path / "other", run)
    other.path.mkdir(parents=True)
    write_selected(other, {"params": params, "batch_stats": stats})
    load_trained(run, folder, Choice(seed="soup"))
    with pytest.raises(BadInput, match='must not be "soup" where statistics of BatchNorm differ'):
        load_trained(run, other, Choice(seed="soup"))


def test_parameters_by_task_are_refused(tmp_path):
    run = RUN.replace(evaluation={"selection": "per_task"})
    with pytest.raises(
        BadInput, match=r"Choice\.parameters must be raw or ema of a run that select"
    ):
        load_trained(run, RunDirectory(tmp_path, run), Choice())


@pytest.mark.parametrize("settings", [{"seed": "mean"}, {"parameters": "best"}, {"seed": True}])
def test_other_choices_are_refused(settings):
    with pytest.raises(BadInput, match=r"Choice\.(seed|parameters) must be"):
        Choice(**settings)
