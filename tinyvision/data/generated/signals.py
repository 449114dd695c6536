"""Signals in one dimension: waveforms by class, and the spectrogram that makes pictures of them.

Ten kinds of waveform, as a microphone or a probe would record them: pure tones and their richer relatives (square, triangle,
sawtooth), sweeps up and down, a tone whose loudness or whose pitch swings, clicks, a tone that dies away.  Pitch, phase,
loudness, onset and noise are drawn at random, with a hum in the background and a slow drift, so that no single sample and no
energy tells the class; the shape of the wave and its course in time do.

A spectrogram cuts the signal into overlapping windows and takes the power of each frequency in each (short-time Fourier
transform): X[f, t] = sum_k w[k] x[t hop + k] exp(-2 pi i f k / window), w the Hann window.  A sweep becomes a slanted line, which
a 2-D convolution finds as it finds an edge.

Source: Allen and Rabiner 1977, doi:10.1109/PROC.1977.10770 (short-time Fourier transform).
"""

import functools

import numpy as np

from .base import Generated, check_integer

VERSION = 1
CLASSES = ("sine", "square", "triangle", "sawtooth", "rising sweep", "falling sweep", "tremolo", "vibrato", "clicks", "ringing")


def waveform(draws, label, length):
    """A clean signal of this class, about -1..1, (length,)."""
    t = np.arange(length) / length                                        # the whole signal lasts 1
    cycles, phase = length / 2 ** draws.uniform(3.2, 5.5), draws.uniform()
    turn = cycles * t + phase
    if label == 0:
        return np.sin(2 * np.pi * turn)
    if label == 1:
        return np.clip(np.sin(2 * np.pi * turn) * 6, -1, 1)
    if label == 2:
        return 4 * np.abs(turn % 1 - 0.5) - 1
    if label == 3:
        return (2 * (turn % 1) - 1) * draws.choice((-1, 1))
    if label in (4, 5):                                                   # frequency c (1 + s t), or the same backwards
        sweep = np.sin(2 * np.pi * (cycles * 0.6 * (t + draws.uniform(0.5, 1.2) * t * t) + phase))
        return sweep if label == 4 else sweep[::-1]
    swing = 2 * np.pi * (draws.uniform(2.5, 6) * t + draws.uniform())
    if label == 6:
        return np.sin(2 * np.pi * turn) * (1 + draws.uniform(0.6, 0.9) * np.sin(swing)) / 1.5
    if label == 7:
        return np.sin(2 * np.pi * turn + draws.uniform(0.12, 0.25) * cycles / 6 * np.sin(swing))
    if label == 8:
        period = 1 / draws.uniform(5, 14)
        return 2 * np.exp(-((t + phase) % period) * length / draws.uniform(2, 4)) - 0.2
    onset = (t + draws.uniform(0, 0.3)) % draws.uniform(0.3, 0.5)
    return 1.4 * np.exp(-onset * draws.uniform(6, 14)) * np.sin(2 * np.pi * cycles * onset)


class WaveformClassification(Generated):
    """Signals of ten kinds of waveform in noise.

    Shapes: example (signal, label): signal (1, L), float32, about -1..1 and never beyond -2..2; label 0..9, index into
    `.classes`.  length: L, the number of samples, at least 128.  noise: largest standard deviation of the noise, half of it the
    smallest; the signal's amplitude is 0.3 to 1.
    `.signals` (N, 1, L), `.labels` (N,).  Any 10 signals that start at a multiple of 10 have every class once.
    Raises ValueError for a noise outside 0..1; else as Generated, the length in place of the size.

    >>> signal, label = WaveformClassification(20, 256)[3]
    >>> signal.shape, WaveformClassification.classes[label]
    ((1, 256), 'sine')
    """

    family, VERSION, least, default, classes = "waveforms", VERSION, 128, 512, CLASSES

    def __init__(self, n, length=None, seed=0, *, noise=0.3, train=True, cache=True):
        super().__init__(n, length, seed, train=train, cache=cache)
        if not 0 <= noise <= 1:
            raise ValueError(f"{self.name}: noise must be from 0 to 1, got {noise}.")
        self.noise = noise

    def check_size(self, size):
        return (check_integer(self.name, "length", size, self.least, 2 ** 20),)

    def label(self, index):
        """The class of example `index`."""
        return self.balanced(index, len(CLASSES))

    def draw(self, draws, index):
        label, length = self.label(index), self.size[0]
        t = np.arange(length) / length
        signal = draws.uniform(0.3, 1) * waveform(draws, label, length)
        hum = draws.uniform(0, 0.12) * np.sin(2 * np.pi * (draws.uniform(1, 3) * t + draws.uniform()))
        drift = draws.uniform(-0.2, 0.2) + draws.uniform(-0.2, 0.2) * t
        signal = signal + hum + drift + self.noise * draws.uniform(0.5, 1) * draws.normal(length)
        # 16-bit samples, as in a recording: what is left of rounding differences between machines falls away.
        return {"signal": np.clip(np.floor(signal * 16383 + 0.49871), -32766, 32766).astype(np.int16), "label": label}

    def example(self, drawing):
        return as_floats(drawing["signal"]), drawing["label"]

    @functools.cached_property
    def signals(self):
        """All signals, (N, 1, L), float32."""
        return np.stack([as_floats(self.drawing(i)["signal"]) for i in range(self.n)])

    @functools.cached_property
    def labels(self):
        """All class indices, (N,), int64."""
        return np.array([self.label(i) for i in range(self.n)], np.int64)


def as_floats(samples):
    """16-bit samples as a signal of one channel, float32."""
    return (samples.astype(np.float32) / np.float32(16383))[None]


def spectrogram(signal, window=64, hop=16, *, floor=-60.0):
    """The power of each frequency over time, in decibels below the strongest: a picture of a signal.

    Shapes: signal (..., L) -> (..., window // 2 + 1, 1 + (L - window) // hop), float32; row f is the frequency f / window in
    cycles per sample, column t the window that starts at sample t hop.
    window: samples per window, even; hop: samples from one window to the next; floor: what is weaker than this counts as this,
    so that values are floor..0; silence is floor throughout.
    Raises ValueError for a window that is odd, below 2 or longer than the signal, a hop below 1, a floor that is not negative.

    >>> tone = np.sin(2 * np.pi * np.arange(512) / 8)
    >>> picture = spectrogram(tone)
    >>> picture.shape, picture[:, 0].argmax().item() / 64
    ((33, 29), 0.125)
    """
    signal = np.asarray(signal)
    window = check_integer("spectrogram", "window", window, 2)
    hop = check_integer("spectrogram", "hop", hop, 1)
    if window % 2 or signal.ndim == 0 or window > signal.shape[-1]:
        raise ValueError(f"spectrogram: window must be even and at most the signal's length, got {window} for shape "
                         f"{signal.shape}.")
    if not floor < 0:
        raise ValueError(f"spectrogram: floor must be below 0 decibels, got {floor}.")
    pieces = np.lib.stride_tricks.sliding_window_view(signal, window, axis=-1)[..., ::hop, :]      # (..., T, window)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    power = np.abs(np.fft.rfft(pieces * hann)) ** 2                                                # (..., T, F)
    strongest = np.maximum(power.max(axis=(-2, -1), keepdims=True), np.finfo(np.float64).tiny)
    decibels = 10 * np.log10(np.maximum(power / strongest, 10 ** (floor / 10)))
    return np.swapaxes(decibels, -2, -1).astype(np.float32)
