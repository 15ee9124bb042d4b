"""Solvers for small quadratic and convex programs, for use inside a jitted step."""

from mtl_jax.core import typechecked
from mtl_jax.solvers.cagrad import solve_cagrad as solve_cagrad
from mtl_jax.solvers.convex import project_simplex as project_simplex
from mtl_jax.solvers.convex import solve_alpha_fair as solve_alpha_fair
from mtl_jax.solvers.quadratic import min_norm_point as min_norm_point
from mtl_jax.solvers.quadratic import project_dual_cone as project_dual_cone
from mtl_jax.solvers.quadratic import solve_nonneg_qp as solve_nonneg_qp

typechecked.typecheck_exports(globals())
