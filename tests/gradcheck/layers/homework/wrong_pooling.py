"""Wrong homework: pooling."""

import numpy as np

from tests.gradcheck.layers import wrong


def max_pool(x, k, s):
    """Maximum over windows."""
    view = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(2, 3))[:, :, ::s, ::s]
    return view.max(axis=(-2, -1))


@wrong("pair", "overwritten")
def max_pool_overlap_assigned(rng):
    """Overlapping windows assign the gradient of a shared maximum instead of adding."""
    def forward(x):
        return max_pool(x, 3, 1), x

    def backward(dout, cache):
        x = cache
        dx = np.zeros_like(x)
        n, c, ho, wo = dout.shape
        for a in range(n):
            for b in range(c):
                for i in range(ho):
                    for j in range(wo):
                        win = x[a, b, i:i + 3, j:j + 3]
                        p, q = np.unravel_index(np.argmax(win), win.shape)
                        dx[a, b, i + p, j + q] = dout[a, b, i, j]
        return dx

    return forward, backward, rng.normal(size=(2, 2, 6, 5))


@wrong("pair", "mask-missing", costly=True)
def max_pool_whole_window(rng):
    """Every element of the window gets the gradient, not only the maximum."""
    def forward(x, pool_param):
        return max_pool(x, pool_param["pool_height"], pool_param["stride"]), (x, pool_param)

    def backward(dout, cache):
        x, pool_param = cache
        k, s = pool_param["pool_height"], pool_param["stride"]
        dx = np.zeros_like(x)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                dx[:, :, i * s:i * s + k, j * s:j * s + k] += dout[:, :, i, j][:, :, None, None]
        return dx

    return forward, backward, rng.normal(size=(2, 3, 4, 6)), {"pool_height": 2, "pool_width": 2, "stride": 2}


@wrong("pair", "ties-counted-twice")
def max_pool_ties_all_win(rng):
    """The mask x == max gives every tied element the whole gradient."""
    def forward(x):
        n, c, h, w = x.shape
        r = x.reshape(n, c, h // 2, 2, w // 2, 2)
        out = r.max(axis=3).max(axis=4)
        return out, (x, r, out)

    def backward(dout, cache):
        x, r, out = cache
        mask = r == out[:, :, :, None, :, None]
        return (mask * dout[:, :, :, None, :, None]).reshape(x.shape)

    x = rng.normal(size=(2, 2, 4, 6))
    x[:, :, ::2, 1::2] = x[:, :, ::2, ::2]  # the upper two of each window are equal
    x[:, :, 1::2] = x[:, :, ::2] - 1
    return forward, backward, x


@wrong("pair", "wrong-slice")
def max_pool_last_window_skipped(rng):
    """The loop over the windows of a picture stops one early: the last 2x2 corner gets nothing."""
    def forward(x):
        return max_pool(x, 2, 2), x

    def backward(dout, cache):
        x = cache
        dx = np.zeros_like(x)
        ho, wo = dout.shape[2:]
        for t in range(ho * wo - 1):
            i, j = divmod(t, wo)
            win = x[:, :, 2 * i:2 * i + 2, 2 * j:2 * j + 2]
            best = win.reshape(win.shape[:2] + (4,)).argmax(axis=2)
            for q in range(4):
                dx[:, :, 2 * i + q // 2, 2 * j + q % 2] += (best == q) * dout[:, :, i, j]
        return dx

    return forward, backward, rng.normal(size=(2, 2, 4, 6))


@wrong("pair", "precision-lost", "zero-gradient")
def max_over_rows_integer_buffer(rng):
    """dx is zeros_like of the integer argmax indices, so the gradient is cut to whole numbers."""
    def forward(x):
        index = x.argmax(axis=1)
        onehot = (np.arange(x.shape[1]) == index[:, None]).astype(int)
        return x.max(axis=1), onehot

    def backward(dout, cache):
        dx = np.zeros_like(cache)
        dx += (cache * dout[:, None]).astype(cache.dtype)
        return dx

    return forward, backward, rng.normal(size=(8, 6))


@wrong("pair", "constant-factor")
def avg_pool_area_forgotten(rng):
    """The gradient of the mean is spread without dividing by the window area."""
    def forward(x):
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 2, 2, w // 3, 3).mean(axis=(3, 5))

    def backward(dout, x):
        return np.repeat(np.repeat(dout, 2, axis=2), 3, axis=3)

    return forward, backward, rng.normal(size=(2, 3, 4, 6))


@wrong("pair", "wrong-slice", "term-missing")
def avg_pool_last_output_row_skipped(rng):
    """The last row of overlapping windows is left out."""
    def forward(x):
        view = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
        return view.mean(axis=(-2, -1)), x.shape

    def backward(dout, cache):
        dx = np.zeros(cache)
        for i in range(dout.shape[2] - 1):
            for j in range(dout.shape[3]):
                dx[:, :, i:i + 3, j:j + 3] += dout[:, :, i, j][:, :, None, None] / 9
        return dx

    return forward, backward, rng.normal(size=(2, 2, 7, 5))


@wrong("pair", "upstream-ignored")
def global_average_upstream_ignored(rng):
    """Global average pooling returns 1/area and never uses dout."""
    def forward(x):
        return x.mean(axis=(2, 3)), x.shape

    def backward(dout, cache):
        n, c, h, w = cache
        return np.ones(cache) / (h * w)

    return forward, backward, rng.normal(size=(2, 3, 4, 4))


@wrong("pair", "nonsquare-only", "constant-factor")
def global_average_square_area(rng):
    """Global average pooling divides by H*H instead of H*W."""
    def forward(x):
        return x.mean(axis=(2, 3)), x.shape

    def backward(dout, cache):
        n, c, h, w = cache
        return np.ones(cache) * dout[:, :, None, None] / h ** 2

    return forward, backward, rng.normal(size=(2, 3, 4, 6))


@wrong("pair", "mask-missing", "extra-term")
def unpool_sums_whole_window(rng):
    """Unpooling sums dout over the whole window instead of reading it where the value was put."""
    def forward(x, where):
        n, h, w = x.shape
        out = np.zeros((n, h, w, 4), dtype=x.dtype)
        np.put_along_axis(out, where[..., None], x[..., None], axis=3)
        return out.reshape(n, h, w, 2, 2).transpose(0, 1, 3, 2, 4).reshape(n, 2 * h, 2 * w), x.shape

    def backward(dout, cache):
        n, h, w = cache
        return dout.reshape(n, h, 2, w, 2).sum(axis=(2, 4)), None

    return forward, backward, rng.normal(size=(2, 3, 4)), rng.integers(0, 4, size=(2, 3, 4))


@wrong("pair", "memory-layout")
def max_pool_scatter_into_copy(rng):
    """zeros_like keeps Fortran order, reshape(-1) then copies, and the scattered gradient is lost."""
    def forward(x):
        index = np.argmax(x, axis=1)
        return x[np.arange(len(x)), index], (x, index)

    def backward(dout, cache):
        x, index = cache
        dx = np.zeros_like(x)
        flat = dx.reshape(-1)
        flat[np.arange(len(x)) * x.shape[1] + index] = dout
        return dx

    return forward, backward, rng.normal(size=(7, 6))
