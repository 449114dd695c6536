import hashlib
from fractions import Fraction

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tinyvision.data import DataLoader, Digits
from tinyvision.data.digits import enlarge, stratified

ORIGINAL = load_digits()


def interpolated(picture, size, y, x):
    """Pixel (y, x) of an 8x8 picture brought to size x size, from the definition and in exact arithmetic."""
    def between(i):
        position = min(max((Fraction(i) + Fraction(1, 2)) * 8 / size - Fraction(1, 2), Fraction(0)), Fraction(7))
        low = int(position)
        return (low, 1 - (position - low)), (min(low + 1, 7), position - low)
    return sum(wy * wx * int(picture[j, i]) for j, wy in between(y) for i, wx in between(x)) / 16


@pytest.mark.parametrize("train, n", [(True, 1437), (False, 360)])
@pytest.mark.parametrize("size", [8, 28, 32])
def test_form(train, n, size):
    digits = Digits(train, size=size)
    assert digits.images.shape == (n, 1, size, size) and digits.images.dtype == np.float32 and len(digits) == n
    assert digits.images.min() == 0 and digits.images.max() == 1
    assert digits.labels.shape == (n,) and digits.labels.dtype == np.int64 and digits.classes == tuple("0123456789")
    image, label = digits[3]
    assert image.shape == (1, size, size) and label == digits.labels[3]
    images, labels = next(iter(DataLoader(digits, 5)))
    assert images.shape == (5, 1, size, size) and images.dtype == np.float32 and labels.dtype == np.int64


def test_default_is_the_training_part_for_lenet():
    assert repr(Digits()) == "Digits: 1437 pictures of 1x32x32, 10 classes"


def test_the_parts_are_the_whole_set():
    parts = [Digits(train, size=8) for train in (True, False)]
    found = sorted((label, (16 * image).tobytes()) for part in parts for image, label in part)
    assert found == sorted((k, picture.astype(np.float32).tobytes()) for picture, k in zip(ORIGINAL.images, ORIGINAL.target))


def test_the_split_is_stratified():
    whole, test = np.bincount(ORIGINAL.target), np.bincount(Digits(train=False).labels)
    assert np.abs(test - whole * 360 / 1797).max() < 1 and test.sum() == 360
    assert (np.bincount(Digits().labels) == whole - test).all()


def test_stratified_by_hand():
    labels = np.array([0] * 5 + [1] * 3 + [2] * 2)        # shares of 4: 2, 1.2, 0.8
    for seed in range(5):
        test = stratified(labels, 4, seed)
        assert np.bincount(labels[test]).tolist() == [2, 1, 1] and len(set(test)) == 4 and (np.diff(test) > 0).all()
    assert len({tuple(stratified(labels, 4, seed)) for seed in range(20)}) > 5, "the seed does nothing"


@pytest.mark.parametrize("train, size, checksum", [
    (True, 32, "a1048f66f811cc7c78b0e1b0a465f8a6a79106ed75a2c2e6c98692115d692f68"),
    (False, 32, "9e6ad69b87dc92963f0d01601f91edebb76e7527d94fe0f6d5d5eacfe3c529a4"),
    (True, 28, "4ad545f258ceef5f1d3b2a66230d70b57933a4d42bcac887c4917364b0eac34b"),
    (False, 8, "c0dea20e05d86b8989825ceca89df9ab7c15fdd812c96b37d5ae2c1ea1f41584"),
])
def test_every_bit_is_fixed(train, size, checksum):
    digits = Digits(train, size=size)
    data = digits.images.astype("<f4").tobytes() + digits.labels.astype("<i8").tobytes()
    assert hashlib.sha256(data).hexdigest() == checksum


@pytest.mark.parametrize("size", [8, 9, 28, 32])
def test_interpolation_from_the_definition(size):
    pictures = ORIGINAL.images[:2]
    expected = [[[float(interpolated(picture, size, y, x)) for x in range(size)] for y in range(size)] for picture in pictures]
    np.testing.assert_array_equal(enlarge(pictures, size), np.array(expected).astype(np.float32))


@pytest.mark.parametrize("size", [8, 13, 28, 32, 100])
def test_interpolation_as_in_torch(size):
    torch = pytest.importorskip("torch")
    counts = np.random.default_rng(size).integers(0, 17, (20, 1, 8, 8)).astype(float)
    expected = torch.nn.functional.interpolate(torch.tensor(counts), (size, size), mode="bilinear", align_corners=False)
    np.testing.assert_allclose(enlarge(counts[:, 0], size), expected[:, 0] / 16, rtol=0, atol=1e-7)


@pytest.mark.parametrize("size", [0, 7, -32])
def test_size_errors(size):
    with pytest.raises(ValueError, match=f"Digits: size must be at least 8, the size of the original pictures, got {size}"):
        Digits(size=size)


def test_importing_the_package_loads_numpy_only():
    import subprocess
    import sys
    heavy = "{'sklearn', 'pooch', 'requests', 'tqdm', 'scipy'}"
    program = f"import sys, tinyvision.data; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
