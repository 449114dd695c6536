"""Mixed batches, and data sets whose random numbers depend on the example alone."""

import pickle
import re

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor
from tinyvision.data import DataLoader, Dataset, LabelledImages, Subset, default_collate
from tinyvision.data.transforms import (Compose, CutMix, GaussianNoise, MixUp, RandomChoice, RandomCrop, RandomHorizontalFlip,
                                        TransformedDataset)

RANDOM = np.random.default_rng(5)
BATCH = RANDOM.random((6, 3, 10, 14), np.float32)
LABELS = np.array([0, 2, 1, 3, 2, 0])


def test_mixup_is_the_combination_it_says():
    shares = []
    for seed in range(200):
        x, q = MixUp(num_classes=4)(BATCH, LABELS, rng=seed)
        assert x.dtype == q.dtype == np.float32 and q.shape == (6, 4)
        share = q[1, 2]                                   # picture 1 is of class 2, its partner 0 of class 0
        expected = np.stack([share * BATCH[i] + (1 - share) * BATCH[i - 1] for i in range(6)])
        np.testing.assert_allclose(x, expected, atol=1e-6)
        for i in range(6):
            row = np.zeros(4)
            row[LABELS[i]] += share
            row[LABELS[i - 1]] += 1 - share
            np.testing.assert_allclose(q[i], row, atol=1e-6)
        shares.append(share)
    assert min(shares) < 0.05 and max(shares) > 0.95 and abs(np.mean(shares) - 0.5) < 0.07     # Beta(1, 1): all alike
    assert abs(np.std(shares) - 1 / np.sqrt(12)) < 0.04
    few = [MixUp(alpha=0.2, num_classes=4)(BATCH, LABELS, rng=i)[1][1, 2] for i in range(200)]
    assert np.mean([min(s, 1 - s) < 0.1 for s in few]) > 0.5                              # Beta(0.2, 0.2): the ends


def test_cutmix_pastes_what_the_labels_say():
    own = np.arange(6, dtype=np.float32)[:, None, None, None] + np.zeros((6, 2, 10, 14), np.float32)
    areas = []
    for seed in range(200):
        x, q = CutMix(num_classes=4)(own, LABELS, rng=seed)
        pasted = x[1, 0] == 0
        assert ((x[1, 0] == 1) | pasted).all()
        for i in range(6):
            np.testing.assert_array_equal(x[i], np.where(pasted, own[i - 1], own[i]))
        rows, columns = np.flatnonzero(pasted.any(1)), np.flatnonzero(pasted.any(0))
        assert pasted.sum() == len(rows) * len(columns)                                  # a rectangle
        if len(rows):
            assert np.ptp(rows) + 1 == len(rows) and np.ptp(columns) + 1 == len(columns)
        np.testing.assert_allclose(q[1], [pasted.mean(), 0, 1 - pasted.mean(), 0], atol=1e-6)
        np.testing.assert_allclose(q.sum(1), 1, atol=1e-6)
        areas.append(pasted.mean())
    assert min(areas) == 0 and max(areas) > 0.6 and 0.15 < np.mean(areas) < 0.45


@pytest.mark.parametrize("mix", [MixUp, CutMix])
def test_mixed_batches_train(mix):
    """Soft labels go into cross_entropy: the loss is the same combination of the losses for the hard labels."""
    x, q = mix(num_classes=4)(Tensor(BATCH), Tensor(LABELS), rng=3)
    assert isinstance(x, Tensor) and isinstance(q, Tensor)
    scores = Tensor(RANDOM.standard_normal((6, 4)).astype(np.float32), requires_grad=True)
    share = q.data[1, 2]
    hard = [F.cross_entropy(scores, labels).item() for labels in (LABELS, np.roll(LABELS, 1))]
    loss = F.cross_entropy(scores, q)
    np.testing.assert_allclose(loss.item(), share * hard[0] + (1 - share) * hard[1], rtol=1e-5)
    loss.backward()
    assert np.isfinite(scores.grad.data).all()


@pytest.mark.parametrize("mix", [MixUp, CutMix])
def test_mixing_forms(mix):
    before = BATCH.copy()
    one, two = mix(num_classes=4)(BATCH, LABELS, rng=1), mix()(BATCH, np.eye(4, dtype=np.float32)[LABELS], rng=1)
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])
    np.testing.assert_array_equal(BATCH, before)
    np.testing.assert_array_equal(mix(num_classes=4)(BATCH, LABELS.tolist(), rng=1)[1], one[1])
    same = mix(num_classes=4)(BATCH[:1], [3], rng=1)
    np.testing.assert_allclose(same[0], BATCH[:1], atol=1e-6)
    np.testing.assert_allclose(same[1], [[0, 0, 0, 1]], atol=1e-6)
    a, b = mix(num_classes=4, generator=4), mix(num_classes=4, generator=4)
    for _ in range(3):
        np.testing.assert_array_equal(a(BATCH, LABELS)[0], b(BATCH, LABELS)[0])
    assert mix()(BATCH.astype(np.float64), np.eye(4)[LABELS], rng=1)[0].dtype == np.float64


def test_mixing_in_a_loader():
    data = LabelledImages(BATCH, LABELS, "abcd")
    mix = RandomChoice([MixUp(num_classes=4), CutMix(num_classes=4)], generator=0)
    loader = DataLoader(data, 3, shuffle=True, generator=0, collate_fn=lambda batch: mix(*default_collate(batch)))
    for images, q in loader:
        assert images.shape == (3, 3, 10, 14) and q.shape == (3, 4)
        np.testing.assert_allclose(q.data.sum(1), 1, atol=1e-6)


AUGMENT = Compose([RandomCrop((10, 14), 3), RandomHorizontalFlip(), GaussianNoise()])


def pixels(dataset, indices):
    return [dataset[int(i)][0].tobytes() for i in indices]


def test_an_example_depends_on_seed_epoch_and_number_alone():
    base = LabelledImages(BATCH, LABELS, "abcd")
    data = TransformedDataset(base, AUGMENT, seed=3)
    first = pixels(data, range(6))
    assert len(set(first)) == 6
    assert pixels(data, [5, 0, 3, 3, -1]) == [first[i] for i in (5, 0, 3, 3, 5)]
    assert pixels(pickle.loads(pickle.dumps(data)), range(6)) == first                   # in another process
    assert pixels(TransformedDataset(base, AUGMENT, seed=3), [4]) == [first[4]]
    assert pixels(Subset(data, [4, 2]), range(2)) == [first[4], first[2]]
    assert not set(pixels(TransformedDataset(base, AUGMENT, seed=4), range(6))) & set(first)
    epochs = {}
    for epoch in 1, 2, 0:
        data.set_epoch(epoch)
        epochs[epoch] = pixels(data, range(6))
    assert epochs[0] == first and len({*epochs[0], *epochs[1], *epochs[2]}) == 18
    assert [data[i][1] for i in range(6)] == LABELS.tolist() and data.classes == tuple("abcd") and len(data) == 6
    np.testing.assert_array_equal(data.labels, LABELS)


def test_equal_pictures_are_transformed_differently():
    """Example i of epoch e is independent of example e of epoch i, and of seed + 1."""
    data = TransformedDataset([(BATCH[0], 0)] * 3, GaussianNoise(), seed=0)
    seen = set()
    for seed in range(3):
        for epoch in range(3):
            data.seed = seed
            data.set_epoch(epoch)
            seen.update(pixels(data, range(3)))
    assert len(seen) == 27


def test_transformed_dataset_in_a_loader():
    data = TransformedDataset(LabelledImages(BATCH, LABELS, "abcd"), AUGMENT)
    (images, labels), = DataLoader(data, 6)
    np.testing.assert_array_equal(images.data, np.stack([data[i][0] for i in range(6)]))
    np.testing.assert_array_equal(labels.data, LABELS)
    alone = TransformedDataset(list(BATCH), AUGMENT)
    np.testing.assert_array_equal(alone[2], data[2][0])
    assert repr(data) == "TransformedDataset: 6 examples, seed 0, epoch 0"
    assert not hasattr(alone, "classes") and isinstance(data, Dataset)


DATA = TransformedDataset([(BATCH[0], 1)], AUGMENT)
WRONG = [
    (TypeError, lambda: MixUp()(BATCH), "MixUp: needs a batch of pictures and their labels, got pictures only. mix(images, lab"),
    (ValueError, lambda: MixUp()(BATCH[0], LABELS), "MixUp: needs a batch of pictures (N, C, H, W) of floats, got shape (3, 10"),
    (ValueError, lambda: CutMix()(BATCH, LABELS), "needs num_classes to make probabilities of class indices, got None. CutMix("),
    (ValueError, lambda: CutMix(num_classes=3)(BATCH, LABELS), "CutMix: labels must be class indices 0..2, got 0 to 3"),
    (ValueError, lambda: CutMix(num_classes=4)(BATCH, LABELS[:5]), "or probabilities (N, K) for 6 pictures, got shape (5,) of"),
    (ValueError, lambda: MixUp(num_classes=4)(BATCH, LABELS / 2), "got shape (6,) of float64"),
    (ValueError, lambda: MixUp(alpha=0), "MixUp: alpha must be greater than 0, got 0. Near 0 hardly anything is mixed"),
    (ValueError, lambda: MixUp(num_classes=0), "MixUp: num_classes must be an integer of at least 1, got 0"),
    (TypeError, lambda: TransformedDataset(3, AUGMENT), "dataset needs a length and an index, got int"),
    (TypeError, lambda: TransformedDataset([], lambda x: x), "TransformedDataset: transform must be a Transform, got <function"),
    (TypeError, lambda: TransformedDataset([], AUGMENT, 1.5), "TransformedDataset: seed must be an integer, got 1.5"),
    (ValueError, lambda: TransformedDataset([], AUGMENT, -1), "TransformedDataset: seed must be at least 0, got -1"),
    (ValueError, lambda: DATA.set_epoch(-1), "TransformedDataset: epoch must be at least 0, got -1"),
    (TypeError, lambda: DATA[[0]], "TransformedDataset: the index must be an integer, got list"),
    (IndexError, lambda: DATA[1], "TransformedDataset: index must be the number of an example, there are 1, got 1"),
    (IndexError, lambda: DATA[-2], "there are 1, got -2"),
    (ValueError, lambda: TransformedDataset([(BATCH[0], 1, 2)], AUGMENT)[0], "or (picture, target), example 0 has 3 parts"),
]


@pytest.mark.parametrize("error, call, message", WRONG, ids=[message[:40] for _, _, message in WRONG])
def test_errors(error, call, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
