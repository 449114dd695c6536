"""Batches: from numbered examples to the Tensors that one training step takes.

An epoch is one pass over the data set: put the numbers 0..N-1 in order (a new permutation where shuffled), cut the order into
pieces of batch_size, fetch the examples of each piece and stack them, axis 0 counting the examples.  Stochastic gradient
descent assumes batches drawn independently of the order on disk, hence `shuffle`; the last batch is short where batch_size
does not divide N.  For a TensorDataset, and for Subsets of one, a batch is one indexing operation per column instead of a
loop over examples.

A loader knows where it is: `state_dict` names the pass, the batches of it that were handed out, and the state of the generator
at its beginning; a loader that loads it goes on with the very next batch.  Generators that the data set itself keeps are
part of that.  A data set with a method `set_epoch` is told the number of the pass, 0, 1, ..., so that what it draws by chance
can differ from pass to pass and yet repeat.

Source: Bottou 2012, Stochastic Gradient Descent Tricks, section 4 (shuffle the examples); torch.utils.data.DataLoader.
"""

import numbers
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from ..backend import array_module, is_array
from ..cuda import is_available
from ..ops.device import pinned_batch
from ..ops.movement import stack
from ..random import as_generator, generators_in, get_state, own_generator, set_state
from ..tensor import Tensor, raw, result
from .dataset import Subset, TensorDataset


class DataLoader:
    """Go through a data set in batches, once per `for` loop (torch.utils.data.DataLoader).

    Shapes: examples of shape (...) become Tensors (B, ...), B = batch_size but for a short last batch, which drop_last drops.
    An example (image, label) gives the batch [images, labels]; see `default_collate` for other forms.  len(loader) is the
    number of batches: ceil(N / batch_size), or floor with drop_last.
    shuffle: visit the examples in a new random order on every pass.
    collate_fn: makes the batch from the list of its examples, instead of default_collate.
    num_workers: processes that make the batches, 0 for none; the batches are the same, bit for bit (workers.py).  They start
    as multiprocessing.set_start_method says.
    pin_memory: put the batches into page-locked memory, from where x.to("cuda") does not wait for the copy (best in a thread:
    Prefetch(loader)); without a GPU they stay as they are, and a warning says so.
    prefetch_factor: batches that each of them makes in advance (2).  `Prefetch` makes them in a thread instead.
    generator: where the orders come from: a numpy.random.Generator, used and advanced; or an int seed for a new one, so that
    the same seed gives the same passes, first, second and so on, bit for bit; None for a new one split off from
    the engine's, so that tinyvision.manual_seed before it repeats the run.
    Raises ValueError for a batch_size below 1 and for shuffling an empty data set, TypeError for wrong types; in a pass, whatever
    the data set raises, and with workers what workers.py lists.

    >>> loader = DataLoader(TensorDataset(np.arange(5.0), np.arange(5)), batch_size=2)
    >>> len(loader), [labels.shape[0] for images, labels in loader]
    (3, [2, 2, 1])
    """

    def __init__(self, dataset, batch_size=1, shuffle=False, *, num_workers=0, collate_fn=None, pin_memory=False, drop_last=False,
                 generator=None, prefetch_factor=None):
        if isinstance(dataset, type):
            raise TypeError(f"DataLoader: dataset must be an instance, got the class {dataset.__name__}. "
                            "Write the parentheses.")
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise TypeError(f"DataLoader: dataset needs a length and an index, got {type(dataset).__name__}. "
                            "Derive from Dataset, or pass a list.")
        for name, value in ("shuffle", shuffle), ("drop_last", drop_last), ("pin_memory", pin_memory):
            if not isinstance(value, bool):
                raise TypeError(f"DataLoader: {name} must be True or False, got {value!r}. "
                                "Later arguments go by name: DataLoader(dataset, 32, shuffle=True).")
        if isinstance(batch_size, bool) or not isinstance(batch_size, numbers.Integral):
            raise TypeError(f"DataLoader: batch_size must be an integer, got {batch_size!r}. Pass 32, for instance.")
        if batch_size < 1:
            raise ValueError(f"DataLoader: batch_size must be at least 1, got {batch_size}. "
                             f"For all examples at once pass len(dataset), {len(dataset)}.")
        if collate_fn is not None and not callable(collate_fn):
            raise TypeError(f"DataLoader: collate_fn must be a function of a list of examples, got {collate_fn!r}.")
        check_workers(num_workers, prefetch_factor)
        if shuffle and len(dataset) == 0:
            raise ValueError("DataLoader: shuffle=True needs examples, the data set has 0. Check how it was made or split.")
        self.dataset, self.batch_size, self.shuffle = dataset, int(batch_size), shuffle
        self.drop_last, self.collate_fn, self.pin_memory = drop_last, collate_fn, pin_memory and there_is_a_gpu()
        self.num_workers, self.prefetch_factor = int(num_workers), prefetch_factor or 2
        self.generator = own_generator() if generator is None else as_generator("DataLoader", generator)
        self.share = slice(None)                          # of every batch; one of several processes gets its part (train/parallel.py)
        self.passes = self.position = 0                   # passes begun, and batches of the last one that were handed out
        self.over, self.waiting = True, None              # whether the last pass has ended; the order of one to be gone on with
        self.began = get_state(self.generator)

    def __repr__(self):
        return f"DataLoader: {len(self)} batches of {self.batch_size} from {len(self.dataset)} examples"

    def __len__(self):
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self):
        # The order is drawn here, not at the first batch: two interleaved passes then repeat as well.
        order, self.waiting = self.waiting, None
        if order is None:
            self.passes, self.position, self.over, self.began = self.passes + 1, 0, False, get_state(self.generator)
            order = self.order()
        if hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(self.passes - 1)
        starts = [i * self.batch_size for i in range(self.position, len(self))]
        groups = [order[start:start + self.batch_size][self.share] for start in starts]
        return self.counted(self.batches(groups), self.passes)

    def order(self):
        size = len(self.dataset)
        return self.generator.permutation(size) if self.shuffle else np.arange(size)

    def batches(self, groups):
        """The batches of the examples with these numbers, a group for each."""
        if self.num_workers and groups:
            from .workers import made_by_workers
            return made_by_workers(self.dataset, self.collate_fn, groups, self.num_workers, self.prefetch_factor)
        return (make(self.dataset, self.collate_fn, group) for group in groups)

    def counted(self, batches, number):
        """The batches, each counted before it is handed out."""
        for batch in batches:
            if self.passes == number:                     # else another pass has begun meanwhile, and counts
                self.position += 1
            yield pinned_batch(batch) if self.pin_memory else batch
        if self.passes == number:
            self.over = True

    def state_dict(self):
        """Where the loader is: numbers and text only, so that JSON holds them.

        "passes": those begun; "position": batches of the last one that were handed out; "over": whether it has ended;
        "generator": its state at the start of that pass, and "now"; "random": those of the generators that the data set keeps;
        "size", "batch_size", "shuffle" and "drop_last": to notice another loader.

        >>> loader = DataLoader(list(range(6)), 2, shuffle=True, generator=0); batches = iter(loader); first = next(batches)
        >>> again = DataLoader(list(range(6)), 2, shuffle=True, generator=5); again.load_state_dict(loader.state_dict())
        >>> bool((next(iter(again)) == next(batches)).all())
        True
        """
        return {"passes": self.passes, "position": self.position, "over": self.over, "generator": self.began,
                "now": get_state(self.generator), "random": [get_state(g) for g in self.kept_generators()], **self.kind()}

    def load_state_dict(self, state_dict):
        """Go on where another loader of the same data set was: the next pass is the rest of the one it was in.

        num_workers need not be the same.  Raises ValueError where the data set or the batches are others, before anything is
        changed.
        """
        for name, value in self.kind().items():
            if state_dict[name] != value:
                raise ValueError(f"DataLoader: the state is of another loader, {name} {state_dict[name]}, this one has {value}.")
        kept = self.kept_generators()
        if len(kept) != len(state_dict["random"]):
            raise ValueError(f"DataLoader: the state has {len(state_dict['random'])} random generators of the data set, this one "
                             f"keeps {len(kept)}. Make the data set as it was.")
        set_state(self.generator, state_dict["generator"])
        self.waiting = None if state_dict["over"] else self.order()
        self.take_place(state_dict)

    def take_place(self, state_dict):
        """Be where the state was written, with nothing to be gone on with."""
        self.began, self.passes, self.position = state_dict["generator"], state_dict["passes"], state_dict["position"]
        self.over = state_dict["over"]
        generators = self.generator, *self.kept_generators()
        for generator, state in zip(generators, (state_dict["now"], *state_dict["random"])):
            set_state(generator, state)

    def kind(self):
        return {"size": len(self.dataset), "batch_size": self.batch_size, "shuffle": self.shuffle, "drop_last": self.drop_last}

    def kept_generators(self):
        return [g for g in generators_in(self.dataset, self.collate_fn) if g is not self.generator]


def there_is_a_gpu():
    if not is_available():
        warnings.warn("DataLoader: pin_memory=True is for copies to a GPU, and there is none: batches stay in ordinary memory. Pass "
                      "pin_memory=cuda.is_available().", stacklevel=3)
    return is_available()


def check_workers(num_workers, prefetch_factor):
    for name, value, least in ("num_workers", num_workers, 0), ("prefetch_factor", prefetch_factor, 1):
        if name == "prefetch_factor" and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise TypeError(f"DataLoader: {name} must be an integer, got {value!r}.")
        if value < least:
            raise ValueError(f"DataLoader: {name} must be at least {least}, got {value}.")
    if prefetch_factor is not None and num_workers == 0:
        raise ValueError("DataLoader: prefetch_factor is for worker processes; pass num_workers as well, or wrap the loader in "
                         "Prefetch(loader), which makes batches in a thread.")


def make(dataset, collate_fn, indices):
    """The batch of the examples `indices`, an integer array; None for none."""
    if len(indices) == 0:
        return None
    return fetch(dataset, indices) if collate_fn is None else collate_fn([dataset[j] for j in indices.tolist()])


def fetch(dataset, indices):
    """The batch as default_collate makes it, by one step per column where the data set has columns."""
    base, rows = dataset, indices
    while type(base).__getitem__ is Subset.__getitem__:
        base, rows = base.dataset, np.array([base.indices[i] for i in rows.tolist()], np.int64)
    # Compared by method, not by class: a subclass with a __getitem__ of its own is asked for every example.
    if type(base).__getitem__ is TensorDataset.__getitem__:
        return [as_batch(column[array_module(raw(column)).asarray(rows)]) for column in base.tensors]
    return collate([dataset[i] for i in indices.tolist()], indices.tolist())


def default_collate(batch):
    """Make one batch of a list of examples (torch.utils.data.default_collate).

    Tensors, arrays and numbers of shape (...) become one Tensor (B, ...) of their dtype (Python floats: float64, integers:
    int64).  A tuple or list of B-element columns becomes a list of batches, a dict a dict, a namedtuple a namedtuple; text
    stays as it is.
    Raises ValueError where shapes, lengths or keys differ within the batch, naming the example; TypeError for other things.

    >>> default_collate([{"x": 1}, {"x": 2}])
    {'x': Tensor([1, 2])}
    """
    if len(batch) == 0:
        raise ValueError("default_collate: needs at least 1 example, got 0. Skip empty batches.")
    return collate(batch, range(len(batch)))


def collate(batch, indices, field=""):
    """default_collate; `indices` are the numbers of the examples and `field` the place within them, for error messages."""
    first = batch[0]
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        agree("keys", [set(x) if isinstance(x, Mapping) else kind(x) for x in batch], indices, field)
        return {key: collate([example[key] for example in batch], indices, f"{field}[{key!r}]") for key in first}
    if isinstance(first, Sequence):
        agree("lengths", [len(x) if isinstance(x, Sequence) else kind(x) for x in batch], indices, field)
        columns = [collate(column, indices, f"{field}[{i}]") for i, column in enumerate(zip(*batch))]
        return type(first)(*columns) if hasattr(first, "_fields") else columns
    return stacked(batch, indices, field)


def stacked(batch, indices, field):
    """Tensors, arrays and numbers of one shape as a Tensor, axis 0 counting them; gradients flow back to the Tensors."""
    rows = []
    for example, index in zip(batch, indices):
        number = isinstance(example, (numbers.Number, np.generic))
        row = np.asarray(example) if number else example
        if not (isinstance(row, Tensor) or is_array(row)) or raw(row).dtype.kind not in "fiub":
            raise TypeError("default_collate: examples must be Tensors, arrays or numbers, or tuples, lists and dicts "
                            f"of these, example {index}{field} is {kind(example)}. Convert it, or pass a collate_fn.")
        rows.append(row)
    agree("shapes", [raw(row).shape for row in rows], indices, field)
    return as_batch(stack(rows))


def kind(example):
    """What an example is, for error messages."""
    return f"{example.dtype} array" if is_array(example) else type(example).__name__


def agree(what, values, indices, field):
    """Refuse a batch whose examples differ in their shapes, lengths or keys."""
    for value, index in zip(values, indices):
        if type(value) is not type(values[0]) or value != values[0]:
            raise ValueError(f"default_collate: examples of one batch must have equal {what}, example {indices[0]}{field} has "
                             f"{values[0]} and example {index}{field} has {value}. Bring them to one form in the data set "
                             "(crop, resize or pad), or pass a collate_fn.")


def as_batch(rows):
    """Rows that were just copied out of their source, as a Tensor: without a second copy, and no longer a memmap."""
    return rows if isinstance(rows, Tensor) else result(array_module(rows).asarray(rows))
