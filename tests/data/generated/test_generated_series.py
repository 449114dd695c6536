"""Signals, spectrograms, volumes and videos: their answers, and what tells the classes apart."""

import numpy as np
import pytest
from scipy import ndimage, signal

from tinyvision.data.generated import MotionClassification, VolumeSegmentation, WaveformClassification, spectrogram
from tinyvision.data.generated.base import Draws
from tinyvision.data.generated.signals import CLASSES, waveform


def test_waveforms_have_their_overtones():
    """Square and triangle have the odd overtones, in the proportions 1/3 and 1/9; a sawtooth has the second too; a sine none."""
    ratios = {}
    for label in range(4):
        values = []
        for seed in range(8):
            power = np.abs(np.fft.rfft(waveform(Draws(seed), label, 4096) * np.hanning(4096)))
            base = power.argmax()
            values.append([power[k * base - 4:k * base + 5].max() / power[base] for k in (2, 3)])
        ratios[CLASSES[label]] = np.median(values, axis=0)
    np.testing.assert_allclose(ratios["sine"], 0, atol=0.02)
    np.testing.assert_allclose(ratios["square"], [0, 1 / 3], atol=0.06)
    np.testing.assert_allclose(ratios["triangle"], [0, 1 / 9], atol=0.03)
    np.testing.assert_allclose(ratios["sawtooth"], [1 / 2, 1 / 3], atol=0.06)


def test_sweeps_go_their_way():
    for seed in range(10):
        for label, rises in ((4, True), (5, False)):
            x = waveform(Draws(seed), label, 1024)
            crossings = [np.count_nonzero(np.diff(np.sign(half))) for half in (x[:512], x[512:])]
            assert (crossings[1] > crossings[0]) == rises


def test_noise_of_signals():
    quiet, loud = (WaveformClassification(10, 512, noise=noise) for noise in (0, 0.5))
    rough = [np.diff(examples.signals, n=3, axis=-1).std() for examples in (quiet, loud)]
    assert rough[0] < rough[1]
    for noise in (-0.1, 1.5):
        with pytest.raises(ValueError, match=f"WaveformClassification: noise must be from 0 to 1, got {noise}"):
            WaveformClassification(10, noise=noise)


@pytest.mark.parametrize("window, hop", [(64, 16), (32, 32), (10, 3)])
def test_spectrogram_is_scipys(window, hop):
    x = np.random.default_rng(0).standard_normal((2, 3, 200))
    _, _, power = signal.spectrogram(x, window="hann", nperseg=window, noverlap=window - hop, detrend=False, mode="complex")
    power = np.abs(power) ** 2
    expected = 10 * np.log10(np.maximum(power / power.max(axis=(-2, -1), keepdims=True), 1e-4))
    found = spectrogram(x, window, hop, floor=-40)
    assert found.dtype == np.float32 and found.max() == 0 and found.min() >= -40
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_spectrogram_of_silence_and_errors():
    assert (spectrogram(np.zeros(100)) == -60).all()
    for window in (7, 128):
        with pytest.raises(ValueError, match=rf"spectrogram: window must be even and at most .* got {window} for shape \(100,\)"):
            spectrogram(np.zeros(100), window)
    for hop in (0, -1):
        with pytest.raises(ValueError, match=f"spectrogram: hop must be from 1 .* got {hop}"):
            spectrogram(np.zeros(100), 8, hop)
    with pytest.raises(ValueError, match="spectrogram: floor must be below 0 decibels, got 3"):
        spectrogram(np.zeros(100), floor=3)


VOLUMES = VolumeSegmentation(8, 32)


def test_volume_classes():
    shares = np.bincount(VOLUMES.masks.ravel(), minlength=4) / VOLUMES.masks.size
    assert VOLUMES.masks.max() == 3 and (shares > 0.001).all() and shares[0] > 0.8 and shares[2] < 0.03


def test_nodules_and_vessels_are_equally_bright():
    """So that only their shapes tell them apart; bone is brighter than both."""
    volumes, masks = VOLUMES.volumes[:, 0], VOLUMES.masks
    vessel, nodule, bone = (np.median(volumes[masks == k]) for k in (1, 2, 3))
    assert abs(vessel - nodule) < 0.12 and bone > nodule + 0.15


def test_nodules_are_round_and_vessels_are_long():
    """Of the three principal axes of a piece, the longest is about the shortest for a nodule, and far longer for a vessel."""
    ratio = {1: [], 2: []}
    for mask in VOLUMES.masks:
        for kind in ratio:
            pieces, count = ndimage.label(mask == kind, np.ones((3, 3, 3)))
            for k in range(1, count + 1):
                points = np.argwhere(pieces == k)
                if len(points) > 40:
                    axes = np.sqrt(np.linalg.eigvalsh(np.cov(points.T)))
                    ratio[kind].append(axes[-1] / axes[0])
    assert len(ratio[1]) > 5 < len(ratio[2]) and np.median(ratio[2]) < 1.8 < np.median(ratio[1])


def test_boxes_of_nodules():
    found = 0
    for i, mask in enumerate(VOLUMES.masks):
        boxes, inside = VOLUMES.boxes(i), np.zeros(mask.shape, bool)
        assert boxes.dtype == np.float32 and boxes.shape[1:] == (6,)
        for x1, y1, z1, x2, y2, z2 in boxes.astype(int):
            piece = mask[z1:z2, y1:y2, x1:x2] == 2
            inside[z1:z2, y1:y2, x1:x2] = True
            assert piece.any()
            found += 1
        assert not (mask == 2)[~inside].any(), "every nodule has a box"
        for row, numbers in zip(boxes, [n for n in range(1, 9) if (VOLUMES.drawing(i)["nodules"] == n).any()]):
            z, y, x = np.nonzero(VOLUMES.drawing(i)["nodules"] == numbers)
            assert row.tolist() == [x.min(), y.min(), z.min(), x.max() + 1, y.max() + 1, z.max() + 1]
    assert found > 8


def test_size_of_volumes():
    with pytest.raises(ValueError, match=r"VolumeSegmentation: size must be one number or \(depth, .*, got \(32, 32\)"):
        VolumeSegmentation(2, (32, 32))


def moved(video):
    """How far the middle of what differs from the still ground moves from the first to the last frame, (dx, dy)."""
    still = np.median(video, axis=1, keepdims=True)
    away = np.abs(video - still).max(axis=0)
    middles = []
    for frame in (away[0], away[-1]):
        weight = np.clip(ndimage.gaussian_filter(frame, 1) - 0.1, 0, None)
        ys, xs = np.mgrid[:frame.shape[0], :frame.shape[1]]
        middles.append(np.array([(weight * xs).sum(), (weight * ys).sum()]) / max(weight.sum(), 1e-9))
    return middles[1] - middles[0]


def test_motion_is_what_the_label_says():
    videos = MotionClassification(48, 48)
    right = [0, 0]
    for video, label in videos:
        name, (dx, dy) = videos.classes[label], moved(video)
        if name in ("left", "right", "up", "down"):
            along = {"left": -dx, "right": dx, "up": -dy, "down": dy}[name]
            right[0] += along > 3
            right[1] += 1
    assert right[1] == 24 and right[0] >= 22


def test_frames_share_ground_and_shape_but_not_noise():
    videos = MotionClassification(8, 40, frames=6)
    assert videos.videos.shape == (8, 3, 6, 40, 40)
    for video, label in videos:
        steps = np.abs(np.diff(video, axis=1))
        assert (steps.mean(axis=(0, 2, 3)) > 0.002).all() and np.median(steps) < 0.06


def test_single_frames_of_mirrored_motions_agree():
    """The middle frames of `left` and `right` look alike on average: the class lies in the order of the frames only."""
    videos = MotionClassification(160, 24, frames=5)
    middle = videos.videos[:, :, 2].mean(axis=(2, 3))
    means = np.array([middle[videos.labels == k].mean(axis=0) for k in range(8)])
    assert np.abs(means - middle.mean(axis=0)).max() < 4.5 * middle.std() / np.sqrt(20)
