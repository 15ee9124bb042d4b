"""A teacher that learns from its student: Meta Pseudo Labels, a setting of a run."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from mtl_jax.config.optimizers import SGD, Adam
from mtl_jax.config.task import views_of
from mtl_jax.core.protocols import BilevelWeighting, CrossWeighting
from mtl_jax.core.typechecked import typed
from mtl_jax.core.validation import require, require_number


@typed
@dataclasses.dataclass(frozen=True)
class Coach:
    """Meta Pseudo Labels: the run's net is the student of a teacher of the same shape beside it.

    The student learns from nothing but the teacher's classes `y = argmax teacher(strong)`: a
    step of the run's optimizer on the sum over the tasks of `mean_i CE(student(strong_i), y_i)`
    over the U unlabelled images. The teacher, drawn by another key, learns by all that the run's
    net learns by without a coach, labelled loss, consistency, balance, penalties, scheme; and,
    in the loss of each task k, by how much the labels that it gave helped:

        feedback * (h_k - m_k) * mean_i CE(teacher(strong_i), y_i)
        h_k = l_k(student before its step) - l_k(student after it)

    l_k is the task's loss of the step's labelled images, in training mode, its statistics
    discarded; to first order, and for plain gradient descent, h_k is the paper's product of
    gradients `rate * <grad l_k(after), grad CE>`. m_k is the running mean of h_k, this step's
    included, as in the authors' code. No gradient flows through y, h and m. The authors' code
    has h with the other sign, which its soft labels hide (their term has no gradient); here is
    the paper's.

    The student never sees a label. In the paper it is fine-tuned on the labelled images in the
    end: that is another run, with this one as its `source`.

    Attributes:
      feedback: weight of the teacher's term.
      centre: momentum of m; None is m = 0.
      optimizer: of the teacher; None is the run's.

    Raises:
      BadInput: for a negative weight, a momentum outside [0, 1], or another optimizer.

    Reference: Pham et al., Meta Pseudo Labels, CVPR 2021, Section 2 and the appendix on the
      teacher's update (https://arxiv.org/abs/2003.10580), there for one task.
    """

    feedback: float = 1.0
    centre: float | None = 0.99
    optimizer: SGD | Adam | None = None

    def __post_init__(self):
        require_number(self, feedback=(0.0, math.inf))
        if self.centre is not None:
            require_number(self, centre=(0.0, 1.0))
        fine = self.optimizer is None or isinstance(self.optimizer, SGD | Adam)
        require(fine, self, "optimizer", "must be SGD, Adam or None", self.optimizer)

    def check(self, run: Any, classes: Callable) -> None:
        """Requires a run whose tasks a teacher can label; `classes` is the loss of such tasks."""
        others = [task.name for task in run.tasks if task.loss is not classes]
        require(not others, run, "coach", "needs tasks with the loss cross_entropy", others)
        needed = ("labelled", "strong")
        blind = [task.name for task in run.tasks if not all(v in views_of(task) for v in needed)]
        rule = "needs methods that see labelled and strong images (at least UDA(weight=0.0))"
        require(not blind, run, "coach", rule, blind)
        single = not isinstance(run.balance, BilevelWeighting | CrossWeighting)
        require(single, run, "coach", "needs a balance that sees one batch", run.balance)
        require(not run.affinity, run, "affinity", "must be False with a coach", run.affinity)
