"""Predictions of exported models, which need JAX and their folder, but no training code.

`python -m mtl_jax.predict DIR INPUT --out predictions.csv` predicts files, `mtl_jax.load(DIR)`
arrays. Beside JAX and NumPy it needs safetensors and, for images, Pillow.
"""

from mtl_jax.core import typechecked
from mtl_jax.predict.answers import Answer as Answer
from mtl_jax.predict.answers import answer as answer
from mtl_jax.predict.description import ArraySpec as ArraySpec
from mtl_jax.predict.description import Column as Column
from mtl_jax.predict.description import Description as Description
from mtl_jax.predict.description import InputSpec as InputSpec
from mtl_jax.predict.description import TaskSpec as TaskSpec
from mtl_jax.predict.description import Tokenizer as Tokenizer
from mtl_jax.predict.exported_model import ExportedModel as ExportedModel
from mtl_jax.predict.exported_model import load as load

typechecked.typecheck_exports(globals())
