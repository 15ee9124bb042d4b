"""Names of the tensors of BERT and its variants in Hugging Face."""

import numpy as np

from mtl_jax.nets.pretrained.name_map import NameMap, NameRule, Shapes
from mtl_jax.nets.pretrained.rules_transformer import linears, norms, split_heads


def fit_bert(tensors: dict[str, np.ndarray], shapes: Shapes) -> dict[str, np.ndarray]:
    """Splits attention heads, and drops the pooler if the trunk has none (pooling "mean")."""
    tensors = split_heads(tensors, shapes)
    unused = {path for path in tensors if path.startswith("params/pooler/") and path not in shapes}
    return {path: array for path, array in tensors.items() if path not in unused}


LAYER, BLOCK = r"(?:bert\.)?encoder\.layer\.(\d+)", r"params/block\1"

# The heads for masked words and next sentences (`cls`) are known and not needed.
BERT = NameMap(
    name="Hugging Face's BERT",
    table=(
        NameRule(r"(?:bert\.)?embeddings\.position_ids", None),
        NameRule(r"(?:bert\.)?embeddings\.word_embeddings\.weight", "params/embed/token"),
        NameRule(r"(?:bert\.)?embeddings\.position_embeddings\.weight", "params/embed/place"),
        NameRule(r"(?:bert\.)?embeddings\.token_type_embeddings\.weight", "params/embed/type"),
        *norms(r"(?:bert\.)?embeddings\.LayerNorm", "params/embed/norm"),
        *linears(rf"{LAYER}\.attention\.self\.(query|key|value)", rf"{BLOCK}/attention/\2"),
        *linears(rf"{LAYER}\.attention\.output\.dense", f"{BLOCK}/attention/out"),
        *norms(rf"{LAYER}\.attention\.output\.LayerNorm", f"{BLOCK}/norm_attention"),
        *linears(rf"{LAYER}\.intermediate\.dense", f"{BLOCK}/mlp_in"),
        *linears(rf"{LAYER}\.output\.dense", f"{BLOCK}/mlp_out"),
        *norms(rf"{LAYER}\.output\.LayerNorm", f"{BLOCK}/norm_mlp"),
        *linears(r"(?:bert\.)?pooler\.dense", "params/pooler"),
        NameRule(r"cls\.(?:predictions|seq_relationship)\..*", None),
        *linears("classifier", "head"),
    ),
    fit=fit_bert,
)
