// Convolution with few filters, or one for each channel: there is too little to multiply to pay for a tile in shared memory.
//
// The slow truth is that of conv.cu:  y[m, p] = sum over channels q and taps t of  w[m, q, t] * x[q, p*stride + first + t*step],
// zero outside of x.  Here a thread owns PIXELS positions of all ROWS filters of a group, which stay in
// registers, and reads x itself: neighbouring threads read neighbouring pixels, and what they read twice lies in the nearest
// cache.  Only the filters come through shared memory, where all threads read the same number at the same time.  Where the window
// moves on pixel by pixel, the positions of a thread are neighbours in a line (`direct_line`): T2 + PIXELS - 1 pixels of a line
// serve for all of them, which one by one would read T2 * PIXELS.
//
// Constants: TYPE of the numbers; ROWS, a power of 2 up to 16; PIXELS of a thread; T0 T1 T2 (window.cuh); TURNED, for direct_line:
// whether taps come from the right.

typedef TYPE T;

#include "window.cuh"

#define THREADS 256
#define MOST 4096                       // numbers of the filters in shared memory
#define CHANNELS (MOST / (TAPS * ROWS)) // at a time

// The taps of some channels for all filters of group g
__device__ __forceinline__ void take_filters(const T* __restrict__ w, T* filters, int g, int q0, int count, const Geometry& s)
{
    __syncthreads();
    for (int e = threadIdx.x; e < count * TAPS * ROWS; e += THREADS) {
        int m = e % ROWS, t = e / ROWS % TAPS, q = q0 + e / (ROWS * TAPS);
        int tap = t / (T1 * T2) * s.filter_step[0] + t / T2 % T1 * s.filter_step[1] + t % T2 * s.filter_step[2];
        filters[e] = m < s.rows
            ? w[(long long)g * s.filter_group + s.filter_first + m * s.filter_row + q * s.filter_channel + tap] : T(0);
    }
    __syncthreads();
}

// grid: (groups of THREADS * PIXELS positions, G)
extern "C" __global__ void __launch_bounds__(THREADS)
direct(const T* __restrict__ w, const T* __restrict__ x, const T* __restrict__ bias, T* __restrict__ y, const Geometry s)
{
    __shared__ __align__(16) T filters[CHANNELS * TAPS * ROWS];
    __shared__ int tap_offset[TAPS];
    int thread = threadIdx.x, g = blockIdx.y;
    int positions = s.out[0] * s.out[1] * s.out[2], plane = s.size[0] * s.size[1] * s.size[2];
    int columns = s.images * positions, p0 = blockIdx.x * (THREADS * PIXELS) + thread;

    for (int t = thread; t < TAPS; t += THREADS) tap_offset[t] = flat(tap_place(t, s), s.size);
    const T* source[PIXELS];
    Inside inside[PIXELS];
#pragma unroll
    for (int c = 0; c < PIXELS; ++c) {
        int p = p0 + c * THREADS, n = p < columns ? p / positions : 0;
        Place at = corner(unravel(p < columns ? p - n * positions : 0, s.out), s);
        source[c] = x + ((long long)n * s.groups + g) * s.channels * plane + flat(at, s.size);
        inside[c].look(at, s);
        if (p >= columns) inside[c].none();
    }

    T sum[PIXELS][ROWS] = {};
    for (int q0 = 0; q0 < s.channels; q0 += CHANNELS) {
        int count = s.channels - q0 < CHANNELS ? s.channels - q0 : CHANNELS;
        take_filters(w, filters, g, q0, count, s);
        for (int q = 0; q < count; ++q)
#pragma unroll
            for (int t = 0; t < TAPS; ++t) {
                T value[PIXELS];
#pragma unroll
                for (int c = 0; c < PIXELS; ++c)
                    value[c] = inside[c].at(t, s) ? source[c][(q0 + q) * plane + tap_offset[t]] : T(0);
#pragma unroll
                for (int m = 0; m < ROWS; ++m)
#pragma unroll
                    for (int c = 0; c < PIXELS; ++c) sum[c][m] += filters[(q * TAPS + t) * ROWS + m] * value[c];
            }
    }

    int to_plane = s.to_size[0] * s.to_size[1] * s.to_size[2];
#pragma unroll
    for (int c = 0; c < PIXELS; ++c) {
        int p = p0 + c * THREADS, n = p / positions;
        if (p >= columns) continue;
        T* to = y + target(n, g, 0, unravel(p - n * positions, s.out), s);
#pragma unroll
        for (int m = 0; m < ROWS; ++m)
            if (m < s.rows) to[(long long)m * to_plane] = sum[c][m] + (bias ? bias[g * s.rows + m] : T(0));
    }
}

#ifdef TURNED
struct __align__(PIXELS * sizeof(T)) Line { T v[PIXELS]; };

// grid: as above; a line of positions has whole groups of PIXELS, and so has one of y
extern "C" __global__ void __launch_bounds__(THREADS)
direct_line(const T* __restrict__ w, const T* __restrict__ x, const T* __restrict__ bias, T* __restrict__ y, const Geometry s)
{
    constexpr int WIDE = T2 + PIXELS - 1;
    __shared__ __align__(16) T filters[CHANNELS * TAPS * ROWS];
    int g = blockIdx.y, positions = s.out[0] * s.out[1] * s.out[2], plane = s.size[0] * s.size[1] * s.size[2];
    int p = (blockIdx.x * THREADS + threadIdx.x) * PIXELS, n = p / positions;
    bool exists = p < s.images * positions;
    Place o = unravel(exists ? p - n * positions : 0, s.out), at = corner(o, s);
    int left = TURNED ? at.w - (T2 - 1) : at.w;           // of the pixels that the thread reads in a line
    const T* source = x + ((long long)(exists ? n : 0) * s.groups + g) * s.channels * plane;

    T sum[ROWS][PIXELS] = {};
    for (int q0 = 0; q0 < s.channels; q0 += CHANNELS) {
        int count = s.channels - q0 < CHANNELS ? s.channels - q0 : CHANNELS;
        take_filters(w, filters, g, q0, count, s);
        for (int q = 0; q < count; ++q)
#pragma unroll
            for (int i = 0; i < T0 * T1; ++i) {
                int d = at.d + i / T1 * s.step[0], h = at.h + i % T1 * s.step[1];
                bool there = exists & ((unsigned)d < (unsigned)s.size[0]) & ((unsigned)h < (unsigned)s.size[1]);
                const T* line = source + (q0 + q) * plane + (d * s.size[1] + h) * s.size[2];
                T value[WIDE];
#pragma unroll
                for (int k = 0; k < WIDE; ++k)
                    value[k] = there & ((unsigned)(left + k) < (unsigned)s.size[2]) ? line[left + k] : T(0);
#pragma unroll
                for (int k = 0; k < T2; ++k)
#pragma unroll
                    for (int m = 0; m < ROWS; ++m) {
                        T tap = filters[(q * TAPS + i * T2 + k) * ROWS + m];
#pragma unroll
                        for (int c = 0; c < PIXELS; ++c) sum[m][c] += tap * value[(TURNED ? T2 - 1 - k : k) + c];
                    }
            }
    }
    if (!exists) return;

    int to_plane = s.to_size[0] * s.to_size[1] * s.to_size[2];
    T* to = y + target(n, g, 0, o, s);
#pragma unroll
    for (int m = 0; m < ROWS; ++m) {
        if (m >= s.rows) continue;
        T add = bias ? bias[g * s.rows + m] : T(0);
        Line r;
#pragma unroll
        for (int c = 0; c < PIXELS; ++c) r.v[c] = sum[m][c] + add;
        *(Line*)(to + (long long)m * to_plane) = r;
    }
}
#endif

// The gradient of one filter for each channel.  grid: (G, parts); block (g, z) adds up every parts-th image of channel g, its threads
// every THREADS-th position, with a sum for each tap in registers; parts (z, g, t) are added up by sum_parts.
extern "C" __global__ void __launch_bounds__(THREADS)
direct_weight(const T* __restrict__ u, const T* __restrict__ x, T* __restrict__ parts, const Geometry s)
{
    __shared__ T half[THREADS];
    int thread = threadIdx.x, g = blockIdx.x;
    int positions = s.out[0] * s.out[1] * s.out[2], plane = s.size[0] * s.size[1] * s.size[2];
    T sum[TAPS] = {};
    for (int n = blockIdx.y; n < s.images; n += gridDim.y)
        for (int p = thread; p < positions; p += THREADS) {
            Place at = corner(unravel(p, s.out), s);
            Inside inside;
            inside.look(at, s);
            const T* source = x + ((long long)n * s.groups + g) * plane + flat(at, s.size);
            T above = u[((long long)n * s.groups + g) * positions + p];
#pragma unroll
            for (int t = 0; t < TAPS; ++t)
                if (inside.at(t, s)) sum[t] += above * source[flat(tap_place(t, s), s.size)];
        }
#pragma unroll
    for (int t = 0; t < TAPS; ++t) {
        half[thread] = sum[t];
        for (int n = THREADS / 2; n > 0; n /= 2) {
            __syncthreads();
            if (thread < n) half[thread] += half[thread + n];
        }
        if (thread == 0) parts[((long long)blockIdx.y * s.groups + g) * TAPS + t] = half[0];
        __syncthreads();
    }
}
