"""The members of an ensemble as ASE calculators."""

from __future__ import annotations

from ase.calculators.calculator import Calculator

from assay.sources.capabilities import Runs, Source, running


def member_calculator(source: Source, index: int | None = None) -> Calculator:
    """An ASE calculator of member `index` of a source, 0 … M - 1; of its mean, or best fit, with `None`.

    Energy, forces and stress; of SNAP and ACE also the energies of atoms, and as fast as their own codes. Each call
    makes a new calculator.

    Raises
    ------
    ValueError
        the source has no potentials that run: recorded members, or features
    IndexError
        there is no such member
    """
    count = running(source)
    if not (isinstance(source, Runs) and count):
        raise ValueError(
            f"no potentials to run in this source: {source.label}. Needed: a fitted linear potential (SNAP, ACE) or a "
            "committee of ASE calculators"
        )
    if index is not None and not 0 <= index < count:
        raise IndexError(f"member {index} of {count} (the first is 0): {source.label}")
    return source.calculator(index)
