"""Base class of methods that keep and train the source's head in addition to the task's own."""

import dataclasses

from mtl_jax.core.auxiliary_loss import AuxiliaryLoss
from mtl_jax.core.head_specs import AuxHead


@dataclasses.dataclass(frozen=True)
class SourceHead(AuxiliaryLoss):
    """A method with a head `old`, which is restored from the source.

    Attributes:
      classes: number of classes of the source's task, at least 2.
    """

    classes: int

    source_heads = ("old",)

    def aux_heads(self, num_classes: int) -> dict[str, AuxHead]:
        """Returns the source's head."""
        return {"old": AuxHead(self.classes)}
