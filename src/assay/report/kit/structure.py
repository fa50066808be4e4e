"""A picture of one frame, its A atoms coloured by their error bars."""

from __future__ import annotations

from itertools import product

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.utils import rotate
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.patches import Circle

from assay.report.kit.theme import ALERT, MUTED, colour_scale, density_map
from assay.results.arrays import Array

MANY = 600
"""More atoms than this are drawn as an image, not as one circle each."""


def picture(ax: Axes, atoms: Atoms, bar: Array, name: str) -> Axes:
    """Atoms as circles, nearest on top, coloured by `bar (A,)` called `name`; cell edges; a ring at the largest."""
    view = rotate("-75x,20y,5z")
    if atoms.pbc.any():
        atoms = atoms.copy()
        atoms.wrap()
    place = atoms.positions @ view
    order = np.argsort(place[:, 2], kind="stable")
    radius = 0.75 * covalent_radii[atoms.numbers]
    circles = PatchCollection(
        [Circle(place[i, :2], radius[i]) for i in order],
        cmap=density_map(),
        edgecolor="#1b1b1b",
        linewidth=0.4,
        rasterized=len(atoms) > MANY,
        zorder=2,
    )
    circles.set_array(bar[order])
    ax.add_collection(circles)
    if atoms.cell.rank == 3:
        ax.add_collection(
            LineCollection(_edges(atoms.cell.array) @ view[:, :2], colors=MUTED, linewidths=0.9, zorder=1)
        )
    top = int(np.argmax(bar))
    ax.add_patch(Circle(place[top, :2], radius[top] + 0.35, fill=False, ec=ALERT, lw=2.0, zorder=3))
    ax.set_aspect("equal")
    ax.autoscale_view()
    ax.margins(0.04)
    ax.set_axis_off()
    colour_scale(ax, circles, name, location="bottom", pad=0.03, aspect=35)
    return ax


def _edges(cell: Array) -> Array:
    """The 12 edges of a cell as pairs of points, `(12, 2, 3)`."""
    corners = np.array(list(product((0.0, 1.0), repeat=3)))
    pairs = [(a, b) for a in corners for b in corners if (b - a).sum() == 1 and ((b - a) >= 0).all()]
    return np.asarray(np.array(pairs) @ cell)
