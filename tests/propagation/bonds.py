"""A solid of nearest-neighbour bonds: most of its properties have a closed form."""

from __future__ import annotations

from ase.calculators.calculator import Calculator
from ase.calculators.morse import MorsePotential

DEPTH, LENGTH, WIDTH = 0.4, 2.6, 5.0
"""eV and Å: E = D [exp(−2 ρ (r/r₀ − 1)) − 2 exp(−ρ (r/r₀ − 1))] for each bond."""
STIFFNESS = 2 * DEPTH * WIDTH**2 / LENGTH**2
"""eV/Å²: the second derivative of a bond."""


def bonds() -> Calculator:
    """Bonds end before the second shell of fcc (1.41 r₀)."""
    return MorsePotential(epsilon=DEPTH, r0=LENGTH, rho0=WIDTH, rcut1=1.15, rcut2=1.35)
