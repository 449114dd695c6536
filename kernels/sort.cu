// Sorting indices, equal ones in the order in which they come: a radix sort, in passes over digits of 8 bits.
//
// The slow truth, for each row of index (N, Q):
//
//     order = argsort(index, stable),   key = index[order]
//
// A pass sorts by one digit and keeps the order of what is equal in it, so after a pass for each digit, the lowest first,
// everything is sorted.  Within a pass an entry goes to
//
//     (entries with smaller digits) + (entries with its digit in the tiles before) + (those before it in its own tile).
//
// `counts` counts the digits of every tile, `offsets` adds these up over all digits and tiles, and `place` brings each entry
// to its place.  In `place` a warp owns 32 * ROUNDS neighbouring entries and takes 32 of them at a time, in their order: lanes
// with the same digit find one another (__match_any_sync), and each is placed after those below it.
//
// An index outside 0..P-1 counts as P, so it comes last and is never followed.
//
// Constants: INDEX_TYPE; WARPS of a block, and ROUNDS: a tile has 32 * WARPS * ROUNDS entries.

typedef INDEX_TYPE Index;

#define DIGITS 256
#define THREADS (32 * WARPS)
#define MINE (32 * ROUNDS)              // entries of a warp
#define TILE (MINE * WARPS)

static_assert(THREADS == DIGITS, "a thread adds up one digit");

// The entries of one pass: in the first they are the indices themselves, with their places.
struct Source {
    const Index* index;                 // null after the first pass
    const int *key, *order;
    long long P;
    int Q, shift;

    __device__ __forceinline__ int at(int n, int q) const
    {
        long long i = (long long)n * Q + q;
        if (!index) return key[i];
        long long p = (long long)index[i];
        return (int)(p >= 0 && p < P ? p : P);
    }
};

// grid: (tiles, N).  count[n][digit][tile]
extern "C" __global__ void __launch_bounds__(THREADS) counts(const Source s, int* __restrict__ count)
{
    __shared__ int found[DIGITS];
    int thread = threadIdx.x, tile = blockIdx.x, tiles = gridDim.x, n = blockIdx.y;
    found[thread] = 0;
    __syncthreads();
    for (int i = thread; i < TILE; i += THREADS) {
        int q = tile * TILE + i;
        if (q < s.Q) atomicAdd(&found[s.at(n, q) >> s.shift & (DIGITS - 1)], 1);      // whole numbers: in any order the same
    }
    __syncthreads();
    count[((long long)n * DIGITS + thread) * tiles + tile] = found[thread];
}

// grid: (N).  count[n] -> the sum of what stands before, in place.  A round adds up THREADS numbers, by doubling the reach.
extern "C" __global__ void __launch_bounds__(THREADS) offsets(int* __restrict__ count, int size)
{
    __shared__ int sum[2][THREADS];
    int thread = threadIdx.x, before = 0;
    count += (long long)blockIdx.x * size;
    for (int start = 0; start < size; start += THREADS) {
        int i = start + thread, mine = i < size ? count[i] : 0, half = 0;
        sum[half][thread] = mine;
        for (int reach = 1; reach < THREADS; reach *= 2, half ^= 1) {
            __syncthreads();
            sum[half ^ 1][thread] = sum[half][thread] + (thread >= reach ? sum[half][thread - reach] : 0);
        }
        __syncthreads();
        if (i < size) count[i] = before + sum[half][thread] - mine;
        before += sum[half][THREADS - 1];
        __syncthreads();
    }
}

// grid: (tiles, N)
extern "C" __global__ void __launch_bounds__(THREADS)
place(const Source s, const int* __restrict__ offset, int* __restrict__ key, int* __restrict__ order)
{
    __shared__ int next[WARPS][DIGITS];                   // where a warp's next entry with this digit goes
    int thread = threadIdx.x, warp = thread / 32, lane = thread % 32, tile = blockIdx.x, tiles = gridDim.x, n = blockIdx.y;
    for (int w = 0; w < WARPS; ++w) next[w][thread] = 0;
    __syncthreads();

    int mine[ROUNDS];
    unsigned same[ROUNDS];                                // the lanes that hold the same digit
#pragma unroll
    for (int r = 0; r < ROUNDS; ++r) {
        int q = tile * TILE + warp * MINE + r * 32 + lane;
        mine[r] = q < s.Q ? s.at(n, q) : -1;
        int digit = q < s.Q ? mine[r] >> s.shift & (DIGITS - 1) : DIGITS;
        same[r] = __match_any_sync(0xffffffffu, digit);
        if (q < s.Q && lane == __ffs((int)same[r]) - 1) next[warp][digit] += __popc(same[r]);
        __syncwarp();
    }
    __syncthreads();
    int sum = offset[((long long)n * DIGITS + thread) * tiles + tile];
    for (int w = 0; w < WARPS; ++w) {
        int count = next[w][thread];
        next[w][thread] = sum;
        sum += count;
    }
    __syncthreads();
#pragma unroll
    for (int r = 0; r < ROUNDS; ++r) {
        int q = tile * TILE + warp * MINE + r * 32 + lane, digit = mine[r] >> s.shift & (DIGITS - 1);
        bool exists = q < s.Q;
        if (exists) {
            long long to = (long long)n * s.Q + next[warp][digit] + __popc(same[r] & ((1u << lane) - 1));
            key[to] = mine[r];
            order[to] = s.index ? q : s.order[(long long)n * s.Q + q];
        }
        __syncwarp();
        if (exists && lane == __ffs((int)same[r]) - 1) next[warp][digit] += __popc(same[r]);
        __syncwarp();
    }
}
