"""Consistency methods against reference values: losses, masks, running states, gradients."""

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.consistency import (
    UDA,
    ConfidenceThreshold,
    CrossEntropy,
    Dash,
    DistributionAlignment,
    FixMatch,
    FlexMatch,
    FreeMatch,
    Match,
    PiModel,
    PseudoLabel,
    QueueAlignment,
    RelativeThreshold,
    SharpenedLabels,
    SoftMatch,
)
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from tests.consistency.seen import seen
from tests.golden.reading import OWN, names, read


def made_fixmatch(params):
    assert params["pseudo_label"] == "hard"
    return FixMatch(params["threshold"])


def made_flexmatch(params):
    assert params["mapping"] == "convex b/(2-b)"
    return FlexMatch(params["threshold"], warm_up=params["threshold_warmup"])


def made_softmatch(params):
    assert params["align"] == f"uniform, EMA momentum {params['momentum']}"
    return SoftMatch(params["momentum"], params["n_sigma"], moments="aligned")


def made_adamatch(params):
    """The part of AdaMatch that the file has: alignment and relative threshold."""
    align = DistributionAlignment("labelled", params["momentum"])
    return Match(align=align, mask=RelativeThreshold(params["relative_threshold"]))


def made_queue(params):
    assert params["target"] == "uniform"
    align = QueueAlignment(params["queue_length"])
    return Match(
        align=align, target=SharpenedLabels(), mask=ConfidenceThreshold(params["threshold"])
    )


def made_pseudo_label(params):
    """A view that learns from itself: the file has it as the strong one."""
    method = PseudoLabel(params["threshold"], ramp=0.0)
    return dataclasses.replace(method, target_view="strong", student_view="strong")


def made_squared_error(params):
    return dataclasses.replace(PiModel(ramp=0.0), student_view="strong", weight=1.0)


def made_uda(params):
    return UDA(params["threshold"], params["temperature"])


def made_dash(params):
    """From after the warm-up, as the file has it."""
    return Dash(
        warm_up=0,
        initial_loss=params["rho_init"],
        factor=params["C"],
        gamma=params["gamma"],
        every=params["update_every_iterations"],
        min_threshold=params["rho_min"],
        temperature=params["temperature"],
    )


def made_freematch(params):
    return FreeMatch(params["momentum"], params["fairness_weight"])


METHODS = {
    "adamatch": made_adamatch,
    "dash": made_dash,
    "dist_align_queue": made_queue,
    "fixmatch": made_fixmatch,
    "flexmatch": made_flexmatch,
    "flexmatch_no_warmup": made_flexmatch,
    "freematch": made_freematch,
    "mse_consistency": made_squared_error,
    "pseudo_label": made_pseudo_label,
    "softmatch": made_softmatch,
    "uda": made_uda,
}
# Losses of soft targets: the file has their cross-entropy, ours may be the divergence.
CROSS_ENTROPY = ("uda",)


def rest_of(name, method, views, before, after, loss, metrics) -> dict:
    """What else a file says of a step, by the names that it has for it."""
    if name.startswith("flexmatch"):
        return {"class_status": method.mask.status(after.mask)}
    if name == "dash":
        return {"rho": metrics["threshold"]}
    if name == "adamatch":
        return {"p_model": after.align.model, "p_target": after.align.target}
    if name == "softmatch":
        mask = after.mask
        return {"mu": mask.mean, "var": mask.variance, "p_model": after.align.model}
    if name == "dist_align_queue":
        return {"aligned": jnp.exp(method.predict(views, before)[0].aligned)}
    if name == "freematch":
        (term,), (shares,) = method.terms, after.terms
        return {
            "fairness": metrics["fairness"],
            "unsup": loss.mean() - term.weight * metrics["fairness"],
            "time_p": after.mask.threshold,
            "p_model": after.mask.probabilities,
            "label_hist": shares.histogram,
        }
    return {}


def files(directory: pathlib.Path) -> list[dict]:
    """The files of a directory that are of the consistency format."""
    return [
        file
        for file in read(directory).values()
        if "steps" in file and "logits_w" in file["steps"][0]
    ]


def views_of(step, method) -> AuxInputs:
    labels = jnp.array(step["labels"])
    named = {"labelled": "logits_lb", "weak": "logits_w", "strong": "logits_s"}
    return seen(method, 0)._replace(
        logits={view: jnp.array(step[name]) for view, name in named.items()},
        labels=labels,
        mask=jnp.ones(labels.shape, bool),
        unlabelled_index=jnp.array(step["idx_ulb"], jnp.int32),
        progress=jnp.float64(0.0),
    )


def test_own_directory_has_every_method():
    assert names(files(OWN)) == METHODS.keys()


def test_every_name_is_known(golden_dir):
    assert not names(files(golden_dir)) - METHODS.keys()


@pytest.mark.parametrize("name", METHODS)
def test_method(name, golden_dir):
    found = [file for file in files(golden_dir) if name in file["expected"]]
    if not found:
        pytest.skip(f"no reference values of {name} in {golden_dir}")
    for file in found:
        with jax.enable_x64(True):
            follow(file, name, file["expected"][name])


def follow(file, name, expected):
    """Goes through the steps in their order and compares all that the file says."""
    method = METHODS[name](expected["params"])
    if name in CROSS_ENTROPY:
        method = dataclasses.replace(method, divergence=CrossEntropy())
    pool = expected["params"].get("num_unlabeled", 100)
    state = method.init(DatasetSizes(file["num_classes"], pool, 0))

    @jax.jit
    def step_of(strong, views, state):
        def total(strong):
            now = views._replace(logits={**views.logits, "strong": strong})
            loss, after, metrics = method.update(now, state)
            mask = mask_of(method, now, state, metrics)
            more = rest_of(name, method, now, state, after, loss, metrics)
            return loss.mean(), (after, metrics, mask, more)

        return jax.value_and_grad(total, has_aux=True)(strong)

    for step, wanted in zip(file["steps"], expected["steps"], strict=True):
        views = views_of(step, method)
        (loss, (state, metrics, mask, more)), grad = step_of(views.logits["strong"], views, state)
        assert loss.dtype == jnp.float64
        close(loss, wanted["loss"])
        close(mask.astype(float), wanted["mask"])
        close(metrics["mask_rate"], np.mean(wanted["mask"]))
        if wanted["grad_logits_s"] is not None:
            close(grad, wanted["grad_logits_s"])
        rest = wanted.keys() - {"loss", "mask", "grad_logits_s"}
        assert rest == more.keys()
        for what in rest:
            close(more[what], wanted[what])


def mask_of(method, views, state, metrics):
    """How much each guess counts `[U]`."""
    if isinstance(method, Dash):
        return method.select(views.outputs("weak"), metrics["threshold"])[0]
    guess, _ = method.predict(views, state)
    return method.mask.update(guess, views, state.mask)[0]


def close(value, wanted):
    np.testing.assert_allclose(value, wanted, rtol=1e-6, atol=1e-11)
