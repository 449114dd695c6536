"""Batches made elsewhere are the same batches; a loader goes on where another one was."""

import json

import numpy as np
import pytest

from tinyvision.data import DataLoader, Dataset, Prefetch, TensorDataset


class Squares(Dataset):
    def __init__(self, bad=None):
        self.bad, self.epoch = bad, 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return 23

    def __getitem__(self, index):
        if index == self.bad:
            raise ValueError(f"example {index} is broken")
        return np.float32([index, index ** 2, self.epoch])


def passes(loader, count=2):
    return [[batch.data.tolist() for batch in loader] for _ in range(count)]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("wrap", [lambda **o: DataLoader(Squares(), 4, shuffle=True, generator=3, num_workers=2, **o),
                                  lambda **o: Prefetch(DataLoader(Squares(), 4, shuffle=True, generator=3, **o), 3)],
                         ids=["processes", "thread"])
def test_the_same_batches(wrap):
    right = passes(DataLoader(Squares(), 4, shuffle=True, generator=3))
    assert passes(wrap()) == right and right[0] != right[1]
    assert {row[2] for batch in right[1] for row in batch} == {1.0}       # the set was told the number of the pass
    for batch in wrap():                                  # a loop that is left early leaves nothing behind
        break


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("wrap", [lambda d: DataLoader(d, 4, num_workers=2), lambda d: Prefetch(DataLoader(d, 4))])
def test_errors_come_through(wrap):
    with pytest.raises(ValueError, match="example 9 is broken"):
        list(wrap(Squares(bad=9)))


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("handed_out", [0, 1, 5, 6, 8, 12])
def test_a_loader_goes_on_where_another_was(handed_out, shuffle):
    def stream(loader, count=3):
        for _ in range(count):
            yield from (batch.data.tolist() for batch in loader)

    def make(seed):
        return DataLoader(Squares(), 4, shuffle=shuffle, generator=seed)
    loader = make(7)
    batches = stream(loader)
    for _ in range(handed_out):
        next(batches)
    state = json.loads(json.dumps(loader.state_dict()))
    again = make(8)
    again.load_state_dict(state)
    rest = list(batches)
    found = list(stream(again, 3))
    assert len(rest) >= 6 and found[:len(rest)] == rest


@pytest.mark.parametrize("options, words", [({"num_workers": -1}, "at least 0"), ({"num_workers": 1.5}, "integer"),
                                            ({"prefetch_factor": 2}, "for worker processes")])
def test_mistakes(options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        DataLoader(Squares(), 4, **options)
    with pytest.raises(ValueError, match="another loader, size 23"):
        DataLoader(TensorDataset(np.zeros(5)), 4).load_state_dict(DataLoader(Squares(), 4).state_dict())
    with pytest.raises(ValueError, match="at least 1"):
        Prefetch([], 0)
