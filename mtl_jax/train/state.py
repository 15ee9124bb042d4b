"""What flows through training, and what stands beside it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.config import param_rules
from mtl_jax.config.optimizers import SGD, Adam
from mtl_jax.config.param_rules import ruled
from mtl_jax.config.run import Run
from mtl_jax.core.aux_inputs import Sizes
from mtl_jax.core.head_specs import Free, Head, Relation
from mtl_jax.core.model import Net
from mtl_jax.core.prng import named
from mtl_jax.core.protocols import BilevelWeighting, JacobianCombiner, LearntPolicy, LossWeighting
from mtl_jax.core.tree import split
from mtl_jax.core.validation import BadInput
from mtl_jax.nets import compose
from mtl_jax.transfer import graft, graft_stats


class Coached(NamedTuple):
    """The other net of a run with a coach: the teacher; within a step, the student."""

    params: Any
    stats: Any
    ema: Any
    opt: Any
    mean: jax.Array  # [K], running mean of by how much the student's losses fell


class TrainState(NamedTuple):
    """All that a step reads and writes; a checkpoint is this and nothing else."""

    step: jax.Array
    key: jax.Array
    params: Any
    stats: Any
    ema: Any
    opt: Any
    balance: Any
    consistency: dict[str, Any]
    augment: Any  # what the strong policy has learnt, () if it does not learn
    coach: Coached | tuple[()] = ()  # the teacher, () in a run without a coach


class Taught(NamedTuple):
    """What a teacher said of the unlabelled images; every seed has its own."""

    outputs: jax.Array  # [N, C]
    weights: jax.Array  # [N], how much each counts


class Known(NamedTuple):
    """Which examples of a stream have labels; every seed draws its own."""

    index: jax.Array  # [L]
    mask: dict[str, jax.Array]  # each [L], whose labels they are


class Stream(NamedTuple):
    """Images, and the labels that they bring."""

    image: jax.Array  # [N, ...]
    labels: dict[str, jax.Array]  # each [N, ...]
    known: Known  # what is trained on
    held: Known | None  # what a bilevel method asks its weights of
    stored: dict[str, Taught]  # by task, what a teacher said of the images
    pool: jax.Array | None = None  # [M], which images come unlabelled; None is all


class Start(NamedTuple):
    """The net that a run with a source starts from."""

    params: Any
    stats: Any
    said: Any = ()  # by task, what its method's `begin` made of it


class Given(NamedTuple):
    """What a run trains on; it never changes."""

    streams: dict[str, Stream]  # by name; a problem of one input has one, named ""
    anchor: Start | None  # the net that a run with a source starts from, else None

    def each(self, shared: Any, drawn: Any) -> "Given":
        """This structure with `shared` where seeds have the same arrays, else `drawn`."""
        streams = dict.fromkeys(self.streams, Stream(shared, shared, drawn, drawn, drawn, shared))
        return Given(streams, drawn)


def key_of(state: TrainState, stream: str) -> jax.Array:
    """The key of a stream, the same at every step; the only one of a problem is the run's."""
    return named(state.key, stream) if stream else state.key


def net_of(run: Run) -> Net:
    """The net that the run trains."""
    maps = any(getattr(task.consistency, "maps", False) for task in run.tasks)
    return compose(run.trunk, outputs_of(run), run.plan, maps)


def outputs_of(run: Run) -> dict[str, int | Head | Free | Relation]:
    """The heads of a run's tasks and, under `task/name`, those that their methods add."""
    outputs = {task.name: task.outputs for task in run.tasks}
    if run.cross_task is not None:
        outputs["/relation"] = Relation(run.cross_task.width)
    for task in run.tasks:
        if hasattr(task.consistency, "heads"):
            for name, head in task.consistency.heads(task.outputs).items():
                outputs[f"{task.name}/{name}"] = head
    return outputs


def trainable(run: Run, params: Any) -> tuple[Any, Any]:
    """Parts parameters in those that are trained and those that are frozen."""
    return split(params, jax.tree.map(lambda rule: not rule.frozen, ruled(params, run.plan)))


def optimizer_of(run: Run) -> SGD | Adam:
    """The optimizer of the net that learns by the tasks' losses: with a coach, the teacher."""
    own = None if run.coach is None else run.coach.optimizer
    return own or run.optimizer


def draw(
    net: Net, seed: jax.Array, image: jax.ShapeDtypeStruct, name: str = "init"
) -> tuple[Any, Any]:
    """Parameters and statistics of a fresh net, by the seed `[]` and what an image looks like.

    `name` is that of the key: "init" for the run's net, "coach" for its teacher.
    """
    sample = jnp.zeros((1, *image.shape), image.dtype)
    return net.init(named(jax.random.key(seed), name), sample)


def create(
    run: Run,
    sizes: dict[str, Sizes],
    seed: jax.Array,
    drawn: tuple[Any, Any],
    source: Any = None,
    coach: tuple[Any, Any] | None = None,
) -> TrainState:
    """State before the first step.

    Args:
      run: what is trained.
      sizes: how many examples each task has.
      seed: `[]`, a whole number.
      drawn: what `draw` made of the same seed.
      source: parameters and statistics `(params, stats)` that the source run ended with.
      coach: what `draw` made for the teacher of a run with a coach.

    Returns:
      A `TrainState` for one seed. Frozen parameters have no optimizer state.

    Raises:
      BadInput: if the source does not fit, or the plan does not cover the parameters.
    """
    params, stats = started(run, drawn, source)
    param_rules.check(params, run.plan)
    kept, _ = trainable(run, params)
    by_losses = isinstance(run.balance, LossWeighting | BilevelWeighting) and not run.affinity
    if not jax.tree.leaves(kept["shared"]) and not by_losses:
        asking = "affinity=True asks for" if run.affinity else f"{run.balance!r} balances"
        raise BadInput(f"run {run.name!r}: {asking} trained shared parameters, there are none")
    balance = start_balance(run.balance, len(run.tasks), kept["shared"])
    by_rows = isinstance(run.balance, JacobianCombiner) and jax.tree.leaves(balance)
    if run.weighing.space == "representation" and by_rows:
        raise BadInput(
            f"run {run.name!r}: {run.balance!r} keeps a state of the shared parameters' shapes, "
            "so weighing.space must be 'parameters'"
        )
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        key=jax.random.key(seed),
        params=params,
        stats=stats,
        ema=params,
        opt=run.optimizer.build(run.steps, run.plan).init(kept),
        balance=balance,
        consistency={
            task.name: task.consistency.init(sizes[task.name])
            for task in run.tasks
            if task.consistency is not None
        },
        augment=run.strong.init() if isinstance(run.strong, LearntPolicy) else (),
        coach=() if run.coach is None else start_coach(run, started(run, coach, source)),
    )


def started(run: Run, drawn: tuple[Any, Any], source: tuple[Any, Any] | None) -> tuple[Any, Any]:
    """Parameters and statistics that a net starts from: drawn, and what it takes of a source."""
    if source is None:
        return drawn
    (params, stats), (loaded, moved) = drawn, source
    fresh = run.fresh + lacking(run.trunk, loaded)
    return (
        graft(params, loaded, run.take, fresh),
        graft_stats(stats, moved, run.take, fresh),
    )


def lacking(trunk: Any, loaded: Any) -> tuple[str, ...]:
    """Patterns of what is added to a trunk and a source does not have."""
    return () if "added" in loaded["shared"] else getattr(trunk, "fresh", ())


def start_coach(run: Run, start: tuple[Any, Any]) -> Coached:
    """The teacher of a run before the first step, by its parameters and statistics."""
    params, stats = start
    kept, _ = trainable(run, params)
    opt = optimizer_of(run).build(run.steps, run.plan).init(kept)
    return Coached(params, stats, params, opt, jnp.zeros(len(run.tasks)))


def start_balance(method: Any, num_tasks: int, shared: Any) -> Any:
    """A balancing method's state before the first step, by the parameters it balances."""
    if isinstance(method, JacobianCombiner):
        return method.init(num_tasks, shared)
    return method.init(num_tasks)


def counted(stats: Any, before: Any) -> Any:
    """Statistics so far with the counters of before the step: it counts once for all streams."""

    def one(new, old):
        return old if jnp.issubdtype(old.dtype, jnp.integer) else new

    return jax.tree.map(one, stats, before)
