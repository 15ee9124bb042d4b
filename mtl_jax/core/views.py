"""Views of a batch: images that a method requests, their augmentation and their model.

Base views are strings (`base_views`), and derived views are made of them. All but those of
`SeparatePass` share one forward pass.
"""

import dataclasses
import math
from typing import Literal

from mtl_jax.core.base_views import require_base_views, stream_name
from mtl_jax.core.mixed_views import CutMixView, MixedView
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require, require_choice, require_int, require_number

Parameters = Literal["selected", "ema", "raw"]  # Of a finished run.
PARAMETERS = ("selected", "ema", "raw")


@typechecked
@dataclasses.dataclass(frozen=True)
class RotatedView:
    """A base view rotated by 0 to 3 quarter turns; `view_params` is their number `[n]`.

    Attributes:
      view: the base view.

    Raises:
      BadInput: if it is not a base view.
    """

    view: str = "strong"

    def __post_init__(self):
        require_base_views(self, "view")

    @property
    def views(self) -> tuple[str, ...]:
        """The base views it is computed from."""
        return (self.view,)

    @property
    def stream_name(self) -> str:
        """Its key in `AuxInputs` and the name of its random stream."""
        return stream_name("rotated", self.view)


@typechecked
@dataclasses.dataclass(frozen=True)
class AdversarialView:
    """A base view with the norm-bounded perturbation that changes predictions the most.

    `x + radius d / |d|` with `d = J^T F J r`: J the Jacobian of the outputs, r random of norm 1,
    F the Hessian of the divergence: `diag(p) - p p^T` for multiclass targets, 1 for continuous
    ones. This is the power method, and the limit of the paper's finite difference for xi -> 0
    (which float32 cannot resolve at its xi of 1e-6). Each task has its own perturbation. The
    images take a separate forward pass; its batch statistics, and those of the passes that
    compute d, are discarded. No gradient with respect to d.

    Attributes:
      view: the base view.
      radius: norm of the perturbation of each example, on the scale of the images.
      iterations: number of power iterations.
      target_type: target type of the task.

    Raises:
      BadInput: if it is not a base view, or for a value out of range.

    Reference: Miyato et al., Virtual Adversarial Training, TPAMI 2019, Algorithm 1
      (https://arxiv.org/abs/1704.03976).
    """

    view: str = "weak"
    radius: float = 6.0
    iterations: int = 1
    target_type: Literal["multiclass", "continuous"] = "multiclass"

    def __post_init__(self):
        require_base_views(self, "view")
        require_number(self, radius=(0.0, math.inf))
        require_int(self, iterations=1)
        require_choice(self, target_type=("multiclass", "continuous"))

    @property
    def views(self) -> tuple[str, ...]:
        """The base views it is computed from."""
        return (self.view,)

    @property
    def stream_name(self) -> str:
        """Its key in `AuxInputs` and the name of its random stream."""
        return stream_name("adversarial", self.view, self.radius, self.iterations, self.target_type)


@typechecked
@dataclasses.dataclass(frozen=True)
class FeatureDropoutView:
    """A base view whose features lack random channels; its heads are applied once more.

    The features are those of the joint pass, so the images are not encoded again, and the heads
    read them in one batch with those of the other views. Each task has its own channels.

    Attributes:
      view: the base view, which is made part of the joint pass.
      rate: probability that a channel is dropped (`mtl_jax.core.features.drop_channels`).

    Raises:
      BadInput: if it is not a base view, or for a rate outside [0, 1).

    Reference: Yang et al., Revisiting Weak-to-Strong Consistency in Semi-Supervised Semantic
      Segmentation, CVPR 2023, Section 3 (https://arxiv.org/abs/2208.09910).
    """

    view: str = "weak"
    rate: float = 0.5

    def __post_init__(self):
        require_base_views(self, "view")
        require_number(self, rate=(0.0, 1.0))
        require(self.rate < 1.0, self, "rate", "must be below 1", self.rate)

    @property
    def views(self) -> tuple[str, ...]:
        """The base views it is computed from."""
        return (self.view,)

    @property
    def stream_name(self) -> str:
        """Its key in `AuxInputs` and the name of its random stream."""
        return stream_name("dropout", self.view, self.rate)


@typechecked
@dataclasses.dataclass(frozen=True)
class SeparatePass:
    """Base views in a separate forward pass, whose batch statistics are discarded.

    Attributes:
      views: base views; their outputs are concatenated.
      model: "student", the trained model; "frozen_student", the same without gradients;
        "teacher", the averaged parameters, without gradients; "source", the source model with
        its own running statistics, without gradients (requires `init_from`).

    Raises:
      BadInput: for no view, one that is not a base view, or an unknown model.
    """

    views: tuple[str, ...]
    model: Literal["student", "frozen_student", "teacher", "source"] = "student"

    def __post_init__(self):
        require_base_views(self, "views")
        require_choice(self, model=("student", "frozen_student", "teacher", "source"))

    @property
    def stream_name(self) -> str:
        """Its key in `AuxInputs` and the name of its random stream."""
        return stream_name("separate", *self.views, self.model)


@typechecked
@dataclasses.dataclass(frozen=True)
class TeacherView:
    """Predictions of the run's teachers for the unlabelled images, computed before training.

    The images are not augmented. Their weights `[U]` are the `view_params`.

    Attributes:
      params: which parameters of the teacher compute the predictions.
      per_class: number of images of each predicted class with nonzero weight: the most confident
        ones have weight 1; in a class with fewer images all have `per_class / count`. None gives
        all images weight 1.

    Raises:
      BadInput: for unknown parameters, or a number below 1.

    Reference: the class balancing is Noisy Student's, Xie et al., CVPR 2020, Section 3.1, which
      duplicates images instead of weighting them (https://arxiv.org/abs/1911.04252).
    """

    params: Parameters = "selected"
    per_class: int | None = None

    views = ()

    def __post_init__(self):
        require_choice(self, params=PARAMETERS)
        if self.per_class is not None:
            require_int(self, per_class=1)

    @property
    def stream_name(self) -> str:
        """Its key in `AuxInputs`; it has no randomness."""
        return stream_name("stored", self.params, self.per_class)


View = (
    str
    | MixedView
    | CutMixView
    | RotatedView
    | AdversarialView
    | FeatureDropoutView
    | SeparatePass
    | TeacherView
)


def view_key(view: View) -> str:
    """The key of a view in `AuxInputs`: a base view itself, or the stream name."""
    return view if isinstance(view, str) else view.stream_name


def base_views(view: View) -> tuple[str, ...]:
    """The base views that a view is computed from."""
    return (view,) if isinstance(view, str) else view.views
