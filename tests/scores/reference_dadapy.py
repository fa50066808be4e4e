"""Writes `reference_dadapy.json`: what DADApy makes of the points of `points()`.

    python tests/scores/reference_dadapy.py

DADApy 0.3.4 needs NumPy < 2, so it can't be in the environment of the tests.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_suffix(".json")


def points() -> np.ndarray:
    """400 points near two surfaces of dimension 2 in five, one a tenth as dense as the other, unit columns."""
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(400, 2)) * np.where(np.arange(400) < 200, 1.0, np.sqrt(10.0))[:, None]
    curved = np.column_stack([plane, np.sin(plane[:, 0]), np.cos(plane[:, 1]), plane[:, 0] * plane[:, 1] / 10])
    curved[200:] += 4.0
    return curved / curved.std(axis=0)


if __name__ == "__main__":
    from dadapy import Data

    data = Data(points(), maxk=100)
    data.compute_distances()
    data.compute_id_2NN()
    data.compute_kstar(alpha=1e-6)
    density, _ = data.compute_density_kstarNN()
    found = {
        "dimension": float(data.intrinsic_dim),
        "neighbours": data.kstar.tolist(),
        "log_density": np.round(density, 9).tolist(),
    }
    FILE.write_text(json.dumps(found) + "\n", encoding="utf-8")
