// Convolution as one product of matrices whose right factor is never stored ("implicit GEMM").
//
// The slow truth (conv.py): with the patches of x as columns, one row for each channel q and tap t, one column per output pixel,
//
//     y[m, p] = sum over k = (q, t) of  w[m, k] * col[k, p],      col[(q, t), p] = x[q, p*stride + first + tap t], 0 outside.
//
// `correlate` computes that, and reads col[k, p] from x at the moment it is needed.  The gradient of x is the same sum with
// other integers (cuda/conv.py).  `correlate_weight` computes gw[m, k] = sum over p of u[m, p] * col[k, p].
//
// Who owns what.  A block owns a tile of BM rows x BN columns of the result, a thread TM x TN elements of it, in registers from
// the first product to the last.  Along k the block goes in steps of BK: together its threads bring BM x BK numbers of the one
// factor and BK x BN of the other to shared memory, where each of them is used BN or BM times.  That is why it is fast: a
// number is fetched from the slow memory once for a hundred products.
//
// While one step is computed, the next one is on its way: it is fetched to registers before the products and stored after
// them, into the other of two buffers, so one barrier per step suffices.
//
// A step takes BQ channels of BT = BK / BQ taps, the channels first.  With many channels all rows of a step have one tap: whether
// a pixel lies outside is asked once for eight rows, and from row to row one moves on by a plane of the image.  With few
// channels a step has several taps.  `pack_filters` brings the filters into that order beforehand, m fastest, filled up with
// zeros to whole steps, so that `correlate` reads them four at a time without a question.
//
// With one tap and a pixel of x for each position the second factor is x as it lies there: constant DENSE, for pictures of whole
// vectors.  Then a thread brings four neighbours at a time.
//
// With the constant TF32, tensor cores do the products of a step (tf32.cuh); loads, stores and steps around them are the same.
// There a step is over so soon that BK is 16, or the next one would not have come.
//
// Constants: TYPE of the numbers; BM BN BK TM TN the tile; BQ; T0 T1 T2, P0 P1 P2, PAIR (window.cuh); DENSE; TF32, for float.

typedef TYPE T;

#include "window.cuh"

#define THREADS ((BM / TM) * (BN / TN))

// Threads that live on a processor at a time: its registers, 65536, are shared out among them.
#define RESIDENT (TM * TN > 64 ? 256 : 512)

// Numbers that are read together
#define VEC 4

struct __align__(16) Vector { T v[VEC]; };

// Rows of shared memory are longer than the tile: where neighbouring threads write down a column, they meet different banks.
#if defined(TF32) && !defined(BQ)
#define PAD (32 / BK)
#else
#define PAD 4
#endif

#ifdef TF32
#include "tf32.cuh"

struct __align__(8) Group { T v[GROUP]; };
#else
// The sums of a thread are VEC neighbours wide: TM/VEC groups of rows and TN/VEC groups of columns, spread over the tile so that
// the threads of a warp read neighbouring numbers of shared memory.
#define GROUP VEC
#define ROW(i) (top + (i) / VEC * (BM * VEC / TM) + (i) % VEC)
#define COLUMN(j) (left + (j) / VEC * (BN * VEC / TN) + (j) % VEC)

typedef Vector Group;

__device__ __forceinline__ int first_row(int thread) { return thread / (BN / TN) * VEC; }

__device__ __forceinline__ int first_column(int thread) { return thread % (BN / TN) * VEC; }

__device__ __forceinline__ T rounded(T x) { return x; }

// One step of the product: BK outer products of a column of a and a row of b
__device__ __forceinline__ void multiply(const T (*a)[BM + PAD], const T (*b)[BN + PAD], int top, int left, T (*sum)[TN])
{
#pragma unroll
    for (int k = 0; k < BK; ++k) {
        T from_a[TM], from_b[TN];
#pragma unroll
        for (int i = 0; i < TM; i += VEC)
            *(Vector*)&from_a[i] = *(const Vector*)&a[k][ROW(i)];
#pragma unroll
        for (int j = 0; j < TN; j += VEC)
            *(Vector*)&from_b[j] = *(const Vector*)&b[k][COLUMN(j)];
#pragma unroll
        for (int i = 0; i < TM; ++i)
#pragma unroll
            for (int j = 0; j < TN; ++j)
                sum[i][j] += from_a[i] * from_b[j];
    }
}
#endif

__device__ __forceinline__ Vector rounded(Vector x)
{
#pragma unroll
    for (int v = 0; v < VEC; ++v) x.v[v] = rounded(x.v[v]);
    return x;
}

#ifdef BQ
#define BT (BK / BQ)
#define TAP_STEPS ((TAPS + BT - 1) / BT)

// w -> packed (G, depth, width): row k of a group is channel q, tap t of all filters.  A thread owns an element; grid.y is G.
// A step of BK rows has BQ channels and BT taps: with BQ = 2 and BK = 8 the rows of step 0 are channels 0 1 of tap 0, of tap 1, of
// tap 2 and of tap 3, those of step 1 the next four taps of the same channels.
extern "C" __global__ void __launch_bounds__(256)
pack_filters(const T* __restrict__ w, T* __restrict__ packed, const Geometry s)
{
    int e = blockIdx.x * 256 + threadIdx.x, g = blockIdx.y;
    if (e >= s.depth * s.width) return;
    int m = e % s.width, k = e / s.width, step = k / BK, row = k % BK;
    int q = step / TAP_STEPS * BQ + row % BQ, t = step % TAP_STEPS * BT + row / BQ;
    int tap = t / (T1 * T2) * s.filter_step[0] + t / T2 % T1 * s.filter_step[1] + t % T2 * s.filter_step[2];
    bool there = m < s.rows && q < s.channels && t < TAPS;
#ifdef PAIR
    there &= (unsigned)(s.pair_first + m % P2 - t % T2 * P2) < (unsigned)s.pair_taps;
#endif
    int row_of_w = s.filter_first + m / PATCH * s.filter_row + m % PATCH + q * s.filter_channel + tap;
    packed[(long long)g * s.depth * s.width + e] = there ? rounded(w[(long long)g * s.filter_group + row_of_w]) : T(0);
}

// What a thread brings of b, rows by columns of a step
#ifdef DENSE
struct Columns {
    static constexpr int WIDE = BN / VEC, COUNT = (BK * WIDE + THREADS - 1) / THREADS;
    static_assert(TAPS == 1 && BQ == BK && THREADS % WIDE == 0, "a thread keeps its columns");
    const T* source;
    int row, column, plane, channels;
    bool exists;
    Vector next[COUNT];

    __device__ __forceinline__ Columns(const T* x, int p0, int positions, int g, const int*, const Geometry& s)
    {
        row = threadIdx.x / WIDE, column = threadIdx.x % WIDE * VEC, plane = positions, channels = s.channels;
        int p = p0 + column, n = p / positions;
        exists = p < s.images * positions;
        source = x + ((long long)(exists ? n : 0) * s.groups + g) * channels * plane + (exists ? p - n * positions : 0);
    }

    __device__ __forceinline__ void fetch(int step, const Geometry&)
    {
#pragma unroll
        for (int i = 0; i < COUNT; ++i) {
            int q = step * BK + row + i * (THREADS / WIDE);
            next[i] = exists & (q < channels) ? *(const Vector*)&source[q * plane] : Vector();
        }
    }

    __device__ __forceinline__ void store(T (*b)[BN + PAD]) const
    {
#pragma unroll
        for (int i = 0; i < COUNT; ++i)
            if (BK * WIDE % THREADS == 0 || row + i * (THREADS / WIDE) < BK)
                *(Vector*)&b[row + i * (THREADS / WIDE)][column] = rounded(next[i]);
    }
};
#else
// One pixel, or a few: it decodes them once.
struct Columns {
    static constexpr int MINE = BN > THREADS ? BN / THREADS : 1;          // columns
    static constexpr int ROWS = BN > THREADS ? BK : BK * BN / THREADS;    // and rows of each
    static_assert(BK * BN % THREADS == 0 && (BN % THREADS == 0 || THREADS % BN == 0), "threads share the columns evenly");
    static_assert(BQ % ROWS == 0 || ROWS % BQ == 0, "rows of one tap side by side");
    const T* source[MINE];
    const int* tap_offset;
    Inside inside[MINE];
    int group, plane;
    T next[MINE][ROWS];

    __device__ __forceinline__ Columns(const T* x, int p0, int positions, int g, const int* offsets, const Geometry& s)
    {
        tap_offset = offsets, group = threadIdx.x / (BN > THREADS ? THREADS : BN), plane = s.size[0] * s.size[1] * s.size[2];
#pragma unroll
        for (int c = 0; c < MINE; ++c) {
            int p = p0 + column(c);
            bool exists = p < s.images * positions;
            int n = exists ? p / positions : 0;
            Place at = corner(unravel(exists ? p - n * positions : 0, s.out), s);
            source[c] = x + ((long long)n * s.groups + g) * s.channels * plane + flat(at, s.size);
            inside[c].look(at, s);
            if (!exists) inside[c].none();
        }
    }

    static __device__ __forceinline__ int column(int c) { return BN > THREADS ? threadIdx.x + c * THREADS : threadIdx.x % BN; }

    __device__ __forceinline__ void fetch(int step, const Geometry& s)
    {
        int q0 = step / TAP_STEPS * BQ, t0 = step % TAP_STEPS * BT;
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
            int t = t0 + (BQ >= ROWS ? group * ROWS / BQ : group * (ROWS / BQ) + i / BQ);
            int q = q0 + (BQ >= ROWS ? group * ROWS % BQ + i : i % BQ);
            int offset = q * plane + tap_offset[t];
            bool known = (q < s.channels) & (t < TAPS);
#pragma unroll
            for (int c = 0; c < MINE; ++c) next[c][i] = known & inside[c].at(t, s) ? source[c][offset] : T(0);
        }
    }

    __device__ __forceinline__ void store(T (*b)[BN + PAD]) const
    {
#pragma unroll
        for (int i = 0; i < ROWS; ++i)
#pragma unroll
            for (int c = 0; c < MINE; ++c) b[group * ROWS + i][column(c)] = rounded(next[c][i]);
    }
};
#endif

// grid: (tiles of the N*O pixels, tiles of the M filters, G)
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT / THREADS)
correlate(const T* __restrict__ packed, const T* __restrict__ x, const T* __restrict__ bias, T* __restrict__ y, const Geometry s)
{
    constexpr int A = (BM * BK / VEC + THREADS - 1) / THREADS;            // vectors of a that a thread reads
    __shared__ __align__(16) T a[2][BK][BM + PAD], b[2][BK][BN + PAD];
    __shared__ int tap_offset[TAP_STEPS * BT];

    int thread = threadIdx.x, top = first_row(thread), left = first_column(thread), positions = s.out[0] * s.out[1] * s.out[2];
    int m0 = blockIdx.y * BM, g = blockIdx.z, steps = s.depth / BK, columns = s.images * positions, p0 = blockIdx.x * BN;

    for (int t = thread; t < TAP_STEPS * BT; t += THREADS) tap_offset[t] = flat(tap_place(t, s), s.size);
    Columns pixels(x, p0, positions, g, tap_offset, s);
    const T* filters = packed + (long long)g * s.depth * s.width + m0;
    __syncthreads();

    Vector next_a[A];
    auto fetch = [&](int step) {
#pragma unroll
        for (int i = 0; i < A; ++i) {
            int e = thread + i * THREADS, row = e / (BM / VEC), m = e % (BM / VEC) * VEC;
            if ((BM * BK / VEC % THREADS == 0 || e < BM * BK / VEC) && m0 + m < s.width)
                next_a[i] = *(const Vector*)&filters[(step * BK + row) * s.width + m];
            else
                next_a[i] = Vector();
        }
        pixels.fetch(step, s);
    };
    auto store = [&](int half) {
#pragma unroll
        for (int i = 0; i < A; ++i) {
            int e = thread + i * THREADS;
            if (BM * BK / VEC % THREADS == 0 || e < BM * BK / VEC)
                *(Vector*)&a[half][e / (BM / VEC)][e % (BM / VEC) * VEC] = next_a[i];
        }
        pixels.store(b[half]);
    };

    T sum[TM][TN] = {};
    fetch(0);
    store(0);
    for (int step = 0; step < steps; ++step) {
        __syncthreads();
        if (step + 1 < steps) fetch(step + 1);
        multiply(a[step & 1], b[step & 1], top, left, sum);
        if (step + 1 < steps) store(~step & 1);
    }

    int to_plane = s.to_size[0] * s.to_size[1] * s.to_size[2];
    bool dense = s.to_step[0] == 1 && s.to_step[1] == 1 && s.to_step[2] == 1 && to_plane == positions;
#pragma unroll
    for (int j = 0; j < TN; j += GROUP) {
        int p = p0 + COLUMN(j);
        T* to[GROUP];
#pragma unroll
        for (int v = 0; v < GROUP; ++v) {
            int n = p + v < columns ? (p + v) / positions : -1, rest = p + v - n * positions;
            Place o = dense ? Place{0, 0, 0} : unravel(n < 0 ? 0 : rest, s.out);
            to[v] = n < 0 ? 0 : y + target(n, g, PATCH > 1 ? 0 : m0, o, s) + (dense ? rest : 0);
        }
#if PATCH > 1 && P2 == 2 && !defined(TF32)
        if (s.out[2] % GROUP == 0 && to[0]) {             // rows m and m + 1 are neighbours in y: with GROUP pixels one piece
#pragma unroll
            for (int i = 0; i < TM; i += 2) {
                int m = m0 + ROW(i);
                if (m >= s.rows) continue;
                T add = bias ? bias[(g * s.rows + m) / PATCH] : T(0);
                Group r[2];
#pragma unroll
                for (int v = 0; v < 2 * GROUP; ++v) r[v / GROUP].v[v % GROUP] = sum[i + v % 2][j + v / 2] + add;
                Group* piece = (Group*)(to[0] + patch_row(m, s));
                piece[0] = r[0], piece[1] = r[1];
            }
            continue;
        }
#endif
        bool together = dense && positions % GROUP == 0 && to[0];
#pragma unroll
        for (int i = 0; i < TM; ++i) {
            int m = ROW(i);
            if (m0 + m >= s.rows) continue;
            T add = bias ? bias[(g * s.rows + m0 + m) / PATCH] : T(0);
            long long row = PATCH > 1 ? patch_row(m0 + m, s) : (long long)m * to_plane;
            Group r;
#pragma unroll
            for (int v = 0; v < GROUP; ++v) r.v[v] = sum[i][j + v] + add;
            if (together)
                *(Group*)(to[0] + row) = r;
            else
#pragma unroll
                for (int v = 0; v < GROUP; ++v)
                    if (to[v]) to[v][row] = r.v[v];
        }
    }
}

#else
// grid: (tiles of the Q*TAPS columns, tiles of the M filters, G * parts); part z of group g writes its own sums to
// parts[z, g, m, column], and sum_parts adds them up: no atomics, so the result is the same in every run.
//
// Both factors are read along the pixels, which here are k, and written down a column of shared memory.  A thread keeps its k
// within a step, so it looks at one pixel in each, or at VEC neighbours, BK further on than in the last.
#ifdef DENSE
struct Pixels {
    static constexpr int WIDE = BK / VEC, A = (BM * WIDE + THREADS - 1) / THREADS, B = (BN * WIDE + THREADS - 1) / THREADS;
    static_assert(TAPS == 1 && BK % VEC == 0 && THREADS % WIDE == 0, "a thread keeps its k");
    const T *u, *x;
    int k, place, row, positions, rows, channels, groups;
    Vector next_a[A], next_b[B];

    __device__ __forceinline__ Pixels(const T* above, const T* source, int g, int m0, int c0, long long start, const Geometry& s)
    {
        k = threadIdx.x % WIDE * VEC, row = threadIdx.x / WIDE, positions = s.out[0] * s.out[1] * s.out[2], groups = s.groups;
        rows = s.rows - m0, channels = s.channels - c0;
        int n = (int)((start + k) / positions);
        place = (int)(start + k - (long long)n * positions);
        u = above + (((long long)n * groups + g) * s.rows + m0) * positions;
        x = source + (((long long)n * groups + g) * s.channels + c0) * positions;
    }

    __device__ __forceinline__ void fetch(int count, const int*, const int*, const Geometry& s)
    {
#pragma unroll
        for (int i = 0; i < A; ++i) {
            int m = row + i * (THREADS / WIDE);
            next_a[i] = (k < count) & (m < BM) & (m < rows) ? *(const Vector*)&u[m * positions + place] : Vector();
        }
#pragma unroll
        for (int i = 0; i < B; ++i) {
            int c = row + i * (THREADS / WIDE);
            next_b[i] = (k < count) & (c < BN) & (c < channels) ? *(const Vector*)&x[c * positions + place] : Vector();
        }
        k += BK, place += BK;
        while (place >= positions) {
            place -= positions;
            u += (long long)groups * s.rows * positions, x += (long long)groups * s.channels * positions;
        }
    }

    __device__ __forceinline__ void store(T (*a)[BM + PAD], T (*b)[BN + PAD]) const
    {
        int first = threadIdx.x % WIDE * VEC;
#pragma unroll
        for (int i = 0; i < A; ++i) {
            int m = row + i * (THREADS / WIDE);
#pragma unroll
            for (int v = 0; v < VEC; ++v)
                if (BM * WIDE % THREADS == 0 || m < BM) a[first + v][m] = rounded(next_a[i].v[v]);
        }
#pragma unroll
        for (int i = 0; i < B; ++i) {
            int c = row + i * (THREADS / WIDE);
#pragma unroll
            for (int v = 0; v < VEC; ++v)
                if (BN * WIDE % THREADS == 0 || c < BN) b[first + v][c] = rounded(next_b[i].v[v]);
        }
    }
};
#else
struct Pixels {
    static constexpr int A = (BM * BK + THREADS - 1) / THREADS, B = (BN * BK + THREADS - 1) / THREADS;
    static_assert(THREADS % BK == 0, "a thread keeps its k");
    const T *u, *x;
    int k, n, m0, g, positions, plane;
    Place o;
    T next_a[A], next_b[B];

    __device__ __forceinline__ Pixels(const T* above, const T* source, int group, int first, int, long long start, const Geometry& s)
    {
        u = above, x = source, g = group, m0 = first, k = threadIdx.x % BK;
        positions = s.out[0] * s.out[1] * s.out[2], plane = s.size[0] * s.size[1] * s.size[2];
        n = (int)((start + k) / positions);
        o = unravel((int)(start + k - (long long)n * positions), s.out);
    }

    __device__ __forceinline__ void fetch(int count, const int* column_offset, const int* column_tap, const Geometry& s)
    {
        bool exists = k < count;
        Place at = corner(o, s);
        Inside inside;
        inside.look(at, s);
        const T* above = u + ((long long)n * s.groups + g) * s.rows * positions + flat(o, s.out);
        const T* source = x + ((long long)n * s.groups + g) * s.channels * plane + flat(at, s.size);
#pragma unroll
        for (int i = 0; i < A; ++i) {
            int m = m0 + (threadIdx.x + i * THREADS) / BK;
            next_a[i] = exists & (m < s.rows) ? above[m * positions] : T(0);
        }
#pragma unroll
        for (int i = 0; i < B; ++i) {
            int c = (threadIdx.x + i * THREADS) / BK % BN, t = column_tap[c];
            next_b[i] = exists & (t >= 0) & inside.at(t < 0 ? 0 : t, s) ? source[column_offset[c]] : T(0);
        }
        k += BK;
        o.w += BK;
        while (o.w >= s.out[2]) {
            o.w -= s.out[2];
            if (++o.h == s.out[1]) {
                o.h = 0;
                if (++o.d == s.out[0]) o.d = 0, ++n;
            }
        }
    }

    __device__ __forceinline__ void store(T (*a)[BM + PAD], T (*b)[BN + PAD]) const
    {
#pragma unroll
        for (int i = 0; i < A; ++i) {
            int e = threadIdx.x + i * THREADS;
            if (BM * BK % THREADS == 0 || e < BM * BK) a[e % BK][e / BK] = rounded(next_a[i]);
        }
#pragma unroll
        for (int i = 0; i < B; ++i) {
            int e = threadIdx.x + i * THREADS;
            if (BN * BK % THREADS == 0 || e < BN * BK) b[e % BK][e / BK] = rounded(next_b[i]);
        }
    }
};
#endif

extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT / THREADS)
correlate_weight(const T* __restrict__ u, const T* __restrict__ x, T* __restrict__ parts, const Geometry s)
{
    __shared__ __align__(16) T a[2][BK][BM + PAD], b[2][BK][BN + PAD];
    __shared__ int column_offset[BN], column_tap[BN];

    int thread = threadIdx.x, top = first_row(thread), left = first_column(thread);
    int positions = s.out[0] * s.out[1] * s.out[2], plane = s.size[0] * s.size[1] * s.size[2];
    int columns = s.channels * TAPS, m0 = blockIdx.y * BM, c0 = blockIdx.x * BN;
    int g = blockIdx.z % s.groups, part = blockIdx.z / s.groups;
    long long all = (long long)s.images * positions, start = (long long)part * s.pixels_each;
    int count = (int)(start + s.pixels_each < all ? s.pixels_each : all - start);

    for (int c = thread; c < BN; c += THREADS) {
        int column = c0 + c, q = column / TAPS;
        column_tap[c] = column < columns ? column - q * TAPS : -1;
        column_offset[c] = q * plane + flat(tap_place(column - q * TAPS, s), s.size);
    }
    Pixels pixels(u, x, g, m0, c0, start, s);
    __syncthreads();

    T sum[TM][TN] = {};
    pixels.fetch(count, column_offset, column_tap, s);
    pixels.store(a[0], b[0]);
    for (int k0 = 0, half = 0; k0 < count; k0 += BK, half ^= 1) {
        __syncthreads();
        if (k0 + BK < count) pixels.fetch(count, column_offset, column_tap, s);
        multiply(a[half], b[half], top, left, sum);
        if (k0 + BK < count) pixels.store(a[half ^ 1], b[half ^ 1]);
    }

    T* to = parts + ((long long)part * s.groups + g) * s.rows * columns;
#pragma unroll
    for (int i = 0; i < TM; ++i)
#pragma unroll
        for (int j = 0; j < TN; ++j) {
            int m = m0 + ROW(i), c = c0 + COLUMN(j);
            if (m < s.rows && c < columns) to[(long long)m * columns + c] = sum[i][j];
        }
}
#endif
