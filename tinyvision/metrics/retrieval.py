"""Embeddings: are pictures of the same thing neighbours?

A query is compared with all pictures of a gallery, nearest first.  Those with the query's label are relevant.

    recall@k                  the share of queries with a relevant picture among the k nearest
    mean average precision    the mean over the queries of the area under their precision-recall curve

Without a gallery every picture is a query among all the others, itself left out.  Queries to which nothing is relevant
cannot be answered and are left out.  Euclidean distance is what triplet and contrastive losses train, cosine distance what
losses on angles do; for embeddings of length 1 the two rank alike.

Source: Jegou, Douze and Schmid 2011, doi:10.1109/TPAMI.2010.57 (recall@k of retrieval); Musgrave, Belongie and Lim 2020, A
Metric Learning Reality Check, arXiv:2003.08505 (why more than recall@1).
"""

import numpy as np

from ..packages import require
from .check import choice, finite, indices, not_empty, whole
from .curves import binary_average_precision

DISTANCES = {"euclidean": "sqeuclidean", "cosine": "cosine"}              # squares rank alike
CHUNK = 256                                                               # queries at a time


def recall_at_k(queries, query_labels, gallery=None, gallery_labels=None, *, k=1, distance="euclidean"):
    """The share of queries with a picture of the same label among their k nearest, 0..1.

    Shapes: queries (N, D), gallery (M, D), embeddings; labels (N,) and (M,), integers.  Without a gallery the queries
    themselves, each without itself.  Among equally near pictures the earlier comes first.
    distance: 'euclidean' or 'cosine'.
    Raises ValueError for other shapes, numbers that are not finite, embeddings of length 0 with 'cosine', k below 1 or above
    the number of pictures to choose from, another distance, and where nothing is relevant to any query; TypeError where
    labels are not integers.

    >>> recall_at_k([[0.0], [1.0], [9.0], [8.0], [3.0]], [0, 0, 1, 1, 1], k=1)
    0.8
    """
    k, hits = whole("recall_at_k", "k", k), []
    for distances, relevant in rankings("recall_at_k", queries, query_labels, gallery, gallery_labels, distance):
        if k > len(distances):
            raise ValueError(f"recall_at_k: k must be at most the number of pictures to choose from, {len(distances)}, got {k}.")
        hits.append(relevant[np.argsort(distances, kind="stable")[:k]].any())
    not_empty("recall_at_k", len(hits), "query to which a picture is relevant")
    return float(np.mean(hits))


def mean_average_precision(queries, query_labels, gallery=None, gallery_labels=None, *, distance="euclidean"):
    """The mean over the queries of the average precision with which near pictures are of their label, 0..1.

    Equally near pictures are taken together (see metrics/curves.py); arguments and errors as in recall_at_k.

    >>> mean_average_precision([[0.0], [5.0]], [0, 1], gallery=[[1.0], [2.0], [4.0], [8.0]], gallery_labels=[0, 1, 0, 1])
    0.75
    """
    name = "mean_average_precision"
    values = [binary_average_precision(-distances, relevant) for distances, relevant in
              rankings(name, queries, query_labels, gallery, gallery_labels, distance)]
    not_empty(name, len(values), "query to which a picture is relevant")
    return float(np.mean(values))


def rankings(op, queries, query_labels, gallery, gallery_labels, distance):
    """For each query that can be answered: the distances to the pictures, and which are relevant, (M,) each."""
    choice(op, "distance", distance, tuple(DISTANCES))
    if (gallery is None) != (gallery_labels is None):
        raise ValueError(f"{op}: gallery and gallery_labels go together, got only one. Pass both, or neither.")
    queries, query_labels = embeddings(op, "queries", queries, query_labels, distance)
    alone = gallery is None
    gallery, gallery_labels = (queries, query_labels) if alone else embeddings(op, "gallery", gallery, gallery_labels, distance)
    if queries.shape[1] != gallery.shape[1]:
        raise ValueError(f"{op}: queries and gallery must have one number of features, got {queries.shape[1]} and "
                         f"{gallery.shape[1]}. Both come from the same network.")
    require(op, "scipy")
    from scipy.spatial.distance import cdist
    for start in range(0, len(queries), CHUNK):
        table = cdist(queries[start:start + CHUNK], gallery, DISTANCES[distance])
        for i, distances in enumerate(table, start):
            relevant = gallery_labels == query_labels[i]
            if alone:
                distances, relevant = np.delete(distances, i), np.delete(relevant, i)
            if relevant.any():
                yield distances, relevant


def embeddings(op, name, x, labels, distance):
    """Embeddings (N, D) as float64 and labels (N,)."""
    x, labels = finite(op, name, x).astype(np.float64), indices(op, f"labels of {name}", labels)
    if x.ndim != 2 or labels.shape != x.shape[:1]:
        raise ValueError(f"{op}: {name} must be (N, D) with labels (N,), got {x.shape} and {labels.shape}. Pass one row for each "
                         "picture.")
    if distance == "cosine" and len(x) and not x.any(axis=1).all():
        raise ValueError(f"{op}: {name} must not be of length 0 for the cosine distance, row {np.flatnonzero(~x.any(axis=1))[0]} "
                         "is. It points nowhere.")
    return x, labels
