"""Base views of a batch, by the policy that augments them.

labelled          labelled images under the run's weak policy
labelled_strong   the same under its strong policy
weak, weak2       unlabelled images under its weak policy, two independent samples
medium            unlabelled images under its medium policy
strong, strong2   unlabelled images under its strong policy, two independent samples
"""

from typing import Any

from mtl_jax.core.validation import require

WEAK = ("labelled", "weak", "weak2")
MEDIUM = ("medium",)
STRONG = ("labelled_strong", "strong", "strong2")
BASE_VIEWS = WEAK + MEDIUM + STRONG


def stream_name(kind: str, *settings: Any) -> str:
    """Name of a derived view and its random stream; renamed classes keep their samples."""
    numbers = (float(each) if type(each) is int else each for each in settings)
    return " ".join([kind, *map(str, numbers)])


def require_base_views(request: Any, field: str) -> None:
    """Requires that a field of a derived view, "view" or "views", is of base views."""
    value = getattr(request, field)
    views = value if field == "views" else (value,)
    fine = isinstance(views, tuple) and views and all(view in BASE_VIEWS for view in views)
    require(bool(fine), request, field, f"must be of {', '.join(BASE_VIEWS)}", value)
