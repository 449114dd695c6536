// Random numbers by counting: Philox 4x32, ten rounds.
//
// The slow truth (random.py): element i is word i % 4 of block i / 4, and a block is what ten rounds make of its number,
//
//     hi0 lo0 = M0 * c0,   hi1 lo1 = M1 * c2          c <- (hi1 ^ c1 ^ k0,  lo1,  hi0 ^ c3 ^ k1,  lo0)        k <- k + (W0, W1)
//
// from c = (the lower, the upper word of the number, turn, 0).  A thread owns a block: it keeps the words in registers and
// writes four elements.  Nothing is read, so the same key gives the same bits, however the threads are scheduled.
//
// A step that is recorded and repeated has the same key each time.  What differs then is `turn`, a number on the device that the
// step itself counts up at its end (`count_turn`); otherwise it is 0, a null pointer here.
//
// Constants: THREADS of a block.

struct __align__(16) Words { unsigned v[4]; };
struct __align__(16) Floats { float v[4]; };
struct __align__(4) Flags { bool v[4]; };

__device__ __forceinline__ Words philox(unsigned long long number, unsigned turn, unsigned k0, unsigned k1)
{
    unsigned c0 = (unsigned)number, c1 = (unsigned)(number >> 32), c2 = turn, c3 = 0;
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        unsigned hi0 = __umulhi(0xD2511F53u, c0), lo0 = 0xD2511F53u * c0;
        unsigned hi1 = __umulhi(0xCD9E8D57u, c2), lo1 = 0xCD9E8D57u * c2;
        c0 = hi1 ^ c1 ^ k0;
        c1 = lo1;
        c2 = hi0 ^ c3 ^ k1;
        c3 = lo0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return {{c0, c1, c2, c3}};
}

// The first 24 bits of a word as a fraction in [0, 1), which a float holds exactly
__device__ __forceinline__ float fraction(unsigned word)
{
    return (float)(word >> 8) * 0x1p-24f;
}

extern "C" __global__ void __launch_bounds__(THREADS)
uniform(float* __restrict__ y, unsigned k0, unsigned k1, const unsigned* __restrict__ turn, long long size)
{
    long long block = (long long)blockIdx.x * THREADS + threadIdx.x, i = 4 * block;
    if (i >= size) return;
    Words w = philox(block, turn ? *turn : 0, k0, k1);
    Floats r;
#pragma unroll
    for (int v = 0; v < 4; ++v) r.v[v] = fraction(w.v[v]);
    if (size - i >= 4) *(Floats*)(y + i) = r;
    else
#pragma unroll
        for (int v = 0; v < 4; ++v) if (i + v < size) y[i + v] = r.v[v];
}

extern "C" __global__ void __launch_bounds__(THREADS)
kept(bool* __restrict__ y, unsigned k0, unsigned k1, const unsigned* __restrict__ turn, long long size, float p)
{
    long long block = (long long)blockIdx.x * THREADS + threadIdx.x, i = 4 * block;
    if (i >= size) return;
    Words w = philox(block, turn ? *turn : 0, k0, k1);
    Flags r;
#pragma unroll
    for (int v = 0; v < 4; ++v) r.v[v] = fraction(w.v[v]) >= p;
    if (size - i >= 4) *(Flags*)(y + i) = r;
    else
#pragma unroll
        for (int v = 0; v < 4; ++v) if (i + v < size) y[i + v] = r.v[v];
}

extern "C" __global__ void count_turn(unsigned* turn)
{
    if (threadIdx.x == 0) *turn += 1;
}
