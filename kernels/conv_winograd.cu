// 3x3 convolution at stride 1 with a quarter of the products: Winograd's minimal filtering F(4x4, 3x3).
//
// The slow truth is that of conv.cu.  Four neighbouring outputs of a filter with three taps take six products instead of twelve, as
// polynomials do: that of degree 3 times that of degree 2 has degree 5, and is known by its values at five points and its leading
// coefficient, each one product.  A filter is the transpose of that (cpu/winograd.py has the formulas, cpu/transforms.py the
// matrices, where the points are p and q).  With the points 0, a, -a, b, -b, along rows and columns,
//
//     y = A' [ (G g G') * (B' d B) ] A           d: 6x6 pixels, g: 3x3 taps, y: 4x4 outputs, * number by number
//
// takes 36 products where the definition takes 144.  Only sums go in and out, so the sum over the channels can be taken of the
// products: each of the 36 numbers of all tiles is a matrix product of its own, [filters, channels] @ [channels, tiles], which
// conv.cu computes as 36 groups with one tap.  The gradient of the input is such a convolution as well, and the gradient of the
// weight is the formula transposed,
//
//     gg = G' [ sum over tiles of  (A u A') * (B' d B) ] G
//
// Who owns what.  A thread owns a tile of one channel, or of one filter: it does the sums of all 36 numbers in registers.  The next
// thread has the next tile, so each of the 36 numbers is written, and read, in rows without gaps.
//
// What it costs.  Factors and products go through memory, nine numbers for four pixels, each written and read: with few channels
// there is too little to multiply to pay for that (cuda/winograd.py).  Rounding: with the usual points 1 and 2 errors are four
// times those of the direct sum, with 5/8 and 3/2 twice, for no factor is as large.  They are relative to the largest pixel of a
// tile and the largest weight of a filter.  What is not finite, or overflows in a sum of pixels, would spoil its tile: whoever
// finds such an output computes it by the definition.
//
// Source: Winograd 1980, doi:10.1137/1.9781611970364; Lavin and Gray 2015, arXiv:1509.09308; for the points Barabasz et al. 2020,
// Error Analysis and Improving the Accuracy of Winograd Convolution, arXiv:1803.10986.
//
// Constants: TYPE of the numbers; T0 T1 T2, the taps: 1 3 3.

typedef TYPE T;

#include "window.cuh"

#define THREADS 256
#define EDGE 4                          // outputs along an edge of a tile
#define SPAN (EDGE + 2)                 // pixels
#define FACTORS (SPAN * SPAN)

struct __align__(16) Vector { T v[4]; };

constexpr T a = T(0.625), b = T(1.5), a2 = a * a, b2 = b * b, scale_a = 1 / (2 * a2 * (a2 - b2)), scale_b = 1 / (2 * b2 * (b2 - a2));

__device__ __forceinline__ void pixels_to_factors(const T* d, T* f)       // B' d
{
    T even_a = d[4] - b2 * d[2], odd_a = a * (d[3] - b2 * d[1]);
    T even_b = d[4] - a2 * d[2], odd_b = b * (d[3] - a2 * d[1]);
    f[0] = a2 * b2 * d[0] - (a2 + b2) * d[2] + d[4];
    f[1] = even_a + odd_a, f[2] = even_a - odd_a;
    f[3] = even_b + odd_b, f[4] = even_b - odd_b;
    f[5] = a2 * b2 * d[1] - (a2 + b2) * d[3] + d[5];
}

__device__ __forceinline__ void filters_to_factors(const T* g, T* f)      // G g
{
    T even_a = scale_a * (g[0] + a2 * g[2]), odd_a = scale_a * a * g[1];
    T even_b = scale_b * (g[0] + b2 * g[2]), odd_b = scale_b * b * g[1];
    f[0] = g[0] * (1 / (a2 * b2));
    f[1] = even_a + odd_a, f[2] = even_a - odd_a;
    f[3] = even_b + odd_b, f[4] = even_b - odd_b;
    f[5] = g[2];
}

__device__ __forceinline__ void products_to_outputs(const T* m, T* y)     // A' m
{
    T even_a = m[1] + m[2], odd_a = a * (m[1] - m[2]), even_b = m[3] + m[4], odd_b = b * (m[3] - m[4]);
    y[0] = m[0] + even_a + even_b;
    y[1] = odd_a + odd_b;
    y[2] = a2 * even_a + b2 * even_b;
    y[3] = a2 * odd_a + b2 * odd_b + m[5];
}

__device__ __forceinline__ void gradients_to_factors(const T* u, T* f)    // A u
{
    T even_a = u[0] + a2 * u[2], odd_a = a * (u[1] + a2 * u[3]), even_b = u[0] + b2 * u[2], odd_b = b * (u[1] + b2 * u[3]);
    f[0] = u[0];
    f[1] = even_a + odd_a, f[2] = even_a - odd_a;
    f[3] = even_b + odd_b, f[4] = even_b - odd_b;
    f[5] = u[3];
}

__device__ __forceinline__ void sums_to_filters(const T* s, T* g)         // G' s
{
    T even_a = scale_a * (s[1] + s[2]), odd_a = scale_a * a * (s[1] - s[2]);
    T even_b = scale_b * (s[3] + s[4]), odd_b = scale_b * b * (s[3] - s[4]);
    g[0] = s[0] * (1 / (a2 * b2)) + even_a + even_b;
    g[1] = odd_a + odd_b;
    g[2] = a2 * even_a + b2 * even_b + s[5];
}

// One of these for the columns of a square, and then for the rows of what comes out
template <int FROM, int TO, void (*transform)(const T*, T*)>
__device__ __forceinline__ void both_ways(const T (*in)[FROM], T (*out)[TO])
{
    T half[TO][FROM];
#pragma unroll
    for (int j = 0; j < FROM; ++j) {
        T column[FROM], made[TO];
#pragma unroll
        for (int i = 0; i < FROM; ++i) column[i] = in[i][j];
        transform(column, made);
#pragma unroll
        for (int i = 0; i < TO; ++i) half[i][j] = made[i];
    }
#pragma unroll
    for (int i = 0; i < TO; ++i) transform(half[i], out[i]);
}

// The image of a tile, and its first output
struct Tile {
    int n, h, w;

    __device__ __forceinline__ Tile(int p, const Geometry& s)
    {
        int across = (s.out[2] + EDGE - 1) / EDGE, down = (s.out[1] + EDGE - 1) / EDGE;
        int row = p / across;
        n = row / down, h = row % down * EDGE, w = p % across * EDGE;
    }
};

__device__ __forceinline__ bool finite(T x) { return x - x == 0; }

// SIZE x SIZE numbers of a plane of height x width from (h, w) on; zeros outside of it, and everywhere unless there is such a tile
template <int SIZE>
__device__ __forceinline__ void take(const T* plane, int h, int w, int height, int width, bool exists, T (*to)[SIZE])
{
#pragma unroll
    for (int i = 0; i < SIZE; ++i) {
        bool inside = exists & ((unsigned)(h + i) < (unsigned)height);
#pragma unroll
        for (int j = 0; j < SIZE; ++j)
            to[i][j] = inside & ((unsigned)(w + j) < (unsigned)width) ? plane[(h + i) * width + w + j] : T(0);
    }
}

__device__ __forceinline__ void write_factors(const T (*f)[SPAN], T* to, int pitch)
{
#pragma unroll
    for (int k = 0; k < FACTORS; ++k) to[(long long)k * pitch] = f[k / SPAN][k % SPAN];
}

__device__ __forceinline__ int place_in_filters(int m, int q, int i, int j, const Geometry& s)
{
    return s.filter_first + m * s.filter_row + q * s.filter_channel + i * s.filter_step[1] + j * s.filter_step[2];
}

// w -> factors (36, depth, width) as conv.cu packs filters: filled up with zeros.  A thread owns a filter's taps for one channel.
extern "C" __global__ void __launch_bounds__(THREADS)
filter_factors(const T* __restrict__ w, T* __restrict__ factors, const Geometry s)
{
    int e = blockIdx.x * THREADS + threadIdx.x, m = e % s.width, q = e / s.width;
    if (e >= s.depth * s.width) return;
    T g[3][3], f[SPAN][SPAN];
#pragma unroll
    for (int t = 0; t < TAPS; ++t)
        g[t / 3][t % 3] = (m < s.rows) & (q < s.channels) ? w[place_in_filters(m, q, t / 3, t % 3, s)] : T(0);
    both_ways<3, SPAN, filters_to_factors>(g, f);
    write_factors(f, factors + e, s.depth * s.width);
}

// x -> factors (36, Q, pitch) of the `count` tiles from `start` on; the columns up to the pitch are zeros.
// grid: (groups of THREADS tiles, Q)
extern "C" __global__ void __launch_bounds__(THREADS)
pixel_factors(const T* __restrict__ x, T* __restrict__ factors, const Geometry s, int start, int count, int pitch)
{
    int p = blockIdx.x * THREADS + threadIdx.x, q = blockIdx.y;
    if (p >= pitch) return;
    Tile tile(start + p, s);
    T d[SPAN][SPAN], f[SPAN][SPAN];
    const T* plane = x + ((long long)(p < count ? tile.n : 0) * s.channels + q) * (s.size[1] * s.size[2]);
    take<SPAN>(plane, tile.h + s.first[1], tile.w + s.first[2], s.size[1], s.size[2], p < count, d);
    both_ways<SPAN, SPAN, pixels_to_factors>(d, f);
    write_factors(f, factors + (long long)q * pitch + p, s.channels * pitch);
}

// The same of the upstream gradient u: (36, M, pitch).  grid: (groups of THREADS tiles, M)
extern "C" __global__ void __launch_bounds__(THREADS)
gradient_factors(const T* __restrict__ u, T* __restrict__ factors, const Geometry s, int start, int count, int pitch)
{
    int p = blockIdx.x * THREADS + threadIdx.x, m = blockIdx.y;
    if (p >= pitch) return;
    Tile tile(start + p, s);
    T d[EDGE][EDGE], f[SPAN][SPAN];
    const T* plane = u + ((long long)(p < count ? tile.n : 0) * s.rows + m) * (s.out[1] * s.out[2]);
    take<EDGE>(plane, tile.h, tile.w, s.out[1], s.out[2], p < count, d);
    both_ways<EDGE, SPAN, gradients_to_factors>(d, f);
    write_factors(f, factors + (long long)m * pitch + p, s.rows * pitch);
}

// One output by the definition
__device__ T by_definition(const T* w, const T* x, int m, int n, int h, int v, const Geometry& s)
{
    T sum = 0;
    for (int q = 0; q < s.channels; ++q)
        for (int t = 0; t < TAPS; ++t) {
            int i = h + s.first[1] + t / 3, j = v + s.first[2] + t % 3;
            if (((unsigned)i < (unsigned)s.size[1]) & ((unsigned)j < (unsigned)s.size[2]))
                sum += w[place_in_filters(m, q, t / 3, t % 3, s)]
                       * x[(((long long)n * s.channels + q) * s.size[1] + i) * s.size[2] + j];
        }
    return sum;
}

// products (36, M, pitch) -> y.  grid: (groups of THREADS tiles, M)
extern "C" __global__ void __launch_bounds__(THREADS)
outputs(const T* __restrict__ products, const T* __restrict__ bias, const T* __restrict__ w, const T* __restrict__ x,
        T* __restrict__ y, const Geometry s, int start, int count, int pitch)
{
    int p = blockIdx.x * THREADS + threadIdx.x, m = blockIdx.y;
    if (p >= count) return;
    Tile tile(start + p, s);
    T f[SPAN][SPAN], r[EDGE][EDGE], add = bias ? bias[m] : T(0);
    const T* from = products + (long long)m * pitch + p;
#pragma unroll
    for (int k = 0; k < FACTORS; ++k) f[k / SPAN][k % SPAN] = from[(long long)k * s.rows * pitch];
    both_ways<SPAN, EDGE, products_to_outputs>(f, r);

    T* to = y + (((long long)tile.n * s.rows + m) * s.out[1] + tile.h) * s.out[2] + tile.w;
#pragma unroll
    for (int i = 0; i < EDGE; ++i) {
        if (tile.h + i >= s.out[1]) continue;
#pragma unroll
        for (int j = 0; j < EDGE; ++j) {
            if (!finite(r[i][j]) && tile.w + j < s.out[2]) r[i][j] = by_definition(w, x, m, tile.n, tile.h + i, tile.w + j, s);
            r[i][j] += add;
        }
        if (s.out[2] % EDGE == 0)
            *(Vector*)(to + i * s.out[2]) = *(const Vector*)r[i];
        else
#pragma unroll
            for (int j = 0; j < EDGE; ++j)
                if (tile.w + j < s.out[2]) to[i * s.out[2] + j] = r[i][j];
    }
}

// The gradient of filter m's taps for channel q by the definition: all threads of a block together
__device__ void gradient_by_definition(const T* u, const T* x, T* gw, int m, int q, const Geometry& s)
{
    __shared__ T half[THREADS];
    int thread = threadIdx.x, positions = s.out[1] * s.out[2];
    T sum[TAPS] = {};
    for (int n = 0; n < s.images; ++n)
        for (int p = thread; p < positions; p += THREADS) {
            const T* plane = x + ((long long)n * s.channels + q) * (s.size[1] * s.size[2]);
            T above = u[((long long)n * s.rows + m) * positions + p];
            for (int t = 0; t < TAPS; ++t) {
                int i = p / s.out[2] + s.first[1] + t / 3, j = p % s.out[2] + s.first[2] + t % 3;
                if (((unsigned)i < (unsigned)s.size[1]) & ((unsigned)j < (unsigned)s.size[2]))
                    sum[t] += above * plane[i * s.size[2] + j];
            }
        }
    for (int t = 0; t < TAPS; ++t) {
        half[thread] = sum[t];
        for (int n = THREADS / 2; n > 0; n /= 2) {
            __syncthreads();
            if (thread < n) half[thread] += half[thread + n];
        }
        if (thread == 0) gw[((long long)m * s.channels + q) * TAPS + t] = half[0];
        __syncthreads();
    }
}

// parts (parts, 36, M, Q), sums of products -> gw (M, Q, 3, 3).  A thread owns a filter's taps for one channel.
extern "C" __global__ void __launch_bounds__(THREADS)
weights(const T* __restrict__ parts, const T* __restrict__ u, const T* __restrict__ x, T* __restrict__ gw, const Geometry s, int count)
{
    __shared__ bool spoiled[THREADS];
    __shared__ int any;
    int thread = threadIdx.x, first = blockIdx.x * THREADS, all = s.rows * s.channels, e = first + thread;
    T f[SPAN][SPAN] = {}, g[3][3];
    bool whole = true;
    if (thread == 0) any = 0;
    if (e < all) {
        for (int z = 0; z < count; ++z)
#pragma unroll
            for (int k = 0; k < FACTORS; ++k) f[k / SPAN][k % SPAN] += parts[((long long)z * FACTORS + k) * all + e];
        both_ways<SPAN, 3, sums_to_filters>(f, g);
#pragma unroll
        for (int t = 0; t < TAPS; ++t) {
            whole &= finite(g[t / 3][t % 3]);
            gw[(long long)e * TAPS + t] = g[t / 3][t % 3];
        }
    }
    spoiled[thread] = !whole;
    __syncthreads();
    if (!whole) any = 1;
    __syncthreads();
    if (!any) return;
    for (int i = 0; i < THREADS; ++i)
        if (spoiled[i]) gradient_by_definition(u, x, gw, (first + i) / s.channels, (first + i) % s.channels, s);
}
