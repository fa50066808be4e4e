"""One pass over the labels of a training set, before anything expensive: what is there, and what looks wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from assay.frames.compositions import ALONE, FAIR_SHARE, per_atom, told_by_others
from assay.frames.frame import Frame, FrameError, content_hash
from assay.results.arrays import Array
from assay.results.per_quantity import PerQuantity


@dataclass(frozen=True)
class Survey:
    """Columns over the F frames of a training set with S species; numbers of labels are NaN where there are none.

    | field | meaning | shape, unit |
    |---|---|---|
    | origins, hashes, config_types | of each frame | `(F,)` |
    | species | chemical symbols, by atomic number | `(S,)` |
    | counts | atoms of each species | `(F, S)` |
    | energy | label | `(F,)` eV |
    | largest_force | largest norm of a labelled force | `(F,)` eV/Å |
    | force_square, stress_square | mean square of a component | `(F,)` |
    | force_decay | mean over atoms of `exp(-\\|F\\| / b)` | `(F,)` |
    """

    origins: tuple[str, ...]
    hashes: tuple[str, ...]
    config_types: tuple[str, ...]
    species: tuple[str, ...]
    counts: NDArray[np.int64]
    energy: Array
    largest_force: Array
    force_square: Array
    stress_square: Array
    force_decay: Array

    @classmethod
    def fit(cls, frames: Iterable[Frame], b: float = 50.0) -> Survey:
        """Read frames once; only a few numbers of each are kept. `b` (eV/Å) is that of `force_decay`.

        Raises `FrameError` without frames.
        """
        origins, hashes, kinds, tallies, rows = [], [], [], [], []
        for frame in frames:
            origins.append(frame.origin)
            hashes.append(content_hash(frame.atoms))
            kinds.append(frame.config_type)
            tallies.append(Counter(frame.atoms.numbers.tolist()))
            energy = np.nan if frame.energy is None else frame.energy
            forces = np.full((1, 3), np.nan) if frame.forces is None else frame.forces
            norms = np.linalg.norm(forces, axis=1)
            squares = [np.mean(forces**2), np.nan if frame.stress is None else np.mean(frame.stress**2)]
            rows.append([energy, norms.max(), *squares, np.mean(np.exp(-norms / b))])
        if not origins:
            raise FrameError("no usable frames")
        numbers = sorted(set().union(*tallies))
        energies, largest_force, force_square, stress_square, force_decay = np.array(rows).reshape(-1, 5).T
        return cls(
            origins=tuple(origins),
            hashes=tuple(hashes),
            config_types=tuple(kinds),
            species=tuple(chemical_symbols[z] for z in numbers),
            counts=np.array([[tally[z] for z in numbers] for tally in tallies], dtype=np.int64),
            energy=energies,
            largest_force=largest_force,
            force_square=force_square,
            stress_square=stress_square,
            force_decay=force_decay,
        )

    def __len__(self) -> int:
        return len(self.origins)

    @property
    def natoms(self) -> NDArray[np.int64]:
        return np.asarray(self.counts.sum(axis=1))

    @property
    def labelled(self) -> PerQuantity[NDArray[np.bool_]]:
        """Which frames have a label of each quantity, `(F,)`."""
        return PerQuantity(*(~np.isnan(each) for each in (self.energy, self.force_square, self.stress_square)))

    def reference_energies(self, weights: Array | None = None) -> Array:
        """Energy of an atom of each species by least squares of `E_f / n_f = Σ_s counts_fs e_s / n_f`, `(S,)` eV.

        Minimum-norm where compositions do not tell the species apart. `weights` of frames: `(F,)`. Frames without a
        label don't count.
        """
        w = (np.ones(len(self)) if weights is None else np.sqrt(weights)) / self.natoms
        known = ~np.isnan(self.energy)
        return np.asarray(np.linalg.lstsq((self.counts * w[:, None])[known], (self.energy * w)[known])[0])

    def energy_above_lowest(self, chosen: NDArray[np.bool_]) -> Array:
        """Energy per atom above the lowest chosen frame of the same composition, `(F,)` eV; NaN for the others, and
        for frames without a label.

        E_ref of Perez et al., Eq. 9.
        """
        chosen = chosen & ~np.isnan(self.energy)
        per_atom = np.where(chosen, self.energy / self.natoms, np.nan)
        _, group = np.unique(self.counts / self.natoms[:, None], axis=0, return_inverse=True)
        lowest = np.full(group.max() + 1, np.inf)
        np.minimum.at(lowest, group[chosen], per_atom[chosen])
        return np.asarray(per_atom - lowest[group])

    def held_out(self, share: float = 0.1) -> NDArray[np.bool_]:
        """A `share` of each config_type as contiguous blocks of file order, `(F,)`; at least one frame in all.

        Two blocks per config_type, centred at 1/4 and 3/4 of it, so that drift along a trajectory is sampled. What
        rounding takes from one config_type goes to the next, so that many small ones make their share together. Frames
        that alone have a species are not kept out: nothing would be fitted for it.
        """
        chosen = np.zeros(len(self), dtype=bool)
        kinds = np.array(self.config_types)
        seen = given = 0
        for kind in np.unique(kinds):
            where = np.flatnonzero(kinds == kind)
            seen += len(where)
            total = min(len(where), round(share * seen) - given)
            given += total
            for part, centre in ((total - total // 2, 0.25), (total // 2, 0.75)):
                start = int(centre * len(where)) - part // 2
                chosen[where[max(0, start) : max(0, start) + part]] = True
        lost = (self.counts[~chosen] == 0).all(axis=0)
        chosen &= (self.counts[:, lost] == 0).all(axis=1)
        if not chosen.any():
            chosen[len(self) // 2] = True
        return chosen

    def duplicates(self, other: Survey | None = None) -> list[tuple[str, str]]:
        """Pairs of origins with equal content: within this set, or between this set and `other`."""
        first: dict[str, str] = {}
        pairs = []
        for origin, digest in zip(self.origins, self.hashes, strict=True):
            if other is None and digest in first:
                pairs.append((first[digest], origin))
            first.setdefault(digest, origin)
        if other is not None:
            for origin, digest in zip(other.origins, other.hashes, strict=True):
                if digest in first:
                    pairs.append((first[digest], origin))
        return pairs

    def per_atom(self) -> tuple[str, ...]:
        """Origins of frames whose energy is per atom, among others: see `assay.frames.compositions.per_atom`."""
        here = per_atom(self.energy, self.counts)
        return tuple(origin for origin, own in zip(self.origins, here, strict=True) if own)

    def outliers(self) -> list[tuple[str, str]]:
        """Frames whose largest force or energy per atom lies far from those of the set: (origin, reason).

        Far is beyond `Q3 + 3 IQR`, and for energies also below `Q1 - 3 IQR`. Labels that a frame lacks don't count.
        Energies are held against `reference_energies`, and quartiles are of the frames that these don't fit by
        construction; where most are, compositions tell nothing of energies.
        """
        known = self.labelled
        assert known.energy is not None
        assert known.force is not None
        above = self.energy / self.natoms - (self.counts @ self.reference_energies()) / self.natoms
        told = np.zeros(len(self), dtype=bool)
        if known.energy.any():
            told[known.energy] = told_by_others((self.counts / self.natoms[:, None])[known.energy]) > ALONE
        found = []
        for values, judged, there, what, both_sides in (
            (self.largest_force, known.force, known.force, "largest force {:.3g} eV/Å", False),
            (above, told, known.energy, "energy {:+.3g} eV/atom", True),
        ):
            if not there.any() or judged.sum() < FAIR_SHARE * there.sum():
                continue
            q1, q3 = np.quantile(values[judged], [0.25, 0.75])
            reach = 3 * (q3 - q1) + 1e-9  # rounding errors of equal labels are no outliers
            low, high = q1 - reach if both_sides else -np.inf, q3 + reach
            for i in np.flatnonzero((values < low) | (values > high)):
                end = f"beyond Q3 + 3 IQR = {high:.3g}" if values[i] > high else f"below Q1 - 3 IQR = {low:.3g}"
                found.append((self.origins[i], f"{what.format(values[i])}, {end}"))
        return found
