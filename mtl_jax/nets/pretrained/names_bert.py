"""How Hugging Face names the tensors of BERT and its kin."""

import numpy as np

from mtl_jax.nets.pretrained.name_map import Line, Names, Shapes
from mtl_jax.nets.pretrained.rules_transformer import by_head, linears, norms


def fit_bert(tensors: dict[str, np.ndarray], wanted: Shapes) -> dict[str, np.ndarray]:
    """Heads of attention, and no pooler where the trunk has none, as with pooling "mean"."""
    tensors = by_head(tensors, wanted)
    idle = {path for path in tensors if path.startswith("params/pooler/") and path not in wanted}
    return {path: array for path, array in tensors.items() if path not in idle}


LAYER, BLOCK = r"(?:bert\.)?encoder\.layer\.(\d+)", r"params/block\1"

# What predicts masked words and next sentences (`cls`) is known and not needed.
BERT = Names(
    name="Hugging Face's BERT",
    table=(
        Line(r"(?:bert\.)?embeddings\.position_ids", None),
        Line(r"(?:bert\.)?embeddings\.word_embeddings\.weight", "params/embed/token"),
        Line(r"(?:bert\.)?embeddings\.position_embeddings\.weight", "params/embed/place"),
        Line(r"(?:bert\.)?embeddings\.token_type_embeddings\.weight", "params/embed/type"),
        *norms(r"(?:bert\.)?embeddings\.LayerNorm", "params/embed/norm"),
        *linears(rf"{LAYER}\.attention\.self\.(query|key|value)", rf"{BLOCK}/attention/\2"),
        *linears(rf"{LAYER}\.attention\.output\.dense", f"{BLOCK}/attention/out"),
        *norms(rf"{LAYER}\.attention\.output\.LayerNorm", f"{BLOCK}/norm_attention"),
        *linears(rf"{LAYER}\.intermediate\.dense", f"{BLOCK}/mlp_in"),
        *linears(rf"{LAYER}\.output\.dense", f"{BLOCK}/mlp_out"),
        *norms(rf"{LAYER}\.output\.LayerNorm", f"{BLOCK}/norm_mlp"),
        *linears(r"(?:bert\.)?pooler\.dense", "params/pooler"),
        Line(r"cls\.(?:predictions|seq_relationship)\..*", None),
        *linears("classifier", "head"),
    ),
    fit=fit_bert,
)
