// Sums over many numbers, in two steps: blocks add up parts, and the parts are added up.  The order of the additions depends on
// the sizes only, so a sum is the same in every run, which atomic additions would not give.
//
// The slow truth:
//
//     channel_parts    parts[p, c] = sum of u[n, c, i] over pixels i and images n = p, p + P, p + 2P, ...
//     sum_parts        y[i] = sum over p of parts[p, i]
//
// Constants: TYPE of the numbers, SUM_TYPE of the sums, THREADS of a block.

#include "block.cuh"

typedef TYPE T;
typedef SUM_TYPE S;

// parts (P, size) -> y (size): a thread owns an element
extern "C" __global__ void sum_parts(const S* __restrict__ parts, T* __restrict__ y, long long size, int P)
{
    long long i = (long long)blockIdx.x * THREADS + threadIdx.x;
    if (i >= size) return;
    S sum = 0;
    for (int p = 0; p < P; ++p) sum += parts[p * size + i];
    y[i] = T(sum);
}

// u (N, C, pixels) -> parts (P, C): block (c, p) adds up channel c of every P-th image
extern "C" __global__ void channel_parts(const T* __restrict__ u, S* __restrict__ parts, int N, int C, int pixels)
{
    int c = blockIdx.x, images = (N - (int)blockIdx.y + (int)gridDim.y - 1) / (int)gridDim.y;
    S sum = 0;
    for (long long j = threadIdx.x; j < (long long)images * pixels; j += THREADS) {
        long long n = blockIdx.y + j / pixels * gridDim.y;
        sum += S(u[(n * C + c) * pixels + j % pixels]);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[blockIdx.y * C + c] = sum;
}
