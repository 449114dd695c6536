"""Colours as classes: CIE Lab, a grid of colour bins, and the way from probabilities back to a colour.

sRGB brightness c is light after undoing the display's curve; X, Y, Z are sums of the three lights; then, with Xn, Yn, Zn those
of white and f the cube root (a straight line near 0),

    c <= 0.04045: c / 12.92, else ((c + 0.055) / 1.055)^2.4
    L = 116 f(Y/Yn) - 16          0 black .. 100 white
    a = 500 (f(X/Xn) - f(Y/Yn))   green .. red
    b = 200 (f(Y/Yn) - f(Z/Zn))   blue .. yellow

so that equal distances look about equally different, and L alone is the grey picture.  The plane of a, b is cut into squares;
those that sRGB reaches are the bins.  A colour is encoded by its five nearest bins, weighed by a Gaussian, and probabilities p
are decoded by their annealed mean: the mean colour of p^(1/T), scaled to sum 1.  T = 1 is the mean, a brownish grey where two
colours are likely; T = 0 the likeliest bin, vivid but patchy; T = 0.38 lies between.

Most pixels are grey.  So each counts by its bin, w = 1 / ((1 - mix) p + mix / Q), scaled such that E[w] = 1, where p is the share
of the bin among the pixels.

Sources: IEC 61966-2-1 (sRGB) and CIE 15 (Lab), white point D65; Zhang, Isola and Efros 2016, arXiv:1603.08511, section 2.
"""

import numpy as np

from ..nn.checks import at_least, positive
from ..ops.device import on_host
from ..packages import require
from ..tensor import raw

TO_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
WHITE = np.array([0.95047, 1.0, 1.08883])
CORNER = 6 / 29                                           # below CORNER^3 the cube root becomes a straight line


def rgb_to_lab(images):
    """Colour pictures in CIE Lab: L 0..100, a and b about -110..110.

    Shapes: (N, 3, H, W) or (3, H, W), sRGB brightness 0..1 -> the same shape, in the pictures' dtype.
    Raises ValueError for another number of channels.

    >>> rgb_to_lab(np.ones((3, 1, 1))).round(1).ravel().tolist()
    [100.0, -0.0, 0.0]
    """
    x, axis = three_channels("rgb_to_lab", images)
    light = np.where(x <= 0.04045, x / 12.92, ((np.maximum(x, 0) + 0.055) / 1.055) ** 2.4)
    X, Y, Z = (np.tensordot(row / white, light, (0, axis)) for row, white in zip(TO_XYZ, WHITE))
    fx, fy, fz = (np.where(t > CORNER ** 3, np.cbrt(t), t / (3 * CORNER ** 2) + 4 / 29) for t in (X, Y, Z))
    return np.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], axis).astype(raw(images).dtype)


def lab_to_rgb(lab):
    """sRGB pictures of CIE Lab; colours that sRGB does not have are clipped to 0..1.

    Shapes: (N, 3, H, W) or (3, H, W) -> the same shape, brightness 0..1.
    Raises ValueError for another number of channels.

    >>> lab_to_rgb(np.array([53.24, 80.09, 67.20]).reshape(3, 1, 1)).round(2).ravel().tolist()
    [1.0, 0.0, 0.0]
    """
    x, axis = three_channels("lab_to_rgb", lab)
    L, a, b = np.moveaxis(x, axis, 0)
    fy = (L + 16) / 116
    roots = (fy + a / 500, fy, fy - b / 200)
    xyz = [white * np.where(f > CORNER, f ** 3, 3 * CORNER ** 2 * (f - 4 / 29)) for f, white in zip(roots, WHITE)]
    light = np.clip(np.moveaxis(np.tensordot(np.linalg.inv(TO_XYZ), np.stack(xyz), (1, 0)), 0, axis), 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055).astype(raw(lab).dtype)


def three_channels(who, images):
    """Pictures as float64, and the axis of their channels."""
    x = np.asarray(on_host(images))
    if x.ndim not in (3, 4) or x.shape[-3] != 3 or x.dtype.kind != "f":
        raise ValueError(f"{who}: pictures must be floats (N, 3, H, W) or (3, H, W), got {x.dtype} of shape {x.shape}.")
    return x.astype(np.float64), x.ndim - 3


class ColorBins:
    """The bins of the a, b plane that sRGB reaches.

    grid: the side of a bin; 10 in the paper, which counts 313 bins, here 262; 20 gives 76.
    `.centers` (Q, 2), `.count` Q, `.weights` (Q,), all 1 until `balance` was called.
    Raises ValueError for a grid that is not above 0.

    >>> bins = ColorBins(grid=20)
    >>> bins.count, bins.encode(np.array([[[[60.0]], [[40.0]]]])).argmax(axis=1).ravel().tolist() == [
    ...     bins.centers.tolist().index([60.0, 40.0])]
    (76, True)
    """

    def __init__(self, grid=20, *, neighbours=5, sigma=None):
        positive("ColorBins", grid=grid, neighbours=neighbours)
        self.grid, self.neighbours, self.sigma = grid, neighbours, grid / 2 if sigma is None else sigma
        positive("ColorBins", sigma=self.sigma)
        cube = np.stack(np.meshgrid(*[np.linspace(0, 1, 96)] * 3)).reshape(3, -1, 1)
        cube = cube[:, ((cube == 0) | (cube == 1)).any(axis=(0, 2))]     # its surface: lighter or darker, every colour gets there
        self.centers = grid * np.unique(np.round(rgb_to_lab(cube)[1:, :, 0] / grid).astype(int), axis=1).T.astype(float)
        self.count, self.weights = len(self.centers), np.ones(len(self.centers))

    def encode(self, ab):
        """Probabilities of bins: the nearest of each colour, weighed by a Gaussian of `sigma`; (N, 2, H, W) -> (N, Q, H, W)."""
        distances, nearest = self.near(ab, min(self.neighbours, self.count))
        weights = np.exp(-0.5 * ((distances ** 2 - distances[..., :1] ** 2) / self.sigma ** 2))
        soft = np.zeros((len(nearest), self.count), np.float32)
        np.put_along_axis(soft, nearest, weights / weights.sum(axis=1, keepdims=True), axis=1)
        n, _, h, w = ab.shape
        return soft.reshape(n, h, w, self.count).transpose(0, 3, 1, 2)

    def near(self, ab, k):
        """Distances and numbers of the k nearest bins of every pixel, (N H W, k) each."""
        require("ColorBins", "scipy")
        from scipy.spatial import cKDTree
        if ab.ndim != 4 or ab.shape[1] != 2:
            raise ValueError(f"ColorBins: colours must be (N, 2, H, W), a and b, got shape {ab.shape}. Take "
                             "rgb_to_lab(images)[:, 1:].")
        distances, nearest = cKDTree(self.centers).query(ab.transpose(0, 2, 3, 1).reshape(-1, 2), k)
        return distances.reshape(-1, k), nearest.reshape(-1, k)

    def decode(self, probabilities, temperature=0.38):
        """The colours a, b of probabilities (N, Q, H, W), their annealed mean (N, 2, H, W); temperature 0: the likeliest bin."""
        at_least("ColorBins.decode", 0, temperature=temperature)
        p = np.asarray(on_host(probabilities), np.float64)
        if p.ndim != 4 or p.shape[1] != self.count:
            raise ValueError(f"ColorBins.decode: probabilities must be (N, {self.count}, H, W), got shape {p.shape}.")
        if temperature == 0:
            return self.centers[p.argmax(axis=1)].transpose(0, 3, 1, 2)
        logs = np.log(np.maximum(p, 1e-300)) / temperature
        sharp = np.exp(logs - logs.max(axis=1, keepdims=True))
        return np.einsum("nqhw,qc->nchw", sharp / sharp.sum(axis=1, keepdims=True), self.centers)

    def balance(self, images, mix=0.5):
        """Set and return `.weights` after how often the bins come in these pictures (N, 3, H, W); mix: lambda of the paper."""
        at_least("ColorBins.balance", 0, mix=mix)
        if mix > 1:
            raise ValueError(f"ColorBins.balance: mix must be from 0 to 1, got {mix}.")
        _, nearest = self.near(rgb_to_lab(images)[:, 1:], 1)
        share = np.bincount(nearest.ravel(), minlength=self.count) / nearest.size
        mixed = (1 - mix) * share + mix / self.count
        weights = 1 / np.where(mixed > 0, mixed, np.inf)
        self.weights = weights / (share * weights).sum()
        return self.weights
