"""Consistency methods against reference values: losses, masks, running states, gradients."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.consistency import FixMatch, FreeMatch
from mtl_jax.consistency.fixmatch import fixmatch
from mtl_jax.consistency.freematch import gate
from mtl_jax.protocols import Views

# Names in the files that no method here stands for yet.
LATER = (
    "adamatch",
    "dash",
    "dist_align_queue",
    "flexmatch",
    "flexmatch_no_warmup",
    "mse_consistency",
    "pseudo_label",
    "softmatch",
    "uda",
)


def fixmatch_of(params, views, state):
    """The method of a file's settings, and what else the file says of a step."""
    assert params["pseudo_label"] == "hard"
    method = FixMatch(threshold=params["threshold"])
    _, mask = fixmatch(views.strong, views.weak, threshold=params["threshold"])
    return *method.update(views, state), {"mask": mask}


def freematch_of(params, views, state):
    """The method of a file's settings, and what else the file says of a step."""
    method = FreeMatch(momentum=params["momentum"], fairness=params["fairness_weight"])
    loss, state, metrics = method.update(views, state)
    return (
        loss,
        state,
        metrics,
        {
            "mask": gate(views.weak, state),
            "fairness": metrics["fairness"],
            "unsup": loss.mean() - params["fairness_weight"] * metrics["fairness"],
            "time_p": state.threshold,
            "p_model": state.probabilities,
            "label_hist": state.histogram,
        },
    )


METHODS = {
    "fixmatch": (FixMatch().init, fixmatch_of),
    "freematch": (FreeMatch().init, freematch_of),
}


def files(directory: pathlib.Path) -> list[dict]:
    """The files of a directory that are of the consistency format."""
    read = [json.loads(path.read_text()) for path in sorted(directory.glob("*.json"))]
    return [file for file in read if "steps" in file and "logits_w" in file["steps"][0]]


def views_of(step) -> Views:
    labels = jnp.array(step["labels"])
    return Views(
        labelled=jnp.array(step["logits_lb"]),
        labels=labels,
        mask=jnp.ones(labels.shape, bool),
        weak=jnp.array(step["logits_w"]),
        strong=jnp.array(step["logits_s"]),
        index=jnp.array(step["idx_ulb"]),
    )


def test_own_directory_has_every_method():
    names = {name for file in files(pathlib.Path(__file__).parent) for name in file["expected"]}
    assert names == METHODS.keys() | set(LATER)


def test_every_name_is_known(golden_dir):
    names = {name for file in files(golden_dir) for name in file["expected"]}
    assert not names - METHODS.keys() - set(LATER)


@pytest.mark.parametrize("name", LATER)
def test_later(name):
    pytest.skip(f"{name} is not built yet")


@pytest.mark.parametrize("name", METHODS)
def test_method(name, golden_dir):
    found = [file for file in files(golden_dir) if name in file["expected"]]
    if not found:
        pytest.skip(f"no reference values of {name} in {golden_dir}")
    for file in found:
        with jax.enable_x64(True):
            follow(file, *METHODS[name], file["expected"][name])


def follow(file, init, update, expected):
    """Goes through the steps in their order and compares all that the file says."""
    classes = file["num_classes"]
    pool = 1 + max(max(step["idx_ulb"]) for step in file["steps"])
    state = init(classes, pool)

    @jax.jit
    def step_of(strong, views, state):
        def total(strong):
            loss, after, metrics, more = update(
                expected["params"], views._replace(strong=strong), state
            )
            return loss.mean(), (after, metrics, more)

        return jax.value_and_grad(total, has_aux=True)(strong)

    for step, wanted in zip(file["steps"], expected["steps"], strict=True):
        views = views_of(step)
        (loss, (state, metrics, more)), grad = step_of(views.strong, views, state)
        assert loss.dtype == jnp.float64
        close(loss, wanted["loss"])
        np.testing.assert_array_equal(more.pop("mask"), np.array(wanted["mask"], bool))
        close(metrics["mask_rate"], np.mean(wanted["mask"]))
        if wanted["grad_logits_s"] is not None:
            close(grad, wanted["grad_logits_s"])
        rest = wanted.keys() - {"loss", "mask", "grad_logits_s"}
        assert rest == more.keys()
        for what in rest:
            close(more[what], wanted[what])


def close(value, wanted):
    np.testing.assert_allclose(value, wanted, rtol=1e-6, atol=1e-12)
