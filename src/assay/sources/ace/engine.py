"""Sums of pacemaker's B-functions over the atoms of a frame, with their gradients and virials."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.sparse import csr_array

from assay.frames.frame import FrameError
from assay.frames.species import species_index
from assay.regions.neighbours import neighbour_images
from assay.results.arrays import Array
from assay.sources.ace.wheel import import_pyace, loaded, ranks

BLOCK = 128
"""Atoms whose gradients are in memory at a time."""
VOIGT = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])
"""Rows and columns of xx yy zz yz xz xy."""
PYACE_VOIGT = [0, 1, 2, 5, 4, 3]
"""pyace's order xx yy zz xy xz yz → xx yy zz yz xz xy."""


@contextmanager
def _fault_of_the_frame() -> Iterator[None]:
    """A `ValueError` of pyace or the neighbour list (atoms that coincide, an exploded frame) as a `FrameError`."""
    try:
        yield
    except ValueError as error:
        raise FrameError(str(error)) from error


@lru_cache(maxsize=4)
def engine(text: str) -> Engine:
    """The one engine of this process for a basis."""
    return Engine(text)


class Engine:
    """Sums over atoms of B-functions, their gradients and virials. K functions of all species, in pyace's order."""

    def __init__(self, text: str) -> None:
        pyace = import_pyace()
        self._basis = loaded(text)
        self._evaluator = pyace.ACEBEvaluator(self._basis)  # pyace keeps bare pointers to these two
        self._calculator = pyace.ACECalculator(self._evaluator)
        self._cutoff = float(self._basis.cutoffmax)
        self._species = tuple(self._basis.elements_name)
        blocks = self._basis.to_BBasisConfiguration().funcspecs_blocks
        self.has_core = any(block.core_rep_parameters[0] != 0 for block in blocks)

    @cached_property
    def _level(self) -> tuple[Any, Any, Any, Any]:
        """A basis with as many functions for each species, evaluator and calculator, and the columns that are ours.

        pyace's gradients are wrong, or end the process, where species differ in their number of functions (0.4.0rc1).
        """
        pyace = import_pyace()
        functions = [list(map(_key, (*one, *more))) for one, more in zip(*ranks(self._basis), strict=True)]
        most = max(map(len, functions))
        if all(len(each) == most for each in functions):
            return self._basis, self._evaluator, self._calculator, slice(None)
        configuration = self._basis.to_BBasisConfiguration()
        blocks = list(configuration.funcspecs_blocks)
        for block in blocks:
            if block.block_name in self._species:
                missing = most - len(functions[self._species.index(block.block_name)])
                own = list(block.funcspecs)
                block.funcspecs = own + [own[0].copy() for _ in range(missing)]
        configuration.funcspecs_blocks = blocks
        basis = pyace.ACEBBasisSet(configuration)
        padded = [list(map(_key, (*one, *more))) for one, more in zip(*ranks(basis), strict=True)]
        columns = [t * most + padded[t].index(key) for t, keys in enumerate(functions) for key in keys]
        evaluator = pyace.ACEBEvaluator(basis)
        return basis, evaluator, pyace.ACECalculator(evaluator), np.array(columns)

    @_fault_of_the_frame()
    def linear(self, frame: Atoms, coefficients: Array) -> tuple[Array, Array, Array]:
        """Energies `(N,)`, forces `(N, A, 3)` and virials `-Σ r F`, `(N, 6)`, with coefficients `(N, K)`.

        Core repulsion is included.
        """
        environment = self._whole(frame)
        n = len(coefficients)
        energies, forces, virials = np.empty(n), np.empty((n, len(frame), 3)), np.empty((n, 6))
        for i, each in enumerate(coefficients):
            self._basis.basis_coeffs = each.tolist()
            self._calculator.compute(environment, compute_projections=False)
            energies[i], forces[i] = self._calculator.energy, self._calculator.forces
            virials[i] = np.array(self._calculator.virial)[PYACE_VOIGT]
        return energies, forces, virials

    def potential(self, coefficients: Array) -> tuple[Any, Any, Any]:
        """pyace's calculator with coefficients `(K,)` and its fastest evaluator, and what these point to: keep all."""
        pyace = import_pyace()
        self._basis.basis_coeffs = coefficients.tolist()
        tilde = self._basis.to_ACECTildeBasisSet()
        evaluator = pyace.evaluator.ACERecursiveEvaluator(tilde)
        evaluator.set_recursive(True)
        return pyace.ACECalculator(evaluator), evaluator, tilde

    @_fault_of_the_frame()
    def compute(self, frame: Atoms, calculator: Any) -> None:
        """Run pyace's calculator on a frame."""
        calculator.compute(self._whole(frame), compute_projections=False)

    @_fault_of_the_frame()
    def projections(self, frame: Atoms, first: int | None = None) -> list[Array]:
        """B-functions of each atom, as many as its species has; of the `first` atoms only, where the others are there
        as neighbours."""
        self._calculator.compute(self._whole(frame, first), compute_projections=True)
        return [np.array(each) for each in self._calculator.projections]

    @_fault_of_the_frame()
    def gradients(self, frame: Atoms) -> tuple[Array, Array]:
        """What the B-functions add to forces, `(3A, K)`, and virial, `(6, K)`.

        The neighbours' images are atoms of their own here, so that forces on each are known, and with them the virial.
        """
        n = len(frame)
        *_, calculator, columns = self._level
        forces: Array | None = None
        virial: Array | None = None
        images = neighbour_images(frame, self._cutoff)
        for start in range(0, n, BLOCK):
            centres = np.arange(start, min(start + BLOCK, n))
            environment, origins = self._environment(frame, centres, images)
            environment.neighbour_list = environment.neighbour_list + [[]] * (len(origins) - len(centres))
            environment.origins = list(range(len(origins)))
            calculator.compute(environment, compute_projections=True, compute_b_grad=True)
            with _no_collection():
                gradients = np.array(calculator.forces_bfuncs)[:, columns]  # (images, K, 3)
            k = gradients.shape[1]
            if forces is None or virial is None:
                forces, virial = np.zeros((n, k, 3)), np.zeros((3, k, 3))
            flat = gradients.reshape(len(origins), 3 * k)
            fold = csr_array((np.ones(len(origins)), (origins, np.arange(len(origins)))), shape=(n, len(origins)))
            forces += (fold @ flat).reshape(n, k, 3)
            virial -= (np.array(environment.x).T @ flat).reshape(3, k, 3)
        assert forces is not None
        assert virial is not None
        return forces.transpose(0, 2, 1).reshape(3 * n, -1), virial[VOIGT[0], :, VOIGT[1]]

    def _whole(self, frame: Atoms, first: int | None = None) -> Any:
        """The neighbourhoods of all atoms, or of the `first` ones: then forces are not those of the frame."""
        n = len(frame) if first is None else first
        environment, origins = self._environment(frame, np.arange(n), neighbour_images(frame, self._cutoff))
        environment.origins = np.minimum(origins, n - 1).tolist()
        return environment

    def _environment(
        self, frame: Atoms, centres: NDArray[np.int64], images: tuple[NDArray[np.int64], NDArray[np.int64], Array]
    ) -> tuple[Any, NDArray[np.int64]]:
        """The neighbourhoods of consecutive atoms, first these and then the others' images, with each one's atom."""
        pairs, shifts, box = images
        first, last = np.searchsorted(pairs[:, 0], [centres[0], centres[-1] + 1])
        (i, j), shift = pairs[first:last].T, shifts[first:last]
        widest = int(np.abs(shift).max(initial=0))
        width = 2 * widest + 1
        cells = ((shift + widest) @ [width * width, width, 1]) * len(frame)
        home = int(widest * (width * width + width + 1)) * len(frame)
        keys, where = np.unique(np.concatenate([home + centres, cells + j]), return_inverse=True)
        order = np.argsort(~np.isin(keys, home + centres), kind="stable")  # the centres first
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        origins = (keys % len(frame))[order]
        cell = (keys // len(frame))[order]
        offsets = np.stack([cell // (width * width), cell // width % width, cell % width], axis=1) - widest

        environment = import_pyace().catomicenvironment.ACEAtomicEnvironment()
        environment.x = frame.positions[origins] + offsets @ box
        environment.species_type = species_index(frame, self._species)[origins].tolist()
        ends = np.searchsorted(i, centres[1:])
        environment.neighbour_list = [each.tolist() for each in np.split(rank[where[len(centres) :]], ends)]
        return environment, origins


def _key(function: Any) -> tuple[tuple[int, ...], ...]:
    """What tells a B-function from the others of its species."""
    return tuple(function.mus), tuple(function.ns), tuple(function.ls), tuple(function.LS)


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection: it would go through pyace's millions of small lists, and cost as much as making them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
