"""Where random numbers come from: one generator for the engine, and a generator of its own for every layer that draws.

Weights are initialised from the engine's generator, in the order in which layers are made: after `manual_seed(0)` the same
program makes the same network, bit for bit.  A layer that draws again and again (dropout) takes at construction a
generator of its own, split off from the engine's: what it draws depends on no other layer, and taking it uses up none of
the engine's numbers, so a network with dropout starts from the same weights as the one without.

Source: Salmon, Moraes, Dror and Shaw 2011, doi:10.1145/2063384.2063405 (independent streams); numpy.random.Generator.spawn.
"""

import functools
import numbers
import types

import numpy as np

HOME = __name__.partition(".")[0]
engine = np.random.default_rng()                          # every run differs until manual_seed is called


def manual_seed(seed):
    """Start the engine's generator anew from a seed, so that the following runs repeat bit for bit (torch.manual_seed).

    seed: an integer >= 0.  Returns the new numpy.random.Generator.
    Raises TypeError for anything else, ValueError for a negative number.

    >>> a = manual_seed(3).random(); b = manual_seed(3).random(); a == b
    True
    """
    global engine
    engine = seeded("manual_seed", seed)
    return engine


def default_generator():
    """The engine's numpy.random.Generator, from which weights are initialised.

    >>> manual_seed(3) is default_generator()
    True
    """
    return engine


def own_generator():
    """A new generator, independent of all others, for one layer to keep; the engine's own numbers are not used up.

    >>> generator = manual_seed(3); layer = own_generator()
    >>> layer is generator, generator.random() == manual_seed(3).random()
    (False, True)
    """
    return engine.spawn(1)[0]


def as_generator(op, generator):
    """A source of random numbers: a Generator itself, a new one from an integer seed, or the engine's for None.

    >>> as_generator("dropout", None) is default_generator()
    True
    """
    if generator is None:
        return engine
    return generator if isinstance(generator, np.random.Generator) else seeded(op, generator)


def seeded(op, seed):
    """A new generator from an integer seed."""
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral):
        raise TypeError(f"{op}: needs an integer seed or a numpy.random.Generator, got {type(seed).__name__}. "
                        "Pass 0, or numpy.random.default_rng(0).")
    if seed < 0:
        raise ValueError(f"{op}: a seed must be at least 0, got {seed}. Use its absolute value.")
    return np.random.default_rng(int(seed))


def draw_key(generator):
    """Two words, as integers, for a generator that counts (kernels/random.py): every call draws others.

    What is drawn on a GPU so depends on the generator alone, which a run keeps and goes on from, as for numbers on the CPU.
    """
    return tuple(generator.integers(1 << 32, size=2).tolist())


def draw_uniform(generator, shape, dtype):
    """Independent numbers from [0, 1) in float32 or float64, as dtype."""
    return generator.random(shape, np.float64 if dtype == np.float64 else np.float32).astype(dtype, copy=False)


def draw_normal(generator, shape, dtype):
    """Independent numbers of mean 0 and standard deviation 1, drawn in float32 or float64, as dtype."""
    return generator.standard_normal(shape, np.float64 if dtype == np.float64 else np.float32).astype(dtype, copy=False)


# What a run consists of besides weights: where its generators stand, and which there are.

MANY = 1000                                               # a longer list holds examples, and is not searched for generators


def get_state(generator):
    """Where a numpy.random.Generator stands, with the count of those split off from it: numbers and text, as JSON holds them.

    >>> a, b = np.random.default_rng(1), np.random.default_rng(2)
    >>> set_state(b, get_state(a)); a.random() == b.random(), a.spawn(1)[0].random() == b.spawn(1)[0].random()
    (True, True)
    """
    seed = getattr(generator.bit_generator, "seed_seq", None)
    if isinstance(seed, np.random.SeedSequence):
        seed = {name: plain(getattr(seed, name)) for name in ("entropy", "spawn_key", "pool_size", "n_children_spawned")}
    else:
        seed = None
    return {"bits": plain(generator.bit_generator.state), "seed": seed}


def set_state(generator, state):
    """Let a generator go on from where get_state found one.

    Raises ValueError where it is of another kind (PCG64, Philox, ...); then nothing was changed.
    """
    ours, theirs = type(generator.bit_generator).__name__, state["bits"]["bit_generator"]
    if ours != theirs:
        raise ValueError(f"set_state: the state is of a generator of {theirs}, this one is of {ours}. Make it as it was made.")
    seed = state["seed"] and np.random.SeedSequence(**{**state["seed"], "spawn_key": tuple(state["seed"]["spawn_key"])})
    if seed:                                              # as unpickling does it: the object stays, others may hold it
        generator.bit_generator.__setstate__((arrays(state["bits"]), seed))
    else:
        generator.bit_generator.state = arrays(state["bits"])


def plain(state):
    """Arrays and tuples as lists, an array with the name of its dtype before it."""
    if isinstance(state, dict):
        return {name: plain(value) for name, value in state.items()}
    if isinstance(state, np.ndarray):
        return [state.dtype.name, *state.tolist()]
    return list(map(plain, state)) if isinstance(state, (tuple, list)) else state


def arrays(state):
    """The inverse of `plain`, for what NumPy writes."""
    if isinstance(state, dict):
        return {name: arrays(value) for name, value in state.items()}
    return np.array(state[1:], state[0]) if isinstance(state, list) else state


def generators_in(*things):
    """Every numpy.random.Generator that can be reached from the things, each once, in an order that repeats (see `reached`).

    >>> layer = {"noise": [np.random.default_rng(1)], "p": 0.5}
    >>> [generator.integers(100).item() for generator in generators_in(layer)]
    [47]
    """
    return [x for x in reached(things) if isinstance(x, np.random.Generator)]


def reached(thing):
    """Every object that can be reached through attributes, short lists and dictionaries, and what functions refer to."""
    seen, stack = {}, [thing]
    while stack:
        x = stack.pop()
        if id(x) in seen or x is None or isinstance(x, (str, bytes, int, float, type, types.ModuleType, np.ndarray)):
            continue
        seen[id(x)] = x                                   # kept: the number of an object that is gone may be another's
        yield x
        if isinstance(x, (list, tuple, set, frozenset, dict)):
            if len(x) <= MANY:
                stack.extend(reversed(list(x.values() if isinstance(x, dict) else x)))
        else:
            stack.extend(reversed(held(x)))


def held(x):
    """What a function or an object holds; of the global names that its code mentions, those of generators."""
    if isinstance(x, functools.partial):
        return [x.func, x.args, x.keywords]
    if isinstance(x, types.MethodType):
        return [x.__self__, x.__func__]
    if isinstance(x, types.FunctionType):
        mentioned = [x.__globals__.get(name) for name in x.__code__.co_names]
        return [*(cell.cell_contents for cell in x.__closure__ or () if filled(cell)), x.__defaults__, x.__kwdefaults__,
                *(value for value in mentioned if isinstance(value, np.random.Generator))]
    if not hasattr(x, "__dict__") or isinstance(x, np.random.Generator):
        return []
    home = type(x).__module__.partition(".")[0]
    methods = [] if home in (HOME, "numpy") else [f for f in vars(type(x)).values() if isinstance(f, types.FunctionType)]
    return [vars(x), *methods]


def filled(cell):
    try:
        cell.cell_contents
    except ValueError:
        return False
    return True
