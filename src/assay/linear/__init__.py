"""Potentials that are linear in their coefficients: least squares over a stream, and ensembles from the same pass."""
