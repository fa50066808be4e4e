"""Divide training atoms into clusters: by the groups that the files name, or by k-means or BIRCH of frames or atoms.

Frames are points by the means of their atoms' features, atoms by their features; both in units of the standard
deviation of each column, and projected on the first principal components.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.scores.features.training import TrainingFeatures

METHODS = ("config_type", "kmeans", "birch")
MOST_CLUSTERS = 10
SMALLEST = 5
"""Points that a cluster has on average at least."""
SEPARATE = 0.25
"""Silhouette below which points are one cluster (Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7)."""
COMPONENTS = 20
SAMPLE = 2_000
"""Points that the number of clusters is chosen with."""


@dataclass(frozen=True)
class Partition:
    """`labels`: atomic number → cluster of each atom of `TrainingFeatures.rows(z)`, `(n,)`; `names` of the clusters."""

    labels: Mapping[int, NDArray[np.int64]]
    names: tuple[str, ...]


def partition(training: TrainingFeatures, how: str | None = None, *, seed: int = 0) -> Partition:
    """Divide the training atoms.

    `how` is `METHOD[:K][:atoms]`: `config_type`, `kmeans` or `birch`; K is found from the data where it is not given,
    as the number with the largest silhouette; with `atoms`, atoms are clustered (each species by itself) instead of
    frames. By default `config_type` if frames name several, else `kmeans`. Raises `ValueError` for anything else.
    """
    how = how or ("config_type" if len(set(training.kinds)) > 1 else "kmeans")
    method, count, atoms = _parsed(how)
    if method == "config_type":
        names, kinds = np.unique(np.array(training.kinds), return_inverse=True)
        return _of_frames(training, kinds, tuple(names.tolist()))
    if not atoms:
        found = _clustered(training.means(), method, count, seed)
        return _of_frames(training, found, tuple(str(k) for k in range(found.max() + 1)))
    labels: dict[int, NDArray[np.int64]] = {}
    first = 0
    for z in training.species:
        labels[z] = first + _clustered(training.rows(z), method, count, seed)
        first = int(labels[z].max()) + 1
    return Partition(labels, tuple(str(k) for k in range(first)))


def _parsed(how: str) -> tuple[str, int | None, bool]:
    method, *options = how.split(":")
    atoms = "atoms" in options
    counts = [option for option in options if option != "atoms"]
    usable = method in METHODS and len(counts) <= 1 and all(c.isdecimal() and int(c) > 0 for c in counts)
    if not usable or (method == "config_type" and options):
        raise ValueError(f"clusters {how!r}: give {', '.join(METHODS)}; kmeans and birch take :K and :atoms")
    return method, int(counts[0]) if counts else None, atoms


def _of_frames(training: TrainingFeatures, of_frame: NDArray[np.int64], names: tuple[str, ...]) -> Partition:
    return Partition({z: of_frame[training.frames_of(z)] for z in training.species}, names)


def _clustered(points: Array, method: str, count: int | None, seed: int) -> NDArray[np.int64]:
    """Clusters 0, 1, … of `(n, V)` points, `(n,)`."""
    points = _projected(points)
    count = min(count or _number(points, method, seed), len(np.unique(points, axis=0)))
    labels = _labels(points, method, count, seed)
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _projected(points: Array) -> Array:
    from sklearn.decomposition import PCA  # slow to import

    points = np.asarray(points)
    varies = points.std(axis=0) > 1e-10 * np.abs(points).max(axis=0, initial=0.0)
    if not varies.any():
        return np.zeros((len(points), 1))
    standard = (points[:, varies] - points[:, varies].mean(axis=0)) / points[:, varies].std(axis=0)
    return np.asarray(PCA(min(COMPONENTS, *standard.shape), random_state=0).fit_transform(standard))


def _number(points: Array, method: str, seed: int) -> int:
    from sklearn.metrics import silhouette_score

    if len(points) > SAMPLE:
        points = points[np.random.default_rng(seed).permutation(len(points))[:SAMPLE]]
    different = len(np.unique(points, axis=0))
    best, number = SEPARATE, 1
    for k in range(2, min(MOST_CLUSTERS, len(points) // SMALLEST, different - 1) + 1):
        labels = _labels(points, method, k, seed)
        if len(np.unique(labels)) > 1 and (score := silhouette_score(points, labels)) > best:
            best, number = float(score), k
    return number


def _labels(points: Array, method: str, count: int, seed: int) -> NDArray[np.int64]:
    from sklearn.cluster import Birch, KMeans

    if count == 1:
        return np.zeros(len(points), dtype=np.int64)
    if method == "kmeans":
        return np.asarray(KMeans(count, n_init=10, random_state=seed).fit_predict(points), dtype=np.int64)
    radius = 0.25 * float(np.sqrt(points.var(axis=0).sum()))  # of a subcluster; the K clusters are made of those
    subclusters = Birch(threshold=radius, n_clusters=None).fit(points)
    if len(subclusters.subcluster_centers_) <= count:
        return np.asarray(subclusters.labels_, dtype=np.int64)
    return np.asarray(subclusters.set_params(n_clusters=count).partial_fit().predict(points), dtype=np.int64)
