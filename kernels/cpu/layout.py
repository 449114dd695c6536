"""Where the numbers of a convolution lie: the plan of the tile buffer, in integers only.  (The words are explained in __init__.py.)

A convolution reads, at output position j of an axis, the pixels  j*S + r  of that axis, with one shift r per tap (for a
forward pass r = k*D - lo).  The kernel copies the rows that a tile of output rows needs to a buffer, with zeros for what lies
outside, and there each tap is one offset:

    y[m, p] = sum over k of  w[m, k] * buffer[off[k] + p]         filter m, output p, tap k = (channel, depth, row, column)

In order, the buffer is  [channel of the group, depth tap, image, phase of rows, phase of columns, row, column],  or, where images
are mixed,  [channel, depth tap, phase of rows, phase of columns, row, column, image].  A pixel is copied once for each tap along
the depth, where im2col copies it for every tap: for 3x3 that is a ninth, small enough for a core's cache.

- A row of the buffer has `pitch` numbers, and p = row * pitch + column counts along it.  With stride 1 the zeros before a row serve
  as those after the row above it, if there are enough of them (pitch_of).
- With a stride S > 1 consecutive outputs read every S-th pixel.  The buffer is split into phases, one for each remainder
  of the shift by S, so that they stand side by side again.
- Of volumes each (channel, tap along the depth) is a plane of its own; signals are pictures of one row.

Why one offset is enough: with `first` the smallest shift,  r - first = step * S + phase  (phase < S), so output j reads pixel
j*S + r = first + phase + (j + step) * S,  which is number j + step of that phase: j, plus what depends on the tap only.

For instance 3x3 taps with stride 2 and a border of 1 over 9x9 pixels have 5x5 outputs and shifts -1, 0, 1.  Shifts -1 and 1 are
the phase of odd pixels, 0 that of even ones, along both axes: four phases of 6x6 numbers, from 0, 36, 72 and 108 on.  The nine
taps are at 0, 36, 1 (row -1), 72, 108, 73 (row 0), 6, 42 and 7 (row 1).

A vector is what a register holds: L numbers, 16 of float32 with AVX-512.  `vectors` cuts the outputs of a tile into vectors, in the
first of these ways that fits:

    mixed      pictures are small and many, and L of them share the buffer: a vector is one pixel of L pictures
    rows       of L outputs or more: each row by itself, its last vector moved back into the row, if that takes at most a tenth
               more vectors than flat
    halves     of a multiple of L/2 outputs, with an even number of halves in the tile: a vector is two of them, of one row or of
               two (`pieces` is 2)
    flat       all p from the first to the last, the last vector moved back; columns between rows are computed and thrown away, and
               so is what is behind the last of fewer than L outputs

Rows and halves (`by_rows`) are stored right where they belong, so they need outputs side by side and a whole block of filters (M
of conv.tile_for: a micro-kernel always writes so many, and with fewer filters some would lie outside of y); flat and mixed outputs
go to a scratch `out` first, from where conv.put copies them.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

PIXELS = 2048                                             # outputs after which another image in the buffer is no gain
BUFFER = 800 << 10                                        # bytes of a buffer: it shall stay in a core's second-level cache
SLACK = 64                                                # numbers behind the pictures: the last vector reads up to L - 1 of them


@dataclass(frozen=True)
class Axis:
    """One axis: shifts of the taps, stride and count of the outputs, pixels of the input."""

    shifts: tuple
    stride: int
    count: int
    size: int

    @property
    def first(self):
        return min(self.shifts)

    @property
    def phases(self):
        """The remainders (r - first) % stride that occur, in rising order; pixels of the others are not copied."""
        return tuple(sorted({(r - self.first) % self.stride for r in self.shifts}))

    @property
    def reach(self):
        """n outputs read n + reach numbers of a phase: how far behind an output's own number its last tap reads."""
        return max((r - self.first) // self.stride for r in self.shifts)

    def place(self, r):
        """Of a shift: the index of its phase, and how far behind the output's own number of that phase it reads."""
        step, phase = divmod(r - self.first, self.stride)
        return self.phases.index(phase), step

    def classes(self, neighbours):
        """Outputs next to each other that need the same taps, as [[outputs, taps]].

        Judged for `neighbours` outputs at a time: a tap is needed if for one of them at least it lies over the picture.  3 pixels,
        3 taps, a border of 1, judged singly: [[[0], [1, 2]], [[1], [0, 1, 2]], [[2], [0, 1]]].
        """
        found = []
        for start in range(0, self.count, neighbours):
            outputs = list(range(start, min(start + neighbours, self.count)))
            inside = [k for k, r in enumerate(self.shifts) if any(0 <= j * self.stride + r < self.size for j in outputs)]
            if found and found[-1][1] == inside:
                found[-1][0].extend(outputs)
            else:
                found.append([outputs, inside])
        return found


ONE = Axis((0,), 1, 1, 1)                                 # an axis that is not there


def axes_of(window, out, sizes):
    """The axes of a convolution; signals and pictures are volumes of depth (and height) 1."""
    each = zip(window.size, window.dilation, window.padding, window.stride, out, sizes)
    axes = [Axis(tuple(k * d - lo for k in range(n)), s, o, h) for n, d, (lo, _), s, o, h in each]
    return (ONE,) * (3 - len(axes)) + tuple(axes)


def row_of(axes, L):
    """The axes of a 1x1 kernel as one: rows of 256, 128 ... 16 numbers, whole vectors, if these divide it, else one row."""
    pixels = prod(a.size for a in axes)
    width = next((w for w in (256, 128, 64, 32, 16) if w % L == 0 and pixels % w == 0), pixels)
    return ONE, Axis((0,), 1, pixels // width, pixels // width), Axis((0,), 1, width, width)


def output_phases(n, d, lo, s, h, pixels):
    """Of one axis of a transposed convolution: (a, Axis or None, taps) for the outputs a, a + s, a + 2*s ... < h, for each a < s.

    n taps, dilation d, padding lo before, stride s, `pixels` of u.  Pixel i of u adds to output  i*s + k*d - lo,  so output a + j*s
    takes from  i = j + (a + lo - k*d) / s,  by those taps k for which that is whole: a convolution of stride 1 with these shifts.
    None: no tap reaches these outputs.
    """
    for a in range(min(s, h)):
        taps = [k for k in range(n) if (a + lo - k * d) % s == 0]
        yield a, Axis(tuple((a + lo - k * d) // s for k in taps), 1, -(-(h - a) // s), pixels) if taps else None, taps


def ints(values):
    return np.ascontiguousarray(values, np.int64)


def record(**numbers):
    """Integers with names, in the form in which a kernel takes them: an array of one record, r[0].name."""
    return np.array([tuple(map(int, numbers.values()))], [(name, np.int64) for name in numbers])


@dataclass(frozen=True, eq=False)
class Layout:
    """The buffer for `images` images of one tile of `rows` output rows; `channels` are those of one group.

    plane, image, phase: how many numbers lie from one (channel, depth tap), image or phase in the buffer to the next.
    pitch: columns from one row to the next.  lane: numbers from one column to the next, which is 1, or L where L images are mixed:
    each pixel's L values stand side by side, so the next image is 1 number away (image is 1), and phase and plane count all L.
    copied: False where the picture itself serves as the buffer, of one image; then pitch, phase and plane are distances in it.
    """

    channels: int
    depth: Axis
    height: Axis
    width: Axis
    rows: int
    images: int
    pitch: int
    copied: bool
    lane: int = 1

    def offsets(self):
        """off[k] = (channel, depth tap) * plane + (phases of row and column) * phase + (row step * pitch + column step) * lane,
        for all taps k = (channel, depth, row, column); phases and steps as Axis.place gives them.
        """
        taps = []
        for r in self.height.shifts:
            for c in self.width.shifts:
                (a, row), (b, column) = self.height.place(r), self.width.place(c)
                taps.append((a * len(self.width.phases) + b) * self.phase + (row * self.pitch + column) * self.lane)
        planes = self.plane * np.arange(self.channels * len(self.depth.shifts))
        return ints((planes[:, None] + np.array(taps)).ravel())

    def classes(self):
        """(rows, columns, taps) of the outputs of a tile: which taps read more than zeros there.

        That differs only where pictures are mixed, for there a vector is one pixel; and is worth several runs of vectors only if it
        saves a quarter of the products.
        """
        every = np.arange(self.channels * len(self.depth.shifts) * len(self.height.shifts) * len(self.width.shifts))
        if self.lane > 1:
            numbers = every.reshape(-1, len(self.height.shifts), len(self.width.shifts))
            found = [(rows, columns, numbers[:, up][:, :, along].ravel()) for rows, up in self.height.classes(1)
                     for columns, along in self.width.classes(2)]         # two: a tile of one vector would be slow
            if sum([len(r) * len(c) * len(taps) for r, c, taps in found]) < 0.75 * self.rows * self.width.count * every.size:
                return found
        return [(range(self.rows), range(self.width.count), every)]

    @property
    def work(self):
        """Outputs of a tile of one picture, each counted as the share of the taps that are computed for it."""
        computed = sum([len(rows) * len(columns) * len(taps) for rows, columns, taps in self.classes()])
        return computed / (self.channels * len(self.depth.shifts) * len(self.height.shifts) * len(self.width.shifts))

    @property
    def fields(self):
        """What the kernels must know to fill the buffer, by name."""
        axes = {"D": self.depth, "H": self.height, "W": self.width}
        return {"C": self.channels, **{name: axis.size for name, axis in axes.items()},
                **{f"stride_{name}": axis.stride for name, axis in axes.items()},
                **{f"first_{name}": axis.first for name, axis in axes.items()},
                "lines": self.lines, "pitch": self.pitch, "phase": self.phase, "plane": self.plane, "image": self.image,
                "lane": self.lane, "copied": self.copied}

    @property
    def lines(self):
        """Rows of a phase in the buffer."""
        return self.rows + self.height.reach

    @property
    def phase(self):
        return (self.lines * self.pitch + overflow(self.width, self.pitch)) * self.lane if self.copied else prod(self.sizes[1:])

    @property
    def image(self):
        return 1 if self.lane > 1 else self.phase * len(self.height.phases) * len(self.width.phases)

    @property
    def plane(self):
        if not self.copied:
            return prod(self.sizes)
        return self.phase * len(self.height.phases) * len(self.width.phases) * (1 if self.lane > 1 else self.images)

    @property
    def sizes(self):
        return self.depth.size, self.height.size, self.width.size

    @property
    def tiles(self):
        return -(-self.height.count // self.rows)

    @property
    def numbers(self):
        """Numbers of the buffer, slack included."""
        return self.channels * len(self.depth.shifts) * self.plane + SLACK if self.copied else 1


def overflow(width, pitch):
    """Numbers that the last output of the last row reads behind it: zeros of its own, for there is no next row to lend them."""
    return max(0, width.count + width.reach - pitch)


def pitch_of(width):
    """Columns from one row of the buffer to the next.

    A row is -first zeros, the pixels, and zeros as far as its last output reads (`needed`).  If the zeros before the next row are
    enough for the latter, a row ends with its pixels (`shared`).

    5 pixels, 3 taps, a border of 1 (shifts -1, 0, 1): needed = 5 + 2 = 7 (0 x x x x x 0), shared = 6: the zero behind a row is the
    one before the next, 0 x x x x x | 0 x x x x x | ... ; behind the last row `overflow` adds 7 - 6 = 1 zero.
    """
    needed = width.count + width.reach
    shared = width.size - min(width.first, 0)
    if width.stride == 1 and 0 < needed - shared <= -width.first:
        return shared
    return needed


@lru_cache(512)
def layout(channels, depth, height, width, itemsize, most_images=1, in_place=False, L=1, dots=False, budget=BUFFER):
    """The plan for these axes.  If all rows fit the buffer, up to `most_images` small images follow one another in it (a power of
    2); if not, the rows are halved until they fit.  A single row is never cut, so long signals exceed the budget.

    Given L, images may also be mixed.  That takes time, so it must save a fifth of the numbers that vectors along the rows compute:
    columns between rows, and taps outside of the picture; of dots, which leave no tap out, a tenth.
    """
    def plan(rows, images, pitch, copied, lane=1):
        return Layout(channels, depth, height, width, rows, images, pitch, copied, lane)

    if in_place:                                          # the picture itself serves: nothing is copied
        rows = height.count
        # a tile has at least a vector's pixels, for there is no slack behind a picture
        while rows % 2 == 0 and rows // 2 * width.count >= L and channels * rows * width.size * itemsize > budget:
            rows //= 2
        return plan(rows, 1, width.size, False)
    rows, images, pitch = height.count, 1, pitch_of(width)
    if most_images >= L > 1:
        mixed = plan(rows, L, width.count + width.reach, True, L)
        if mixed.numbers * itemsize <= budget:
            needed = rows * width.count / 0.9 if dots else mixed.work / 0.8
            if needed < along_rows(rows, width.count, pitch, L):
                return mixed
    while rows > 1 and plan(rows, 1, pitch, True).numbers * itemsize > budget:
        rows = (rows + 1) // 2
    if rows == height.count:
        pixels = rows * width.count
        while 2 * images <= most_images and pixels * images < PIXELS:
            if plan(rows, 2 * images, pitch, True).numbers * itemsize > budget:
                break
            images *= 2
    return plan(rows, images, pitch, True)


def along_rows(rows, count, pitch, L):
    """Numbers that vectors along the rows compute for a filter: halves waste none; flat, all from the first to the last."""
    halves = L > 2 and count % (L // 2) == 0 and rows * count // (L // 2) % 2 == 0        # as `vectors` decides, where it may
    return rows * count if halves else -(-((rows - 1) * pitch + count) // L) * L


def pointwise(depth, height, width):
    """Whether every output reads the pixel at its own place: a 1x1 convolution of stride 1 without a border."""
    return all(a.shifts == (0,) and a.stride == 1 and a.count == a.size for a in (depth, height, width))


@dataclass(frozen=True, eq=False)
class Vectors:
    """vin: where a tile's vectors start in the buffer; vout: where in the outputs of one filter, of y if by_rows, else of `out`.

    pieces: 2 where a vector is two halves, with an entry each in vin and vout.  by_rows: whether every row of outputs begins with a
    new vector or half.
    """

    vin: np.ndarray
    vout: np.ndarray
    pieces: int
    by_rows: bool

    @property
    def count(self):
        return len(self.vin) // self.pieces


@lru_cache(512)
def vectors(plan, out_pitch, out_image, L, may_be_by_rows):
    """Cut a tile's outputs into vectors, in one of the ways at the top.  In y rows are `out_pitch` apart, images `out_image`."""
    rows, count, pitch, half, pieces, by_rows = plan.rows, plan.width.count, plan.pitch, L // 2, 1, may_be_by_rows
    if plan.lane > 1:
        # output (r, c) of all L pictures: at L * (r*pitch + c) in the buffer, at L * (r*count + c) in `out`, which has no gaps
        pixels = np.array([(r, c) for some, columns, _ in plan.classes() for r in some for c in columns])
        return Vectors(*(ints(L * pixels @ (between, 1)) for between in (pitch, count)), pieces=1, by_rows=False)
    flat = (rows - 1) * pitch + count
    if by_rows and count >= L and rows * -(-count // L) <= 1.1 * -(-flat // L):
        # the last vector of a row overlaps the one before it
        vin, vout = places(rows, [min(c, count - L) for c in range(0, count, L)], pitch, out_pitch)
    elif by_rows and half > 1 and count % half == 0 and rows * count // half % 2 == 0:
        (vin, vout), pieces = places(rows, range(0, count, half), pitch, out_pitch), 2
    else:
        vin = vout = np.array([max(0, min(p, flat - L)) for p in range(0, flat, L)])
        by_rows, out_image = False, -(-flat // L) * L     # in `out` every image has a whole number of vectors
    images = np.arange(plan.images)[:, None]
    return Vectors(ints((images * plan.image + vin).ravel()), ints((images * out_image + vout).ravel()), pieces, by_rows)


def runs(plan, count, M):
    """Two tables, (runs, taps): a run is a range of vectors that meet the same taps.

    runs[i] = (its first vector, the one behind its last, its first line of `taps`, how many lines); a line of taps is (off[k] in
    the buffer, M * k in a panel).  There is one run of all `count` vectors or, where images are mixed, one for each class of
    outputs.
    """
    classes = plan.classes()
    sizes = [count] if len(classes) == 1 else [len(rows) * len(columns) for rows, columns, _ in classes]
    taps = [len(some) for *_, some in classes]
    ends, chosen = np.cumsum(sizes), np.concatenate([some for *_, some in classes])
    return (ints(np.stack([ends - sizes, ends, np.cumsum(taps) - taps, taps], axis=1)),
            ints(np.stack([plan.offsets()[chosen], M * chosen], axis=1)))


@lru_cache(512)
def dot_vectors(plan, L):
    """Vectors for weight_grad.  None is moved back, for no output may be met twice: lanes without an output read what is there, and
    meet zeros in the other factor (conv.line_up).
    """
    rows, count, half = plan.rows, plan.width.count, L // 2
    if plan.lane > 1:
        return Vectors(ints(L * places(rows, range(count), plan.pitch)[0]), None, pieces=1, by_rows=False)
    flat_vectors = -(-((rows - 1) * plan.pitch + count) // L)
    if rows * -(-count // L) <= flat_vectors:
        (starts,), pieces, by_rows = places(rows, range(0, count, L), plan.pitch), 1, True
    elif half > 1 and count % half == 0 and rows * count // half % 2 == 0:
        (starts,), pieces, by_rows = places(rows, range(0, count, half), plan.pitch), 2, True
    else:
        starts, pieces, by_rows = np.arange(flat_vectors) * L, 1, False
    every = plan.image * np.arange(plan.images)[:, None] + starts
    return Vectors(ints(every.ravel()), None, pieces, by_rows)


def places(rows, starts, *pitches):
    """r * pitch + start for all rows r and starts, for each pitch."""
    return [ints([r * pitch + c for r in range(rows) for c in starts]) for pitch in pitches]
