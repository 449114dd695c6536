// Convolution as one product of matrices whose right factor is never stored ("implicit GEMM").
//
// The slow truth (conv.py): with the patches of x as columns, Q*TAPS rows and one column per output pixel,
//
//     y[m, p] = sum over k = (q, t) of  w[m, k] * col[k, p],      col[(q, t), p] = x[q, p*stride - low + tap t], 0 outside.
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
// Constants: TYPE of the numbers; BM BN BK TM TN the tile; T0 T1 T2 the taps along each of three axes (an image
// has two: T0 = 1); WEIGHT whether the second of the two kernels is wanted.

typedef TYPE T;

#define TAPS (T0 * T1 * T2)
#define THREADS ((BM / TM) * (BN / TN))

// Threads that live on a processor at a time: its registers, 65536, are shared out among them.
#define RESIDENT 512

// The sums of a thread are VEC neighbours wide: TM/VEC groups of rows and TN/VEC groups of columns, spread over the tile so that
// the threads of a warp read neighbouring numbers of shared memory.
#define VEC 4
#define ROW(i) ((i) / VEC * (BM * VEC / TM) + ty * VEC + (i) % VEC)
#define COLUMN(j) ((j) / VEC * (BN * VEC / TN) + tx * VEC + (j) % VEC)

// Rows of shared memory are longer than the tile: where neighbouring threads write down a column, they meet different banks.
#define PAD 4

struct Geometry {
    int images, groups;                 // N, G
    int rows, channels;                 // M filters and Q channels of one group
    int size[3], out[3];                // pixels of the source x; positions of the window
    int stride[3], first[3], step[3];   // position p and tap t meet at the pixel  p*stride + first + t*step  of x
    int filter_row, filter_channel, filter_group, filter_first, filter_step[3];     // where w has row m, channel q, tap t
    int to_size[3], to_first[3], to_step[3];                                        // the pixel of y that position p is
    int pixels_each;                    // correlate_weight: pixels that one part adds up
};

struct __align__(16) Vector { T v[VEC]; };

struct Place { int d, h, w; };

__device__ __forceinline__ Place unravel(int p, const int* sizes)
{
    int row = p / sizes[2];
    return {row / sizes[1], row % sizes[1], p % sizes[2]};
}

// x at (base + offset) if the pixel lies inside the image, else 0
__device__ __forceinline__ T pixel(const T* x, int offset, Place at, Place tap, const Geometry& s)
{
    bool inside = (unsigned)(at.d + tap.d) < (unsigned)s.size[0] && (unsigned)(at.h + tap.h) < (unsigned)s.size[1]
                  && (unsigned)(at.w + tap.w) < (unsigned)s.size[2];
    return inside ? x[offset] : T(0);
}

__device__ __forceinline__ Place tap_place(int t, const Geometry& s)
{
    return {t / (T1 * T2) * s.step[0], t / T2 % T1 * s.step[1], t % T2 * s.step[2]};
}

__device__ __forceinline__ int flat(Place at, const Geometry& s)
{
    return (at.d * s.size[1] + at.h) * s.size[2] + at.w;
}

// One step of the product: BK outer products of a column of a and a row of b
__device__ __forceinline__ void multiply(const T (*a)[BM + PAD], const T (*b)[BN + PAD], int ty, int tx, T (*sum)[TN])
{
#pragma unroll
    for (int k = 0; k < BK; ++k) {
        T left[TM], right[TN];
#pragma unroll
        for (int i = 0; i < TM; i += VEC)
            *(Vector*)&left[i] = *(const Vector*)&a[k][ROW(i)];
#pragma unroll
        for (int j = 0; j < TN; j += VEC)
            *(Vector*)&right[j] = *(const Vector*)&b[k][COLUMN(j)];
#pragma unroll
        for (int i = 0; i < TM; ++i)
#pragma unroll
            for (int j = 0; j < TN; ++j)
                sum[i][j] += left[i] * right[j];
    }
}

#if !WEIGHT
// grid: (tiles of the N*O pixels, tiles of the M filters, G)
//
// To shared memory: b is read along its columns (neighbouring threads, neighbouring pixels), so a thread keeps its column, and
// decodes its pixel once; a is read along k, as w lies in memory.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT / THREADS)
correlate(const T* __restrict__ w, const T* __restrict__ x, const T* __restrict__ bias, T* __restrict__ y, const Geometry s)
{
    constexpr int MINE = BN > THREADS ? BN / THREADS : 1;                 // columns that a thread reads for b
    constexpr int A = (BM * BK + THREADS - 1) / THREADS, B = BK * BN / THREADS;
    static_assert(BK * BN % THREADS == 0 && (BN % THREADS == 0 || THREADS % BN == 0), "threads share the columns evenly");
    __shared__ __align__(16) T a[2][BK][BM + PAD], b[2][BK][BN + PAD];
    __shared__ int tap_offset[TAPS], tap_filter[TAPS];
    __shared__ Place tap_at[TAPS];

    int thread = threadIdx.x, ty = thread / (BN / TN), tx = thread % (BN / TN);
    int positions = s.out[0] * s.out[1] * s.out[2], plane = s.size[0] * s.size[1] * s.size[2];
    int total = s.channels * TAPS, m0 = blockIdx.y * BM, g = blockIdx.z;
    long long columns = (long long)s.images * positions, p0 = (long long)blockIdx.x * BN;

    for (int t = thread; t < TAPS; t += THREADS) {
        tap_at[t] = tap_place(t, s);
        tap_offset[t] = flat(tap_at[t], s);
        tap_filter[t] = t / (T1 * T2) * s.filter_step[0] + t / T2 % T1 * s.filter_step[1] + t % T2 * s.filter_step[2];
    }
    const T* source[MINE];
    Place at[MINE];
    bool exists[MINE];
#pragma unroll
    for (int i = 0; i < MINE; ++i) {
        long long p = p0 + (BN > THREADS ? thread + i * THREADS : thread % BN);
        exists[i] = p < columns;
        int n = exists[i] ? (int)(p / positions) : 0;
        at[i] = unravel(exists[i] ? (int)(p - (long long)n * positions) : 0, s.out);
        at[i] = {at[i].d * s.stride[0] + s.first[0], at[i].h * s.stride[1] + s.first[1], at[i].w * s.stride[2] + s.first[2]};
        source[i] = x + ((long long)n * s.groups + g) * s.channels * plane + flat(at[i], s);
    }
    const T* filters = w + (long long)g * s.filter_group + s.filter_first;
    __syncthreads();

    T next_a[A], next_b[B];
    auto fetch = [&](int k0) {
#pragma unroll
        for (int i = 0; i < A; ++i) {
            int e = thread + i * THREADS, k = k0 + e % BK, m = m0 + e / BK, q = k / TAPS;
            bool there = e < BM * BK && k < total && m < s.rows;
            next_a[i] = there ? filters[m * s.filter_row + q * s.filter_channel + tap_filter[k - q * TAPS]] : T(0);
        }
#pragma unroll
        for (int i = 0; i < B; ++i) {
            int k = k0 + (BN > THREADS ? i / MINE : (thread + i * THREADS) / BN), j = BN > THREADS ? i % MINE : 0;
            int q = k / TAPS, t = k - q * TAPS;
            next_b[i] = exists[j] && k < total ? pixel(source[j], q * plane + tap_offset[t], at[j], tap_at[t], s) : T(0);
        }
    };
    auto store = [&](int half) {
#pragma unroll
        for (int i = 0; i < A; ++i) {
            int e = thread + i * THREADS;
            if (e < BM * BK) a[half][e % BK][e / BK] = next_a[i];
        }
#pragma unroll
        for (int i = 0; i < B; ++i) {
            int row = BN > THREADS ? i / MINE : (thread + i * THREADS) / BN;
            b[half][row][BN > THREADS ? thread + i % MINE * THREADS : thread % BN] = next_b[i];
        }
    };

    T sum[TM][TN] = {};
    fetch(0);
    store(0);
    for (int k0 = 0, half = 0; k0 < total; k0 += BK, half ^= 1) {
        __syncthreads();
        if (k0 + BK < total) fetch(k0 + BK);
        multiply(a[half], b[half], ty, tx, sum);
        if (k0 + BK < total) store(half ^ 1);
    }

    int to_plane = s.to_size[0] * s.to_size[1] * s.to_size[2];
    bool dense = s.to_step[0] == 1 && s.to_step[1] == 1 && s.to_step[2] == 1 && to_plane == positions;
#pragma unroll
    for (int j = 0; j < TN; j += VEC) {
        long long p = p0 + COLUMN(j);
        T* to[VEC];
#pragma unroll
        for (int v = 0; v < VEC; ++v) {
            int n = p + v < columns ? (int)((p + v) / positions) : -1, rest = (int)(p + v - (long long)n * positions);
            Place o = unravel(n < 0 || dense ? 0 : rest, s.out);
            int where = dense ? rest : ((o.d * s.to_step[0] + s.to_first[0]) * s.to_size[1] + o.h * s.to_step[1] + s.to_first[1])
                                       * s.to_size[2] + o.w * s.to_step[2] + s.to_first[2];
            to[v] = n < 0 ? 0 : y + (((long long)n * s.groups + g) * s.rows + m0) * to_plane + where;
        }
        bool together = dense && positions % VEC == 0 && to[0];
#pragma unroll
        for (int i = 0; i < TM; ++i) {
            int m = ROW(i);
            if (m0 + m >= s.rows) continue;
            T add = bias ? bias[g * s.rows + m0 + m] : T(0);
            Vector r;
#pragma unroll
            for (int v = 0; v < VEC; ++v) r.v[v] = sum[i][j + v] + add;
            if (together)
                *(Vector*)(to[0] + (long long)m * to_plane) = r;
            else
#pragma unroll
                for (int v = 0; v < VEC; ++v)
                    if (to[v]) to[v][(long long)m * to_plane] = r.v[v];
        }
    }
}

#else
// grid: (tiles of the Q*TAPS columns, tiles of the M filters, G * parts); part z of group g writes its own sums to
// parts[z, g, m, column], and sum_parts adds them up: no atomics, so the result is the same in every run.
//
// Both factors are read along the pixels, which here are k, and written down a column of shared memory.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT / THREADS)
correlate_weight(const T* __restrict__ u, const T* __restrict__ x, T* __restrict__ parts, const Geometry s)
{
    constexpr int A = (BM * BK + THREADS - 1) / THREADS, B = (BN * BK + THREADS - 1) / THREADS;
    static_assert(THREADS % BK == 0, "a thread keeps its k");
    __shared__ __align__(16) T a[2][BK][BM + PAD], b[2][BK][BN + PAD];
    __shared__ int column_offset[BN];
    __shared__ Place column_at[BN];

    int thread = threadIdx.x, ty = thread / (BN / TN), tx = thread % (BN / TN);
    int positions = s.out[0] * s.out[1] * s.out[2], plane = s.size[0] * s.size[1] * s.size[2];
    int columns = s.channels * TAPS, m0 = blockIdx.y * BM, c0 = blockIdx.x * BN;
    int g = blockIdx.z % s.groups, part = blockIdx.z / s.groups;
    long long all = (long long)s.images * positions, start = (long long)part * s.pixels_each;
    long long stop = start + s.pixels_each < all ? start + s.pixels_each : all;

    for (int c = thread; c < BN; c += THREADS) {
        int column = c0 + c, q = column / TAPS, t = column - q * TAPS;
        column_at[c] = tap_place(t, s);
        column_offset[c] = q * plane + flat(column_at[c], s);
    }
    __syncthreads();

    T next_a[A], next_b[B];
    auto fetch = [&](long long k0) {
        long long p = k0 + thread % BK;
        bool exists = p < stop;
        int n = exists ? (int)(p / positions) : 0, o = exists ? (int)(p - (long long)n * positions) : 0;
        Place at = unravel(o, s.out);
        at = {at.d * s.stride[0] + s.first[0], at.h * s.stride[1] + s.first[1], at.w * s.stride[2] + s.first[2]};
        const T* above = u + ((long long)n * s.groups + g) * s.rows * positions + o;
        const T* source = x + ((long long)n * s.groups + g) * s.channels * plane + flat(at, s);
#pragma unroll
        for (int i = 0; i < A; ++i) {
            int m = m0 + (thread + i * THREADS) / BK;
            next_a[i] = exists && m < s.rows ? above[(long long)m * positions] : T(0);
        }
#pragma unroll
        for (int i = 0; i < B; ++i) {
            int c = (thread + i * THREADS) / BK;
            bool there = exists && c < BN && c0 + c < columns;
            next_b[i] = there ? pixel(source, column_offset[c], at, column_at[c], s) : T(0);
        }
    };
    auto store = [&](int half) {
#pragma unroll
        for (int i = 0; i < A; ++i) {
            int e = thread + i * THREADS;
            if (e < BM * BK) a[half][e % BK][e / BK] = next_a[i];
        }
#pragma unroll
        for (int i = 0; i < B; ++i) {
            int e = thread + i * THREADS;
            if (e < BN * BK) b[half][e % BK][e / BK] = next_b[i];
        }
    };

    T sum[TM][TN] = {};
    fetch(start);
    store(0);
    int half = 0;
    for (long long k0 = start; k0 < stop; k0 += BK, half ^= 1) {
        __syncthreads();
        if (k0 + BK < stop) fetch(k0 + BK);
        multiply(a[half], b[half], ty, tx, sum);
        if (k0 + BK < stop) store(half ^ 1);
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
