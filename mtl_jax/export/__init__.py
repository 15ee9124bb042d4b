"""Exports the trained model of a run to a folder, which `mtl_jax.predict` loads."""

from mtl_jax.core import typechecked
from mtl_jax.export.exported_run import export_run as export_run
from mtl_jax.export.trained_model import Choice as Choice
from mtl_jax.export.trained_model import TrainedModel as TrainedModel
from mtl_jax.export.trained_model import load_trained as load_trained

typechecked.typecheck_exports(globals())
