import collections
import re

import numpy as np
import pytest

from tinyvision.data import DataLoader, Dataset, Subset, TensorDataset, default_collate
from tinyvision.tensor import Tensor

Pair = collections.namedtuple("Pair", "image label")


def arrays(batches):
    """Batches as nested lists of plain arrays, to compare."""
    if isinstance(batches, (list, tuple)):
        return [arrays(batch) for batch in batches]
    return batches.data


def orders(loader, passes):
    return [np.concatenate([batch.data for batch in loader]).tolist() for _ in range(passes)]


class Computed(Dataset):
    """Examples made on demand, in none of the forms that the loader knows a short cut for."""

    def __init__(self, columns):
        self.columns, self.asked = columns, []

    def __len__(self):
        return len(self.columns[0])

    def __getitem__(self, index):
        self.asked.append(index)
        return tuple(column[index] for column in self.columns)


@pytest.fixture
def columns():
    random = np.random.default_rng(2)
    return random.standard_normal((7, 2, 3)).astype(np.float32), random.integers(0, 10, 7)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 6, 7])
def test_batches_as_in_torch(size, batch_size, drop_last):
    torch = pytest.importorskip("torch")
    x, y = np.random.default_rng(size).standard_normal((size, 2)), np.arange(size)
    theirs = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y)), batch_size,
                                         drop_last=drop_last)
    for dataset in (TensorDataset(x, y), Computed((x, y)), list(zip(x, y))):
        ours = DataLoader(dataset, batch_size, drop_last=drop_last)
        assert len(ours) == len(theirs) == len(list(ours))
        for mine, other in zip(ours, theirs, strict=True):
            assert type(mine) is list and len(mine) == 2
            for a, b in zip(mine, other):
                assert isinstance(a, Tensor) and a.dtype == b.numpy().dtype
                np.testing.assert_array_equal(a.data, b.numpy())


def test_lengths_by_hand():
    assert [len(DataLoader(range(10), size)) for size in (1, 3, 5, 10, 11)] == [10, 4, 2, 1, 1]
    assert [len(DataLoader(range(10), size, drop_last=True)) for size in (1, 3, 5, 10, 11)] == [10, 3, 2, 1, 0]
    assert [len(batch.data) for batch in DataLoader(range(10), 4)] == [4, 4, 2]


def test_every_pass_is_a_new_permutation():
    passes = orders(DataLoader(range(50), 8, shuffle=True, generator=0), 3)
    assert all(sorted(order) == list(range(50)) for order in passes)
    assert len({tuple(order) for order in passes}) == 3 and list(range(50)) not in passes
    assert orders(DataLoader(range(50), 8), 2) == [list(range(50))] * 2


def test_a_seed_repeats_all_passes():
    first, second, other = (DataLoader(range(50), 8, shuffle=True, generator=seed) for seed in (4, 4, 5))
    expected = orders(first, 3)
    assert orders(second, 3) == expected != orders(other, 3)
    assert orders(DataLoader(range(50), 8, shuffle=True, generator=np.random.default_rng(4)), 3) == expected
    assert orders(DataLoader(range(50), 8, shuffle=True), 3) != orders(DataLoader(range(50), 8, shuffle=True), 3)


def test_the_permutation_is_the_generators():
    source = np.random.default_rng(11)
    expected = [source.permutation(20).tolist() for _ in range(2)]
    assert orders(DataLoader(range(20), 3, shuffle=True, generator=11), 2) == expected


def test_interleaved_passes_repeat():
    one, two = iter(loader := DataLoader(range(9), 3, shuffle=True, generator=1)), iter(loader)
    late = [next(two).data.tolist() for _ in range(3)]
    early = [next(one).data.tolist() for _ in range(3)]
    assert [sum(early, []), sum(late, [])] == orders(DataLoader(range(9), 3, shuffle=True, generator=1), 2)


def test_the_short_cut_changes_nothing(columns):
    some = [6, 0, 3, 3, -1]
    for form in (lambda d: d, lambda d: Subset(d, some), lambda d: Subset(Subset(d, some), np.array([4, 1, 0]))):
        for make in (lambda x, y: (x, y), lambda x, y: (Tensor(x), Tensor(y))):
            quick, slow = (DataLoader(form(kind), 2, shuffle=True, generator=3)
                           for kind in (TensorDataset(*make(*columns)), Computed(columns)))
            for mine, other in zip(arrays(list(quick)), arrays(list(slow)), strict=True):
                for a, b in zip(mine, other, strict=True):
                    assert a.dtype == b.dtype
                    np.testing.assert_array_equal(a, b)


def test_a_column_is_sliced_once_per_batch():
    class Counted(np.ndarray):
        def __getitem__(self, index):
            asked.append(index)
            return super().__getitem__(index)

    asked = []
    dataset = TensorDataset(np.arange(10).view(Counted))
    list(DataLoader(dataset, 4))
    assert list(map(len, asked)) == [4, 4, 2]
    asked.clear()
    list(DataLoader(Subset(dataset, range(5, 10)), 4))
    assert [list(index) for index in asked] == [[5, 6, 7, 8], [9]]


def test_a_subclass_that_computes_its_examples_is_asked():
    class Doubled(TensorDataset):
        def __getitem__(self, index):
            return tuple(2 * row for row in super().__getitem__(index))

    class Shifted(Subset):
        def __getitem__(self, index):
            return tuple(row + 100 for row in super().__getitem__(index))

    base = TensorDataset(np.arange(4))
    assert arrays(list(DataLoader(Doubled(np.arange(4)), 4)))[0][0].tolist() == [0, 2, 4, 6]
    assert arrays(list(DataLoader(Subset(Doubled(np.arange(4)), [3, 1]), 4)))[0][0].tolist() == [6, 2]
    assert arrays(list(DataLoader(Shifted(base, [3, 1]), 4)))[0][0].tolist() == [103, 101]
    assert arrays(list(DataLoader(Subset(Shifted(base, [3, 1]), [1]), 4)))[0][0].tolist() == [101]


@pytest.mark.parametrize("batch_size", [1, 3])
def test_batches_share_no_memory_with_the_data(columns, batch_size):
    kept = [column.copy() for column in columns]
    for dataset in (TensorDataset(*columns), Computed(columns), TensorDataset(*map(Tensor, columns))):
        for batch in DataLoader(dataset, batch_size):
            for tensor in batch:
                tensor.data[...] = 77
    for before, after in zip(kept, columns):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("kind", [TensorDataset, lambda *columns: Computed(columns)], ids=["columns", "examples"])
def test_gradients_reach_the_tensors_of_a_data_set(kind):
    x = Tensor(np.random.default_rng(6).standard_normal((5, 2)), requires_grad=True)
    ((batch,),) = DataLoader(Subset(kind(x), [4, 1, 4]), 3)
    upstream = np.random.default_rng(7).standard_normal((3, 2))
    batch.backward(Tensor(upstream))
    expected = np.zeros((5, 2))
    expected[1], expected[4] = upstream[1], upstream[0] + upstream[2]
    np.testing.assert_allclose(x.grad.data, expected, rtol=1e-15)


EXAMPLES = {
    "integers": [3, 1], "floats": [0.5, 2.0], "booleans": [True, False], "text": ["a", "b"], "bytes": [b"a", b"b"],
    "float32": [np.float32(1), np.float32(2)], "int8": [np.int8(1), np.int8(2)],
    "arrays": [np.arange(6.0).reshape(2, 3), np.ones((2, 3))], "zero-dimensional": [np.array(1), np.array(2)],
    "promoted": [np.ones(2, np.float32), np.ones(2, np.float64)],
    "pairs": [(np.ones(2), 1), (np.zeros(2), 2)], "lists": [[1, 2.0], [3, 4.0]], "pairs with text": [(1, "a"), (2, "b")],
    "dictionaries": [{"x": np.ones(2), "y": 1}, {"y": 2, "x": np.zeros(2)}],
    "named": [Pair(np.ones(2), 1), Pair(np.zeros(2), 2)],
    "nested": [({"x": (1, [2.0])}, 3), ({"x": (4, [5.0])}, 6)],
}


def assert_same(mine, other, torch):
    if isinstance(other, torch.Tensor):
        assert isinstance(mine, Tensor) and mine.dtype == other.numpy().dtype
        np.testing.assert_array_equal(mine.data, other.numpy())
    elif isinstance(other, dict):
        assert type(mine) is dict and list(mine) == list(other)
        for key in other:
            assert_same(mine[key], other[key], torch)
    elif isinstance(other, (str, bytes)):
        assert mine == other
    else:
        assert type(mine) is type(other) and len(mine) == len(other)
        for a, b in zip(mine, other):
            assert_same(a, b, torch)


@pytest.mark.parametrize("examples", EXAMPLES.values(), ids=EXAMPLES)
def test_collation_as_in_torch(examples):
    torch = pytest.importorskip("torch")
    expected = torch.utils.data.default_collate(examples)
    assert_same(default_collate(examples), expected, torch)
    ((ours,), (theirs,)) = DataLoader(examples, 2), torch.utils.data.DataLoader(examples, 2)
    assert_same(ours, theirs, torch)


def test_collation_of_tensors():
    x = np.random.default_rng(8).standard_normal((3, 2, 2))
    batch = default_collate([Tensor(row) for row in x])
    assert batch.dtype == np.float64
    np.testing.assert_array_equal(batch.data, x)


def test_collate_fn_gets_the_list_of_examples(columns):
    seen = []
    loader = DataLoader(TensorDataset(*columns), 3, collate_fn=lambda examples: seen.append(examples) or len(examples))
    assert list(loader) == [3, 3, 1]
    assert type(seen[0]) is list and type(seen[0][0]) is tuple
    np.testing.assert_array_equal(seen[2][0][0], columns[0][6])


def test_examples_are_asked_for_by_plain_integers(columns):
    dataset = Computed(columns)
    list(DataLoader(dataset, 3, shuffle=True, generator=0))
    assert {type(index) for index in dataset.asked} == {int} and sorted(dataset.asked) == list(range(7))


@pytest.mark.parametrize("examples, error, message", [
    ([(np.ones((3, 4)), 0), (np.ones((3, 5)), 1)], ValueError,
     "must have equal shapes, example 0[0] has (3, 4) and example 1[0] has (3, 5)"),
    ([1, np.ones(2)], ValueError, "equal shapes, example 0 has () and example 1 has (2,)"),
    ([(1, 2), (1,)], ValueError, "equal lengths, example 0 has 2 and example 1 has 1"),
    ([(1, 2), 3], ValueError, "equal lengths, example 0 has 2 and example 1 has int"),
    ([{"a": 1}, {"b": 1}], ValueError, "equal keys, example 0 has {'a'} and example 1 has {'b'}"),
    ([{"a": [1, 2]}, {"a": [1]}], ValueError, "example 0['a'] has 2 and example 1['a'] has 1"),
    ([0, None], TypeError, "example 1 is NoneType"),
    ([(0, {1, 2})], TypeError, "example 0[1] is set"),
    ([np.array(["a"])], TypeError, "example 0 is <U1 array"),
    ([1j], TypeError, "example 0 is complex"),
    ([], ValueError, "needs at least 1 example, got 0"),
])
def test_collation_errors(examples, error, message):
    with pytest.raises(error, match=re.escape(message)):
        default_collate(examples)


def test_a_collation_error_names_the_example_in_the_data_set():
    pictures = [np.zeros((3, 8, 8 if i != 5 else 9)) for i in range(8)]
    with pytest.raises(ValueError, match=re.escape("example 4 has (3, 8, 8) and example 5 has (3, 8, 9)")):
        list(DataLoader(pictures, 2))


@pytest.mark.parametrize("arguments, error, message", [
    (dict(batch_size=0), ValueError, "batch_size must be at least 1, got 0. For all examples at once pass len(dataset), 5"),
    (dict(batch_size=-3), ValueError, "batch_size must be at least 1, got -3"),
    (dict(batch_size=2.0), TypeError, "batch_size must be an integer, got 2.0"),
    (dict(batch_size=True), TypeError, "batch_size must be an integer, got True"),
    (dict(shuffle=1), TypeError, "shuffle must be True or False, got 1"),
    (dict(drop_last="yes"), TypeError, "drop_last must be True or False, got 'yes'"),
    (dict(collate_fn="stack"), TypeError, "collate_fn must be a function of a list of examples, got 'stack'"),
    (dict(generator="0"), TypeError, "needs an integer seed or a numpy.random.Generator, got str"),
    (dict(dataset=[], shuffle=True), ValueError, "shuffle=True needs examples, the data set has 0"),
    (dict(dataset=iter([1, 2])), TypeError, "dataset needs a length and an index, got list_iterator"),
])
def test_loader_errors(arguments, error, message):
    with pytest.raises(error, match=re.escape("DataLoader: " + message)):
        DataLoader(**{"dataset": range(5), **arguments})


def test_an_empty_data_set_in_order_has_no_batches():
    loader = DataLoader([])
    assert len(loader) == 0 and list(loader) == []
