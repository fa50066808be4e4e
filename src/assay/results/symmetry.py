"""Force components that vanish by symmetry."""

from __future__ import annotations

STILL = 1e-3
"""eV/Å: a force component for which every member predicts less vanishes by symmetry, if its label is not above
`STILL_LABEL`. Coordinates rounded to 6 decimals leave some 1e-4 eV/Å in a prediction."""


STILL_LABEL = 1e-2
"""eV/Å: what labels that vanish by symmetry may have, as DFT leaves it. More than that is an error of the potential,
such as for atoms beyond its cut-off, and is not left out."""
