"""Textures, light and camera: what makes a drawing look like a photograph, and keeps a network from winning by a trick.

Real surfaces have a texture, real light falls off across the picture, lenses blur and sensors are noisy.  A network that has
seen flat colours only learns the colours.  Here objects and backgrounds take textures and colours from the same stock, so
that neither tells the class.

Value noise is the workhorse: random numbers on a coarse grid, interpolated in between, summed over several scales.  Light
comes in as a factor (it multiplies what surfaces reflect), noise as a term that grows with the square root of brightness (a
sensor counts photons).

Sources: Perlin 1985, doi:10.1145/325165.325247 (noise at several scales); Foi et al. 2008, doi:10.1109/TIP.2008.2001399 (the
noise of sensors).
"""

import functools

import numpy as np


@functools.lru_cache(maxsize=512)
def interpolation(size, cells):
    """The weights (size, cells + 1) that interpolate smoothly between cells + 1 equally spaced values."""
    position = (np.arange(size) + 0.5) * cells / size
    left = np.minimum(position.astype(int), cells - 1)
    fraction = position - left
    fraction = fraction * fraction * (3 - 2 * fraction)                   # flat at the grid's points: no creases
    weights = np.zeros((size, cells + 1))
    weights[np.arange(size), left] = 1 - fraction
    weights[np.arange(size), left + 1] += fraction
    return weights


def value_noise(draws, shape, cells, octaves=3, stretch=(1, 1)):
    """Smooth noise 0..1 of shape (h, w): `cells` grid cells along the longer side, each octave twice as fine and half as strong.

    stretch: divides the number of cells along y and x, for textures that run in one direction.
    """
    total, weight, longest = np.zeros(shape), 0.0, max(shape)
    for octave in range(octaves):
        grid = [max(1, round(cells * 2 ** octave * side / longest / s)) for side, s in zip(shape, stretch)]
        if octave and min(longest // max(grid), *shape) < 1:
            break
        lattice = draws.uniform(size=(grid[0] + 1, grid[1] + 1))
        total += 0.5 ** octave * (interpolation(shape[0], grid[0]) @ lattice @ interpolation(shape[1], grid[1]).T)
        weight += 0.5 ** octave
    return total / weight


def color(hue, saturation, value):
    """A colour (3, 1, 1) from hue 0..1 (a turn of the colour circle), saturation 0..1 and value 0..1 (Smith 1978, HSV)."""
    ramp = np.abs((hue * 6 + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1      # 1 where the channel is full, 0 where it is absent
    return (value * (1 - saturation * (1 - np.clip(ramp, 0, 1)))).reshape(3, 1, 1)


def any_color(draws):
    """A colour of any hue, pale to strong, dark to light."""
    return color(draws.uniform(), draws.uniform(0.05, 0.9), draws.uniform(0.2, 0.95))


def brightness(color):
    """The brightness of a colour (3, ...), as the eye weighs the channels (ITU-R BT.601)."""
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]


def texture(draws, x, y, scale, first, second):
    """One of six patterns of two colours (3, 1, 1) over the coordinates x, y (h, w); scale: its period in pixels."""
    kind = draws.choice(("plain", "noise", "stripes", "checks", "dots", "grain"))
    turn, shift = draws.uniform(0, np.pi), draws.uniform(0, 2 * np.pi)
    u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    if kind == "plain":
        mix = 0.15 * value_noise(draws, x.shape, 3, 2)
    elif kind == "noise":
        mix = value_noise(draws, x.shape, max(2, max(x.shape) / scale), 3)
    elif kind == "stripes":
        mix = np.clip(0.5 + 1.5 * np.sin(2 * np.pi * u / scale + shift), 0, 1)
    elif kind == "checks":
        mix = np.clip(0.5 + 2 * np.sin(2 * np.pi * u / scale + shift) * np.sin(2 * np.pi * v / scale + shift), 0, 1)
    elif kind == "dots":
        mix = np.clip(3 * (np.sin(2 * np.pi * u / scale + shift) * np.sin(2 * np.pi * v / scale) - 0.45), 0, 1)
    else:
        mix = 0.6 * draws.uniform(size=x.shape)
    return first + mix * draws.uniform(0.3, 1) * (second - first)


def light(draws, shape, strength):
    """A factor (h, w) that falls off by up to `strength` along a random direction, and a little towards the corners."""
    turn, slope, corner = draws.uniform(0, 2 * np.pi), draws.uniform(0, strength), draws.uniform(0, strength / 2)
    x, y = np.meshgrid(*(2 * (np.arange(side) + 0.5) / side - 1 for side in shape[::-1]))
    return 1 + slope / 2 * (np.cos(turn) * x + np.sin(turn) * y) - corner * (x * x + y * y) / 2


def blur(x, sigma, axes=(-2, -1)):
    """Gaussian blur of this standard deviation in pixels; beyond the border lies the border's pixel."""
    reach = int(np.ceil(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-9)) ** 2)
    weights /= weights.sum()
    for axis in axes:
        x = np.moveaxis(x, axis, -1)
        size = x.shape[-1]
        padded = np.concatenate([np.repeat(x[..., :1], reach, -1), x, np.repeat(x[..., -1:], reach, -1)], axis=-1)
        x = weights[reach] * x
        for k in range(reach):                                            # the weights are symmetric: two shifts at a time
            x = x + weights[k] * (padded[..., k:k + size] + padded[..., 2 * reach - k:2 * reach - k + size])
        x = np.moveaxis(x, -1, axis)
    return x


def sensor(draws, image, noise):
    """The picture with the noise of a sensor: `noise` is the standard deviation at full brightness, a third of it in the dark."""
    return image + noise * np.sqrt(np.clip(image, 0, 1) * 8 / 9 + 1 / 9) * draws.normal(image.shape)


def photograph(draws, image, *, strength=0.5, blurs=(0.3, 0.8), noises=(0.01, 0.05)):
    """A drawing as a camera would take it: uneven light, exposure, blur, noise, each of random amount."""
    image = image * light(draws, image.shape[-2:], strength) * draws.uniform(0.85, 1.15)
    image = blur(image, draws.uniform(*blurs))
    return sensor(draws, np.clip(image, 0, 1), draws.uniform(*noises))
