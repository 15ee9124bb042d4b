"""Views of a batch: what a method may ask for (which images, how changed, by which model).

The plain ones are names:

    labelled          labelled images under the run's weak policy
    labelled_strong   the same under its strong policy
    weak, weak2       unlabelled images under its weak policy, drawn twice
    medium            unlabelled images under its medium policy
    strong, strong2   unlabelled images under its strong policy, drawn twice

The others are made of those. All that is asked for goes through the net in one pass, labelled,
weak and strong together, so BatchNorm sees their joint batch; `Apart` says otherwise.
"""

import dataclasses
import math
from typing import Any, Literal, NamedTuple

import jax

from mtl_jax.core.typechecked import typed
from mtl_jax.core.validation import require, require_choice, require_count, require_number

WEAK = ("labelled", "weak", "weak2")
MEDIUM = ("medium",)
STRONG = ("labelled_strong", "strong", "strong2")
PLAIN = WEAK + MEDIUM + STRONG
# Of a finished run: those that its validation selected, or of its last step.
Parameters = Literal["selected", "ema", "raw"]
PARAMETERS = ("selected", "ema", "raw")


class Mixing(NamedTuple):
    """With whom the images of a mixed view were mixed, and how much of each is its own."""

    partner: jax.Array  # [n]
    ratio: jax.Array  # [n], at least 1/2 if the request is `own_first`


def stream_name(kind: str, *settings: Any) -> str:
    """The name of a derived view and of its random stream, by words and numbers.

    It does not hang on how anything is called in Python, so that a renamed class draws the same.
    """
    numbers = (float(each) if type(each) is int else each for each in settings)
    return " ".join([kind, *map(str, numbers)])


@typed
@dataclasses.dataclass(frozen=True)
class Mixed:
    """Images of some views mixed with each other: `r x_i + (1 - r) x_j`.

    j is a random permutation of all parts together, and r follows Beta(alpha, alpha), for each
    example or once for the batch. What it drew stands in `Views.drawn` as a `Mixing`.

    Attributes:
      parts: plain views, one after the other.
      alpha: of the Beta distribution.
      kind: whether images are added or a rectangle of one is pasted into the other.
      own_first: whether r is `max(r, 1 - r)`, so that an image stays mostly itself.
      each: whether every example draws an r of its own.
      ratio: r, if it is fixed: then there are two parts, and j goes in order through the other.

    Raises:
      BadInput: for no part, one that is no plain view, or another setting out of range.

    Reference: Zhang et al., mixup, ICLR 2018, Eq. 1 (https://arxiv.org/abs/1710.09412); Yun et
      al., CutMix, ICCV 2019, Eq. 1 (https://arxiv.org/abs/1905.04899); `max(r, 1 - r)` is
      MixMatch's, Berthelot et al., NeurIPS 2019, Eq. 9 (https://arxiv.org/abs/1905.02249).
    """

    parts: tuple[str, ...]
    alpha: float = 0.75
    kind: Literal["mixup", "cutmix"] = "mixup"
    own_first: bool = True
    each: bool = True
    ratio: float | None = None

    def __post_init__(self):
        require_plain(self)
        require_number(self, alpha=(1e-6, math.inf))
        require_choice(self, kind=("mixup", "cutmix"))
        if self.ratio is not None:
            require_number(self, ratio=(0.0, 1.0))
            require(len(self.parts) == 2, self, "parts", "must be two", self.parts)
            require_choice(self, kind=("mixup",))

    @property
    def stream_name(self) -> str:
        """Its name in `Views`, and that of its random stream."""
        own = (self.alpha, self.kind, self.own_first, self.each, self.ratio)
        return stream_name("mixed", *self.parts, *own)


@typed
@dataclasses.dataclass(frozen=True)
class Rotated:
    """A plain view turned by 0 to 3 quarter turns; which, `[n]`, stands in `Views.drawn`.

    Attributes:
      of: the view.

    Raises:
      BadInput: if it is no plain view.
    """

    of: str = "strong"

    def __post_init__(self):
        require_plain(self)

    @property
    def parts(self) -> tuple[str, ...]:
        """The plain views that it is made of."""
        return (self.of,)

    @property
    def stream_name(self) -> str:
        """Its name in `Views`, and that of its random stream."""
        return stream_name("rotated", self.of)


@typed
@dataclasses.dataclass(frozen=True)
class Adversarial:
    """A plain view moved, within a ball, to where the model's prediction changes the most.

    `x + radius d / |d|` with `d = J^T F J r`: J is the slope of the outputs, r random of length
    1, F the curvature of the divergence: `diag(p) - p p^T` of classes, 1 of numbers. That is
    the power method for the strongest direction, and the limit of the paper's finite difference
    for xi -> 0 (at its xi of 1e-6 that difference is lost in float32). Each task has an adversary
    of its own. The images go through the net in a pass of their own, whose statistics are
    discarded, as are those of the passes that look for d; no gradient flows through d.

    Attributes:
      of: the view.
      radius: length of the step for each example, in the units of the images.
      iterations: of the power method.
      target_type: of the task.

    Raises:
      BadInput: if it is no plain view, or for a setting out of range.

    Reference: Miyato et al., Virtual Adversarial Training, TPAMI 2019, Algorithm 1
      (https://arxiv.org/abs/1704.03976).
    """

    of: str = "weak"
    radius: float = 6.0
    iterations: int = 1
    target_type: Literal["multiclass", "continuous"] = "multiclass"

    def __post_init__(self):
        require_plain(self)
        require_number(self, radius=(0.0, math.inf))
        require_count(self, iterations=1)
        require_choice(self, target_type=("multiclass", "continuous"))

    @property
    def parts(self) -> tuple[str, ...]:
        """The plain views that it is made of."""
        return (self.of,)

    @property
    def stream_name(self) -> str:
        """Its name in `Views`, and that of its random stream."""
        own = (self.radius, self.iterations, self.target_type)
        return stream_name("adversarial", self.of, *own)


@typed
@dataclasses.dataclass(frozen=True)
class Apart:
    """Views that go through the net in a pass of their own, whose statistics are discarded.

    Attributes:
      parts: plain views; their outputs come one after the other.
      by: the model; "student" with gradients, "frozen_student" the same without, "teacher" the averaged
        parameters, without; "source" the net that the run started from, with its own running
        statistics, without (it wants a run with a source).

    Raises:
      BadInput: for no part, or one that is no plain view, or another model.
    """

    parts: tuple[str, ...]
    by: Literal["student", "frozen_student", "teacher", "source"] = "student"

    def __post_init__(self):
        require_plain(self)
        require_choice(self, by=("student", "frozen_student", "teacher", "source"))

    @property
    def stream_name(self) -> str:
        """Its name in `Views`, and that of its random stream."""
        return stream_name("separate", *self.parts, self.by)


@typed
@dataclasses.dataclass(frozen=True)
class Stored:
    """What the run's teachers said of the unlabelled images before the training began.

    Outputs for the images as they are. How much each counts, `[U]`, stands in `Views.drawn`.

    Attributes:
      by: which parameters of the teacher say it.
      per_class: how many images of each guessed class count: the most confident ones with 1;
        of a class with fewer, all of them with `per_class / count`. None counts all with 1.

    Raises:
      BadInput: for other parameters, or a number below 1.

    Reference: the balance of classes is Noisy Student's, Xie et al., CVPR 2020, Section 3.1,
      which copies images where we weigh them (https://arxiv.org/abs/1911.04252).
    """

    by: Parameters = "selected"
    per_class: int | None = None

    parts = ()

    def __post_init__(self):
        require_choice(self, by=PARAMETERS)
        if self.per_class is not None:
            require_count(self, per_class=1)

    @property
    def stream_name(self) -> str:
        """Its name in `Views`; nothing random is drawn for it."""
        return stream_name("stored", self.by, self.per_class)


View = str | Mixed | Rotated | Adversarial | Apart | Stored


def name_of(view: View) -> str:
    """What a view is called in `Views`: its own name, or that of its random stream."""
    return view if isinstance(view, str) else view.stream_name


def plain_parts(view: View) -> tuple[str, ...]:
    """The plain views that a view is made of."""
    return (view,) if isinstance(view, str) else view.parts


def require_plain(request: View) -> None:
    """Requires that a request is made of plain views."""
    parts = request.parts
    fine = isinstance(parts, tuple) and parts and all(part in PLAIN for part in parts)
    field = "of" if hasattr(request, "of") else "parts"
    require(bool(fine), request, field, f"must be of {', '.join(PLAIN)}", getattr(request, field))
