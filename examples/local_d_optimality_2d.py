"""Three subsets of points in a plane: where the grade of all together and the smallest of each one's own disagree.

    python local_d_optimality_2d.py [FILE]

prints γ of two points and draws the plane into FILE (local-d-optimality.svg). After Fig. 7c-d of Shuang et al.
(arXiv:2508.03405), whose points are not published.
"""

import sys

import matplotlib.style
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from assay.scores.d_optimality.maxvol import active_set, grades

CENTRES = {"a": (1.5, 0.15), "b": (1.4, 0.8), "c": (0.15, 1.5)}
NEW = {"A": (0.75, 1.1), "B": (1.9, 1.1)}
COLOURS = {"a": "#0072B2", "b": "#009E73", "c": "#CC79A7"}  # Okabe and Ito's, as all here
REGIONS = {"both know": "#f2f2f2", "only the subsets know": "#56B4E9", "only all together know": "#E69F00"}

rng = np.random.default_rng(7)
subsets = {name: rng.normal(centre, 0.08, size=(40, 2)) for name, centre in CENTRES.items()}
sets = {name: active_set(points) for name, points in subsets.items()}
everything = active_set(np.concatenate(list(subsets.values())))


def gamma(points: np.ndarray) -> np.ndarray:
    """γ of points `(n, 2)` in all subsets together and in each, `(4, n)`."""
    return grades(points, [each.inverse for each in (everything, *sets.values())])


for name, of_point in zip(NEW, gamma(np.array(list(NEW.values()))).T, strict=True):
    together, *own = of_point
    shown = ", ".join(f"{subset} {g:.2f}" for subset, g in zip(sets, own, strict=True))
    print(f"{name}: γ {together:.2f} together; {shown}; γ_local {min(own):.2f}")

low, high = -0.1, 2.5
x, y = np.meshgrid(*2 * [np.linspace(low, high, 521)])
together, *own = gamma(np.stack([x.ravel(), y.ravel()], axis=1)).reshape(4, *x.shape)
local = np.min(own, axis=0)
region = np.select([(together <= 1) & (local <= 1), local <= 1, together <= 1], [1, 2, 3])
for number, name in enumerate(REGIONS, start=1):
    print(f"{name}: {100 * np.mean(region == number):.1f} % of the picture")

with matplotlib.style.context(["default", {"svg.hashsalt": "assay", "legend.frameon": False}]):
    figure = Figure(figsize=(6.6, 4.6), layout="constrained", facecolor="white")
    ax = figure.subplots()
    ax.imshow(region, ListedColormap(["white", *REGIONS.values()]), origin="lower", extent=2 * (low, high), vmax=3)
    ax.contour(x, y, together, [1.0], colors="black")
    for (name, points), grade in zip(subsets.items(), own, strict=True):
        ax.contour(x, y, grade, [1.0], colors=COLOURS[name])
        ax.plot(*points.T, ".", ms=4, color=COLOURS[name], label=f"subset {name}, and where its γ is 1")
    for name, point in NEW.items():
        ax.plot(*point, "kx")
        ax.annotate(name, point, xytext=(5, 5), textcoords="offset points", weight="bold")
    ax.plot([], [], color="black", label="γ of all together is 1")
    handles = [
        *ax.get_legend_handles_labels()[0],
        *(Patch(color=colour, label=name) for name, colour in REGIONS.items()),
    ]
    figure.legend(handles=handles, loc="outside right upper")
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    target = sys.argv[1] if len(sys.argv) > 1 else "local-d-optimality.svg"
    figure.savefig(target, dpi=150, metadata=nothing if target.endswith(".svg") else None)
