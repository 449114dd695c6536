"""A glance: two forward passes for an element (one where the function is affine) are enough where the gradient is right.

Only what does not agree at once, or is bent, is measured carefully (numeric.py).
"""

import numpy as np

from .numeric import EPS, scales_of


def glance_steps(exam, i):
    """Step sizes for a glance at each element: wide ones, marked by a minus, where the function looks affine in this input."""
    x = exam.values[i]
    scales = scales_of(x)
    v = (exam.rng.choice([-1.0, 1.0], x.size) * exam.rng.uniform(0.5, 1.5, x.size) * scales).reshape(x.shape)
    y = []
    for t in (1, -1, 2):
        values = exam.copies()
        values[i] = np.asarray(x + t * v)
        y.append(exam.view(values))
    room = 1e-9 * (np.abs(y[0]) + np.abs(y[1]) + np.abs(exam.point)) + 100 * exam.noise
    affine = (np.abs(y[0] + y[1] - 2 * exam.point) <= room).all() and (np.abs(y[2] - 2 * y[0] + exam.point) <= room).all()
    steps = 2.0 ** np.round(np.log2(scales * (2.0 ** -6 if affine else 2.0 ** -17)))
    return -steps if affine else steps


def glance(exam, number, i, positions, steps, keep):
    """Difference quotients of elements with one step size (one-sided where affine): which agree with the analytic gradient at once?

    Two numbers that agree to seven digits do so for no other reason than that both are right; what does not agree, or is bent, gets
    a careful look.  Returns the mask of what is settled, and the same as slopes_of.
    """
    work, affine = exam.copies(), bool(len(steps) and steps[0] < 0)
    flat_x, old, h = work[i].reshape(-1), exam.values[i].ravel()[positions], np.abs(steps)
    up, down = (np.empty((len(positions), exam.point.size)) for _ in range(2))
    for j, p in enumerate(positions):
        flat_x[p] = old[j] + h[j]
        up[j] = exam.view(work)
        if not affine:
            flat_x[p] = old[j] - h[j]
            down[j] = exam.view(work)
        flat_x[p] = old[j]
    wide = h[:, None]
    slope = (up - exam.point) / wide if affine else (up - down) / (2 * wide)
    noise = 4 * (EPS * np.maximum(np.abs(up), np.abs(exam.point)) + exam.noise) / wide
    n, size = (slope @ exam.weights.T).T, np.sqrt(slope ** 2 @ exam.weights.T ** 2).T
    bar = 3 * np.sqrt(noise ** 2 @ exam.weights.T ** 2).T
    fine = (np.abs(exam.a[number][:, positions] - n) <= 1e-7 * size + bar).all(axis=0) & (bar <= 1e-5 * size + 1e-300).all(axis=0)
    if not affine:
        steepest = np.abs(slope).max(axis=1, keepdims=True, initial=0)
        bent = np.abs(up + down - 2 * exam.point) / wide > 1e-3 * np.abs(slope) + 1e-4 * steepest + 10 * noise
        fine &= ~(bent & (np.abs(exam.weights).max(axis=0) > 0)).any(axis=1)
    none = np.zeros(len(positions), bool)
    return fine, (n, np.zeros_like(n), bar, size, none, none.copy(), slope if keep else None,
                  np.zeros(slope.shape, bool) if keep else None)
