"""Maps into the plane and neighbours: the SVD by hand, distances by hand, and clusters that stay clusters."""

import numpy as np
import pytest

from tinyvision import Tensor
from tinyvision.interpret import nearest_neighbours, plane_map


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def clusters(per=40, features=20, seed=0):
    """Three clusters far apart, and their labels."""
    rng = np.random.default_rng(seed)
    centers = 8 * rng.standard_normal((3, features))
    return np.concatenate([c + rng.standard_normal((per, features)) for c in centers]), np.repeat(np.arange(3), per)


def test_pca_is_the_svd():
    """The two directions of largest variance, up to their signs, and the shares that they keep."""
    x = drawn(30, 6) * [5, 3, 1, 1, 0.5, 0.1]
    found = plane_map(x)
    centred = x - x.mean(axis=0)
    _, s, v = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(found.points), np.abs(centred @ v[:2].T), atol=1e-9)
    np.testing.assert_allclose(found.explained, s[:2] ** 2 / (s ** 2).sum(), rtol=1e-9)
    assert found.method == "pca" and found.divergence is None


def test_pca_never_stretches():
    """Distances in the plane are at most those of the vectors; of vectors in a plane they are the same."""
    x = drawn(15, 8)

    def distances(p):
        return np.sqrt(((p[:, None] - p[None]) ** 2).sum(axis=2))
    assert (distances(plane_map(x).points) <= distances(x) + 1e-9).all()
    flat = drawn(15, 2, seed=1) @ np.linalg.qr(drawn(8, 8, seed=2))[0][:2]
    np.testing.assert_allclose(distances(plane_map(flat).points), distances(flat), atol=1e-9)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_clusters_stay_clusters(method):
    """Nearly every point has a neighbour of its own cluster; the same seed gives the same map."""
    x, labels = clusters()
    found = plane_map(Tensor(x), method, perplexity=15)
    numbers, _ = nearest_neighbours(found.points, k=1)
    assert (labels[numbers[:, 0]] == labels).mean() > 0.98
    np.testing.assert_array_equal(found.points, plane_map(x, method, perplexity=15).points)
    assert (found.divergence is None) == (method == "pca") and (found.divergence or 1) > 0


def test_tsne_keeps_neighbours_that_pca_loses():
    """Six clusters along six axes: in the plane of PCA some lie over one another, t-SNE keeps them apart."""
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(6), 25)
    x = 6 * np.eye(6)[labels] + rng.standard_normal((150, 6))
    shares = []
    for method in ("pca", "tsne"):
        numbers, _ = nearest_neighbours(plane_map(x, method, perplexity=15).points, k=5)
        shares.append((labels[numbers] == labels[:, None]).mean())
    assert shares[0] < 0.9 < 0.95 < shares[1]


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("alone", [True, False])
def test_neighbours_by_hand(distance, alone):
    q, g = drawn(7, 4), drawn(12, 4, seed=1)
    numbers, distances = nearest_neighbours(q, None if alone else g, k=3, distance=distance)
    others = q if alone else g
    if distance == "euclidean":
        table = np.sqrt(((q[:, None] - others[None]) ** 2).sum(axis=2))
    else:
        table = 1 - (q @ others.T) / np.linalg.norm(q, axis=1)[:, None] / np.linalg.norm(others, axis=1)
    if alone:
        np.fill_diagonal(table, np.inf)
    np.testing.assert_array_equal(numbers, np.argsort(table, axis=1)[:, :3])
    np.testing.assert_allclose(distances, np.sort(table, axis=1)[:, :3], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("words, call", [
    (r"plane_map: vectors must be \(N, D\).*got float64 of shape \(4, 2, 2\). Flatten", lambda: plane_map(drawn(4, 2, 2))),
    ("plane_map: vectors must be finite, row 2 is not", lambda: plane_map([[0.0, 1], [1, 2], [np.nan, 0]])),
    ("plane_map: method must be one of 'pca', 'tsne', got 'umap'", lambda: plane_map(drawn(5, 3), "umap")),
    ("plane_map: perplexity must be below the number of vectors, got 30.0 and 5", lambda: plane_map(drawn(5, 3), "tsne")),
    ("plane_map: vectors must be two at least", lambda: plane_map(drawn(5, 1))),
    ("nearest_neighbours: k must be at most the number of vectors to choose from, 4, got 5",
     lambda: nearest_neighbours(drawn(5, 3))),
    ("nearest_neighbours: queries and gallery must have vectors of one length, got 3 and 4",
     lambda: nearest_neighbours(drawn(5, 3), drawn(5, 4))),
    ("vectors must not be of length 0 for the cosine", lambda: nearest_neighbours([[0.0, 0], [1, 1]], k=1, distance="cosine")),
    ("distance must be one of 'euclidean', 'cosine'", lambda: nearest_neighbours(drawn(5, 3), k=1, distance="manhattan")),
])
def test_maps_refuse(words, call):
    with pytest.raises(ValueError, match=words):
        call()
