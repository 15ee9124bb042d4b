"""Names of the views of both domains."""

# The source is the labelled data, the target the unlabelled data (see `mtl_jax.data.Domains`).
SOURCE, TARGET = "labelled", "weak"
BOTH = (SOURCE, TARGET)
