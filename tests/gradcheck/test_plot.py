"""The picture of a report: it shows the arrays that were compared, marks what is wrong, and says the same as the text."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

import tinyvision.gradcheck.plot as plot
from tinyvision.gradcheck import GradReport, InputReport, check_pair
from tinyvision.gradcheck.plot import Mosaic, plot_report

RNG = np.random.default_rng(20261125)


def report_of(shape, wrong=None, **fields):
    """A report on one input x with random gradients; wrong: a mask of elements that are one too large."""
    n = RNG.standard_normal(shape)
    mask = np.zeros(shape, bool) if wrong is None else np.asarray(wrong)
    worst = tuple(int(i) for i in np.argwhere(mask)[0]) if mask.any() else (0,) * len(shape)
    row = InputReport("x", tuple(shape), not mask.any(), worst=worst, checked=n.size, wrong=int(mask.sum()), a=n + mask, n=n,
                      mask=mask)
    if mask.any():
        row.cause, row.diagnosis, row.analytic = "wrong-slice", "the gradient of x is wrong there.", 1.0
    for name, value in fields.items():
        setattr(row, name, value)
    return GradReport("f", [row], cause=row.cause, diagnosis=row.diagnosis)


def some(shape):
    """A mask of about a third of the elements, at least one and not all."""
    mask = RNG.random(shape) < 0.3
    mask.flat[0], mask.flat[-1] = True, mask.size == 1
    return mask


def maps(figure):
    return figure.axes[:3]


def shown(axes):
    """The values on a map, in the order in which they are laid out; the cells between tiles left out."""
    mesh = next(c for c in axes.collections if type(c).__name__ == "QuadMesh")
    return mesh.get_array().compressed()


def marks(axes):
    """Centres of the marked cells; None without marks."""
    found = [c for c in axes.collections if c.get_gid() == "wrong"]
    return np.asarray(found[0].get_offsets()) if found else None


def texts(figure):
    return "\n".join(t.get_text() for t in figure.texts)


def laid_out(array):
    """The order of a mosaic, from the definition: the last axis across, the one before down, and so on; first row first."""
    n = array.ndim
    down, across = sorted(range(n - 2, -1, -2)), sorted(range(n - 1, -1, -2))
    return array.transpose([*down, *across]).ravel()


SHAPES = [(), (1,), (7,), (4, 5), (1, 1), (3, 4, 2), (2, 3, 4, 5), (1, 1, 1, 1), (2, 2, 3, 3, 2)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_three_arrays_are_shown(shape):
    report = report_of(shape, some(shape))
    row, figure = report.inputs[0], report.plot()
    for axes, array in zip(maps(figure), (row.a, row.n, row.a - row.n)):
        if array.ndim == 5:                               # the first axis lies where there is room
            assert sorted(shown(axes)) == sorted(array.ravel())
        elif array.ndim == 3:
            np.testing.assert_array_equal(shown(axes), array.transpose(1, 0, 2).ravel())
        else:
            np.testing.assert_array_equal(shown(axes), laid_out(array))


@pytest.mark.parametrize("shape", [(7,), (4, 5), (30,), (12, 13), (3, 4, 2), (2, 3, 4, 5), (2, 2, 3, 3, 2), (40, 40)], ids=str)
def test_marks_are_in_the_wrong_cells(shape):
    report = report_of(shape, some(shape))
    row = report.inputs[0]
    for axes in maps(report.plot()):
        mesh = next(c for c in axes.collections if type(c).__name__ == "QuadMesh")
        corners = mesh.get_coordinates()
        across, down, values = corners[0, :, 0], corners[:, 0, 1], mesh.get_array()
        x, y = marks(axes).T
        cells = np.searchsorted(down, y) - 1, np.searchsorted(across, x) - 1
        assert len(set(zip(*cells))) == len(x) == row.mask.sum()                      # each in a cell of its own
        assert set(values[cells]) <= {*row.a[row.mask], *row.n[row.mask], *(row.a - row.n)[row.mask]}


def test_no_marks_where_all_or_nothing_is_wrong():
    for wrong in (np.ones((3, 4), bool), np.zeros((3, 4), bool)):
        figure = report_of((3, 4), wrong).plot()
        assert all(marks(axes) is None for axes in maps(figure)) and "dots" not in texts(figure)
    assert "dots: the elements that are off" in texts(report_of((3, 4), some((3, 4))).plot())


def test_scales():
    """Analytic and numeric share a scale, symmetric about zero; the error has one of its own."""
    report = report_of((4, 5), some((4, 5)))
    row = report.inputs[0]
    limits = [next(c for c in axes.collections if type(c).__name__ == "QuadMesh").get_clim() for axes in maps(report.plot())]
    most = max(np.abs(row.a).max(), np.abs(row.n).max())
    assert limits[0] == limits[1] == pytest.approx((-most, most)) and limits[2] == pytest.approx((-1, 1))


def test_rounding_errors_stay_pale():
    report = report_of((4, 5), a=(n := RNG.standard_normal((4, 5))) * (1 + 1e-12), n=n)
    drawn = next(c for c in maps(report.plot())[2].collections if type(c).__name__ == "QuadMesh")
    assert np.abs(drawn.get_array()).max() < 1e-6 * drawn.get_clim()[1]


def test_numbers_stand_in_large_cells():
    report = report_of((2, 3))
    row = report.inputs[0]
    for axes, array in zip(maps(report.plot()), (row.a, row.n)):
        assert [float(t.get_text()) for t in axes.texts] == pytest.approx(array.ravel(), rel=1e-2, abs=1e-9)
    assert not maps(report_of((20, 30)).plot())[0].texts


def test_indices_stand_at_the_sides():
    axes = maps(report_of((2, 3, 4, 5)).plot())[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["0", "1"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["0", "1", "2"]
    assert axes.get_ylabel() == "axis 0  (in a tile: axis 2)" and axes.get_xlabel() == "axis 1  (in a tile: axis 3)"
    axes = maps(report_of((6, 4)).plot())[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == list("012345") and axes.get_ylabel() == "axis 0"


def test_what_is_too_long_is_folded():
    """Forty pictures of 3 x 3 in a row would be dust."""
    mosaic = Mosaic([np.arange(40), np.arange(3), np.arange(3)])
    x = RNG.standard_normal((40, 3, 3))
    rows, columns = mosaic.sizes[:2]
    assert rows > 1 < columns and rows * columns >= 40 and mosaic.across.length < 4 * mosaic.down.length
    matrix = mosaic.matrix(x).reshape(rows, 3, columns, 3).transpose(0, 2, 1, 3).reshape(-1, 3, 3)
    np.testing.assert_array_equal(matrix[:40], x)
    assert np.ma.getmaskarray(matrix[40:]).all() and len(mosaic.corners()) == 40
    assert mosaic.ticks(mosaic.down)[1] == [str(i * columns) for i in range(rows)]
    assert mosaic.ticks(mosaic.across)[1] == [f"+{j}" for j in range(columns)]


def test_words():
    report = report_of((4, 5), some((4, 5)))
    row, words = report.inputs[0], texts(report.plot())
    assert f"WRONG: wrong-slice.  {row.wrong} of 20 elements are off, most at [0, 0]" in words
    assert "f: gradient of x (4, 5)" in words
    assert "The gradient of x is wrong there." in words
    assert "agrees: the two differ by at most 0" in texts(report_of((4, 5)).plot())


def test_long_diagnoses_are_wrapped():
    report = report_of((4, 5), some((4, 5)), diagnosis="word " * 100)
    words = report.plot().texts[-1].get_text()
    assert words.count("\n") == 4 and max(map(len, words.splitlines())) <= 122


# --- which input


def two_inputs():
    """x right, w wrong, s large and right."""
    good, bad = report_of((3,)).inputs[0], report_of((2, 2), some((2, 2))).inputs[0]
    bad.name = "w"
    return GradReport("f", [InputReport("s", (5000,), True, "directions", checked=2), good, bad])


def test_the_first_wrong_input_or_the_one_that_is_named():
    report = two_inputs()
    assert "gradient of w" in texts(report.plot()) and "gradient of x" in texts(report.plot("x"))
    report.inputs.pop()
    assert "gradient of x" in texts(report.plot())        # none is wrong: the first that can be drawn


def test_refusals():
    report = two_inputs()
    with pytest.raises(ValueError, match=r"plot_report: name must be that of an input .*, got 'z'. These are s, x, w\."):
        report.plot("z")
    with pytest.raises(ValueError, match=r"plot_report: s \(5000,\) was not compared .*: it is large.* Name one of these: x, w"):
        report.plot("s")
    broken = check_pair(lambda x: (2 * x, None), lambda dout, cache: 1 / 0, np.ones(3))
    with pytest.raises(ValueError, match=r"plot_report: no gradient was compared.*ZeroDivisionError"):
        broken.plot()


def test_a_report_of_a_real_check():
    def conv_backward(dout, cache):
        x, w = cache
        dw = np.array([(x[i:i + 4] * dout).sum() for i in range(3)])
        return sum(np.pad(dout * v, (i, 2 - i)) for i, v in enumerate(w)), dw[::-1]

    def conv_forward(x, w):
        return np.array([x[i:i + 3] @ w for i in range(4)]), (x, w)
    report = check_pair(conv_forward, conv_backward, RNG.standard_normal(6), RNG.standard_normal(3))
    figure = report.plot()
    assert report.cause == "flipped" and "gradient of w (3,)" in texts(figure) and "WRONG: flipped." in texts(figure)
    analytic, numeric = (shown(axes) for axes in maps(figure)[:2])
    np.testing.assert_allclose(analytic, numeric[::-1], rtol=1e-7)


# --- large inputs


def sampled_report(shape, count, wrong):
    """As of a large input of which `count` elements were measured, those where wrong(index) is true are off."""
    n = np.full(shape, np.nan)
    places = RNG.permutation(n.size)[:count]
    n.flat[places] = RNG.standard_normal(count)
    mask = wrong(np.indices(shape)) & ~np.isnan(n)
    worst = tuple(map(int, np.argwhere(mask)[0]))
    return GradReport("f", [InputReport("x", shape, False, worst=worst, checked=count, wrong=int(mask.sum()), a=n + mask, n=n,
                                        mask=mask)])


def test_of_a_large_input_the_measured_elements_are_drawn():
    report = sampled_report((50, 400), 100, lambda index: index[0] < 25)
    row, figure = report.inputs[0], report.plot()
    squares = next(c for c in maps(figure)[0].collections if type(c).__name__ == "PathCollection" and c.get_gid() is None)
    i, j = np.nonzero(~np.isnan(row.a))
    np.testing.assert_array_equal(squares.get_offsets(), np.stack([j, i], axis=1) + 0.5)
    np.testing.assert_array_equal(squares.get_array(), row.a[i, j])
    np.testing.assert_array_equal(marks(maps(figure)[0]), np.argwhere(row.mask)[:, ::-1] + 0.5)
    assert "grey: not measured (100 of 20000 elements were)" in texts(figure)


def test_of_a_large_input_the_tiles_with_the_worst_are_shown():
    report = sampled_report((60, 3, 40, 40), 120, lambda index: index[0] % 7 == 4)
    row = report.inputs[0]
    kept = plot.kept_indices(row)
    assert len(kept[0]) < 60 and row.worst[0] in kept[0] and list(kept[0]) == sorted(kept[0]) and (kept[0] % 7 == 4).mean() > 0.5
    figure = report.plot()
    assert f"axis 0: {len(kept[0])} of 60 indices are shown" in texts(figure)
    assert len(marks(maps(figure)[0])) == row.mask[kept[0]].sum()


# --- manners


@pytest.mark.parametrize("shape", [*SHAPES, (2000,), (400, 3), (500, 2, 2), (60, 3, 3, 3), (2, 1, 3, 2, 2, 2)], ids=str)
def test_it_draws_without_a_warning(shape):
    """Every text lies on the page, and the picture can be written."""
    report = report_of(shape, some(shape), diagnosis="a_$b$_{c} ^ \\frac: dollars and backslashes are letters here.")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = report.plot()
        image = figure._repr_png_()
    assert image.startswith(b"\x89PNG") and len(image) < 200_000
    width, height = figure.get_size_inches()
    assert width == 9 and 2 < height < 9
    for text in figure.texts:
        box = text.get_window_extent()
        assert not text.get_text() or box.x0 >= 0 and box.y0 >= -1 and box.y1 <= height * figure.dpi
    assert figure.texts[-1].get_window_extent().x1 <= width * figure.dpi


def test_infinite_and_zero_gradients():
    zero = np.zeros((2, 3))
    report_of((2, 3), a=zero, n=zero).plot()._repr_png_()
    report_of((2, 3), a=zero, n=zero + np.inf, mask=zero == 0).plot()._repr_png_()


def test_pyplot_is_left_alone():
    code = ("import sys, numpy as np; from tinyvision.gradcheck import check_pair; "
            "check_pair(lambda x: (x * x, x), lambda dout, cache: dout * cache, np.ones(3)).plot(); "
            "print('matplotlib.pyplot' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("tinyvision.packages.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="plot_report: needs the package matplotlib, .* pip install matplotlib"):
        report_of((3,)).plot()
