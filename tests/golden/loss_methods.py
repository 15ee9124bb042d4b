"""Which loss weighting here stands for which name of the reference values of losses."""

import jax
import jax.numpy as jnp

from mtl_jax.weighting import (
    COSMOS,
    FAMO,
    IMTLL,
    PBI,
    STCH,
    Geometric,
    Uncertainty,
    cosmos_value,
    geometric_value,
    imtl_l_value,
    pbi_value,
    stch_value,
    uncertainty_value,
)


def geometric_mean(params, num_tasks):
    return Geometric(), (), lambda losses, state: geometric_value(losses)


def stch(params, num_tasks):
    share = params.get("weights", [1.0 / num_tasks] * num_tasks)
    ideal = [params.get("reference", 0.0)] * num_tasks
    given = tuple(share) if "weights" in params else None
    method = STCH(mu=params["mu"], weights=given, reference=tuple(ideal))
    settings = jnp.array(share), jnp.array(ideal), params["mu"]
    return method, method.init(num_tasks), lambda losses, state: stch_value(losses, *settings)


def cosmos(params, num_tasks):
    method = COSMOS(sharpness=params["lambda"], weights=tuple(params["weights"]))
    settings = jnp.array(params["weights"]), params["lambda"]
    return method, (), lambda losses, state: cosmos_value(losses, *settings)


def pbi(params, num_tasks):
    method = PBI(theta=params["theta"], weights=tuple(params["weights"]))
    settings = jnp.array(params["weights"]), params["theta"]
    return method, (), lambda losses, state: pbi_value(losses, *settings)


def uw(params, num_tasks):
    method = Uncertainty()
    state = method.init(num_tasks)._replace(log_variance=jnp.array(params["log_var"]))
    return method, state, lambda losses, state: uncertainty_value(losses, state.log_variance)


def imtl_l(params, num_tasks):
    method = IMTLL()
    state = method.init(num_tasks)._replace(log_scale=jnp.array(params["log_scale"]))
    return method, state, lambda losses, state: imtl_l_value(losses, state.log_scale)


def famo(params, num_tasks):
    method = FAMO(learning_rate=params["lr"], gamma=params["weight_decay"], epsilon=1e-8)
    return method, method.init(num_tasks), famo_value


def famo_value(losses, state):
    """`c sum_i z_i log D_i`, `D = L + 1e-8`, with a constant `c = 1 / sum_i z_i / D_i`."""
    share, distance = jax.nn.softmax(state.logits), losses + 1e-8
    return (share * jnp.log(distance)).sum() / jax.lax.stop_gradient((share / distance).sum())


# Name -> by the file's params and K: a method, its state, and the value `(losses, state) -> []`
# whose derivative by the losses are the weights.
LOSSES = {
    "geometric_mean": geometric_mean,
    "stch": stch,
    "stch_weighted": stch,
    "cosmos": cosmos,
    "pbi": pbi,
    "famo": famo,
    "uw": uw,
    "imtl_l": imtl_l,
}
