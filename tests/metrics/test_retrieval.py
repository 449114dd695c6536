"""Neighbours of embeddings, against loops and scikit-learn."""

import re

import numpy as np
import pytest
import sklearn.metrics as sk
from sklearn.neighbors import NearestNeighbors

from tinyvision import Tensor
from tinyvision.metrics import mean_average_precision, recall_at_k


def draw(seed, N=40, D=3):
    random = np.random.default_rng(seed)
    return random.standard_normal((N, D)), random.integers(0, 5, N), random.standard_normal((25, D)), random.integers(0, 6, 25)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("seed", range(3))
def test_recall_by_nearest_neighbours(seed, k, distance):
    gallery, labels, queries, query_labels = draw(seed)
    search = NearestNeighbors(n_neighbors=k, metric=distance, algorithm="brute").fit(gallery)
    near = labels[search.kneighbors(queries, return_distance=False)]
    kept = np.isin(query_labels, labels)
    assert not kept.all()                                                 # label 5 is in no gallery
    expected = (near == query_labels[:, None]).any(axis=1)[kept].mean()
    assert recall_at_k(Tensor(queries), query_labels, gallery, labels, k=k, distance=distance) == pytest.approx(expected)
    near = labels[search.kneighbors(return_distance=False)]               # each without itself
    expected = (near == labels[:, None]).any(axis=1).mean()
    assert recall_at_k(gallery, labels, k=k, distance=distance) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_mean_average_precision_as_in_sklearn(seed):
    gallery, labels, queries, query_labels = draw(seed)
    gallery = gallery.round(0)                                            # equally near pictures
    distances = sk.pairwise_distances(queries, gallery)
    expected = np.mean([sk.average_precision_score(labels == label, -row) for label, row in zip(query_labels, distances)
                        if label in labels])
    assert mean_average_precision(queries, query_labels, gallery, labels) == pytest.approx(expected)


def test_itself_is_left_out():
    points, labels = [[0.0], [0.0], [5.0], [5.5]], [0, 1, 1, 0]
    assert recall_at_k(points, labels) == 0.0                             # every nearest other has the other label
    assert mean_average_precision(points, labels) < 0.6
    assert recall_at_k(points, labels, points, labels) == pytest.approx(3 / 4)           # the second finds the first


def test_long_lists_go_in_pieces():
    random = np.random.default_rng(4)
    x, y = random.standard_normal((600, 2)), random.integers(0, 2, 600)
    first, rest = recall_at_k(x[:300], y[:300], x, y, k=2), recall_at_k(x[300:], y[300:], x, y, k=2)
    assert recall_at_k(x, y, x, y, k=2) == pytest.approx((first + rest) / 2)


@pytest.mark.parametrize("call, error, message", [
    (lambda: recall_at_k([[0.0], [1.0]], [0, 1]), ValueError, "at least 1 query to which a picture is relevant, got 0"),
    (lambda: mean_average_precision([[0.0], [1.0]], [0, 1]), ValueError, "at least 1 query to which a picture is relevant"),
    (lambda: recall_at_k([[0.0], [1.0]], [0, 0], k=2), ValueError, "at most the number of pictures to choose from, 1, got 2"),
    (lambda: recall_at_k([[0.0]], [0, 1]), ValueError, "queries must be (N, D) with labels (N,), got (1, 1) and (2,)"),
    (lambda: recall_at_k([[0.0]], [0], [[0.0]]), ValueError, "gallery and gallery_labels go together"),
    (lambda: recall_at_k([[0.0]], [0], [[0.0, 1.0]], [0]), ValueError, "one number of features, got 1 and 2"),
    (lambda: recall_at_k([[0.0], [1.0]], [0, 0], distance="cosine"), ValueError, "of length 0 for the cosine distance, row 0"),
    (lambda: recall_at_k([[np.nan]], [0]), ValueError, "queries must be finite, got nan"),
    (lambda: recall_at_k([[0.0]], [0.5]), TypeError, "labels of queries must be class indices, integers"),
    (lambda: recall_at_k([[0.0]], [0], distance="l1"), ValueError, "distance must be one of 'euclidean', 'cosine', got 'l1'"),
    (lambda: recall_at_k([[0.0]], [0], k=0), ValueError, "k must be at least 1, got 0"),
])
def test_errors(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
