"""The transforms of winograd.py for a vector of tiles at a time, in LLVM's language; read the top of that file first.

Lanes are tiles, but filters in factors_of_filters and channels in filters_of_sums.  Each write(at, ...) below emits the body of
one function (tile.outlined); `at` is a tile.Writer.  A vector of tiles has 8 numbers, whatever the machine's (PARTS).  Two
neighbouring tiles are a pair, 8 outputs of a row, from 10 pixels, and a group of four pairs, of whatever rows and images, is
turned into vectors of 8 tiles: a table tells where each pair lies, so small pictures waste no lanes.  In a group the first tiles
of the pairs come first, then the second ones; all that reads or writes tiles goes by this order.

Pixels are transformed along the columns of their picture first, where neighbours along a row need not be told apart, and what
comes out along the rows of the tiles.  The matrices, whose equal parts are computed once, are for the points 0, p, -p, q, -q

         p^2 q^2    0    -p^2 - q^2       0       1   0            1/(p^2 q^2)     0        0
            0    -p q^2     -q^2          p       1   0                 s         s p     s p^2     s = 1/(2 p^2 (p^2 - q^2))
    B' =    0     p q^2     -q^2         -p       1   0      G =        s        -s p     s p^2
            0    -p^2 q     -p^2          q       1   0                 t         t q     t q^2     t = 1/(2 q^2 (q^2 - p^2))
            0     p^2 q     -p^2         -q       1   0                 t        -t q     t q^2
            0    p^2 q^2      0      -p^2 - q^2   0   1                 0          0        1

          1    1    1    1    1    0
    A' =  0    p   -p    q   -q    0
          0   p^2  p^2  q^2  q^2   0
          0   p^3 -p^3  q^3 -q^3   1
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from . import tile
from .tile import INT, Writer, outlined

EDGE, SPAN = 4, 6                                         # outputs and pixels along an edge of a tile
PRODUCTS = SPAN * SPAN                                    # of a tile
PAIR = 2 * EDGE                                           # outputs of two tiles side by side, and tiles of a group: a vector here
GROUP = PAIR // 2                                         # pairs whose tiles are the lanes of a vector
PARTS = max(1, tile.BYTES // (4 * PAIR))                  # such vectors that make a vector of the processor
PLACE, OUT, COLUMNS, ROW, NUMBERS = range(5)              # of a pair's line in the table: winograd.pairs_table

P, Q = 5 / 8, 3 / 2                                       # the points p and q, besides 0, -p, -q and infinity
P2, Q2 = P * P, Q * Q
SCALE_P, SCALE_Q = 1 / (2 * P2 * (P2 - Q2)), 1 / (2 * Q2 * (Q2 - P2))


def splat(like, number):
    return ir.Constant(like.type, [number] * like.type.count)


def times(at, number, x):
    return at.b.fmul(splat(x, number), x)


def plus(at, x, number, y):
    """x + number * y, rounded once"""
    return at.b.call(at.fused, [splat(y, number), y, x])


def pixels_to_factors(at, d):
    """B' d.  Rows p and -p of B' are even_p +- p odd_p,  even_p = d4 - q^2 d2, odd_p = d3 - q^2 d1  (q^2: p's own cancels); for q
    exchange p and q.  ends: the first and the last row.
    """
    even_p, odd_p, even_q, odd_q = (plus(at, d[i + 2], -square, d[i]) for square in (Q2, P2) for i in (2, 1))
    ends = [plus(at, plus(at, d[i + 4], -P2 - Q2, d[i + 2]), P2 * Q2, d[i]) for i in (0, 1)]
    return [ends[0], plus(at, even_p, P, odd_p), plus(at, even_p, -P, odd_p),
            plus(at, even_q, Q, odd_q), plus(at, even_q, -Q, odd_q), ends[1]]


def products_to_outputs(at, m):
    """A' m"""
    b = at.b
    even_p, odd_p, even_q, odd_q = (f(m[i], m[i + 1]) for i in (1, 3) for f in (b.fadd, b.fsub))
    return [b.fadd(m[0], b.fadd(even_p, even_q)), plus(at, times(at, Q, odd_q), P, odd_p),
            plus(at, times(at, Q2, even_q), P2, even_p), plus(at, plus(at, m[5], Q * Q2, odd_q), P * P2, odd_p)]


def gradients_to_factors(at, u):
    """A u: values of the polynomial u at the points; at p and -p  even_p +- p odd_p,  even_p = u0 + p^2 u2, odd_p = u1 + p^2 u3."""
    even_p, odd_p, even_q, odd_q = (plus(at, u[i], square, u[i + 2]) for square in (P2, Q2) for i in (0, 1))
    return [u[0], plus(at, even_p, P, odd_p), plus(at, even_p, -P, odd_p),
            plus(at, even_q, Q, odd_q), plus(at, even_q, -Q, odd_q), u[3]]


def filters_to_factors(at, g):
    """G g"""
    factors = [times(at, 1 / (P2 * Q2), g[0])]
    for point, scale in ((P, SCALE_P), (Q, SCALE_Q)):
        even = plus(at, times(at, scale, g[0]), scale * point * point, g[2])
        factors += [plus(at, even, scale * point, g[1]), plus(at, even, -scale * point, g[1])]
    return [*factors, g[2]]


def sums_to_filters(at, s):
    """G' s"""
    b = at.b
    even_p, odd_p, even_q, odd_q = (f(s[i], s[i + 1]) for i in (1, 3) for f in (b.fadd, b.fsub))
    first = plus(at, plus(at, times(at, 1 / (P2 * Q2), s[0]), SCALE_P, even_p), SCALE_Q, even_q)
    middle = plus(at, times(at, SCALE_P * P, odd_p), SCALE_Q * Q, odd_q)
    return [first, middle, plus(at, plus(at, s[5], SCALE_P * P2, even_p), SCALE_Q * Q2, even_q)]


def both_ways(at, transform, rows):
    """The transform along the columns of a tile, and then along its rows; in one list."""
    columns = [transform(at, column) for column in zip(*rows)]
    return [value for row in zip(*columns) for value in transform(at, row)]


def number(value):
    return ir.Constant(INT, value)


def pairs_of(at, table, group, *which):
    """[numbers of the table] for each pair of a group."""
    line = at.at(table, at.b.mul(group, number(GROUP * NUMBERS)))
    return [[at.b.load(at.at(line, q * NUMBERS + k)) for k in which] for q in range(GROUP)]


def columns_there(at, q, n, columns, pairs):
    """The mask of the pixels of pair n of group q that are in the picture; none unless there are so many pairs."""
    there = at.b.icmp_signed("<", at.b.add(at.b.mul(q, number(GROUP)), number(n)), pairs)
    return at.below(at.b.select(there, columns, number(0)))


def transposed_squares(at, vectors):
    """Vector n has a row of pair n, four numbers of its first tile and four of its second: both 4x4 squares are transposed.

    Vector j is then column j: of the first tiles in lanes 0 to 3, of the second ones in lanes 4 to 7, in the order of the pairs.
    A transposition undoes itself: from columns of outputs, as in outputs_of_products, it makes the rows of pairs again.
    """
    def interleaved(u, v):
        return [at.shuffle(u, v, [first + lane + of * PAIR for first in (0, 4) for lane in half for of in (0, 1)])
                for half in ((0, 1), (2, 3))]
    evens, odds = interleaved(*vectors[::2]), interleaved(*vectors[1::2])
    return [column for u, v in zip(evens, odds) for column in interleaved(u, v)]


@intrinsic
def transform_columns(typing, to, d, pitch, x, s, zeros, H, W, top, count, rows, ahead):
    """B' times the columns of pixels: of tile row r number k to to[d + (6*r + k)*pitch + j], for j < count (and zeros behind).

    x[s + i*W :] is row i of the picture, from its first column that is wanted; row `top` is the first, and zeros stand for the
    rows above and below the picture.  The next picture is `ahead` of this one: its pixels are asked for.
    """
    def write(at, to, d, pitch, x, s, zeros, H, W, top, count, rows, ahead):
        b = at.b

        def row(r, _):
            lines, first = [], b.add(top, b.mul(r, number(EDGE)))
            for i in range(SPAN):
                line = b.add(first, number(i))
                lines.append(b.select(b.icmp_unsigned("<", line, H), at.at(x, s, b.mul(line, W)), zeros))

            def some(j):
                mask = at.below(b.sub(count, j))
                values = pixels_to_factors(at, [at.load_where(at.at(line, j), mask) for line in lines])
                for line in lines[1:1 + EDGE]:            # lines 0 and 5 are asked for by the rows of tiles above and below
                    at.prefetch(at.at(line, j, ahead))
                for k, value in enumerate(values):
                    at.store(value, at.at(to, d, b.mul(pitch, b.add(b.mul(r, number(SPAN)), number(k))), j))
            at.by_lanes(count, some)
            return []
        at.loop(rows, [], row)
    i = types.int64
    kinds = "array", "int", "int", "array", "int", "array", *["int"] * 6
    return types.void(to, i, i, x, i, zeros, i, i, i, i, i, i), outlined("transform_columns", kinds, write, PARTS)


@intrinsic
def factors_of_columns(typing, v, to, apart, x, pitch, table, groups):
    """v[to + k*apart + tile] = factor k of all tiles, from their transformed columns, which lie where the table says."""
    def write(at, v, to, apart, x, pitch, table, groups):
        b = at.b

        def group(q, _):
            places = [at.at(x, place) for place, in pairs_of(at, table, q, PLACE)]
            first = at.at(v, to, b.mul(q, number(PAIR)))

            def row(k, _):
                lines = [at.at(place, b.mul(k, pitch)) for place in places]
                # a tile has 6 columns and the next begins 4 further: columns 0 to 3 of both; read from 2 on, the last are 4 and 5
                pixels = transposed_squares(at, [at.load(line) for line in lines])
                pixels += transposed_squares(at, [at.load(at.at(line, 2)) for line in lines])[2:]
                for m, value in enumerate(pixels_to_factors(at, pixels)):
                    at.store(value, at.at(first, b.mul(apart, b.add(b.mul(k, number(SPAN)), number(m)))))
                return []
            at.loop(number(SPAN), [], row)
            return []
        at.loop(groups, [], group)
    i = types.int64
    kinds = "array", "int", "int", "array", "int", "array", "int"
    return types.void(v, i, i, x, i, table, i), outlined("factors_of_columns", kinds, write, PARTS)


@intrinsic
def factors_of_gradients(typing, v, to, apart, u, s, W, zeros, height, ahead, table, groups, pairs):
    """The same for the 4x4 gradients of each tile, at u[s + OUT :], in rows of W; zeros for what is not there.

    height: rows from s on; ahead: how far from these the next call's gradients are.
    """
    def write(at, v, to, apart, u, s, W, zeros, height, ahead, table, groups, pairs):
        b = at.b

        def group(q, _):
            found, lines = pairs_of(at, table, q, OUT, COLUMNS, ROW), [[] for _ in range(EDGE)]
            for n, (out, columns, row) in enumerate(found):
                mask = columns_there(at, q, n, columns, pairs)
                for i in range(EDGE):
                    inside = b.icmp_signed("<", b.add(row, number(i)), height)
                    line = b.select(inside, at.at(u, s, out, b.mul(W, number(i))), zeros)
                    lines[i].append(at.load_where(line, mask))
                    at.prefetch(at.at(line, ahead))
            first = at.at(v, to, b.mul(q, number(PAIR)))
            for k, value in enumerate(both_ways(at, gradients_to_factors, [transposed_squares(at, line) for line in lines])):
                at.store(value, at.at(first, b.mul(apart, number(k))))
            return []
        at.loop(groups, [], group)
    i = types.int64
    kinds = "array", "int", "int", "array", "int", "int", "array", "int", "int", "array", "int", "int"
    return types.void(v, i, i, u, i, i, zeros, i, i, table, i, i), outlined("factors_of_gradients", kinds, write, PARTS)


@intrinsic
def outputs_of_products(typing, y, o, W, height, ahead, m, s, apart, table, groups, pairs, bias, k, spoiled, t):
    """The 4x4 outputs of each tile from its 36 products at m[s :], `apart` from each other, plus bias[k]; to y[o + OUT :].

    W, height, ahead: as above.  spoiled[t : t + 8] adds up 0 times all outputs: it ends as nan if one of them is not finite.
    """
    def write(at, y, o, W, height, ahead, m, s, apart, table, groups, pairs, bias, k, spoiled, t):
        b = at.b
        bias, spoiled = at.splat(at.at(bias, k)), at.at(spoiled, t)

        def group(q, bad):
            first = at.at(m, s, b.mul(q, number(PAIR)))
            products = [at.load(at.at(first, b.mul(apart, number(i)))) for i in range(PRODUCTS)]
            outputs = both_ways(at, products_to_outputs, [products[i:i + SPAN] for i in range(0, PRODUCTS, SPAN)])
            outputs, total = [b.fadd(value, bias) for value in outputs], at.zero()
            for value in outputs:
                total = b.fadd(total, value)
            lines = [transposed_squares(at, outputs[i:i + EDGE]) for i in range(0, EDGE * EDGE, EDGE)]
            for n, (out, columns, row) in enumerate(pairs_of(at, table, q, OUT, COLUMNS, ROW)):
                mask, last = columns_there(at, q, n, columns, pairs), b.sub(b.sub(height, number(1)), row)
                for i in reversed(range(EDGE)):           # a row that is not there is written over by the last one that is
                    line = b.select(b.icmp_signed("<", last, number(i)), last, number(i))
                    place = at.at(y, o, out, b.mul(W, line))
                    at.store_where(lines[i][n], place, mask)
                    at.prefetch(at.at(place, ahead), write=True)
            there = at.below(b.sub(pairs, b.mul(q, number(GROUP))), GROUP)
            return [b.call(at.fused, [b.select(there, total, at.zero()), at.zero(), bad[0]])]
        at.store(at.loop(groups, [at.load(spoiled)], group)[0], spoiled)
    i = types.int64
    kinds = "array", *["int"] * 4, "array", "int", "int", "array", "int", "int", "array", "int", "array", "int"
    return (types.void(y, i, i, i, i, m, i, i, table, i, i, bias, i, spoiled, i),
            outlined("outputs_of_products", kinds, write, PARTS))


@intrinsic
def factors_of_filters(typing, v, to, apart, w, s, M):
    """v[to + k*apart + m] = factor k of filter m < M, a constant when compiled; tap i of that filter is w[s + i*M + m]."""
    def code(context, builder, signature, values):
        count = M.literal_value
        at = Writer(context, builder, signature, values, tile.BYTES // (4 * count))
        taps = [at.load(at.at(3, values[4], i * count)) for i in range(9)]
        for k, value in enumerate(both_ways(at, filters_to_factors, [taps[i:i + 3] for i in (0, 3, 6)])):
            at.store(value, at.at(0, values[1], builder.mul(values[2], number(k))))
        return context.get_dummy_value()
    i = types.int64
    # None: not for such types; Numba then asks again with the constant
    return (types.void(v, i, i, w, i, M), code) if isinstance(M, types.IntegerLiteral) else None


@intrinsic
def filters_of_sums(typing, gw, to, apart, sums, s, between, count):
    """gw[to + i*apart + c] = tap i, for channel c < count, of a filter's gradient; its 36 sums are sums[s + c + k*between]."""
    def write(at, gw, to, apart, sums, s, between, count):
        b = at.b

        def some(j):
            factors = [at.load(at.at(sums, s, j, b.mul(between, number(k)))) for k in range(PRODUCTS)]
            rows = [factors[k:k + SPAN] for k in range(0, PRODUCTS, SPAN)]
            for i, value in enumerate(both_ways(at, sums_to_filters, rows)):
                at.store(value, at.at(gw, to, j, b.mul(apart, number(i))))
        at.by_lanes(count, some)
    i = types.int64
    return types.void(gw, i, i, sums, i, i, i), outlined("filters_of_sums", ("array", "int", "int", "array", "int", "int", "int"),
                                                         write)
