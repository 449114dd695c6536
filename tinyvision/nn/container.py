"""Modules made of modules: Sequential, ModuleList, ModuleDict, ParameterList; and the plumbing Identity, Flatten, Unflatten.

The members of a Sequential or a list are attributes named "0", "1", ..., so they are found like any other child, and
the keys of the state dict read "features.0.weight".

Source: torch.nn.Sequential, ModuleList, ModuleDict, ParameterList, Identity, Flatten, Unflatten.
"""

from collections.abc import Mapping
from math import prod
from operator import index as as_index

from ..ops.movement import flatten
from ..tensor import Parameter
from .activation import ReLU
from .checks import whole
from .module import Module, kind_of
from .norm import joins, norm_relu
from .pooling import commute, relu_pool


# Functions rather than methods: a member may have any name that is not a method's.

def members(container):
    """The members by name."""
    return {name: x for name, x in vars(container).items() if isinstance(x, container._kind)}


def checked(container, x):
    """x, if it can be a member."""
    if not isinstance(x, container._kind):
        hint = (" Make an instance of it: write the parentheses." if isinstance(x, type) else
                " Unpack it: write a star before it." if isinstance(x, (list, tuple)) else
                " Use the layer of this name, nn.ReLU() for functional.relu." if callable(x) else "")
        raise TypeError(f"{type(container).__name__}: members must be {container._kind.__name__}s, got {kind_of(x)}.{hint}")
    return x


def renew(container, items):
    """Let it hold exactly these, numbered from 0."""
    items = [checked(container, x) for x in items]
    for name in members(container):
        delattr(container, name)
    for i, x in enumerate(items):
        setattr(container, str(i), x)


def position(container, i):
    """An index, negative from the end, as a number from 0."""
    n = len(container)
    if not -n <= as_index(i) < n:
        raise IndexError(f"{type(container).__name__}: index must lie in {-n}..{n - 1} for {n} members, got {i}.")
    return i % n


class Row(Module):
    """What the containers in a row share: members of one kind, reached by number."""

    _kind = Module

    def __len__(self):
        return len(members(self))

    def __iter__(self):
        return iter(members(self).values())

    def __getitem__(self, i):
        items = list(self)
        return type(self)(items[i]) if isinstance(i, slice) else items[position(self, i)]

    def __setitem__(self, i, x):
        setattr(self, list(members(self))[position(self, i)], checked(self, x))

    def __delitem__(self, i):
        items = list(self)
        del items[i if isinstance(i, slice) else position(self, i)]
        renew(self, items)

    def append(self, module):
        """Add one at the end; returns the container."""
        setattr(self, str(len(self)), checked(self, module))
        return self

    def extend(self, modules):
        """Add several at the end; returns the container."""
        for x in [checked(self, x) for x in modules]:
            self.append(x)
        return self

    def insert(self, index, module):
        """Put one in front of the member with this index."""
        items = list(self)
        items.insert(index, module)
        renew(self, items)


class Sequential(Row):
    """Modules one after the other: each gets the output of the one before (torch.nn.Sequential).

    Takes the modules in order, or one dictionary of names and modules.  Members are reached by number, seq[0], seq[-1];
    a slice is a Sequential of the same modules.

    >>> from tinyvision import Tensor
    >>> Sequential(Identity(), Flatten())(Tensor([[[1.0, 2.0]]]))
    Tensor([[1., 2.]])
    """

    def __init__(self, *args):
        named = args[0] if len(args) == 1 and isinstance(args[0], Mapping) else {str(i): x for i, x in enumerate(args)}
        for name, module in named.items():
            self.add_module(name, checked(self, module))

    def __getitem__(self, i):
        if isinstance(i, slice):
            return type(self)(dict(list(members(self).items())[i]))
        return super().__getitem__(i)

    def forward(self, input):
        modules = list(self)
        while modules:
            module = modules.pop(0)
            if modules and isinstance(modules[0], ReLU) and joins(module, modules[0]):
                input = norm_relu(module, input, relu=modules.pop(0))
            elif modules and commute(module, modules[0]):
                input = relu_pool(module, modules.pop(0), input)
            else:
                input = module(input)
        return input


class ModuleList(Row):
    """A list of modules that parameters() finds; what to do with them is written in the forward of whoever holds it.

    (torch.nn.ModuleList)

    >>> blocks = ModuleList([Identity(), Identity()]); len(blocks.append(Flatten())), blocks[-1]
    (3, Flatten(start_dim=1, end_dim=-1))
    """

    def __init__(self, modules=None):
        renew(self, () if modules is None else modules)


class ParameterList(Row):
    """A list of Parameters that parameters() finds (torch.nn.ParameterList); arrays and Tensors are made Parameters.

    >>> from tinyvision import Tensor
    >>> [name for name, _ in ParameterList([Tensor([1.0]), Tensor([2.0])]).named_parameters()]
    ['0', '1']
    """

    _kind = Parameter

    def __init__(self, values=None):
        self.extend(() if values is None else values)

    def append(self, value):
        """Add one at the end; returns the list."""
        return super().append(value if isinstance(value, Parameter) else Parameter(value))

    def extend(self, values):
        """Add several at the end; returns the list."""
        for value in list(values):
            self.append(value)
        return self

    def extra_repr(self):
        return ", ".join(str(p.shape) for p in self)


class ModuleDict(Module):
    """A dictionary of modules that parameters() finds, in the order of insertion (torch.nn.ModuleDict).

    A key must not be empty, contain a dot or be the name of a method.

    >>> heads = ModuleDict({"classes": Identity(), "boxes": Flatten()}); heads["boxes"], "masks" in heads
    (Flatten(start_dim=1, end_dim=-1), False)
    """

    _kind = Module

    def __init__(self, modules=None):
        self.update({} if modules is None else modules)

    def update(self, modules):
        """Add or replace all from a dictionary or pairs (key, module)."""
        for key, module in dict(modules).items():
            self[key] = module

    def __getitem__(self, key):
        held = members(self)
        if key not in held:
            raise KeyError(f"ModuleDict: has no {key!r}, only {', '.join(map(repr, held)) or 'nothing'}.")
        return held[key]

    def __setitem__(self, key, module):
        if module is None:
            raise TypeError(f"ModuleDict: {key!r} must be a Module, got None. Use Identity() for doing nothing.")
        self.add_module(key, module)

    def __delitem__(self, key):
        self.pop(key)

    def pop(self, key):
        """Take a module out and return it."""
        module = self[key]
        delattr(self, key)
        return module

    def clear(self):
        """Take all modules out."""
        for key in members(self):
            delattr(self, key)

    def __len__(self):
        return len(members(self))

    def __iter__(self):
        return iter(members(self))

    def __contains__(self, key):
        return key in members(self)

    def keys(self):
        return members(self).keys()

    def values(self):
        return members(self).values()

    def items(self):
        return members(self).items()


class Identity(Module):
    """What comes in goes out; stands where a layer is left away (torch.nn.Identity).  Arguments are ignored.

    >>> Identity()(3)
    3
    """

    def __init__(self, *args, **kwargs):
        pass

    def forward(self, input):
        return input


class Flatten(Module):
    """Join the axes from start_dim to end_dim: from pictures to vectors, batch axis kept (torch.nn.Flatten).

    Shapes: input (N, C, H, W) -> (N, C*H*W) by default.

    >>> from tinyvision import Tensor
    >>> import numpy as np
    >>> Flatten()(Tensor(np.zeros((8, 16, 5, 5)))).shape
    (8, 400)
    """

    def __init__(self, start_dim=1, end_dim=-1):
        whole("Flatten", None, start_dim=start_dim, end_dim=end_dim)
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input):
        return flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Split one axis into several: from vectors to pictures (torch.nn.Unflatten).

    Shapes: input (.., prod(unflattened_size), ..) -> (.., *unflattened_size, ..) at axis dim; one size may be -1.
    Raises ValueError, when called, where the axis has another size.

    >>> from tinyvision import Tensor
    >>> import numpy as np
    >>> Unflatten(1, (16, 5, 5))(Tensor(np.zeros((8, 400)))).shape
    (8, 16, 5, 5)
    """

    def __init__(self, dim, unflattened_size):
        whole("Unflatten", None, dim=dim)
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)
        for size in self.unflattened_size:
            whole("Unflatten", -1, unflattened_size=size)
        if self.unflattened_size.count(-1) > 1:
            raise ValueError(f"Unflatten: only one size can be -1, got {self.unflattened_size}.")

    def forward(self, input):
        n, sizes = input.ndim, self.unflattened_size
        if not -n <= self.dim < n:
            raise ValueError(f"Unflatten: dim must lie in {-n}..{n - 1} for input {input.shape}, got {self.dim}.")
        axis = self.dim % n
        length, known = input.shape[axis], prod(s for s in sizes if s != -1)
        if (known == 0 or length % known) if -1 in sizes else length != known:
            raise ValueError(f"Unflatten: axis {self.dim} must have the size of {sizes}, got {length} in input {input.shape}.")
        sizes = tuple(length // known if s == -1 else s for s in sizes)
        return input.reshape(input.shape[:axis] + sizes + input.shape[axis + 1:])

    def extra_repr(self):
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
