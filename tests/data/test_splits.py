"""Folds, against scikit-learn's; and data sets joined, against PyTorch's."""

import contextlib
import re

import numpy as np
import pytest
from sklearn.model_selection import KFold, StratifiedKFold

from tinyvision import Tensor, manual_seed
from tinyvision.data import (ConcatDataset, DataLoader, Dataset, LabelledImages, Subset, TensorDataset, k_fold, stratified_k_fold)


def parts(pairs):
    return [(list(train), list(test)) for train, test in pairs]


@pytest.mark.parametrize("size, folds", [(10, 2), (10, 3), (11, 5), (7, 7), (100, 10), (23, 4)])
def test_k_fold_in_order_is_sklearns(size, folds):
    theirs = [(train.tolist(), test.tolist()) for train, test in KFold(folds).split(range(size))]
    assert parts(k_fold(range(size), folds, shuffle=False)) == theirs


@pytest.mark.parametrize("size, folds", [(10, 2), (11, 5), (7, 7), (23, 4)])
def test_k_fold_at_random(size, folds):
    pairs = parts(k_fold(range(size), folds, generator=3))
    assert sorted(sum((test for _, test in pairs), [])) == list(range(size))
    assert [len(test) for _, test in pairs] == [len(test) for _, test in KFold(folds).split(range(size))]
    for train, test in pairs:
        assert sorted(train + test) == list(range(size)) and train == sorted(train) and test == sorted(test)
    assert pairs == parts(k_fold(range(size), folds, generator=np.random.default_rng(3)))
    assert pairs != parts(k_fold(range(size), folds, generator=4)) or size == folds


def test_every_example_is_as_likely_in_every_fold():
    random, counts = np.random.default_rng(0), np.zeros((6, 3))
    for _ in range(600):
        for k, (_, test) in enumerate(k_fold(range(6), 3, generator=random)):
            counts[list(test), k] += 1
    assert abs(counts - 200).max() < 5 * np.sqrt(600 * 1 / 3 * 2 / 3)


def test_the_engine_draws_unless_told():
    manual_seed(5)
    first = parts(k_fold(range(50)))
    assert first != parts(k_fold(range(50))) and len(first) == 5
    manual_seed(5)
    assert first == parts(k_fold(range(50)))


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_stratified_folds_have_sklearns_sizes(seed, shuffle):
    random = np.random.default_rng(seed)
    labels, folds = random.permutation(np.repeat([4, 0, 9], random.integers(6, 15, 3))), int(random.integers(2, 6))
    ours = parts(stratified_k_fold(range(len(labels)), folds, labels, shuffle=shuffle, generator=seed))
    theirs = [(train.tolist(), test.tolist()) for train, test in StratifiedKFold(folds).split(labels, labels)]
    if not shuffle:
        assert ours == theirs
    for (_, mine), (_, other) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(np.bincount(labels[mine], minlength=10), np.bincount(labels[other], minlength=10))
    assert sorted(sum((test for _, test in ours), [])) == list(range(len(labels)))
    assert all(sorted(train + test) == list(range(len(labels))) for train, test in ours)


def labelled(labels):
    return LabelledImages(np.zeros((len(labels), 1, 1, 1), np.float32), np.array(labels), ("a", "b", "c"))


def test_stratified_finds_the_labels():
    labels = [0, 1, 2] * 4
    whole, half = labelled(labels), labelled([2, 1, 0] * 4)
    part = Subset(whole, [11, 0, 1, 2, 3, -1])                            # labels 2 0 1 2 0 2
    for dataset, true in ((whole, labels), (part, [2, 0, 1, 2, 0, 2]), (whole + half, labels + [2, 1, 0] * 4),
                          (Subset(whole + half, [12, 0, 1, 13]), [2, 0, 1, 1])):
        with pytest.warns(UserWarning) if dataset is part or len(true) == 4 else contextlib.nullcontext():
            found = stratified_k_fold(dataset, 2, generator=0)
            given = stratified_k_fold(dataset, 2, true, generator=0)
        assert [test.indices for _, test in found] == [test.indices for _, test in given]
    assert [label for _, test in k_fold(whole, 3, shuffle=False) for _, label in test] == labels


def test_stratified_warns_of_rare_classes():
    with pytest.warns(UserWarning, match="class 7 has 1 examples for 3 folds and is missing from some"):
        pairs = stratified_k_fold(range(7), 3, [5] * 6 + [7], generator=0)
    assert sorted(len(test) for _, test in pairs) == [2, 2, 3]


@pytest.mark.parametrize("call, error, message", [
    (lambda: k_fold(range(5), 1), ValueError, "k_fold: folds must be from 2 to the number of examples 5, got 1"),
    (lambda: k_fold(range(5), 6), ValueError, "k_fold: folds must be from 2 to the number of examples 5, got 6"),
    (lambda: k_fold(range(5), 2.0), TypeError, "folds must be an integer, got 2.0"),
    (lambda: k_fold(range(5), 2, shuffle=0), TypeError, "shuffle must be True or False, got 0. Seeds go by name"),
    (lambda: k_fold(iter([1, 2]), 2), TypeError, "dataset needs a length and an index, got list_iterator"),
    (lambda: k_fold(range(5), 2, generator="0"), TypeError, "needs an integer seed"),
    (lambda: stratified_k_fold(range(5), 2), TypeError, "a range has no labels of its own. Pass labels="),
    (lambda: stratified_k_fold(range(5), 2, [0, 1]), ValueError, "needs one label for each of 5 examples, got shape (2,)"),
    (lambda: stratified_k_fold(range(2), 2, ["a", "b"]), TypeError, "labels must be integers, got dtype <U1"),
    (lambda: stratified_k_fold(range(2), 3, [0, 0]), ValueError, "folds must be from 2 to the number of examples 2, got 3"),
])
def test_errors(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


# --- several sets as one

def test_concat_as_in_torch():
    torch = pytest.importorskip("torch")
    lists = [["a", "b", "c"], [], ["d"], ["e", "f"], []]
    ours, theirs = ConcatDataset(iter(lists)), torch.utils.data.ConcatDataset(lists)
    assert len(ours) == len(theirs) == 6 and ours.cumulative_sizes == theirs.cumulative_sizes
    assert [ours[i] for i in range(-6, 6)] == [theirs[i] for i in range(-6, 6)]
    assert list(ours) == list(theirs) == list("abcdef") and ours.datasets == lists
    assert ours[np.int64(3)] == "d"


@pytest.mark.parametrize("index", [6, -7, 100])
def test_concat_beyond_its_end(index):
    with pytest.raises(IndexError, match=f"ConcatDataset: index must be the number of an example, there are 6, got {index}"):
        ConcatDataset(["abc", "def"])[index]


def test_plus_joins_and_batches_cross_the_border():
    class Squares(Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return np.float32(index), index ** 2

    pairs = TensorDataset(Tensor([7.0, 8.0]), np.array([5, 6]))
    both = Squares() + pairs
    assert isinstance(both, ConcatDataset) and repr(both) == "ConcatDataset: 5 examples of 2 data sets"
    batches = [(x.tolist(), y.tolist()) for x, y in DataLoader(both, batch_size=2)]
    assert batches == [([0.0, 1.0], [0, 1]), ([2.0, 7.0], [4, 5]), ([8.0], [6])]
    assert [y.tolist() for _, y in DataLoader(Subset(both, [4, 0]), batch_size=2)] == [[6, 0]]


@pytest.mark.parametrize("call, error, message", [
    (lambda: ConcatDataset([]), ValueError, "ConcatDataset: needs at least 1 data set, got 0"),
    (lambda: ConcatDataset(TensorDataset(np.zeros(2))), TypeError, "needs a list of data sets, got one TensorDataset"),
    (lambda: ConcatDataset([[1], 2]), TypeError, "got int as number 1"),
    (lambda: ConcatDataset([[1], TensorDataset]), TypeError, "got ABCMeta as number 1"),
    (lambda: ConcatDataset(["ab"])[[0, 1]], TypeError, "integer"),
])
def test_concat_errors(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
