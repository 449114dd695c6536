import re

import numpy as np
import pytest

from tinyvision import manual_seed
from tinyvision.data import Dataset, LabelledImages, Subset, TensorDataset, random_split
from tinyvision.tensor import Tensor


@pytest.fixture
def columns():
    random = np.random.default_rng(1)
    return random.standard_normal((6, 2, 3)).astype(np.float32), random.integers(0, 10, 6)


def test_dataset_needs_length_and_index():
    class Half(Dataset):
        def __len__(self):
            return 3

    with pytest.raises(TypeError, match="__getitem__"):
        Half()


@pytest.mark.parametrize("index", [0, 5, -1, slice(1, 4), [3, 3, 0]])
def test_tensor_dataset_as_in_torch(columns, index):
    torch = pytest.importorskip("torch")
    ours, theirs = TensorDataset(*columns), torch.utils.data.TensorDataset(*map(torch.tensor, columns))
    assert len(ours) == len(theirs) == 6
    for mine, other in zip(ours[index], theirs[index], strict=True):
        assert mine.dtype == other.numpy().dtype
        np.testing.assert_array_equal(mine, other.numpy())


def test_tensor_dataset_of_tensors_gives_tensors(columns):
    x, y = columns
    row, label = TensorDataset(Tensor(x), Tensor(y))[2]
    assert isinstance(row, Tensor) and isinstance(label, Tensor)
    np.testing.assert_array_equal(row.data, x[2])
    assert label.data == y[2] and label.dtype == np.int64


@pytest.mark.parametrize("arguments, error, message", [
    ((), ValueError, "TensorDataset: needs at least one array or Tensor, got none"),
    (([1, 2],), TypeError, "TensorDataset: needs arrays or Tensors, got list as column 0"),
    ((np.zeros(3), np.array(1.0)), ValueError, "column 1 has shape ()"),
    ((np.array(["cat", "dog"]),), TypeError, "column 0 has dtype <U3"),
    ((np.zeros(3), np.zeros((3, 4)), np.zeros((2, 3))), ValueError, "column 0 has 3 rows and column 2 has 2"),
])
def test_tensor_dataset_errors(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        TensorDataset(*arguments)


def test_subset_as_in_torch(columns):
    torch = pytest.importorskip("torch")
    indices = [4, 0, 0, -2]
    ours = Subset(TensorDataset(*columns), indices)
    theirs = torch.utils.data.Subset(torch.utils.data.TensorDataset(*map(torch.tensor, columns)), indices)
    assert len(ours) == len(theirs) == 4
    for i in (0, 2, 3, -1, [1, 3]):
        for mine, other in zip(ours[i], theirs[i], strict=True):
            np.testing.assert_array_equal(mine, other.numpy())


def test_subset_takes_any_sequence_of_integers():
    letters = "abcdef"
    for indices in ([1, 3], (1, 3), range(1, 4, 2), np.array([1, 3], np.uint8), Tensor(np.array([1, 3]))):
        subset = Subset(letters, indices)
        assert len(subset) == 2 and [subset[0], subset[1]] == ["b", "d"]
    assert len(Subset(letters, [])) == 0
    assert Subset(Subset(letters, [5, 4, 3]), [2, 0])[0] == "d"


@pytest.mark.parametrize("indices, error, message", [
    ([0, 5], ValueError, "the data set has 5 of them, got 5"),
    ([-6], ValueError, "the data set has 5 of them, got -6"),
    ([True, False], TypeError, "shape (2,) of bool. A mask becomes indices with numpy.flatnonzero"),
    ([0.0], TypeError, "shape (1,) of float64"),
    ([[0, 1]], TypeError, "shape (1, 2)"),
    (3, TypeError, "shape ()"),
])
def test_subset_errors(indices, error, message):
    with pytest.raises(error, match=re.escape(message)):
        Subset(range(5), indices)


FRACTIONS = [[1.0], [0.5, 0.5], [0.9, 0.1], [0.7, 0.2, 0.1], [1 / 3] * 3, [0.15, 0.35, 0.5], [0.29, 0.71]]


@pytest.mark.parametrize("fractions", FRACTIONS, ids=str)
def test_random_split_fractions_as_in_torch(fractions):
    torch = pytest.importorskip("torch")
    for size in (20, 57, 100, 1797):
        theirs = torch.utils.data.random_split(range(size), fractions)
        assert list(map(len, random_split(range(size), fractions, generator=0))) == list(map(len, theirs))


def test_random_split_parts_by_hand():
    assert list(map(len, random_split(range(10), [0.25, 0.25, 0.5], generator=0))) == [3, 2, 5]       # 2 + 2 + 5, one left
    assert list(map(len, random_split(range(10), [7, 0, 3], generator=0))) == [7, 0, 3]
    assert list(map(len, random_split(range(10), [0.1, 0.7, 0.2], generator=0))) == [1, 7, 2]         # sums to 1 - 1e-16
    assert list(map(len, random_split(range(40), [0.05] * 20, generator=0))) == [2] * 20              # sums to 1 + 2e-16


def test_random_split_is_disjoint_complete_and_repeatable():
    first, second = ([list(part) for part in random_split(range(100), [60, 30, 10], generator=5)] for _ in range(2))
    assert first == second and sorted(sum(first, [])) == list(range(100))
    assert first[0] != list(range(60)), "not shuffled"
    source = np.random.default_rng(5)
    assert [list(part) for part in random_split(range(100), [60, 30, 10], source)] == first
    assert [list(part) for part in random_split(range(100), [60, 30, 10], source)] != first, "the generator did not advance"
    assert [list(part) for part in random_split(range(100), [60, 30, 10])] != first, "unseeded splits must differ"


def test_random_split_warns_of_an_empty_part():
    with pytest.warns(UserWarning, match="part 1 of 3 examples is empty"):
        parts = random_split(range(3), [0.9, 0.1], generator=0)
    assert list(map(len, parts)) == [3, 0]


@pytest.mark.parametrize("lengths, error, message", [
    ([3, 3], ValueError, "add up to 10, the size of the data set, or fractions that add up to 1; got [3, 3] with sum 6"),
    ([0.3, 0.3], ValueError, "got [0.3, 0.3] with sum 0.6"),
    ([2.5, 7.5], ValueError, "must be whole numbers"),
    ([12, -2], ValueError, "must not be negative, got [12, -2]"),
    (["half"], TypeError, "lengths must be numbers"),
])
def test_random_split_errors(lengths, error, message):
    with pytest.raises(error, match=re.escape(message)):
        random_split(range(10), lengths)



def test_labelled_images():
    images, labels = np.zeros((3, 1, 4, 5), np.float32), np.array([0, 2, 1])
    pictures = LabelledImages(images, labels, ["a", "b", "c"])
    assert pictures.images is images and pictures.labels is labels and pictures.classes == ("a", "b", "c")
    image, label = pictures[1]
    assert image.shape == (1, 4, 5) and label == 2 and repr(pictures) == "LabelledImages: 3 pictures of 1x4x5, 3 classes"


@pytest.mark.parametrize("images, labels, error, message", [
    (np.zeros((2, 4, 4)), np.zeros(2, int), ValueError, "got (2, 4, 4) and (2,). Grey pictures have C = 1"),
    (np.zeros((2, 1, 4, 4)), np.zeros((2, 1), int), ValueError, "got (2, 1, 4, 4) and (2, 1)"),
    (np.zeros((2, 1, 4, 4)), np.zeros(3, int), ValueError, "column 0 has 2 rows and column 1 has 3"),
    (np.zeros((2, 1, 4, 4)), np.array([0, 2]), ValueError, "class indices 0..1, got 0 to 2"),
    (np.zeros((2, 1, 4, 4)), np.array([-1, 0]), ValueError, "class indices 0..1, got -1 to 0"),
    (np.zeros((2, 1, 4, 4), np.uint8), np.zeros(2, int), TypeError, "got uint8 and int64"),
    (np.zeros((2, 1, 4, 4)), np.zeros(2), TypeError, "got float64 and float64"),
])
def test_labelled_images_errors(images, labels, error, message):
    with pytest.raises(error, match=re.escape(message)):
        LabelledImages(images, labels, ("cat", "dog"))


def test_the_default_generator_is_the_engines():
    parts = []
    for _ in range(2):
        manual_seed(7)
        parts.append([list(part) for part in random_split(range(100), [60, 40])])
    assert parts[0] == parts[1]
    with pytest.raises(TypeError, match="random_split: needs an integer seed or a numpy.random.Generator, got str"):
        random_split(range(3), [2, 1], "0")
