"""What may be written into a file of named arrays."""

from collections.abc import Mapping

import numpy as np

from ..backend import is_array
from ..tensor import raw


def checked_state(who, state_dict, dtypes, remedy):
    """{name: array}, row-major and in main memory, of a dictionary of Tensors or arrays.

    dtypes: names of the element types that the format has.  remedy: what to do with other values.
    Raises TypeError for what is no dictionary, for other names than strings and for other values.

    >>> checked_state("save", {"x": np.eye(2).T}, ["float64"], "")["x"].flags.c_contiguous
    True
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"{who}: state_dict must be a dictionary, got {type(state_dict).__name__}. Use model.state_dict().")
    arrays = {}
    for name, value in state_dict.items():
        if not isinstance(name, str) or name == "__metadata__":
            raise TypeError(f"{who}: a name must be a string other than '__metadata__', got {name!r}. Rename it.")
        array = raw(value)
        if not is_array(array) or array.dtype.name not in dtypes:
            kind = f"an array of {array.dtype}" if is_array(array) else type(value).__name__
            raise TypeError(f"{who}: {name!r} must be a Tensor or array of floats, integers or booleans, got {kind}. {remedy}")
        array = array if isinstance(array, np.ndarray) else array.get()               # from the GPU
        arrays[name] = np.asarray(array, order="C")                   # formats write the memory as it lies
    return arrays
