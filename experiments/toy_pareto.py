"""Which balancing method reaches the Pareto set of two conflicting losses, from which start?

The two-objective problem of CAGrad, in the two scalings that papers use: both losses alike
(CAGrad), and the first one a tenth (Nash-MTL and FAMO), where methods that look at lengths
are drawn to the second. Exact losses, no data; Adam with rate 1e-3.

    python launch.py experiments/toy_pareto.py

Two to three minutes on two CPU cores.
"""

import dataclasses

import jax.numpy as jnp

from mtl_jax import aggregation, optimizers, weighting
from mtl_jax.config.toy import PublishedOutcome, ToyExperiment, ToyRun

VALLEY = -8.3552  # y of the Pareto set, on which x runs from -7 to 7.


@dataclasses.dataclass(frozen=True)
class TwoObjectives:
    """The losses of the authors' code (their papers print `-tanh(-y)` in f2, which it has not).

    Attributes:
      scale: of the first loss.

    Reference: Liu et al., Conflict-Averse Gradient Descent for Multi-task Learning, NeurIPS
      2021, Appendix B (https://arxiv.org/abs/2110.14048).
    """

    scale: float

    plot_limits = ((-11.0, 11.0), (-11.0, 11.0))

    def losses(self, point):
        """Maps a point `[2]` to two losses `[2]`."""
        x, y = point
        near, far = jnp.maximum(jnp.tanh(y / 2), 0.0), jnp.maximum(jnp.tanh(-y / 2), 0.0)
        f1 = jnp.log(jnp.maximum(jnp.abs((-x - 7) / 2 - jnp.tanh(-y)), 5e-6)) + 6
        f2 = jnp.log(jnp.maximum(jnp.abs((-x + 3) / 2 + jnp.tanh(-y) + 2), 5e-6)) + 6
        g1 = ((-x + 7) ** 2 + 0.1 * (-y - 8) ** 2) / 10 - 20
        g2 = ((-x - 7) ** 2 + 0.1 * (-y - 8) ** 2) / 10 - 20
        return jnp.stack([self.scale * (near * f1 + far * g1), near * f2 + far * g2])

    def distance_to_pareto(self, point):
        """Maps a point `[2]` to its distance from the Pareto set `[]`."""
        x, y = point
        return jnp.hypot(jnp.maximum(jnp.abs(x) - 7.0, 0.0), y - VALLEY)


ALIKE = ToyRun(
    name="alike, sum",
    problem=TwoObjectives(scale=1.0),
    balance=weighting.Equal(),
    optimizer=optimizers.Adam(1e-3),
    steps=100_000,
    initial_points=((-8.5, 7.5), (-8.5, 5.0), (0.0, 0.0), (9.0, 9.0), (10.0, -8.0)),
)
TENTH = ALIKE.replace(
    name="a tenth, sum",
    problem=TwoObjectives(scale=0.1),
    steps=50_000,
    initial_points=((-8.5, 7.5), (0.0, 0.0), (9.0, 9.0), (-7.5, -0.5), (9.0, -1.0)),
)


METHODS = {
    "MGDA": aggregation.MGDA(),
    "PCGrad": aggregation.PCGrad(),
    "CAGrad": aggregation.CAGrad(c=0.5, rescale="one_plus"),
    "IMTL-G": aggregation.IMTLG(),
    "Nash-MTL": aggregation.NashMTL(),
    "Aligned-MTL": aggregation.AlignedMTL(),
    "UPGrad": aggregation.UPGrad(),
    "UPGrad, no ridge": aggregation.UPGrad(ridge=0.0),
}


def rows(base: ToyRun, kind: str) -> tuple[ToyRun, ...]:
    """The same problem for every method."""
    least = weighting.FAMO(gamma=0.0, min_losses=(-21.0 * base.problem.scale, -21.0))
    methods = {**METHODS, "FAMO": least}
    return (base, *(base.replace(name=f"{kind}, {name}", balance=m) for name, m in methods.items()))


CAGRAD = "CAGrad 2021, Figures 1 and 3"
FAMO = "FAMO 2023, Section 5.1; Nash-MTL 2022, Figure 1"
EXPERIMENT = ToyExperiment(
    runs=rows(ALIKE, "alike") + rows(TENTH, "a tenth"),
    published=(
        PublishedOutcome("alike, sum", "stuck from two starts", CAGRAD),
        PublishedOutcome("alike, MGDA", "reaches it, stops where it first does", CAGRAD),
        PublishedOutcome("alike, PCGrad", "reaches it", CAGRAD),
        PublishedOutcome("alike, CAGrad", "reaches the least mean from all", CAGRAD),
        PublishedOutcome("a tenth, sum", "fails from one start, drawn to the second loss", FAMO),
        PublishedOutcome("a tenth, MGDA", "reaches it, drawn to the first loss", FAMO),
        PublishedOutcome("a tenth, PCGrad", "fails from the right", FAMO),
        PublishedOutcome("a tenth, CAGrad", "fails from the right", FAMO),
        PublishedOutcome("a tenth, Nash-MTL", "reaches balanced points from all", FAMO),
        PublishedOutcome("a tenth, FAMO", "reaches balanced points from all", FAMO),
    ),
)
