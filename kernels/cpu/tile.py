"""The inner loops of convolution (micro-kernels), as LLVM instructions: a tile of numbers that stays in registers.

    fma_tile       out[m, v] = bias[m] + sum over k of  w[k, m] * x[off[k] + v]   M rows m, N vectors v of L pixels
    dot_tile       out[m, n] += sum over v of  a[m, v] * x[off[n] + v]            a vector of partial sums per (m, n)
    product_tile   out[m, v] += sum over k of  a[m, k] * x[k, v]                  the plain matrix product, without offsets

x is the buffer or a picture, w a panel, a gradients of outputs; in the third a and x are any two matrices.  N counts vectors, and
taps in the second.  fma: a product added to a sum in one instruction.  ldo, lda, ldx: numbers from one row of an array to the
next.

In all, the M*N sums are vector registers, and one step loads M + N operands for M*N multiply-adds: that ratio is what lets
a core compute on every cycle instead of waiting for its cache.  A Numba loop cannot say this, for it has no vectors and
keeps arrays in memory; so these loops are written in LLVM's own language, through numba.extending.intrinsic, and Numba
compiles them into whatever calls them: while it compiles a kernel it calls an @intrinsic, which returns the types of its arguments
and `code`, and `code` writes the instructions.  There builder.mul(a, b) multiplies nothing yet, it writes a multiplication down; a
Python loop over M and N is so written out M*N times, and only at.loop is a loop of the machine.  A vector has L numbers; LLVM
turns it into the registers that the machine has.

A vector may also be made of two halves at two places (pieces = 2), for rows of half its length.

Source: Goto and van de Geijn 2008, doi:10.1145/1356052.1356053 (register tiles of a matrix product).
"""

import copy
from functools import lru_cache, partial

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

INT, INT32 = ir.IntType(64), ir.IntType(32)


def vector_bytes():
    """Bytes of a vector register, and the number of registers, of this machine."""
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, 32
    if features.get("avx2") and features.get("fma"):
        return 32, 16
    return 16, 32 if features.get("neon") or "aarch64" in binding.get_process_triple() else 16


BYTES, REGISTERS = vector_bytes()
# rows and vectors of a tile: M*N sums, N pixels and a weight fit the registers; of the dots M*N sums, N + 1 operands
FMA = (8, 3) if REGISTERS == 32 else (4, 3)
DOT = (4, 6) if REGISTERS == 32 else (2, 4)


def lanes(dtype):
    """Numbers of this dtype in a vector register."""
    return BYTES // dtype.itemsize


class Writer:
    """Vectors of L numbers of one type, in the function that `builder` writes; called `at`: at.at(x, i) is an address.

    The builder's words are LLVM's: gep is an address plus an offset, select one of two values, phi a value that depends on where
    the program came from (as in a loop: from before it, or from its last turn), shuffle_vector a choice of lanes of two vectors.
    For a convolution these are enough: at, load, store, splat, same, gather, scatter, loop, zero, shuffle, lane_sums; masks are for
    copy_padded, mix_rows and part_rows, `transposed` and by_lanes for the last two, the rest for other files.  parts: into how many
    vectors a register is cut.
    """

    def __init__(self, context, builder, signature, values, parts=1):
        self.b, self.values = builder, values
        self.arrays = [context.make_array(t)(context, builder, v).data if isinstance(t, types.Array) else None
                       for t, v in zip(signature.args, values)]
        number = next(t.dtype for t in signature.args if isinstance(t, types.Array) and isinstance(t.dtype, types.Float))
        self.number = ir.FloatType() if number.bitwidth == 32 else ir.DoubleType()
        self.size = number.bitwidth // 8
        self.L = BYTES // self.size // parts
        self.vector = ir.VectorType(self.number, self.L)
        name = f"llvm.fma.v{self.L}f{number.bitwidth}"
        self.fused = cgutils.get_or_insert_function(builder.module, ir.FunctionType(self.vector, [self.vector] * 3), name)

    def at(self, array, *offsets):
        """The address of element sum(offsets) of an array, given by its place among the arguments, or of an address."""
        pointer = self.arrays[array] if isinstance(array, int) else array
        for offset in offsets:
            pointer = self.b.gep(pointer, [ir.Constant(INT, offset) if isinstance(offset, int) else offset])
        return pointer

    def load(self, pointer, length=None):
        kind = self.vector if length is None else ir.VectorType(self.number, length)
        value = self.b.load(self.b.bitcast(pointer, kind.as_pointer()))
        value.align = self.size                           # rows begin anywhere: at a multiple of a number's size only
        return value

    def store(self, value, pointer):
        self.b.store(value, self.b.bitcast(pointer, value.type.as_pointer())).align = self.size

    def mask_between(self, first, count):
        """The mask of the lanes i with 0 <= first + i < count; none where the count is negative."""
        count = self.b.select(self.b.icmp_signed(">", count, ir.Constant(INT, 0)), count, ir.Constant(INT, 0))
        lanes, first, count = self.lane_numbers(), *(self.same(self.b.trunc(value, INT32)) for value in (first, count))
        return self.b.icmp_unsigned("<", self.b.add(lanes, first), count)              # unsigned, less than 0 is very large

    def below(self, count, period=BYTES):
        """The mask of the lanes i for which i % period < count; there are never as many lanes as BYTES."""
        return self.b.icmp_signed("<", self.lane_numbers(period), self.same(self.b.trunc(count, INT32)))

    def lane_numbers(self, period=BYTES):
        return ir.Constant(ir.VectorType(INT32, self.L), [i % period for i in range(self.L)])

    def same(self, value):
        """A number in all lanes."""
        none = ir.Constant(ir.VectorType(value.type, self.L), ir.Undefined)
        return self.shuffle(self.b.insert_element(none, value, ir.Constant(INT32, 0)), none, [0] * self.L)

    def load_where(self, pointer, mask):
        """A vector of memory, with zeros where the mask is off: nothing is read there."""
        return self.masked("load", self.vector, [pointer, ir.Constant(INT32, self.size), mask, self.zero()])

    def store_where(self, value, pointer, mask):
        self.masked("store", ir.VoidType(), [value, pointer, ir.Constant(INT32, self.size), mask])

    def masked(self, verb, kind, operands):
        name, vectors = f"v{self.L}f{8 * self.size}", self.vector.as_pointer()
        operands = [self.b.bitcast(x, vectors) if isinstance(x.type, ir.PointerType) else x for x in operands]
        function = cgutils.get_or_insert_function(self.b.module, ir.FunctionType(kind, [x.type for x in operands]),
                                                  f"llvm.masked.{verb}.{name}.p0{name}")
        return self.b.call(function, operands)

    def prefetch(self, pointer, write=False):
        """Ask for the memory at an address, which need not exist, before it is read or written."""
        kinds = [ir.IntType(8).as_pointer(), INT32, INT32, INT32]
        function = cgutils.get_or_insert_function(self.b.module, ir.FunctionType(ir.VoidType(), kinds), "llvm.prefetch.p0i8")
        self.b.call(function, [self.b.bitcast(pointer, kinds[0]), *(ir.Constant(INT32, value) for value in (int(write), 3, 1))])

    def shuffle(self, u, v, order):
        return self.b.shuffle_vector(u, v, ir.Constant(ir.VectorType(INT32, len(order)), order))

    def transposed(self, rows):
        """L vectors to L vectors: lane j of vector i becomes lane i of vector j.

        Each turn interleaves vectors i and i + L/2, which moves the bits of i and j, written side by side, round by one place:
        after as many turns as j has bits, i and j have changed places.  For L = 4, rows a b c d become  a0 c0 a1 c1, a2 c2 a3 c3,
        b0 d0 b1 d1, b2 d2 b3 d3,  then  a0 b0 c0 d0, a1 b1 c1 d1, a2 b2 c2 d2, a3 b3 c3 d3.
        """
        half = range(self.L // 2)
        low, high = ([i + first + odd * self.L for i in half for odd in (0, 1)] for first in (0, self.L // 2))
        for _ in range(self.L.bit_length() - 1):
            rows = [self.shuffle(rows[i], rows[i + self.L // 2], lanes) for i in half for lanes in (low, high)]
        return rows

    def splat(self, pointer):
        """A number of memory, in all lanes."""
        return self.same(self.b.load(pointer))

    def zero(self):
        return ir.Constant(self.vector, [0.0] * self.L)

    def gather(self, pointers):
        """A vector from one place, or from two, half of it each."""
        if len(pointers) == 1:
            return self.load(pointers[0])
        return self.shuffle(*(self.load(p, self.L // 2) for p in pointers), list(range(self.L)))

    def scatter(self, value, pointers):
        if len(pointers) == 1:
            return self.store(value, pointers[0])
        for i, pointer in enumerate(pointers):
            half = range(i * self.L // 2, (i + 1) * self.L // 2)
            self.store(self.shuffle(value, value, list(half)), pointer)

    def loop(self, count, sums, body, rolled=True):
        """for i in range(count): sums = body(i, sums); returns the last sums."""
        b, entry = self.b, self.b.block
        head, inside, end = (b.function.append_basic_block(name) for name in ("head", "body", "end"))
        b.branch(head)
        b.position_at_end(head)
        i = b.phi(INT)
        i.add_incoming(ir.Constant(INT, 0), entry)
        held = [b.phi(self.vector) for _ in sums]
        for phi, value in zip(held, sums):
            phi.add_incoming(value, entry)
        b.cbranch(b.icmp_signed("<", i, count), inside, end)
        b.position_at_end(inside)
        for phi, value in zip(held, body(i, held)):
            phi.add_incoming(value, b.block)              # not `inside` where the body is a loop itself
        i.add_incoming(b.add(i, ir.Constant(INT, 1)), b.block)
        branch = b.branch(head)
        if rolled:
            keep_rolled(b.module, branch)
        b.position_at_end(end)
        return held                                       # the way out is from `head`, where these are what the last turn made

    def by_lanes(self, count, action):
        """action(j) for j = 0, L, 2L, ... < count"""
        def step(i, _):
            action(self.b.mul(i, ir.Constant(INT, self.L)))
            return []
        self.loop(self.b.sdiv(self.b.add(count, ir.Constant(INT, self.L - 1)), ir.Constant(INT, self.L)), [], step)

    def lane_sums(self, vectors):
        """L vectors to one whose lane j is the sum of vectors[j]: neighbours are added, of two vectors at a time.

        Every other lane, or two, or four ... is of the second vector, so that half of the numbers stay in their lanes: of a and b
        first (a0 + a1, b0 + b1, a2 + a3, b2 + b3), then with that of c and d (all of a, all of b, all of c, all of d).  Turn 1 adds
        lanes i and i ^ 1, turn 2 lanes i and i ^ 2 ..., and each makes one vector of two.
        """
        step = 1
        while len(vectors) > 1:
            stay = [i + self.L * (i // step % 2) for i in range(self.L)]
            move = [(i ^ step) + self.L * (i // step % 2) for i in range(self.L)]
            pairs = zip(vectors[::2], vectors[1::2])
            vectors, step = [self.b.fadd(self.shuffle(u, v, stay), self.shuffle(u, v, move)) for u, v in pairs], 2 * step
        return vectors[0]


def keep_rolled(module, branch):
    """Tell LLVM not to unroll this loop: twice the sums would not fit the registers, and it would spill them to memory."""
    no = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    node = module.add_metadata([ir.MetaDataString(module, f"loop{id(branch)}"), no])
    node.operands = (node, no)                            # such a node is told from others by naming itself
    branch.set_metadata("llvm.loop", node)


@lru_cache(None)
def fma_tile(M, N, pieces=1):
    """The loop over k; vin and vout hold the places of the vectors (of their pieces), in x and in a row of out.

    out[o + m*ldo + vout[v+n] + lane] = bias[b0 + m] + sum over k0 <= k < k0 + K of
                                        w[w0 + taps[k, 1] + m] * x[x0 + taps[k, 0] + vin[v+n] + lane]
    """
    # an array goes by its number among the arguments (at.at): w 0, taps 2, x 5, vin 7, out 9, vout 12, bias 13.  Outside of `code`
    # the names are types; inside, `values` has what the call hands over, in the same order
    @intrinsic
    def tile(typing, w, w0, taps, k0, K, x, x0, vin, v, out, o, ldo, vout, bias, b0):
        def code(context, builder, signature, values):
            at = Writer(context, builder, signature, values)
            w0, k0, K, x0, v, o, ldo, b0 = (values[i] for i in (1, 3, 4, 6, 8, 10, 11, 14))
            v = builder.mul(v, ir.Constant(INT, pieces))

            def places(table, array, start):
                each = [at.at(array, start, builder.load(at.at(table, v, i))) for i in range(N * pieces)]
                return [each[i:i + pieces] for i in range(0, N * pieces, pieces)]

            pixels, w, taps = places(7, 5, x0), at.at(0, w0), at.at(2, k0, k0)          # k0 + k0: a tap has two numbers
            first = [at.splat(at.at(13, b0, m)) for m in range(M) for _ in range(N)]

            def step(k, sums):
                shift, row = (builder.load(at.at(taps, k, k, column)) for column in (0, 1))
                xs = [at.gather([at.at(p, shift) for p in place]) for place in pixels]
                row = at.at(w, row)
                new = []
                for m in range(M):
                    weight = at.splat(at.at(row, m))
                    new += [builder.call(at.fused, [weight, xs[n], sums[m * N + n]]) for n in range(N)]
                return new

            last = at.loop(K, first, step)
            for n, place in enumerate(places(12, 9, o)):
                for m in range(M):
                    row = builder.mul(ldo, ir.Constant(INT, m))
                    at.scatter(last[m * N + n], [at.at(p, row) for p in place])
            return context.get_dummy_value()
        i = types.int64
        return types.void(w, i, taps, i, i, x, i, vin, i, out, i, i, vout, bias, i), code
    return tile


@lru_cache(None)
def product_tile(M, N):
    """A matrix product with columns in the lanes: N vectors of them, whose K rows lie one behind the other.

    out[o + m*ldo + n*L + lane] += sum over k < K of  a[a0 + m*lda + k] * x[x0 + n*ldx + k*L + lane]
    """
    @intrinsic
    def tile(typing, a, a0, lda, x, x0, ldx, K, out, o, ldo):
        def code(context, builder, signature, values):
            at = Writer(context, builder, signature, values)
            a0, lda, x0, ldx, K, o, ldo = (values[i] for i in (1, 2, 4, 5, 6, 8, 9))
            rows = [at.at(0, a0, builder.mul(lda, ir.Constant(INT, m))) for m in range(M)]
            columns = [at.at(3, x0, builder.mul(ldx, ir.Constant(INT, n))) for n in range(N)]

            def step(k, sums):
                place, new = builder.mul(k, ir.Constant(INT, at.L)), []
                xs = [at.load(at.at(column, place)) for column in columns]
                for m in range(M):
                    factor = at.splat(at.at(rows[m], k))
                    new += [builder.call(at.fused, [factor, xs[n], sums[m * N + n]]) for n in range(N)]
                return new

            last = at.loop(K, [at.zero()] * (M * N), step)
            for i, value in enumerate(last):
                place = at.at(7, o, builder.mul(ldo, ir.Constant(INT, i // N)), i % N * at.L)
                at.store(builder.fadd(at.load(place), value), place)
            return context.get_dummy_value()
        i = types.int64
        return types.void(a, i, i, x, i, i, i, out, i, i), code
    return tile


def blocks(M, N, L):
    """Cut M*N sums into groups of at most L, whose lane sums fit one vector.  The columns of a group are a power of 2: a row of it
    is loaded and stored at once, and machines do that with 1, 2, 4 ... numbers.
    """
    rows = [range(m, min(M, m + L)) for m in range(0, M, L)]
    columns, n, most = [], 0, max(1, L // min(M, L))
    while n < N:
        width = 1 << (min(most, N - n).bit_length() - 1)
        columns.append(range(n, n + width))
        n += width
    return [(ms, ns) for ms in rows for ns in columns]


@lru_cache(None)
def dot_tile(M, N, pieces=1):
    """The loop over v; vin holds the places of the vectors (of their pieces) in x.

    out[o + m*ldo + n] += sum over v < V and lanes of  a[a0 + m*lda + v*L + lane] * x[x0 + off[k0 + n] + vin[v0 + v] + lane]
    """
    @intrinsic
    def tile(typing, a, a0, lda, x, x0, off, k0, vin, v0, V, out, o, ldo):
        def code(context, builder, signature, values):
            at = Writer(context, builder, signature, values)
            a0, lda, x0, k0, v0, V, o, ldo = (values[i] for i in (1, 2, 4, 6, 8, 9, 11, 12))
            vin, L = at.at(7, builder.mul(v0, ir.Constant(INT, pieces))), at.L
            rows = [at.at(0, a0, builder.mul(lda, ir.Constant(INT, m))) for m in range(M)]
            taps = [at.at(3, x0, builder.load(at.at(5, k0, n))) for n in range(N)]

            def step(v, sums):
                start = builder.mul(v, ir.Constant(INT, pieces))
                shifts = [builder.load(at.at(vin, start, p)) for p in range(pieces)]
                xs = [at.gather([at.at(tap, shift) for shift in shifts]) for tap in taps]
                place, new = builder.mul(v, ir.Constant(INT, L)), []
                for m in range(M):
                    u = at.load(at.at(rows[m], place))
                    new += [builder.call(at.fused, [u, xs[n], sums[m * N + n]]) for n in range(N)]
                return new

            last = at.loop(V, [at.zero()] * (M * N), step)
            # each of the M*N sums is still a vector of L partial sums.  Up to L of them (a block of rows ms, columns ns) become one
            # vector of totals, lane j * len(ns) + i for row ms[j], column ns[i]; vectors of zeros fill up a block that is smaller.
            # Each row of the block is then cut out of the vector and added to out.  M, N = 4, 6 and L = 16: columns 0-3, then 4-5
            for ms, ns in blocks(M, N, L):
                sums = [last[m * N + n] for m in ms for n in ns]
                sums = at.lane_sums(sums + [at.zero()] * (L - len(sums)))
                for j, m in enumerate(ms):
                    row = at.shuffle(sums, sums, list(range(j * len(ns), (j + 1) * len(ns))))
                    place = at.at(10, o, builder.mul(ldo, ir.Constant(INT, m)), ns[0])
                    at.store(builder.fadd(at.load(place, len(ns)), row), place)
            return context.get_dummy_value()
        i = types.int64
        return types.void(a, i, i, x, i, off, i, vin, i, i, out, i, i), code
    return tile


def by_vectors(at, count, action, length=None):
    """action(j, length) over j < count: vectors, the last one overlapping; of a row shorter than a vector, two halves, quarters ...

    For length <= count < 2 * length two are enough, one from the start on and one up to the end.  Numbers in both are done twice,
    so the action must not write what it reads.
    """
    b, length = at.b, length or at.L
    size = ir.Constant(INT, length)
    with b.if_else(b.icmp_signed(">=", count, size)) as (long, short):
        with long:
            if length == at.L:
                at.loop(b.sdiv(count, size), [], lambda i, _: action(b.mul(i, size), length) or [])
            else:
                action(ir.Constant(INT, 0), length)
            action(b.sub(count, size), length)
        with short:
            if length > 1:
                by_vectors(at, count, action, length // 2)


def outlined(name, kinds, write, parts=1):
    """The `code` of an intrinsic that calls a function of its own, written by write(at, *arguments): one copy, however many calls.

    kinds: for each argument "array" or "int"; of an array the address goes in, and at.at takes addresses, too.
    """
    def code(context, builder, signature, values):
        at = Writer(context, builder, signature, values, parts)
        types_in = [at.arrays[i].type if kind == "array" else INT for i, kind in enumerate(kinds)]
        full = f"tinyvision.{name}.{8 * at.size}"
        function = builder.module.globals.get(full)
        if function is None:
            function = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), types_in), full)
            function.linkage = "linkonce_odr"             # several parts of a kernel may bring one of this name (jit.keep_inside)
            function.attributes.add("noinline")
            own = copy.copy(at)                           # a Writer for the new function
            own.b = ir.IRBuilder(function.append_basic_block("entry"))
            write(own, *function.args)
            own.b.ret_void()
        builder.call(function, [at.arrays[i] if kind == "array" else v for i, (kind, v) in enumerate(zip(kinds, values))])
        return context.get_dummy_value()
    return code


ROWS = "array", "int", "int", "array", "int", "int", "int", "int"          # the arguments of copy_rows and take_even, for outlined


def by_rows(at, to, d, to_pitch, x, s, pitch, rows, action, rolled=True):
    """action(address in `to`, address in x) for each of some rows, which begin to_pitch and pitch numbers apart"""
    def row(r, _):
        action(at.at(to, d, at.b.mul(r, to_pitch)), at.at(x, s, at.b.mul(r, pitch)))
        return []
    at.loop(rows, [], row, rolled)


@intrinsic
def copy_rows(typing, to, d, to_pitch, x, s, pitch, rows, count):
    """to[d + r*to_pitch + j] = x[s + r*pitch + j] for r < rows, j < count"""
    def write(at, to, d, to_pitch, x, s, pitch, rows, count):
        def row(to, x):
            by_vectors(at, count, lambda j, n: at.store(at.load(at.at(x, j), n), at.at(to, j)))
        by_rows(at, to, d, to_pitch, x, s, pitch, rows, row)
    i = types.int64
    return types.void(to, i, i, x, i, i, i, i), outlined("copy_rows", ROWS, write)


@intrinsic
def copy_padded(typing, to, d, x, s, count):
    """to[d + j] = x[s + j] for j < min(count, L), and zeros up to j = L: one vector, whatever the count"""
    def code(context, builder, signature, values):
        at = Writer(context, builder, signature, values)
        mask = at.mask_between(ir.Constant(INT, 0), values[4])
        at.store(at.load_where(at.at(2, values[3]), mask), at.at(0, values[1]))
        return context.get_dummy_value()
    i = types.int64
    return types.void(to, i, x, i, i), code


@intrinsic
def clear_row(typing, to, d, count):
    """to[d + j] = 0 for j < count"""
    def write(at, to, d, count):
        to = at.at(to, d)
        by_vectors(at, count, lambda j, n: at.store(ir.Constant(ir.VectorType(at.number, n), [0.0] * n), at.at(to, j)))
    return types.void(to, types.int64, types.int64), outlined("clear_row", ("array", "int", "int"), write)


@intrinsic
def take_even(typing, to, d, to_pitch, x, s, pitch, rows, count):
    """to[d + r*to_pitch + j] = x[s + r*pitch + 2*j] for r < rows, j < count; reads no further than the last of them."""
    def write(at, to, d, to_pitch, x, s, pitch, rows, count):
        def vector(to, x, j, n):
            u, even = at.at(x, j, j), [*range(0, n, 2), *range(n + 1, 2 * n, 2)]
            # the second load begins one early, so that it does not read one too many
            at.store(at.shuffle(at.load(u, n), at.load(at.at(u, n - 1), n), even) if n > 1 else at.load(u, 1), at.at(to, j))
        by_rows(at, to, d, to_pitch, x, s, pitch, rows, lambda to, x: by_vectors(at, count, partial(vector, to, x)))
    i = types.int64
    return types.void(to, i, i, x, i, i, i, i), outlined("take_even", ROWS, write)


def of_image(at, m, images, first, count):
    """The mask of the pixels first, first + 1, ... < count of image m; none if there are not so many images."""
    b, none = at.b, ir.Constant(INT, 0)
    return at.mask_between(first, b.select(b.icmp_signed(">", images, ir.Constant(INT, m)), count, none))


@intrinsic
def mix_rows(typing, to, d, x, s, between, images, count):
    """to[d + j*L + m] = x[s + m*between + j] for j < count; lanes m >= images get zeros"""
    def write(at, to, d, x, s, between, images, count):
        b, L = at.b, at.L

        def pixels(first):
            places = [at.at(x, s, b.mul(between, ir.Constant(INT, m)), first) for m in range(L)]
            rows = [at.load_where(place, of_image(at, m, images, first, count)) for m, place in enumerate(places)]
            for k, value in enumerate(at.transposed(rows)):
                j = b.add(first, ir.Constant(INT, k))
                with b.if_then(b.icmp_signed("<", j, count)):
                    at.store(value, at.at(to, d, b.mul(j, ir.Constant(INT, L))))
        at.by_lanes(count, pixels)
    i = types.int64
    return types.void(to, i, x, i, i, i, i), outlined("mix_rows", ("array", "int", "array", "int", "int", "int", "int"), write)


@intrinsic
def part_rows(typing, to, d, between, x, s, images, count):
    """to[d + m*between + j] = x[s + j*L + m] for m < images, j < count"""
    def write(at, to, d, between, x, s, images, count):
        b, L = at.b, at.L

        def pixels(first):
            each = [b.add(first, ir.Constant(INT, k)) for k in range(L)]
            each = [b.select(b.icmp_signed("<", j, count), j, first) for j in each]             # what is not there is not read
            rows = [at.load(at.at(x, s, b.mul(j, ir.Constant(INT, L)))) for j in each]
            for m, value in enumerate(at.transposed(rows)):
                place = at.at(to, d, b.mul(between, ir.Constant(INT, m)), first)
                at.store_where(value, place, of_image(at, m, images, first, count))
        at.by_lanes(count, pixels)
    i = types.int64
    return types.void(to, i, i, x, i, i, i), outlined("part_rows", ("array", "int", "int", "array", "int", "int", "int"), write)


@intrinsic
def copy_strided(typing, to, d, to_step, x, s, step, count):
    """to[d + j*to_step] = x[s + j*step] for j < count"""
    def write(at, to, d, to_step, x, s, step, count):     # rows of one number
        by_rows(at, to, d, to_step, x, s, step, count, lambda to, x: at.b.store(at.b.load(x), to), rolled=False)
    i = types.int64
    return types.void(to, i, i, x, i, i, i), outlined("copy_strided", ("array", "int", "int", "array", "int", "int", "int"), write)
