"""Tests of mtl_jax, laid out as the package is."""
