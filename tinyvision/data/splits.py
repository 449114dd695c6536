"""Cross-validation: every example is held out once.

One split into training and validation spends a part of the data on measuring, and the result depends on which part it was.
k-fold cross-validation cuts the set into k parts of nearly equal size and makes k rounds: train on k - 1 of them, measure on
the one left out.  The mean over the rounds uses every example for both, and their spread says how much a result depends on
the split.

Folds drawn at random may hold too little of a rare class; stratified folds have of each class the same number, up to one.

Source: Stone 1974, doi:10.1111/j.2517-6161.1974.tb00994.x; Kohavi 1995, A Study of Cross-Validation and Bootstrap;
sklearn.model_selection.KFold and StratifiedKFold (the sizes).
"""

import numbers
import warnings

import numpy as np

from ..random import as_generator
from ..tensor import raw
from .dataset import ConcatDataset, Subset


def k_fold(dataset, folds=5, *, shuffle=True, generator=None):
    """Cut a data set into folds, and return for each the pair of Subsets (all the others, this fold).

    folds: their number k, from 2 to the number of examples N; the first N mod k have one example more than the others.
    shuffle: draw the folds at random; else they are consecutive pieces, for sets that are in random order already.
    generator: a numpy.random.Generator, or an int seed for a new one; None uses the engine's.
    Within a Subset the examples keep their order.
    Raises ValueError for fewer than 2 folds or more than there are examples, TypeError for wrong types.

    >>> for train, held_out in k_fold("abcde", 2, shuffle=False):
    ...     print("".join(train), "".join(held_out))
    de abc
    abc de
    """
    size = checked("k_fold", dataset, folds, shuffle)
    order = as_generator("k_fold", generator).permutation(size) if shuffle else np.arange(size)
    fold = np.empty(size, np.int64)
    fold[order] = np.arange(folds).repeat(np.bincount(np.arange(size) % folds))
    return pairs(dataset, fold, folds)


def stratified_k_fold(dataset, folds=5, labels=None, *, shuffle=True, generator=None):
    """Cut a data set into folds with the same share of each class, and return for each the pair of Subsets (the others, it).

    labels: (N,), integers, the class of each example; None takes the set's own `.labels` (also those of the sets that a Subset
    or a ConcatDataset consists of).
    Every class has in each fold the same number of examples, up to one, and so have the folds.  Warns of a class with fewer
    examples than folds: it is missing from some.  Other arguments and errors as in k_fold; also ValueError for labels
    that are not one per example, TypeError for a set without labels and for labels that are not integers.

    >>> letters, labels = "AbcDef", [1, 0, 0, 1, 0, 0]
    >>> [sorted(held_out) for train, held_out in stratified_k_fold(letters, 2, labels, shuffle=False)]
    [['A', 'b', 'c'], ['D', 'e', 'f']]
    """
    name = "stratified_k_fold"
    size = checked(name, dataset, folds, shuffle)
    labels = np.asarray(raw(labels) if labels is not None else own_labels(name, dataset))
    if labels.shape != (size,):
        raise ValueError(f"{name}: needs one label for each of {size} examples, got shape {labels.shape}.")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{name}: labels must be integers, got dtype {labels.dtype}. Number the classes: "
                        "numpy.unique(labels, return_inverse=True)[1].")
    random = as_generator(name, generator) if shuffle else None
    values, first, classes, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    if counts.min() < folds:
        rare = counts.argmin()
        warnings.warn(f"{name}: class {values[rare]} has {counts[rare]} examples for {folds} folds and is missing from some.",
                      stacklevel=2)
    fold = np.empty(size, np.int64)
    # dealt out like cards, class after class: the next class goes on where the last one ended, so the folds stay equal
    start = 0
    for label in np.argsort(first):
        share = np.bincount((start + np.arange(counts[label])) % folds, minlength=folds)
        start += counts[label]
        members = np.flatnonzero(classes == label)
        fold[members if random is None else random.permutation(members)] = np.arange(folds).repeat(share)
    return pairs(dataset, fold, folds)


def checked(op, dataset, folds, shuffle):
    """The size of a data set, and arguments that fit it."""
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise TypeError(f"{op}: dataset needs a length and an index, got {type(dataset).__name__}. Derive it from Dataset.")
    if isinstance(folds, bool) or not isinstance(folds, numbers.Integral):
        raise TypeError(f"{op}: folds must be an integer, got {folds!r}. Pass 5, for instance.")
    if not isinstance(shuffle, bool):
        raise TypeError(f"{op}: shuffle must be True or False, got {shuffle!r}. Seeds go by name: generator=0.")
    if not 2 <= folds <= len(dataset):
        raise ValueError(f"{op}: folds must be from 2 to the number of examples {len(dataset)}, got {folds}.")
    return len(dataset)


def own_labels(op, dataset):
    """The labels that a data set knows of itself."""
    if isinstance(dataset, Subset):
        return np.asarray(own_labels(op, dataset.dataset))[np.asarray(dataset.indices, np.int64)]
    if isinstance(dataset, ConcatDataset):
        return np.concatenate([own_labels(op, part) for part in dataset.datasets])
    labels = getattr(dataset, "labels", None)
    if labels is None:
        raise TypeError(f"{op}: a {type(dataset).__name__} has no labels of its own. Pass labels=[label for _, label in "
                        "dataset].")
    return np.asarray(raw(labels))


def pairs(dataset, fold, folds):
    """The Subsets (the others, this fold) for every fold; fold (N,) says in which an example is."""
    return [(Subset(dataset, np.flatnonzero(fold != k).tolist()), Subset(dataset, np.flatnonzero(fold == k).tolist()))
            for k in range(folds)]
