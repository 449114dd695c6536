"""Random numbers by counting: what a dropout layer draws on a GPU, without a number having to come from the host.

Philox turns a counter of four words and a key of two into four random words: ten rounds, in each of which two words are
multiplied by constants and the halves of the products change places and are mixed with the rest and with the key,

    hi0 lo0 = M0 * c0,   hi1 lo1 = M1 * c2          c <- (hi1 ^ c1 ^ k0,  lo1,  hi0 ^ c3 ^ k1,  lo0)        k <- k + (W0, W1)

all in words of 32 bits.  Nothing is remembered from number to number: block i is Philox of the counter i, so every thread
of a GPU computes its own, in any order, and the same key gives the same numbers on every machine, bit for bit.

Contract, for an array x that says where to compute, and a key of two integers 0..2^32-1:

    uniform(x, key, shape)     -> float32, shape       element i is word i % 4 of block i // 4; its first 24 bits / 2^24, in [0, 1)
    kept(x, key, shape, p)     -> bool, shape          uniform >= p as float32: True with probability 1 - p

Source: Salmon, Moraes, Dror and Shaw 2011, Parallel random numbers: as easy as 1, 2, 3, doi:10.1145/2063384.2063405.
"""

from math import prod

import numpy as np

from tinyvision.backend import array_module

from .registry import kernel

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)                           # what is added to the key after each round
ROUNDS = 10
WORD = 0xFFFFFFFF


def philox(counter, key):
    """Four arrays of random words (uint32) from four of counter words and two integers, the key."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        hi0, lo0 = product(c0, MULTIPLIERS[0])
        hi1, lo1 = product(c2, MULTIPLIERS[1])
        c0, c1, c2, c3 = hi1 ^ c1 ^ np.uint32(k0), lo1, hi0 ^ c3 ^ np.uint32(k1), lo0
        k0, k1 = (k0 + WEYL[0]) & WORD, (k1 + WEYL[1]) & WORD
    return c0, c1, c2, c3


def product(c, m):
    """The upper and the lower word of c * m."""
    full = c.astype(np.uint64) * np.uint64(m)
    return (full >> np.uint64(32)).astype(np.uint32), full.astype(np.uint32)


@kernel
def uniform(x, key, shape):
    xp, n = array_module(x), prod(shape)
    block = xp.arange(-(-n // 4), dtype=np.uint64)
    zero = xp.zeros(block.shape, np.uint32)
    words = philox((block.astype(np.uint32), (block >> np.uint64(32)).astype(np.uint32), zero, zero), key)
    words = xp.stack(words, axis=1).reshape(-1)[:n] >> np.uint32(8)
    return (words.astype(np.float32) * np.float32(2.0 ** -24)).reshape(shape)


@kernel
def kept(x, key, shape, p):
    return uniform(x, key, shape) >= np.float32(p)
