"""What is free to move about a structure, the Hessians of many potentials in it, and their stationary points."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from ase import Atoms
from scipy.linalg import null_space, orth

from assay.propagation.property import Free, NotConverged
from assay.results.arrays import Array
from assay.sources.capabilities import HasCoefficients

STEP = 0.01
"""Å: largest displacement of an atom in the central differences that a product with the Hessians takes."""
TOLERANCE = 1e-2
"""Residual over right-hand side, root mean square over members, at which the system of the best fit counts as solved.
The error of the energy that is gained goes with its square."""
TOGETHER = 0.3
"""Directions of the residual with at least this share of the largest singular value are added together."""
NOISE = 1e-8
"""eV/Å: a gradient below it is zero."""

Only = Literal["homogeneous", "inhomogeneous"]
"""A truncation: strains without displacements, or displacements without strains."""

_MATRIX = [[0, 5, 4], [5, 1, 3], [4, 3, 2]]
"""Voigt xx yy zz yz xz xy → matrix."""
_SHEARS = [np.outer(a, b) + np.outer(b, a) for a, b in (np.eye(3)[[1, 2]], np.eye(3)[[0, 2]], np.eye(3)[[0, 1]])]
SYMMETRIC = np.array([*(np.diag(axis) for axis in np.eye(3)), *(shear / np.sqrt(2) for shear in _SHEARS)])
"""Orthonormal symmetric strains, `(6, 3, 3)`."""
_STRAINS: dict[Free, Array] = {
    "nothing": SYMMETRIC[:0],
    "positions": SYMMETRIC[:0],
    "volume": np.eye(3)[None] / np.sqrt(3),
    "cell": SYMMETRIC,
}


@dataclass(frozen=True)
class Coordinates:
    """What may change about a structure of N atoms, as one vector q in Å, `(n,)`: strains, then displacements u.

        cell(q) = cell exp(ε),   positions(q) = (positions + u) exp(ε),   ε = Σ_k q_k S_k / c

    with S symmetric and orthonormal, and `c = √N (V/N)^{1/3}`, which gives strains about the curvature of a bond.

    | field | meaning | shape |
    |---|---|---|
    | atoms | the structure at q = 0 | |
    | strains | S | `(k, 3, 3)` |
    | displaced | whether there are displacements | |
    """

    atoms: Atoms
    strains: Array
    displaced: bool

    @classmethod
    def free(cls, atoms: Atoms, free: Free, only: Only | None = None) -> Coordinates:
        """Of what is free. Raises `ValueError` for constraints, and for a cell that is free but not periodic."""
        if atoms.constraints:
            raise ValueError(f"{atoms.get_chemical_formula()}: the implicit derivative takes no constraints; resample")
        strains = _STRAINS["nothing" if only == "inhomogeneous" else free]
        if len(strains) and not atoms.pbc.all():
            raise ValueError(f"{atoms.get_chemical_formula()}: a free {free} needs periods in three directions")
        return cls(atoms, strains, free != "nothing" and only != "homogeneous")

    @cached_property
    def length(self) -> float:
        """c, Å."""
        n = len(self.atoms)
        return float(np.sqrt(n) * (self.atoms.get_volume() / n) ** (1 / 3)) if len(self.strains) else 1.0

    @property
    def size(self) -> int:
        """n."""
        return len(self.strains) + 3 * len(self.atoms) * self.displaced

    def strain(self, q: Array) -> Array:
        """ε, `(3, 3)`."""
        return np.tensordot(q[: len(self.strains)], self.strains, 1) / self.length

    def of_strain(self, strain: Array) -> Array:
        """q, `(..., n)`, of strains `(..., 3, 3)`, which are symmetric, without displacements."""
        q = np.zeros((*strain.shape[:-2], self.size))
        q[..., : len(self.strains)] = np.einsum("...ab,kab->...k", strain, self.strains) * self.length
        return q

    def moved(self, q: Array) -> Atoms:
        """The structure at q."""
        atoms = self.atoms.copy()
        if self.displaced:
            atoms.positions += q[len(self.strains) :].reshape(-1, 3)
        if len(self.strains):
            atoms.set_cell(atoms.cell.array @ _exponential(self.strain(q)), scale_atoms=True)
        return atoms

    def reach(self, q: Array) -> float:
        """The largest displacement of an atom, plus that of a neighbour through the strain, Å."""
        u = q[len(self.strains) :].reshape(-1, 3)
        strain = np.linalg.norm(self.strain(q)) * self.length / np.sqrt(len(self.atoms))
        return float(strain + np.linalg.norm(u, axis=1).max(initial=0.0))

    def gradients(self, potential: HasCoefficients, q: Array, coefficients: Array) -> tuple[Array, Array]:
        """`∂E/∂q` of C potentials at q, `(C, n)`, and E, `(C,)`: V σ:S / c, then −F exp(ε)."""
        atoms = self.moved(q)
        said = potential.rows.predictions(atoms, coefficients)
        assert said.energy_members is not None
        gradients = np.empty((len(coefficients), self.size))
        k = len(self.strains)
        if k:
            assert said.stress_members is not None
            virial = atoms.get_volume() * said.stress_members[:, _MATRIX]
            gradients[:, :k] = np.einsum("cab,kab->ck", virial, self.strains) / self.length
        if self.displaced:
            assert said.forces_members is not None
            gradients[:, k:] = -(said.forces_members @ _exponential(self.strain(q))).reshape(len(coefficients), -1)
        return gradients, said.energy_members

    @cached_property
    def rigid(self) -> Array:
        """Orthonormal motions that change no energy, `(n, z)`: translations, and rotations that all periods allow."""
        if not self.displaced:
            return np.zeros((self.size, 0))
        x = self.atoms.positions - self.atoms.positions.mean(axis=0)
        turned = [np.cross(np.eye(3), period).T for period in self.atoms.cell.array[self.atoms.pbc]]
        axes = null_space(np.vstack([np.zeros((1, 3)), *turned])).T
        moves = [np.tile(axis, (len(x), 1)) for axis in np.eye(3)] + [np.cross(axis, x) for axis in axes]
        motions = np.zeros((self.size, len(moves)))
        motions[len(self.strains) :] = np.array(moves).reshape(len(moves), -1).T
        return np.asarray(orth(motions, rcond=1e-8))


def _exponential(strain: Array) -> Array:
    """exp(ε) of a symmetric matrix."""
    values, vectors = np.linalg.eigh(strain)
    return np.asarray((vectors * np.exp(values)) @ vectors.T)


@dataclass(frozen=True)
class Hessians:
    """`H_c = ∂²E_c/∂q∂q` of C potentials with the same rows, as products with a vector."""

    coordinates: Coordinates
    potential: HasCoefficients
    coefficients: Array

    def __matmul__(self, v: Array) -> Array:
        """`H_c v`, `(C, n)`, for all c by central differences: two evaluations of the rows."""
        step = STEP / self.coordinates.reach(v)
        plus, minus = (
            self.coordinates.gradients(self.potential, sign * step * v, self.coefficients)[0] for sign in (1.0, -1.0)
        )
        return (plus - minus) / (2 * step)


@dataclass(frozen=True)
class Reduced:
    """C Hessians in a basis of r directions that holds the solutions of `H_0 x_c = b_c`, and these solutions' like.

    | field | meaning | shape |
    |---|---|---|
    | basis | V, orthonormal columns | `(n, r)` |
    | hessians | `Vᵀ H_c V` | `(C, r, r)` |
    """

    basis: Array
    hessians: Array

    @classmethod
    def spanning(cls, hessians: Hessians, right: Array, fixed: Array, tolerance: float = TOLERANCE) -> Reduced:
        """The basis that grows by the residuals of a Galerkin solution with `H_0` until they are small.

        It starts from the leading singular vectors of all right-hand sides at once. These share the symmetry of the
        structure, which no product leaves: about a vacancy in a crystal the basis closes after some twenty directions.
        Without symmetry it grows as a block Krylov space does.

        | argument | meaning | shape |
        |---|---|---|
        | right | b, one for each potential, orthogonal to `fixed` | `(C, n)` |
        | fixed | orthonormal directions that nothing moves along | `(n, z)` |

        Raises `NotConverged` where the residual stays large, as it does where H_0 is singular.
        """
        left, sizes, _ = np.linalg.svd(right.T, full_matrices=False)
        tail = np.sqrt(np.cumsum(sizes[::-1] ** 2)[::-1])  # what is lost from each singular vector on
        enough = max(0.1 * tolerance * tail[0], NOISE * np.sqrt(len(right)))
        b = left[:, tail > enough] * sizes[tail > enough]
        n, count = b.shape[0], len(hessians.coefficients)
        basis, images, reduced = np.empty((n, 0)), np.empty((n, 0)), np.empty((count, 0, 0))
        residual = b
        while b.size and np.linalg.norm(residual) > tolerance * np.linalg.norm(b):
            added = 0
            left, sizes, _ = np.linalg.svd(residual, full_matrices=False)
            for v in left[:, sizes >= TOGETHER * sizes[0]].T:
                new = v
                for _ in range(2):  # once more, against rounding
                    new = new - fixed @ (fixed.T @ new)
                    new = new - basis @ (basis.T @ new)
                if np.linalg.norm(new) < 1e-6:
                    continue
                new /= np.linalg.norm(new)
                products = hessians @ new
                basis = np.column_stack([basis, new])
                images = np.column_stack([images, products[0] - fixed @ (fixed.T @ products[0])])
                reduced = np.pad(reduced, ((0, 0), (0, 1), (0, 1)))
                reduced[:, -1, :] = reduced[:, :, -1] = products @ basis
                added += 1
            solution = np.linalg.lstsq(basis.T @ images, basis.T @ b, rcond=None)[0]
            residual = b - images @ solution
            if not added:
                raise NotConverged(
                    f"{hessians.coordinates.atoms.get_chemical_formula()}: the structure's change could not be solved "
                    f"for in {basis.shape[1]} directions: is it a stationary point of the best fit, and not flat?"
                )
        return cls(basis, reduced)

    def negative(self) -> Array:
        """How many curvatures of each potential are negative in this basis, `(C,)`."""
        return np.asarray((np.linalg.eigvalsh(self.hessians) < 0).sum(axis=1))
