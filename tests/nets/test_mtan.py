"""MTAN: masks by hand, for vectors and images, and whose parameters they are."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.trunk import StagedTrunk
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.backbones.block_groups import Group
from mtl_jax.nets.backbones.cnn import ConvStage
from mtl_jax.nets.backbones.stages import global_average_pool
from mtl_jax.nets.multitask.mtan import max_pool_to
from tests.nets.through import X, features, through

MTAN = nets.MTAN(nets.MLP((8, 4)))
CONV = nets.MTAN(nets.CNN((3, 4)))


def opened(seen, **bias):
    """Parameters whose last masks are `sigmoid(bias)` everywhere, by task."""
    own = dict(seen.params["tasks"]["own"])
    for task, value in bias.items():
        name = f"task_mask1_{task}"
        norm = own[name]["BatchNorm_1"]
        norm = {"scale": 0.0 * norm["scale"], "bias": np.full_like(norm["bias"], value)}
        own[name] = {**own[name], "BatchNorm_1": norm}
    return {**seen.params, "tasks": {**seen.params["tasks"], "own": own}}


@pytest.mark.slow
@pytest.mark.parametrize("net", [MTAN, CONV], ids=["vectors", "images"])
def test_an_open_mask_shows_the_trunk_and_a_shut_one_nothing(net):
    seen = through(net)
    got = features(net, opened(seen, row=50.0, task=-50.0), seen.stats)
    x, shared = X, seen.params["shared"]
    for depth, stage in enumerate(net.trunk.stages()):
        stats = {"batch_stats": seen.stats[f"stage{depth}"]} if net is CONV else {}
        x = stage.apply({"params": shared[f"stage{depth}"], **stats}, x, train=False)
    np.testing.assert_allclose(got["row"], net.trunk.pool(x), atol=1e-5)
    np.testing.assert_allclose(got["task"], 0.0, atol=1e-6)
    assert got["row"].std() > 0


def test_masks_by_hand():
    """A fresh norm divides by sqrt(1 + 1e-5) and its bias is 0."""
    seen = through(nets.MTAN(nets.MLP((4,))))
    params, norm = seen.params, np.sqrt(1 + 1e-5)
    p = np.asarray(X).reshape(5, -1) @ params["shared"]["stage0"]["Dense_0"]["kernel"]
    p = np.maximum(p, 0.0)
    mask = params["tasks"]["own"]["task_mask0_row"]
    inner = np.maximum(p @ mask["Dense_0"]["kernel"] / norm, 0.0)
    inner = inner @ mask["Dense_1"]["kernel"] / norm
    np.testing.assert_allclose(seen.plain.features["row"], p / (1 + np.exp(-inner)), rtol=1e-4)


@pytest.mark.slow
def test_masks_belong_to_tasks_and_the_way_between_stages_is_shared():
    seen = through(CONV)
    assert seen.params["shared"].keys() == {"stage0", "stage1", "bring1"}
    own = {f"task_mask{depth}_{task}" for depth in (0, 1) for task in ("row", "task")}
    assert seen.params["tasks"]["own"].keys() == own
    assert seen.params["tasks"]["own"]["task_mask1_row"]["Dense_0"]["kernel"].shape == (8, 4)
    of_row = seen.grads["row"]["tasks"]["own"]
    assert (of_row["task_mask0_row"]["Dense_0"]["kernel"] != 0).any()
    assert (of_row["task_mask0_task"]["Dense_0"]["kernel"] == 0).all()
    assert (seen.grads["row"]["shared"]["bring1"]["Conv_0"]["kernel"] != 0).any()


class OneGroup(StagedTrunk, nn.Module):
    """A trunk of one stage, which has two parts."""

    convolutional = True

    @nn.nowrap
    def stages(self):
        return (Group((ConvStage(3, 2, False, parent=None), ConvStage(3, 1, False, parent=None))),)

    @nn.nowrap
    def pool(self, x):
        return global_average_pool(x)


def test_masks_of_a_group_are_made_from_what_its_last_block_reads():
    seen = through(nets.MTAN(OneGroup()))
    (group,), norm = OneGroup().stages(), np.sqrt(1 + 1e-5)
    assert group.has_blocks and not Group(group.blocks[:1]).has_blocks
    first, second = (seen.params["shared"]["stage0"][f"block{at}"] for at in (0, 1))
    reads, gives = (jax.jit(functools.partial(b.apply, train=False)) for b in group.blocks)
    u = np.asarray(reads({"params": first}, X))
    p = np.asarray(gives({"params": second}, u))
    mask = seen.params["tasks"]["own"]["task_mask0_row"]
    inner = np.maximum(u @ mask["Dense_0"]["kernel"] / norm, 0.0)
    inner = inner @ mask["Dense_1"]["kernel"] / norm
    wanted = (p / (1 + np.exp(-inner))).mean((1, 2))
    assert wanted.std() > 0
    np.testing.assert_allclose(seen.plain.features["row"], wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("old", "new"), [(6, 3), (6, 6), (7, 3), (12, 4), (5, 1)])
def test_pools_to_exactly_the_next_size(old, new):
    x = np.arange(float(old * old), dtype=np.float32).reshape(1, old, old, 1)
    pooled = max_pool_to(jnp.asarray(x), (new, new))
    assert pooled.shape == (1, new, new, 1)
    assert pooled.max() == x.max()  # no pixel is left out at the far edge.


def test_images_then_vectors():
    x = jnp.asarray(np.random.default_rng(0).random((2, 16, 16, 1), np.float32))
    net = nets.make_model(nets.MTAN(nets.LeNet((2, 3, 4))), {"a": 1})
    params, _ = jax.eval_shape(net.init, jax.random.key(0), x)
    assert params["shared"]["bring2"]["Dense_0"]["kernel"].shape == (3, 4)
    assert params["shared"]["bring1"]["Conv_0"]["kernel"].shape == (3, 3, 2, 3)


def test_a_trunk_without_stages_is_refused():
    with pytest.raises(BadInput, match=r"MTAN.trunk must be a trunk that can be cut"):
        nets.MTAN(nets.PerTaskTrunk(nets.MLP()))
