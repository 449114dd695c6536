// Softmax, its logarithm, and its cross entropy with labels, forwards and backwards.
//
// The slow truth (softmax.py), for one line of K scores x, with top = max x, e = exp(x - top), total = sum of e:
//
//     KIND         forward                                   backward
//     SOFTMAX      y = e / total                             gx = y (g - sum of g y)
//     LOGARITHM    y = x - top - log(total)                  gx = g - e / total * sum of g
//     LOSS         log(total) - (x at the label - top)       gx = g (e / total - 1 at the label)
//
// Forwards all keep top and total.  Scores (N, K, B) have N*B lines; the scores of a line are B numbers apart.
//
// Who owns what.  A line belongs to a team of TEAM threads, each of which takes every TEAM-th score.  Where the scores of a line
// are neighbours (B = 1), a team is as wide as the line, up to a warp or a block, and neighbouring threads read neighbouring
// scores; where the lines are neighbours, as the pixels of a picture are, every thread has a line of its own (TEAM = 1), and
// neighbouring threads read neighbouring lines.  A thread keeps its scores, ITEMS of them, in registers, so memory is read once
// and written once (FITS); of longer lines it takes ITEMS at a time and reads them again for each step, mostly from a cache.
//
// Sums of a team are added up as a tree, in the same order in every run: of K numbers to K/TEAM + log2(TEAM) units of rounding.
//
// Constants: TYPE of the numbers; KIND; TEAM a power of two, from 32 on that of the whole block; ITEMS; FITS; THREADS of a block; LABEL_TYPE.

#include "block.cuh"

typedef TYPE T;
typedef LABEL_TYPE Label;

#define SOFTMAX 0
#define LOGARITHM 1
#define LOSS 2

#define LOWEST T(-__uint_as_float(0x7f800000u))           // minus infinity
#define NO_NUMBER T(__uint_as_float(0x7fc00000u))

__device__ __forceinline__ T exponential(T x)
{
    if constexpr (sizeof(T) == 4) return expf(x);
    else return exp(x);
}

__device__ __forceinline__ T logarithm(T x)
{
    if constexpr (sizeof(T) == 4) return logf(x);
    else return log(x);
}

// The larger of two numbers, and no number if one of them is none
__device__ __forceinline__ T larger(T a, T b)
{
    return b > a || b != b ? b : a;
}

// What the threads of a team have, combined, for all of them
template <class Combine>
__device__ __forceinline__ T of_team(T mine, Combine combine)
{
#pragma unroll
    for (int far = (TEAM < 32 ? TEAM : 32) / 2; far > 0; far /= 2) mine = combine(mine, __shfl_xor_sync(0xffffffffu, mine, far));
    if (TEAM <= 32) return mine;
    __shared__ T warps[(TEAM + 31) / 32];
    __syncthreads();                                      // the last sum was read by all
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = mine;
    __syncthreads();
    mine = warps[0];
    for (int i = 1; i < TEAM / 32; ++i) mine = combine(mine, warps[i]);
    return mine;
}

__device__ __forceinline__ T team_sum(T mine)
{
    return of_team(mine, [](T a, T b) { return a + b; });
}

// The line of a thread's team.  A team without a line of its own goes along with the last one, for warps act together.
struct Line {
    int row, base, K, B, lane;
    bool there;

    __device__ __forceinline__ Line(int rows, int K, int B) : K(K), B(B), lane(threadIdx.x % TEAM)
    {
        long long mine = (long long)blockIdx.x * (THREADS / TEAM) + threadIdx.x / TEAM;
        there = mine < rows;
        row = there ? (int)mine : rows - 1;
        base = B == 1 ? row * K : row / B * K * B + row % B;
    }

    // Call body(i, k, offset) for the scores of this thread from start on
    template <class Body>
    __device__ __forceinline__ void items(int start, Body body) const
    {
#pragma unroll
        for (int i = 0; i < ITEMS; ++i) {
            int k = start + i * TEAM + lane;
            if (k < K) body(i, k, base + k * B);
        }
    }

    // Call body(start) once, or for each piece of a line that does not fit
    template <class Body>
    __device__ __forceinline__ void pieces(Body body) const
    {
        if (FITS) body(0);
        else for (int start = 0; start < K; start += TEAM * ITEMS) body(start);
    }
};

// y: like x, or the losses, one per line.  grid: blocks of THREADS/TEAM lines
extern "C" __global__ void __launch_bounds__(THREADS)
forward(const T* __restrict__ x, const Label* __restrict__ labels, T* __restrict__ y, T* __restrict__ tops, T* __restrict__ totals,
        int rows, int K, int B)
{
    Line line(rows, K, B);
    T v[ITEMS], top = LOWEST, total = 0;
    auto load = [&](int start) { line.items(start, [&](int i, int, int at) { v[i] = x[at]; }); };
    line.pieces([&](int start) {
        load(start);
        line.items(start, [&](int i, int, int) { top = larger(top, v[i]); });
    });
    top = of_team(top, larger);
    line.pieces([&](int start) {
        if (!FITS) load(start);
        line.items(start, [&](int i, int, int) {
            T e = exponential(v[i] - top);
            if (KIND == SOFTMAX) v[i] = e;
            total += e;
        });
    });
    total = team_sum(total);
    if (!line.there) return;
    if (line.lane == 0) {
        tops[line.row] = top;
        totals[line.row] = total;
    }
    T logs = KIND == SOFTMAX ? T(0) : logarithm(total);
    if (KIND == LOSS) {
        if (line.lane) return;
        long long label = (long long)labels[line.row];
        T right = label >= 0 && label < K ? x[line.base + (int)label * B] : NO_NUMBER;
        y[line.row] = logs - (right - top);
        return;
    }
    line.pieces([&](int start) {
        if (!FITS) load(start);
        line.items(start, [&](int i, int, int at) {
            if (KIND == SOFTMAX) y[at] = (FITS ? v[i] : exponential(v[i] - top)) / total;
            else y[at] = v[i] - top - logs;
        });
    });
}

// g: like x, or one per line, `g_step` numbers apart (0 where all lines share one), or that of the mean of `count` lines: those
// whose label is not `ignored`, for the others get nothing.
extern "C" __global__ void __launch_bounds__(THREADS)
backward(const T* __restrict__ g, const T* __restrict__ x, const Label* __restrict__ labels, T* __restrict__ gx,
         const T* __restrict__ tops, const T* __restrict__ totals, const T* __restrict__ count, long long ignored, int g_step,
         int rows, int K, int B)
{
    Line line(rows, K, B);
    T top = tops[line.row], total = totals[line.row];
    if (KIND == LOSS) {
        if (!line.there) return;
        long long label = (long long)labels[line.row];
        T up = label == ignored ? T(0) : g[(long long)line.row * g_step] / (count ? *count : T(1)), scale = up / total;
        line.pieces([&](int start) {
            T v[ITEMS];
            line.items(start, [&](int i, int, int at) { v[i] = x[at]; });
            line.items(start, [&](int i, int k, int at) { gx[at] = exponential(v[i] - top) * scale - (k == label ? up : T(0)); });
        });
        return;
    }
    T v[ITEMS], d[ITEMS], sum = 0;
    auto load = [&](int start) {
        line.items(start, [&](int i, int, int at) {
            v[i] = x[at];
            d[i] = g[at];
        });
        line.items(start, [&](int i, int, int) { v[i] = exponential(v[i] - top) / total; });
    };
    line.pieces([&](int start) {
        load(start);
        line.items(start, [&](int i, int, int) { sum += KIND == SOFTMAX ? d[i] * v[i] : d[i]; });
    });
    sum = team_sum(sum);
    if (!line.there) return;
    line.pieces([&](int start) {
        if (!FITS) load(start);
        line.items(start, [&](int i, int, int at) { gx[at] = KIND == SOFTMAX ? v[i] * (d[i] - sum) : d[i] - v[i] * sum; });
    });
}

struct Sum {
    double losses, count;

    __device__ __forceinline__ void operator+=(const Sum& other)
    {
        losses += other.losses;
        count += other.count;
    }
};

__device__ __forceinline__ void write_mean(Sum sum, T* mean, T* count)
{
    if (threadIdx.x) return;
    *mean = T(sum.losses / sum.count);
    *count = T(sum.count);
}

// The mean of the losses whose label is not `ignored`.  grid: blocks that add up every gridDim-th of them; one writes the mean itself,
// the sums of several are for add_parts.
extern "C" __global__ void __launch_bounds__(THREADS)
average(const T* __restrict__ losses, const Label* __restrict__ labels, Sum* __restrict__ parts, T* __restrict__ mean,
        T* __restrict__ count, long long ignored, int rows)
{
    Sum sum = {0, 0};
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < rows; i += gridDim.x * THREADS)
        if ((long long)labels[i] != ignored) sum.losses += losses[i], ++sum.count;
    sum = block_sum(sum);
    if (gridDim.x == 1) write_mean(sum, mean, count);
    else if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

extern "C" __global__ void __launch_bounds__(THREADS)
add_parts(const Sum* __restrict__ parts, T* __restrict__ mean, T* __restrict__ count, int number)
{
    Sum sum = {0, 0};
    for (int i = threadIdx.x; i < number; i += THREADS) sum += parts[i];
    write_mean(block_sum(sum), mean, count);
}
