"""Meta Pseudo Labels: a teacher trained on its student's feedback, a step extension."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from mtl_jax.config.param_rules import partition_params
from mtl_jax.config.task import required_views
from mtl_jax.core.head_key import encoder_params, head_params
from mtl_jax.core.model import features_by_task, predict, restore_counters
from mtl_jax.core.optimizer import Optimizer
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.step_extension import (
    AfterContext,
    ExtraLosses,
    InitContext,
    StepContext,
    StepExtension,
)
from mtl_jax.core.step_types import TrainState
from mtl_jax.core.tree import Tree, ema_decay_at, ema_update, merge
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require, require_number
from mtl_jax.losses import cross_entropy
from mtl_jax.losses.masked import masked_mean

ByTask = dict[str, jax.Array]


class MetaTeacherState(NamedTuple):
    """The second model: between steps the teacher, within a step the student."""

    params: Tree
    batch_stats: Tree
    ema: Tree
    opt_state: Tree
    baseline: jax.Array  # [K], moving average of the decrease in the student's losses.


@typechecked
@dataclasses.dataclass(frozen=True)
class MetaPseudoLabels(StepExtension):
    """Meta Pseudo Labels: the run's model is the student of a teacher of the same architecture.

    The student trains on the teacher's pseudo-labels `y = argmax teacher(strong)` only: a step
    of the run's optimizer on the sum over tasks of `mean_i CE(student(strong_i), y_i)` over the
    U unlabelled images. The teacher, initialised with a separate key, trains like the model of a
    run without this extension (labelled loss, auxiliary losses, balance, penalties, task
    schedule), with the student's feedback added to the loss of each task k:

        meta_weight * (h_k - m_k) * mean_i CE(teacher(strong_i), y_i)
        h_k = l_k(student before its step) - l_k(student after it)

    l_k is the task's loss on the step's labelled images, in training mode with batch statistics
    discarded; to first order, and for plain gradient descent, h_k is the paper's inner product
    of gradients `lr * <grad l_k(after), grad CE>`. m_k is the moving average of h_k including
    this step, as in the authors' code. No gradient with respect to y, h and m. The authors' code
    has the opposite sign of h, which has no effect with its soft labels (their term has no
    gradient); the sign here is the paper's.

    The student never receives true labels. The paper finally fine-tunes it on the labelled
    images: this is a second run with `init_from` set to this one.

    Attributes:
      meta_weight: weight of the feedback term in the teacher's loss.
      baseline_momentum: momentum of m; None disables the baseline (m = 0).
      optimizer: optimizer of the teacher; None uses the run's.

    Raises:
      BadInput: for a negative weight, or a momentum outside [0, 1].

    Reference: Pham et al., Meta Pseudo Labels, CVPR 2021, Section 2 and the appendix on the
      teacher's update (https://arxiv.org/abs/2003.10580), for a single task.
    """

    meta_weight: float = 1.0
    baseline_momentum: float | None = 0.99
    optimizer: Optimizer | None = None

    name = "meta_teacher"
    extra_models = ("coach",)  # Random stream of the teacher; renaming it would change results.
    needs_unlabelled = True

    def __post_init__(self):
        require_number(self, meta_weight=(0.0, math.inf))
        if self.baseline_momentum is not None:
            require_number(self, baseline_momentum=(0.0, 1.0))

    def check(self, run: Any) -> None:
        """Requires cross-entropy tasks with strong views, and a balance that uses one batch."""
        others = [task.name for task in run.tasks if task.loss is not cross_entropy]
        rule = "with MetaPseudoLabels needs tasks with the loss cross_entropy"
        require(not others, run, "extensions", rule, others)
        needed = ("labelled", "strong")
        blind = [t.name for t in run.tasks if not all(v in required_views(t) for v in needed)]
        rule = "with MetaPseudoLabels needs auxiliary losses of labelled and strong images"
        rule += " (at least UDA(weight=0.0))"
        require(not blind, run, "extensions", rule, blind)
        single = run.balance.access not in ("heldout_losses", "cross_gramian")
        rule = "with MetaPseudoLabels needs a balance that sees one batch"
        require(single, run, "extensions", rule, run.balance)
        rule = "must be False with MetaPseudoLabels"
        measured = run.evaluation.measure_affinity
        require(not measured, run, "evaluation.measure_affinity", rule, measured)
        anchored = any(rule.l2_sp for rule in run.param_rules)
        rule = "must have no l2_sp with MetaPseudoLabels, whose teacher has no start"
        require(not anchored, run, "param_rules", rule, run.param_rules)

    def init(self, context: InitContext) -> MetaTeacherState:
        """Initial state of the teacher."""
        run, (params, batch_stats) = context.run, context.models["coach"]
        trained, _ = partition_params(params, run.param_rules)
        optimizer = (self.optimizer or run.optimizer).build(run.steps, run.param_rules)
        baseline = jnp.zeros(len(run.tasks))
        return MetaTeacherState(params, batch_stats, params, optimizer.init(trained), baseline)

    def before_step(self, state: TrainState) -> TrainState:
        """Returns the state with the teacher as the trained model."""
        return swap_models(state, self.name)

    def extra_losses(self, context: StepContext) -> ExtraLosses:
        """Feedback terms from the student's step, added to the teacher's losses."""
        names = [task.name for task in context.run.tasks]
        outputs = {
            name: views["strong"][name]
            for stream, views in zip(context.streams, context.outputs, strict=True)
            for name in stream.tasks
        }
        labels = {name: jax.lax.stop_gradient(outputs[name]).argmax(-1) for name in names}
        student = context.state.extensions[self.name]
        student, losses, decrease = student_step(context, student, labels)
        signal = decrease
        if self.baseline_momentum is not None:
            mean = ema_update(student.baseline, decrease, self.baseline_momentum)
            student, signal = student._replace(baseline=mean), decrease - mean
        added = {
            name: self.meta_weight * each * cross_entropy(outputs[name], labels[name]).mean()
            for name, each in zip(names, signal, strict=True)
        }
        metrics = {f"feedback/{name}": h for name, h in zip(names, decrease, strict=True)}
        metrics |= {f"student_loss/{name}": losses[name] for name in names}
        return ExtraLosses(added, student, metrics)

    def after_step(self, context: AfterContext, state: TrainState) -> TrainState:
        """Returns the state with the student as the run's model again, its average updated."""
        student = state.extensions[self.name]
        decay = ema_decay_at(context.run.evaluation.ema_decay, context.before.step)
        student = student._replace(ema=ema_update(student.ema, student.params, decay))
        state = state._replace(extensions={**state.extensions, self.name: student})
        return swap_models(state, self.name)


def swap_models(state: TrainState, name: str) -> TrainState:
    """Returns the state with its model and that of an extension swapped."""
    other = state.extensions[name]
    own = MetaTeacherState(
        state.params, state.batch_stats, state.ema, state.opt_state, other.baseline
    )
    return state._replace(
        params=other.params,
        batch_stats=other.batch_stats,
        ema=other.ema,
        opt_state=other.opt_state,
        extensions={**state.extensions, name: own},
    )


class StudentStep(NamedTuple):
    """A step of the student."""

    student: MetaTeacherState  # with the batch statistics of the strong views
    losses: ByTask  # [] each, on the pseudo-labels
    decrease: jax.Array  # [K], of the losses on the labelled images


def student_step(context: StepContext, student: MetaTeacherState, labels: ByTask) -> StudentStep:
    """Trains the student for one step on pseudo-labels `[U]` of the strong views."""
    run, model = context.run, context.model
    trained, frozen = partition_params(student.params, run.param_rules)
    before = student.batch_stats

    def pseudo_label_loss(trained):
        params, batch_stats, losses = merge(trained, frozen), before, {}
        for stream in context.streams:
            key = fold_in_name(context.key, "lesson")
            features, batch_stats = model.encode(
                encoder_params(params),
                restore_counters(batch_stats, before),
                stream.batch.inputs["strong"],
                train=True,
                key=key,
                tasks=stream.tasks,
            )
            features = features_by_task(features, stream.tasks)
            heads = head_params(params)
            outputs, batch_stats = model.decode(heads, batch_stats, features, train=True, key=key)
            losses |= {n: cross_entropy(outputs[n], labels[n]).mean() for n in stream.tasks}
        return sum(losses.values()), (losses, batch_stats)

    gradient_fn = jax.grad(pseudo_label_loss, has_aux=True)
    gradient, found = run.optimizer.gradient(gradient_fn, trained, student.opt_state)
    losses, batch_stats = found
    transform = run.optimizer.build(run.steps, run.param_rules)
    updates, opt_state = transform.update(gradient, student.opt_state, trained)
    params = merge(optax.apply_updates(trained, updates), frozen)
    decrease = labelled_losses(context, student.params, before)
    decrease = decrease - labelled_losses(context, params, before)
    student = student._replace(params=params, batch_stats=batch_stats, opt_state=opt_state)
    return StudentStep(student, losses, decrease)


def labelled_losses(context: StepContext, params: Tree, batch_stats: Tree) -> jax.Array:
    """Losses `[K]` on the labelled images, in training mode; batch statistics are discarded."""
    losses, key = {}, fold_in_name(context.key, "exam")
    for stream in context.streams:
        batch = stream.batch
        inputs = batch.inputs["labelled"]
        outputs = predict(context.model, params, batch_stats, inputs, key, stream.tasks)
        for task in (task for task in context.run.tasks if task.name in stream.tasks):
            labels, mask = batch.labels[task.name], batch.mask[task.name]
            losses[task.name] = masked_mean(task.loss, outputs[task.name], labels, mask)
    return jnp.stack([losses[task.name] for task in context.run.tasks])
