"""Which function here stands for which name of the reference values of transfer."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.domain_adaptation import (
    AdaptiveGaussians,
    FixedGaussians,
    class_confusion,
    conditional_map,
    coral_with_means,
    entropy_weights,
    joint_mmd,
    margin_disparity,
    multi_kernel_mmd,
    stepwise_feature_norm,
)
from mtl_jax.transfer import behavioral_loss, bss, co_tuning, delta, lwf
from mtl_jax.transfer import transferability as scores


class Method(NamedTuple):
    """How a name of the file is computed here.

    `compute(inputs, params) -> {name: array}` gives, by the file's names, all that the file
    says of it (`value` is the scalar whose gradients the file has); `inputs` are the file's
    arrays, and those named in `reads`, which lie beside the values. `tolerances` are of single
    names, where they are not `tolerance`.
    """

    compute: Callable[[dict, dict], dict]
    tolerance: float = 1e-6
    reads: tuple[str, ...] = ()
    tolerances: tuple[tuple[str, float], ...] = ()


# What TLLib adds to probabilities before the logarithm of an entropy.
TLLIB_OFFSET = 1e-5


def tllib_constant(inputs):
    """What TLLib adds to its discrepancies, so that they are seldom below 0."""
    return 2.0 / (len(inputs["features_source"]) - 1)


def mk_mmd(inputs, params):
    loss = multi_kernel_mmd(
        inputs["features_source"], inputs["features_target"], factors=tuple(params["alphas"])
    )
    return {"value": loss + tllib_constant(inputs)}


def mk_mmd_linear(inputs, params):
    loss = multi_kernel_mmd(
        inputs["features_source"],
        inputs["features_target"],
        factors=tuple(params["alphas"]),
        linear=True,
    )
    return {"value": loss + tllib_constant(inputs)}


def jan(inputs, params):
    features = AdaptiveGaussians(tuple(params["feature_alphas"]))
    loss = joint_mmd(
        (inputs["features_source"], jax.nn.softmax(inputs["logits_source"])),
        (inputs["features_target"], jax.nn.softmax(inputs["logits_target"])),
        kernels=(features, FixedGaussians((params["prediction_sigma"],))),
    )
    return {"value": loss + tllib_constant(inputs)}


def coral_mean_cov(inputs, params):
    return {"value": coral_with_means(inputs["features_source"], inputs["features_target"])}


def mcc(inputs, params):
    loss = class_confusion(
        inputs["logits_target"], temperature=params["temperature"], offset=TLLIB_OFFSET
    )
    return {"value": loss}


def mdd(inputs, params):
    names = "logits_source", "logits_target", "adv_logits_source", "adv_logits_target"
    loss = margin_disparity(
        *(inputs[name] for name in names), margin=params["margin"], offset=params["log_offset"]
    )
    return {"value": loss}


def afn(inputs, params):
    return {"value": stepwise_feature_norm(inputs["features_source"], step=params["delta"]).mean()}


def cdan(inputs, params):
    features, logits = (
        jnp.concatenate([inputs[f"{what}_source"], inputs[f"{what}_target"]])
        for what in ("features", "logits")
    )
    return {
        "multilinear_map": conditional_map(features, logits),
        "entropy_weights": entropy_weights(logits, offset=TLLIB_OFFSET),
    }


ALIGNMENT: dict[str, Method] = {
    "afn": Method(afn),
    "cdan": Method(cdan),
    "coral_mean_cov": Method(coral_mean_cov),
    "jan": Method(jan),
    "mcc": Method(mcc),
    "mdd": Method(mdd),
    "mk_mmd": Method(mk_mmd),
    "mk_mmd_linear": Method(mk_mmd_linear),
}


def shrinkage(inputs, params):
    return {"value": bss(inputs["features_source"], k=params["k"])}


def co_tune(inputs, params):
    wanted = jax.nn.softmax(inputs["logits_target"])  # Each example is its own class here.
    labels = jnp.arange(len(wanted))
    return {"value": co_tuning(inputs["logits_source"], labels, wanted).mean()}


def distill(inputs, params):
    """The file's value has no T^2."""
    loss = lwf(inputs["logits_source"], inputs[params["teacher"]], temperature=params["T"])
    return {"value": loss.mean()}


def keep_maps(inputs, params):
    maps, source = (jnp.moveaxis(inputs[f"{what}_map"], 1, -1) for what in ("target", "source"))
    return {
        "behavioral": behavioral_loss(maps, source),
        "attentive": delta(maps, source, inputs["channel_attention"]),
    }


def transferability(inputs, params):
    """Estimates are NumPy's, outside of what is compiled."""
    features, labels = inputs["features"], inputs["labels"]
    estimates_of = {
        "h_score": (scores.h_score, features, labels),
        "regularized_h_score": (scores.regularized_h_score, features, labels),
        "leep": (scores.leep, inputs["source_probabilities"], labels),
        "logme": (scores.logme, features, labels),
        "logme_regression": (
            scores.logme_regression,
            features,
            inputs["regression_targets"],
        ),
        "nce": (scores.nce, inputs["source_labels"], labels),
        "transrate": (scores.transrate, features, labels),
    }
    return {name: outside(*parts) for name, parts in estimates_of.items()}


def outside(estimate, *arrays):
    def call(*arrays):
        return np.float64(estimate(*map(np.asarray, arrays)))

    return jax.pure_callback(call, jax.ShapeDtypeStruct((), jnp.float64), *arrays)


# Regularisers of fine-tuning, distillation and estimates of transferability.
TUNING: dict[str, Method] = {
    "bss": Method(shrinkage),
    "co_tuning": Method(co_tune),
    "delta": Method(keep_maps, reads=("source_map", "target_map", "channel_attention")),
    "distillation": Method(distill),
    "transferability": Method(
        transferability,
        reads=(
            "features",
            "labels",
            "source_probabilities",
            "source_labels",
            "regression_targets",
        ),
        tolerances=(("logme", 1e-4), ("logme_regression", 1e-4)),
    ),
}
