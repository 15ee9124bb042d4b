"""Optimizers in the step of a run: against a plain optax loop, with schedules of tasks, resumed."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mtl_jax import aggregate, aggregation, nets, optimizers, weighting
from mtl_jax.config.meta_pseudo_labels import MetaPseudoLabels
from mtl_jax.config.optimizers import SAM, SGD, CosineSchedule, Optax, ReduceOnPlateau, ScheduleFree
from mtl_jax.config.task_schedule import AlternatingTasks
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.storage.checkpoint import CheckpointManager
from mtl_jax.storage.run_data import load_run_data
from tests.small import COLUMN, DATA, ROW, RUN, UNLABELLED

ONE = jax.devices()[:1]
STEPS = 5
FULL = RUN.replace(
    tasks=(ROW,), augmentation={"weak": None}, labels={"num_labelled": None}, batch_size=96,
    num_seeds=1, steps=STEPS,
)  # fmt: skip
RATE = CosineSchedule(0.02, cycles=0.5, warmup=1)


def ready(run):
    """The compiled run, its initial state and data."""
    prepared = load_run_data(run)
    made = compile_run(run, jax.eval_shape(lambda: prepared.train), ONE)
    return made, made.init(None), made.put_data(prepared.train)


def loss(params, task="row"):
    """The mean cross-entropy of the full batch, written apart from the package."""
    layer, head = params["shared"]["Dense_0"], params["tasks"]["heads"][task]
    inputs = DATA.train["inputs"].reshape(96, -1)
    hidden = jax.nn.relu(inputs @ layer["kernel"] + layer["bias"][None])
    logits = hidden @ head["kernel"] + head["bias"][None]
    return optax.softmax_cross_entropy_with_integer_labels(logits, DATA.train[task]).mean()


def plain_loop(transform, params):
    """Parameters after some steps of an ordinary optax loop."""

    @jax.jit
    def step(params, state):
        updates, state = transform.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    with jax.numpy_dtype_promotion("standard"):
        state = transform.init(params)
        for _ in range(STEPS):
            params, state = step(params, state)
    return params


def close(one, other, atol=1e-5):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, atol=atol, rtol=1e-4)


def lion():
    return optax.lion(RATE.schedule(STEPS), b1=0.95, weight_decay=0.1)


def muon():
    return optax.contrib.muon(RATE.schedule(STEPS))


def prodigy():
    return optax.contrib.prodigy()


@pytest.mark.parametrize(
    ("setting", "theirs"),
    [
        (Optax(optax.lion, learning_rate=RATE, b1=0.95, weight_decay=0.1), lion),
        (Optax(optax.contrib.muon, learning_rate=RATE), muon),
        (Optax(optax.contrib.prodigy), prodigy),
    ],
)
def test_a_run_is_a_plain_optax_loop(setting, theirs):
    made, state, given = ready(FULL.replace(optimizer=setting))
    start = jax.tree.map(lambda leaf: leaf[0], jax.device_get(state.params))
    wanted = plain_loop(theirs(), start)
    assert not np.allclose(
        wanted["shared"]["Dense_0"]["kernel"], start["shared"]["Dense_0"]["kernel"]
    )
    state, _ = made.train_steps(state, given, STEPS)
    close(jax.tree.map(lambda leaf: leaf[0], state.params), wanted)


@pytest.mark.parametrize(
    "setting",
    [
        Optax(optax.contrib.muon, learning_rate=RATE),
        Optax(optax.adafactor, learning_rate=0.1),
        SAM(ReduceOnPlateau(ScheduleFree(SGD(0.1, momentum=0.0)))),
    ],
    ids=["muon", "adafactor", "wrapped"],
)
def test_an_interrupted_run_goes_on(setting, tmp_path):
    made, state, given = ready(RUN.replace(optimizer=setting))
    state, _ = made.train_steps(state, given, 2)
    checkpoints = CheckpointManager(tmp_path / "checkpoints", pytest.fail)
    checkpoints.save(2, state, {}, {})
    checkpoints.wait()
    restored = checkpoints.restore(made.init(None)).state
    straight, _ = made.train_steps(state, given, 2)
    resumed, _ = made.train_steps(restored, given, 2)
    same = (straight.params, straight.opt_state), (resumed.params, resumed.opt_state)
    for a, b in zip(*map(jax.tree.leaves, same), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_inactive_task_keeps_its_moments_below_the_names_of_several_optimizers():
    """Muon keeps its state by "muon" and "adam", above the paths of the parameters."""
    run = RUN.replace(
        optimizer=Optax(optax.contrib.muon, learning_rate=0.02),
        task_schedule=AlternatingTasks(),
        trunk=nets.PerTaskTrunk(nets.MLP((12,))),
        num_seeds=1,
    )
    made, state, given = ready(run)
    start = jax.device_get(state.opt_state)
    state, _ = made.train_steps(state, given, 1)  # Of the first task.
    moments = jax.tree_util.tree_leaves_with_path(state.opt_state)
    changed = {
        (path[-1].key, name): not np.array_equal(leaf, before)
        for (path, leaf), before in zip(moments, jax.tree.leaves(start), strict=True)
        for name in ("row", "column")
        if any(isinstance(key, jax.tree_util.DictKey) and key.key == name for key in path)
    }
    assert changed == {
        (leaf, name): name == "row" for leaf in ("kernel", "bias") for name in ("row", "column")
    }
    trunks = [np.asarray(leaf[0]) for path, leaf in moments
              if any(getattr(key, "key", None) == "trunk" for key in path)]  # fmt: skip
    assert len(trunks) > 1
    for leaf in trunks:
        assert leaf[0].any() and not leaf[1].any()


def test_all_seeds_share_no_state():
    one = Optax(optax.contrib.prodigy)
    made, state, given = ready(RUN.replace(optimizer=one))
    state, _ = made.train_steps(state, given, 3)
    for seed in range(2):
        alone, other, _ = ready(RUN.replace(optimizer=one, num_seeds=1, first_seed=seed))
        other, _ = alone.train_steps(other, given, 3)
        close(
            jax.tree.map(lambda leaf: leaf[0], other.params),
            jax.tree.map(lambda leaf, s=seed: leaf[s], state.params),
        )


def test_momentum_of_optax_is_that_of_sgd():
    sgd = optimizers.SGD(RATE, momentum=0.8)
    same = Optax(optax.sgd, learning_rate=RATE, momentum=0.8, nesterov=True)
    found = []
    for setting in (sgd, same):
        made, state, given = ready(RUN.replace(optimizer=setting))
        found.append(made.train_steps(state, given, 3)[0].params)
    for a, b in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_array_equal(a, b)


def test_schedule_free_parameters_are_those_to_evaluate():
    free = ScheduleFree(Optax(optax.adamw, learning_rate=0.05, b1=0.0), b1=0.8)
    made, state, given = ready(FULL.replace(optimizer=free))
    start = jax.tree.map(lambda leaf: leaf[0], jax.device_get(state.params))
    state, _ = made.train_steps(state, given, STEPS)
    theirs = optax.contrib.schedule_free_adamw(0.05, b1=0.8, weight_decay=1e-4)
    with jax.numpy_dtype_promotion("standard"):
        params, opt_state = start, theirs.init(start)
        for _ in range(STEPS):
            updates, opt_state = theirs.update(jax.grad(loss)(params), opt_state, params)
            params = optax.apply_updates(params, updates)
    wanted = optax.contrib.schedule_free_eval_params(opt_state, params)
    assert not np.allclose(
        wanted["shared"]["Dense_0"]["kernel"], params["shared"]["Dense_0"]["kernel"]
    )
    close(jax.tree.map(lambda leaf: leaf[0], state.params), wanted)


def test_sharpness_aware_pcgrad_balances_both_passes():
    """Against a loop of its own: aggregated gradient, ascent, aggregated gradient there."""
    run = FULL.replace(
        tasks=(ROW, COLUMN),
        balance=aggregation.PCGrad(),
        optimizer=SAM(SGD(0.5, momentum=0.0), rho=0.5),
    )
    made, state, given = ready(run)
    params = jax.tree.map(lambda leaf: leaf[0], jax.device_get(state.params))

    def gradient(params):
        rows = [jax.grad(loss)(params, task) for task in ("row", "column")]
        jacobian = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(row["shared"] for row in rows))
        shared, _ = aggregate(aggregation.PCGrad(), jacobian, jax.random.key(0))  # No draw for two.
        tasks = jax.tree.map(jnp.add, *(row["tasks"] for row in rows))
        return {"shared": shared, "tasks": tasks}

    for _ in range(3):
        first = gradient(params)
        norm = np.sqrt(sum(np.square(leaf).sum() for leaf in jax.tree.leaves(first)))
        worst = jax.tree.map(lambda w, g, n=norm: w + 0.5 * g / n, params, first)
        params = jax.tree.map(lambda w, g: w - 0.5 * g, params, gradient(worst))
    state, _ = made.train_steps(state, given, 3)
    close(jax.tree.map(lambda leaf: leaf[0], state.params), params)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": SAM(SGD(0.05), rho=0.5), "balance": weighting.FAMO()},
        {"balance": aggregation.SAMO(aggregation.PCGrad(), rho=0.5)},
    ],
    ids=["SAM", "SAMO"],
)
def test_the_unperturbed_pass_updates_the_states(changes):
    """With FixMatch and FreeMatch: states and metrics of a step are those without perturbation."""
    balance = changes["balance"].inner
    run = UNLABELLED.replace(
        trunk=nets.MLP((12,), batch_norm=True),
        balance=balance,
        optimizer=SGD(0.05),
        num_seeds=1,
    )
    found = []
    for one in (run, run.replace(**changes)):
        made, state, given = ready(one)
        state, metrics = made.train_steps(state, given, 1)
        losses = {name: value for name, value in metrics.items() if "weight" not in name}
        found.append((state, losses))
    (plain, plain_losses), (sharp, losses) = found
    close(
        (plain.batch_stats, plain.aux_state, plain_losses),
        (sharp.batch_stats, sharp.aux_state, losses),
    )
    kernels = [state.params["shared"]["Dense_0"]["kernel"] for state in (plain, sharp)]
    assert np.isfinite(kernels[1]).all() and not np.allclose(*kernels, atol=1e-4)


@pytest.mark.slow
def test_teacher_and_student_of_meta_pseudo_labels_take_their_own_gradients():
    """The student's step is `run.optimizer`'s, the teacher's that of the extension."""
    free = ScheduleFree(SGD(0.05, momentum=0.0))
    runs = [
        UNLABELLED.replace(optimizer=one, extensions=(MetaPseudoLabels(optimizer=SGD(0.05)),))
        for one in (SGD(0.05, momentum=0.0), SAM(SGD(0.05, momentum=0.0), rho=0.5), free)
    ]
    params = []
    for run in runs:
        made, state, given = ready(run)
        state, _ = made.train_steps(state, given, 3)
        params.append(np.asarray(state.params["shared"]["Dense_0"]["kernel"]))
    assert not np.allclose(params[0], params[1]) and not np.allclose(params[0], params[2])
