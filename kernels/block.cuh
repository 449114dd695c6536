// What the threads of a block have, added up.

// The sum, known to all of them, to be called once in a kernel: each round, half as many threads add the other half's sums.
// THREADS is a power of 2.
template <class S>
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
