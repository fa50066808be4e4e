"""Energies of given structures: exactly linear in the coefficients of a linear potential."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from assay.frames.reading import read_frames
from assay.propagation.properties.attempts import Attempts
from assay.propagation.properties.options import choice, require_known, spelled
from assay.propagation.properties.relaxation import relaxed
from assay.propagation.property import Quantities, Quantity, State, Stationary, Structures
from assay.results.arrays import Array


@dataclass(frozen=True)
class Energies:
    """Energies of frames as they are, by default above the first one: ΔE_i = E_i − E_0.

    Every potential predicts all frames, so that the errors they share cancel in the differences: the error bar of ΔE
    is far below what those of E_i and E_0, taken as independent, would give.

    | field | meaning |
    |---|---|
    | name | as the user wrote it |
    | frames | the structures, one or more; two where energies are relative |
    | per | `frame`: eV of the whole frame; `atom`: eV/atom |
    | zero | `first`: relative to the first frame; `none`: as the potential gives them |

    Raises `ValueError` where a difference means nothing: frames of other atoms than the first (`per="frame"`), or of
    another composition (`per="atom"`).
    """

    name: str
    frames: tuple[Atoms, ...]
    per: str = "frame"
    zero: str = "first"

    def __post_init__(self) -> None:
        if len(self.frames) < (2 if self.zero == "first" else 1):
            raise ValueError(f"{self.name}: needs two frames or more (one for zero=none), got {len(self.frames)}")
        first = _composition(self.frames[0], self.per)
        for index, frame in enumerate(self.frames):
            if self.zero == "first" and not np.allclose(_composition(frame, self.per), first):
                what, cure = (
                    ("number of atoms of each element", "per=atom or ")
                    if self.per == "frame"
                    else (
                        "composition",
                        "",
                    )
                )
                raise ValueError(
                    f"{self.name}: frame {index} ({frame.symbols}) has another {what} than frame 0 "
                    f"({self.frames[0].symbols}), so the difference of their energies means nothing: {cure}zero=none"
                )

    @classmethod
    def from_words(cls, words: Sequence[str], options: Mapping[str, str], species: Sequence[str]) -> Self:
        """Of `energies:FILE[,per=frame|atom][,zero=first|none]`, FILE anything that ASE reads."""
        if len(words) != 1:
            raise ValueError(f"needs one file, as in energies:FILE.extxyz, got {', '.join(words) or 'none'}")
        require_known(options, "per", "zero")
        per, zero = choice(options, "per", "frame", "atom"), choice(options, "zero", "first", "none")
        frames = tuple(frame.atoms for frame in read_frames(words[0]))
        if foreign := sorted({symbol for frame in frames for symbol in frame.symbols} - set(species)):
            raise ValueError(f"{words[0]} has {', '.join(foreign)}; the potential knows {', '.join(species)}")
        return cls(spelled("energies", words, options), frames, per, zero)

    def start(self, calculator: Calculator) -> Structures:
        """The frames."""
        return {str(index): frame for index, frame in enumerate(self.frames)}

    def quantities(self, calculator: Calculator, start: Structures) -> Quantities:
        attempts, states = Attempts(), dict[str, State]()
        for key, atoms in start.items():
            with attempts:
                states[key] = relaxed(atoms, calculator, "nothing", label=f"frame {key}")
        return attempts.quantities(self.of_states(states))

    def stationary(self, start: Structures) -> Mapping[str, Stationary]:
        return {key: Stationary(atoms, "nothing") for key, atoms in start.items()}

    def of_states(self, states: Mapping[str, State]) -> Quantities:
        """`energy of frame i` (relative: `energy of frame i above frame 0`), eV or eV/atom."""
        energies = {
            index: states[str(index)].energy / (len(frame) if self.per == "atom" else 1)
            for index, frame in enumerate(self.frames)
            if str(index) in states
        }
        unit = "eV/atom" if self.per == "atom" else "eV"
        if self.zero == "none":
            return {f"energy of frame {i}": Quantity(energy, unit) for i, energy in energies.items()}
        return {
            f"energy of frame {i} above frame 0": Quantity(energy - energies[0], unit)
            for i, energy in energies.items()
            if i > 0 and 0 in energies
        }


def _composition(frame: Atoms, per: str) -> Array:
    counts = np.bincount(frame.numbers, minlength=120)
    return counts / (len(frame) if per == "atom" else 1)
