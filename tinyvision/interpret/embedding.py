"""Embeddings: vectors of pictures, seen in a plane, and searched for neighbours.

Vectors of 64 or 512 numbers cannot be looked at.  Two maps into the plane, each with its own truth:

    PCA      the plane in which the points spread most: x -> (x - mean) V, with V the first two directions of the SVD.  Distances
             shrink, never grow; what share of the spread is kept is told.  Clusters may lie over one another.
    t-SNE    points such that neighbours stay neighbours: for every point the others have a probability to be its neighbour, a
             Gaussian in the vectors' space, Student's t in the plane, and the two are brought together (Kullback-Leibler).  Sizes
             of clusters and distances between them mean nothing, and another perplexity draws another map.

perplexity is how many neighbours a point has, about; it must be below the number of points.

Both, and the search, are scikit-learn's.

Sources: Pearson 1901 (PCA); van der Maaten and Hinton 2008, Visualizing data using t-SNE, Journal of Machine Learning Research 9;
Wattenberg, Viegas and Johnson 2016, How to use t-SNE effectively, doi:10.23915/distill.00002.
"""

from dataclasses import dataclass

import numpy as np

from ..nn.checks import positive, whole
from ..ops.device import on_host
from ..ops.shapes import check_choice
from ..packages import require


@dataclass
class PlaneMap:
    """Points (N, 2) in a plane, the method's name, and what it says of itself.

    explained: the shares of the variance along both axes (PCA), else None; divergence: Kullback-Leibler in nats (t-SNE), else
    None.

    >>> PlaneMap(np.zeros((3, 2)), "pca", explained=np.array([0.7, 0.2])).explained.sum().round(1).item()
    0.9
    """

    points: np.ndarray
    method: str
    explained: np.ndarray | None = None
    divergence: float | None = None


def plane_map(vectors, method="pca", *, perplexity=30.0, seed=0):
    """Vectors as points in a plane, by PCA or t-SNE.

    Shapes: vectors (N, D) -> PlaneMap with points (N, 2); N and D at least 2.
    method: "pca" or "tsne"; perplexity: of t-SNE, neighbours of a point; seed: of t-SNE.
    Raises ValueError for other shapes, numbers that are not finite, another method, and a perplexity that is not below N.
    Source: Pearson 1901; van der Maaten and Hinton 2008.

    >>> x = np.random.default_rng(0).normal(size=(20, 5)) * [9, 3, 1, 1, 1]
    >>> found = plane_map(x)
    >>> found.points.shape, bool(found.explained[0] > 0.7)
    ((20, 2), True)
    """
    x = as_vectors("plane_map", "vectors", vectors)
    check_choice("plane_map", "method", method, ("pca", "tsne"))
    positive("plane_map", perplexity=perplexity)
    whole("plane_map", 0, seed=seed)
    if len(x) < 2 or x.shape[1] < 2:
        raise ValueError(f"plane_map: vectors must be two at least, of two numbers at least, got shape {x.shape}.")
    require("plane_map", "sklearn")
    if method == "pca":
        from sklearn.decomposition import PCA
        model = PCA(2, svd_solver="full")
        return PlaneMap(model.fit_transform(x), method, explained=model.explained_variance_ratio_)
    if perplexity >= len(x):
        raise ValueError(f"plane_map: perplexity must be below the number of vectors, got {perplexity} and {len(x)}.")
    from sklearn.manifold import TSNE
    model = TSNE(2, perplexity=perplexity, init="pca", random_state=int(seed))
    return PlaneMap(model.fit_transform(x), method, divergence=float(model.kl_divergence_))


def nearest_neighbours(queries, gallery=None, k=5, *, distance="euclidean"):
    """For each query the numbers of its k nearest vectors of a gallery, nearest first, and how far they are.

    Shapes: queries (N, D), gallery (M, D) -> (numbers (N, k), distances (N, k)).  Without a gallery the queries themselves, each
    without itself.
    distance: "euclidean", or "cosine", 1 - the cosine of the angle.
    Raises ValueError for other shapes, numbers that are not finite, vectors of length 0 with "cosine", another distance, and k
    below 1 or above the number of vectors to choose from.

    >>> nearest_neighbours([[0.0], [1.0], [5.0]], k=1)
    (array([[1],
           [0],
           [1]]), array([[1.],
           [1.],
           [4.]]))
    """
    who = "nearest_neighbours"
    check_choice(who, "distance", distance, ("euclidean", "cosine"))
    whole(who, k=k)
    queries = as_vectors(who, "queries", queries)
    others = queries if gallery is None else as_vectors(who, "gallery", gallery)
    if others.shape[1] != queries.shape[1]:
        raise ValueError(f"{who}: queries and gallery must have vectors of one length, got {queries.shape[1]} and "
                         f"{others.shape[1]}. Both come from the same layer.")
    most = len(others) - (gallery is None)
    if k > most:
        raise ValueError(f"{who}: k must be at most the number of vectors to choose from, {most}, got {k}.")
    if distance == "cosine" and not (queries.any(axis=1).all() and others.any(axis=1).all()):
        raise ValueError(f"{who}: vectors must not be of length 0 for the cosine distance. They point nowhere.")
    require(who, "sklearn")
    from sklearn.neighbors import NearestNeighbors
    search = NearestNeighbors(n_neighbors=int(k), metric=distance, algorithm="brute").fit(others)
    distances, numbers = search.kneighbors(None if gallery is None else queries)
    return numbers, distances


def as_vectors(who, name, x):
    """Vectors (N, D) as float64."""
    x = np.asarray(on_host(x))
    if x.ndim != 2 or 0 in x.shape or x.dtype.kind not in "fiu":
        raise ValueError(f"{who}: {name} must be (N, D), one row for each picture, got {x.dtype} of shape {x.shape}. Flatten: "
                         "x.reshape(len(x), -1).")
    if not np.isfinite(x).all():
        raise ValueError(f"{who}: {name} must be finite, row {int(np.argmin(np.isfinite(x).all(axis=1)))} is not.")
    return x.astype(np.float64)
