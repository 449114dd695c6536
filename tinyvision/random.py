"""Where random numbers come from: one generator for the engine, and a generator of its own for every layer that draws.

Weights are initialised from the engine's generator, in the order in which layers are made: after `manual_seed(0)` the same
program makes the same network, bit for bit.  A layer that draws again and again (dropout) takes at construction a
generator of its own, split off from the engine's: what it draws depends on no other layer, and taking it uses up none of
the engine's numbers, so a network with dropout starts from the same weights as the one without.

Source: Salmon, Moraes, Dror and Shaw 2011, doi:10.1145/2063384.2063405 (independent streams); numpy.random.Generator.spawn.
"""

import numbers

import numpy as np

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


def draw_uniform(generator, shape, dtype):
    """Independent numbers from [0, 1) in float32 or float64, as dtype."""
    return generator.random(shape, np.float64 if dtype == np.float64 else np.float32).astype(dtype, copy=False)


def draw_normal(generator, shape, dtype):
    """Independent numbers of mean 0 and standard deviation 1, drawn in float32 or float64, as dtype."""
    return generator.standard_normal(shape, np.float64 if dtype == np.float64 else np.float32).astype(dtype, copy=False)
