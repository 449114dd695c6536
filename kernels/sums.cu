// Sums over many numbers, in two steps: blocks add up parts, and the parts are added up.  The order of the additions depends on
// the sizes only, so a sum is the same in every run, which atomic additions would not give.
//
// The slow truth:
//
//     channel_parts    parts[p, c] = sum of u[n, c, i] over pixels i and images n = p, p + P, p + 2P, ...
//     sum_parts        y[i] = sum over p of parts[p, i]
//
// Constants: TYPE of the numbers, SUM_TYPE of the sums, THREADS a power of 2.

typedef TYPE T;
typedef SUM_TYPE S;

// The sum over the threads of a block, known to all of them, to be called once in a kernel: each round, half as many threads add the other half's sums.
__device__ __forceinline__ S block_sum(S mine)
{
    __shared__ S half[THREADS];
    int thread = threadIdx.x;
    half[thread] = mine;
    for (int n = THREADS / 2; n > 0; n /= 2) {
        __syncthreads();
        if (thread < n) half[thread] += half[thread + n];
    }
    __syncthreads();
    return half[0];
}

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
