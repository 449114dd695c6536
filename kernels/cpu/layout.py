"""Where the numbers of a convolution lie: the plan of the tile buffer, in integers only.

A convolution reads, at output position j of an axis, the pixels  j*S + r  of that axis, with one shift r per tap (for a
forward pass r = k*D - lo).  The kernel copies the rows that a tile of output rows needs to a buffer, with zeros for what lies
outside, and there each tap is one offset:

    y[m, p] = sum over k of  w[m, k] * buffer[off[k] + p]         filter m, output p, tap k = (channel, depth, row, column)

- A row of the buffer has `pitch` numbers, and p = row * pitch + column counts along it.  With stride 1 the zeros before a row serve
  as those after the row above it, if there are enough of them (pitch_of).
- With a stride S > 1 consecutive outputs read every S-th pixel.  The buffer is split into phases, one for each remainder
  of the shift by S, so that they stand side by side again.
- Of volumes each (channel, tap along the depth) is a plane of its own; signals are pictures of one row.

For instance 3x3 taps with stride 2 and a border of 1 over 9x9 pixels have 5x5 outputs and shifts -1, 0, 1.  Shifts -1 and 1 are
the phase of odd pixels, 0 that of even ones, along both axes: four phases of 6x6 numbers, from 0, 36, 72 and 108 on.  The nine
taps are at 0, 36, 1 (row -1), 72, 108, 73 (row 0), 6, 42 and 7 (row 1).

A vector is what a register holds: L numbers, 16 of float32 with AVX-512.  `vectors` cut the output of a tile into pieces of L
pixels: whole rows where these are long enough, which are stored right where they belong; else all of p from the first to the
last, and the columns between rows are computed and thrown away.  Where pictures are small and many, L of them may be mixed: a
vector is then one pixel of L pictures.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

PIXELS = 2048                                             # outputs after which another image in the buffer is no gain
BUFFER = 800 << 10                                        # bytes of a buffer: it shall stay in a core's second-level cache
SLACK = 64                                                # numbers behind the pictures, for the last vector to reach beyond


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
        """The remainders of the shifts by the stride that occur, counted from the first."""
        return tuple(sorted({(r - self.first) % self.stride for r in self.shifts}))

    @property
    def reach(self):
        """Steps from an output's place in its phase to the last that a tap reads."""
        return max((r - self.first) // self.stride for r in self.shifts)

    def place(self, r):
        """Phase and step of a shift."""
        step, phase = divmod(r - self.first, self.stride)
        return self.phases.index(phase), step

    def classes(self, together):
        """[outputs, taps]: neighbours, `together` at a time, and the taps by which one of them reads a pixel of the input."""
        found = []
        for start in range(0, self.count, together):
            outputs = list(range(start, min(start + together, self.count)))
            inside = [k for k, r in enumerate(self.shifts) if any(0 <= j * self.stride + r < self.size for j in outputs)]
            if found and found[-1][1] == inside:
                found[-1][0].extend(outputs)
            else:
                found.append([outputs, inside])
        return found


ONE = Axis((0,), 1, 1, 1)                                 # an axis that is not there


def ints(values):
    return np.ascontiguousarray(values, np.int64)


def record(**numbers):
    """Integers with names, in the form in which a kernel takes them: an array of one record, r[0].name."""
    return np.array([tuple(map(int, numbers.values()))], [(name, np.int64) for name in numbers])


@dataclass(frozen=True, eq=False)
class Layout:
    """The buffer for `images` images of one tile of `rows` output rows.

    plane: numbers of a (channel, depth tap) of all images, image: of one image of it, phase: of one phase of that.
    lane: 1, or where pictures are small and many, L: then L images are mixed, each pixel's L values side by side.
    copied: False where the picture itself serves as the buffer.
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
        """off[k] for all taps k = (channel, depth, row, column)."""
        taps = []
        for r in self.height.shifts:
            for c in self.width.shifts:
                (a, row), (b, column) = self.height.place(r), self.width.place(c)
                taps.append((a * len(self.width.phases) + b) * self.phase + (row * self.pitch + column) * self.lane)
        planes = self.plane * np.arange(self.channels * len(self.depth.shifts))
        return ints((planes[:, None] + np.array(taps)).ravel())

    def classes(self):
        """(rows, columns, taps) of the outputs of a tile: which taps read more than zeros there.

        That differs only where pictures are mixed, for there a vector is one pixel; and is told apart if it saves a quarter.
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
    def numbers_of_pack(self):
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
    """Columns that the last output of a row reads beyond the row."""
    return max(0, width.count + width.reach - pitch)


def pitch_of(width):
    """Numbers of a row in the buffer: shared borders where the zeros before a row are enough for the row above it."""
    needed = width.count + width.reach
    shared = width.size - min(width.first, 0)
    if width.stride == 1 and 0 < needed - shared <= -width.first:
        return shared
    return needed


@lru_cache(512)
def layout(channels, depth, height, width, itemsize, most_images=1, in_place=False, L=1, dots=False, budget=BUFFER):
    """The plan for these axes: as many rows as the buffer holds, and up to `most_images` small pictures side by side.

    Given L, pictures may also be mixed: a vector is then a pixel of L images, and no lane of it lies between two rows.  To mix
    takes time, so vectors along the rows must waste a fifth of theirs; for dots, which leave no tap out, a tenth.
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
            if needed < lanes(rows, width.count, pitch, L):
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


def lanes(rows, count, pitch, L):
    """The lanes of vectors along the rows: halves of a vector fit into a row, or the vectors go on from row to row."""
    return rows * count if count % (L // 2) == 0 else -(-((rows - 1) * pitch + count) // L) * L


def pointwise(depth, height, width):
    """Whether every output reads the pixel at its own place: a kernel of one tap."""
    return all(a.shifts == (0,) and a.stride == 1 and a.count == a.size for a in (depth, height, width))


@dataclass(frozen=True, eq=False)
class Vectors:
    """Where the vectors of a tile start in the buffer, and in a row of the output; `pieces` 2 where each is two halves.

    direct: whether outputs are stored right where they belong; of dot_vectors, whether a row of outputs begins with a new vector,
    or half of one.
    """

    vin: np.ndarray
    vout: np.ndarray
    pieces: int
    direct: bool

    @property
    def count(self):
        return len(self.vin) // self.pieces


@lru_cache(512)
def vectors(plan, out_pitch, out_image, L, direct):
    """Cut the outputs of a tile into vectors, straight into outputs with rows of `out_pitch` if that is no waste."""
    rows, count, pitch, half, pieces = plan.rows, plan.width.count, plan.pitch, L // 2, 1
    if plan.lane > 1:
        pixels = np.array([(r, c) for some, columns, _ in plan.classes() for r in some for c in columns])
        return Vectors(*(ints(L * pixels @ (row, 1)) for row in (pitch, count)), 1, False)
    flat = (rows - 1) * pitch + count
    if direct and count >= L and rows * -(-count // L) <= 1.1 * -(-flat // L):
        # the last vector of a row overlaps the one before it
        vin, vout = lines(rows, [min(c, count - L) for c in range(0, count, L)], pitch, out_pitch)
    elif direct and half > 1 and count % half == 0 and rows * count // half % 2 == 0:
        (vin, vout), pieces = lines(rows, range(0, count, half), pitch, out_pitch), 2
    else:
        vin = vout = np.array([max(0, min(p, flat - L)) for p in range(0, flat, L)])
        direct, out_image = False, -(-flat // L) * L
    images = np.arange(plan.images)[:, None]
    return Vectors(ints((images * plan.image + vin).ravel()), ints((images * out_image + vout).ravel()), pieces, direct)


def runs(plan, count, M):
    """runs[i] = first vector, the one behind the last, first tap, taps; of these the places in the buffer and a panel (pack.py).

    count: all vectors; there is one run of them, or one for each class of outputs.
    """
    classes = plan.classes()
    vectors = [count] if len(classes) == 1 else [len(rows) * len(columns) for rows, columns, _ in classes]
    taps = [len(some) for *_, some in classes]
    ends, chosen = np.cumsum(vectors), np.concatenate([some for *_, some in classes])
    return (ints(np.stack([ends - vectors, ends, np.cumsum(taps) - taps, taps], axis=1)),
            ints(np.stack([plan.offsets()[chosen], M * chosen], axis=1)))


@lru_cache(512)
def dot_vectors(plan, L):
    """The same for sums over the outputs, where no output may be met twice; behind a row stand zeros in the other factor."""
    rows, count, half = plan.rows, plan.width.count, L // 2
    if plan.lane > 1:
        return Vectors(ints(L * lines(rows, range(count), plan.pitch)[0]), None, 1, False)
    flat = -(-((rows - 1) * plan.pitch + count) // L)
    if rows * -(-count // L) <= flat:
        (starts,), pieces, whole = lines(rows, range(0, count, L), plan.pitch), 1, True
    elif half > 1 and count % half == 0 and rows * count // half % 2 == 0:
        (starts,), pieces, whole = lines(rows, range(0, count, half), plan.pitch), 2, True
    else:
        starts, pieces, whole = np.arange(flat) * L, 1, False
    every = plan.image * np.arange(plan.images)[:, None] + starts
    return Vectors(ints(every.ravel()), None, pieces, whole)


def lines(rows, starts, *pitches):
    return [ints([r * pitch + c for r in range(rows) for c in starts]) for pitch in pitches]
