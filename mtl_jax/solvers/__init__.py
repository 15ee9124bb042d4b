"""Small quadratic and convex programs, solved inside a jitted step."""

from mtl_jax.core import typechecked
from mtl_jax.solvers.convex import ball_point as ball_point
from mtl_jax.solvers.convex import fair_point as fair_point
from mtl_jax.solvers.convex import project_simplex as project_simplex
from mtl_jax.solvers.quadratic import dual_cone as dual_cone
from mtl_jax.solvers.quadratic import min_norm_point as min_norm_point
from mtl_jax.solvers.quadratic import nonnegative_quadratic as nonnegative_quadratic

typechecked.type_all(globals())
