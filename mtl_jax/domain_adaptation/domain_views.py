"""Names of the views of both domains."""

from mtl_jax.core.views import View

# The source is the labelled data, the target the unlabelled data (see `mtl_jax.data.Domains`).
SOURCE, TARGET = "labelled", "weak"
BOTH: tuple[View, ...] = (SOURCE, TARGET)
