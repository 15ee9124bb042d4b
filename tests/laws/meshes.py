"""Runs of every method for the law of meshes, and how their results are compared."""

import inspect
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax import (
    aggregation,
    augment,
    consistency,
    domain_adaptation,
    nets,
    optimizers,
    train,
    transfer,
    weighting,
)
from mtl_jax.config.cross_task import CrossTask
from mtl_jax.config.device_mesh import DeviceMesh
from mtl_jax.config.meta_pseudo_labels import MetaPseudoLabels
from mtl_jax.config.run import Run
from mtl_jax.config.task import teacher_view, uses_source_model
from mtl_jax.core.balancing import Balancer
from mtl_jax.core.penalty import Proximal
from mtl_jax.core.tree import leaves_by_path
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.runner.execution import default_execution
from mtl_jax.runner.trace import with_precomputed
from mtl_jax.storage.abstract_data import abstract_data
from mtl_jax.storage.processes import fetch
from mtl_jax.storage.run_data import load_run_data
from tests.laws.test_balancers import SETTINGS as BALANCER_SETTINGS
from tests.laws.test_balancers import of_tasks
from tests.laws.test_combiners import MORE as COMBINERS
from tests.laws.test_combiners import text
from tests.laws.test_sharing import PENALTIES
from tests.laws.test_target_types import METHODS as AUXILIARY
from tests.small import COLUMN, HEIGHT, ROW, RUN
from tests.train.test_domains_in_step import DOMAINS

STEPS = 3
SMALL = 24  # Parameters of at least so many elements are sharded.
LIMIT = 1e-5
# Where one device differs from itself by as much if its initial parameters are rounded otherwise.
LIMITS = {
    "AttentionTransfer()": 1e-4,  # Differences of the maps of a source and of what is still near it.
    "TensorNormal penalty": 2e-4,  # Inverts covariances that are singular but for a ridge.
    # Their gradients are those of singular values from a Gram matrix, which squares the condition.
    "TTNorm penalty": 1e-3,
    "TuckerNorm penalty": 5e-4,
}


class Normed(nn.Module):
    """A layer with BatchNorm; a bias before it would have a gradient of rounding errors only."""

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.Dense(12, use_bias=False)(x.reshape(len(x), -1))
        return nn.relu(nn.BatchNorm(not train)(x))


CNN = nets.CNN((4,))
THREE = RUN.replace(tasks=(ROW, COLUMN, HEIGHT), trunk=Normed())
UNLABELLED = THREE.replace(
    tasks=(ROW,),
    augmentation={
        "weak": augment.RandomTranslate(1),
        "medium": augment.Cutout(2),
        "strong": augment.Cutout(3),
    },
)


class Case(NamedTuple):
    """A run, and the run that its initial parameters are from."""

    run: Run
    source: Run | None = None


def balancers() -> dict[str, Case]:
    """Every loss weighting, aggregator and bilevel weighting, for three tasks."""
    made = {"Constant": weighting.Constant((1.0, 2.0, 0.5))}
    for face in (weighting, aggregation):
        for name, make in vars(face).items():
            if inspect.isclass(make) and issubclass(make, Balancer) and name not in made:
                made[name] = make()
    settings = [*(of_tasks(method, range(3)) for method in BALANCER_SETTINGS), *COMBINERS]
    made |= {text(method): method for method in settings}
    return {name: Case(THREE.replace(balance=method)) for name, method in made.items()}


def auxiliary_losses() -> dict[str, Case]:
    """Every method for classes or numbers that needs no second domain, beside BatchNorm."""
    return {
        name: auxiliary_case(method, UNLABELLED)
        for name, method in AUXILIARY.items()
        if not type(method).__module__.startswith(domain_adaptation.__name__)
        and {"multiclass", "continuous"} & {*method.target_types}
    }


def domain_adaptation_methods() -> dict[str, Case]:
    """Every method for two domains."""
    base = DOMAINS.replace(augmentation=UNLABELLED.augmentation, trunk=Normed())
    return {
        name: auxiliary_case(method, base)
        for name, method in AUXILIARY.items()
        if type(method).__module__.startswith(domain_adaptation.__name__)
    }


def auxiliary_case(method: Any, base: Run) -> Case:
    """A run of one task with an auxiliary loss, and with all that the loss needs."""
    method = transfer.BiTuning(features=12) if isinstance(method, transfer.BiTuning) else method
    trunk = CNN if method.needs_feature_maps else base.trunk
    trunk = nets.TwoBranch(trunk) if method.needs_two_branches else trunk
    task = ROW if "multiclass" in method.target_types else HEIGHT
    source = base.replace(name="source", tasks=(task,), trunk=trunk)
    task = task.replace(auxiliary=method)
    changes = {"labels": {"teachers": (source,)}} if teacher_view(task) else {}
    if not (uses_source_model(task) or method.has_precompute or method.source_heads):
        return Case(source.replace(name="method", tasks=(task,), **changes))
    head = f"tasks/heads/{task.name}"
    old = ((rf"{head}/(kernel|bias)", rf"{head}/old/Dense_0/\1"),)
    start = {"init_from": source, "param_map": old if method.source_heads else ()}
    return Case(source.replace(name="method", tasks=(task,), initialization=start), source)


def other_parts() -> dict[str, Case]:
    """Soft sharing and its proximal terms, optimizers, extensions, policies and schedules."""
    separate = THREE.replace(trunk=nets.PerTaskTrunk(nets.MLP((12,))))
    runs = {}
    for penalty in PENALTIES:
        terms = {"penalties": (penalty,)}
        runs[f"{type(penalty).__name__} penalty"] = separate.replace(regularization=terms)
        if isinstance(penalty, Proximal):
            terms = {"proximal": (penalty,)}
            runs[f"{type(penalty).__name__} proximal"] = separate.replace(regularization=terms)
    adam = optimizers.Adam(0.01, weight_decay=0.1, clip_norm=1.0)
    for optimizer in (
        adam,
        optimizers.SAM(adam, rho=0.05),
        optimizers.ScheduleFree(optimizers.SGD(0.1, momentum=0.0)),
        optimizers.Muon(0.01),
    ):
        runs[type(optimizer).__name__] = THREE.replace(optimizer=optimizer)
    uda = ROW.replace(auxiliary=consistency.UDA(weight=0.0))
    runs["MetaPseudoLabels"] = UNLABELLED.replace(tasks=(uda,), extensions=(MetaPseudoLabels(),))
    partial = THREE.replace(labels={"partial": True}, tasks=(ROW, COLUMN))
    runs["CrossTask"] = partial.replace(extensions=(CrossTask(width=8),))
    fixmatch = ROW.replace(auxiliary=consistency.FixMatch(0.4))
    learnt = {"strong": augment.ctaugment_fixmatch(pixels=1)}
    runs["CTAugment"] = UNLABELLED.replace(tasks=(fixmatch,), augmentation=learnt)
    runs["CNN"] = THREE.replace(trunk=CNN, balance=aggregation.UPGrad())
    return {name: Case(run) for name, run in runs.items()}


FAMILIES = {
    "balancing": balancers,
    "auxiliary losses": auxiliary_losses,
    "domain adaptation": domain_adaptation_methods,
    "other parts": other_parts,
}


def meshes(case: Case, count: int) -> dict[str, DeviceMesh]:
    """The meshes of `count` devices that suit a case; seeds are sharded where they are vmapped."""
    axes = [{"batch": count // 2, "model": 2}]
    if default_execution(case.run, jax.default_backend()).seed_loop == "vmap":
        axes.insert(0, {"seed": 2, "batch": count // 4, "model": 2})
    return {
        ",".join(f"{axis}={size}" for axis, size in own.items()): DeviceMesh(**own, min_size=SMALL)
        for own in axes
    }


def trained(
    case: Case, count: int, mesh: DeviceMesh | None, perturbation: int | None = None
) -> dict[str, np.ndarray]:
    """All leaves of the state and the metrics after some steps, by path.

    Args:
      case: the run.
      count: number of devices.
      mesh: how they are arranged; None is one device.
      perturbation: seed by which initial parameters are changed by a unit in the last place, if any.
    """
    own = jax.local_devices()[:1]
    devices, given = own if mesh is None else jax.devices()[:count], load_run_data(case.run).train
    spec = abstract_data(case.run).streams[""].teacher
    teacher = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), spec)
    given = given._replace(streams={"": given.streams[""]._replace(teacher=teacher)})
    made = compile_run(case.run, given, devices, mesh)
    source = None
    if case.source is not None:
        first = compile_run(case.source, given, own).init(None)
        source = jax.device_get((first.params, first.batch_stats))
    state = made.init(source)
    if perturbation is not None:
        state = state._replace(params=perturb(state.params, perturbation))
    if source is not None:
        anchor = jax.tree.map(jnp.copy, train.SourceModel(state.params, state.batch_stats))
        given = given._replace(source_model=anchor)
    state, metrics = made.train_steps(state, with_precomputed(case.run, made, given), STEPS)
    is_sharded = ["model" in leaf.sharding.spec for leaf in jax.tree.leaves(state.params)]
    assert mesh is None or any(is_sharded)
    state = state._replace(key=jax.random.key_data(state.key))
    return fetch(leaves_by_path({"state": state, "metrics": metrics}))


def perturb(params: Any, seed: int) -> Any:
    """The parameters, each the next larger or smaller float by chance."""
    rng = np.random.default_rng(seed)

    def change(leaf: jax.Array) -> jax.Array:
        towards = rng.choice([-np.inf, np.inf], leaf.shape).astype(np.float32)
        return jax.device_put(np.nextafter(np.asarray(leaf), towards), leaf.sharding)

    return jax.tree.map(change, params)


def layer_of(path: str) -> str:
    """The path without its last part; of a metric, the whole path."""
    return path.rpartition("/")[0] if path.startswith("state/") else path


def difference(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> tuple[float, str]:
    """The largest difference relative to the largest entry of a layer, and the path of the leaf.

    A layer has the leaves whose paths differ in their last parts only: the gradient of a bias may
    be zero but for rounding, and that of its kernel not.
    """
    assert one.keys() == other.keys()
    scales: dict[str, float] = {}
    for path, leaf in one.items():
        largest = np.abs(leaf[np.isfinite(leaf)].astype(float)).max(initial=1e-30)
        scales[layer_of(path)] = max(scales.get(layer_of(path), 0.0), largest)
    found = []
    for path, leaf in one.items():
        with np.errstate(invalid="ignore"):  # Infinities may be equal.
            gap = np.abs(leaf.astype(float) - other[path].astype(float))
        gap = np.where(leaf == other[path], 0.0, gap)
        found.append((float(np.max(gap, initial=0.0)) / scales[layer_of(path)], path))
    return max(found)
