// Sparse tables along an axis, and pixels by index.
//
// The slow truth (resample.py):
//
//     apply_table      y[b, o, k] = sum over the entries t of row o of  weight[t] * x[b, index[t], k]
//     gather_pixels    y[n, c, q] = x[n, c, index[n, q]]
//     scatter_pixels   x[n, c, p] = sum of g[n, c, q] over the q with index[n, q] = p
//
// Who owns what.  Each result belongs to a thread, which collects what it needs, so nothing is added by two threads at a time.
// A table lies here as a list of entries for each row, without the entries that fill up short rows; start[o] is the first of
// row o.  Neighbouring threads own neighbouring k, or neighbouring o where there is only one k, and so read neighbouring numbers.
// Where k allows it, a thread owns VEC of them, 16 bytes.
//
// The pixels that go to one place are found by sorting (sort.cu): `order` lists the q of an image by their index, equal ones
// as they come, `key` has the indices in that order.  A thread finds the first entry of its pixel by bisection and adds up
// what follows, in double, for CHANNELS channels at once, so that order and key are read once for all of them.  This is the
// reference's sum in the reference's order.  Where thousands of q go to one pixel, its thread takes that long.
//
// Constants: TYPE of the numbers; INDEX_TYPE; VEC numbers of a thread of apply_table; THREADS of a block.

typedef TYPE T;
typedef INDEX_TYPE Index;

#define CHANNELS 4

struct __align__(VEC * sizeof(T)) Vector { T v[VEC]; };

// weight: null where all are 1; K: vectors.
extern "C" __global__ void __launch_bounds__(THREADS)
apply_table(const Vector* __restrict__ x, Vector* __restrict__ y, const int* __restrict__ start, const int* __restrict__ index,
            const T* __restrict__ weight, unsigned threads, unsigned I, unsigned O, unsigned K)
{
    unsigned i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= threads) return;
    unsigned row = i / K, k = i - row * K, b = row / O, o = row - b * O;
    x += b * I * K + k;
    Vector sum = {};
    int first = start[o], last = start[o + 1];
    for (int t = first; t < last; ++t) {
        Vector a = x[(unsigned)index[t] * K];
        T w = weight ? weight[t] : T(1);
#pragma unroll
        for (int v = 0; v < VEC; ++v) sum.v[v] = t == first ? w * a.v[v] : sum.v[v] + w * a.v[v];    // not 0 + -0: a copy is one
    }
    y[i] = sum;
}

// A thread owns place q of image n in `each` channels, and reads its index once.  What lies outside reads as no number.
extern "C" __global__ void __launch_bounds__(THREADS)
gather_pixels(const T* __restrict__ x, const Index* __restrict__ index, T* __restrict__ y,
              unsigned places, unsigned Q, unsigned P, unsigned C, unsigned each)
{
    unsigned i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= places) return;
    unsigned n = i / Q, q = i - n * Q, c = blockIdx.y * each, end = c + each < C ? c + each : C;
    long long p = (long long)index[i];
    bool inside = p >= 0 && p < P;
    for (; c < end; ++c) y[(n * C + c) * Q + q] = inside ? x[(n * C + c) * P + (unsigned)p] : (T)(0.0 / 0.0);
}

// A thread owns pixel p of image n in CHANNELS channels.
extern "C" __global__ void __launch_bounds__(THREADS)
scatter_pixels(const T* __restrict__ g, const int* __restrict__ key, const int* __restrict__ order, T* __restrict__ x,
               unsigned pixels, unsigned Q, unsigned P, unsigned C)
{
    unsigned i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= pixels) return;
    unsigned n = i / P, c = blockIdx.y * CHANNELS, end = n * Q + Q;
    int p = (int)(i - n * P);
    unsigned at = n * Q, stop = end;                       // the first entry that is not below p
    while (at < stop) {
        unsigned middle = (at + stop) / 2;
        if (key[middle] < p) at = middle + 1;
        else stop = middle;
    }
    double sum[CHANNELS] = {};
    const T* from = g + (n * C + c) * Q;
    for (; at < end && key[at] == p; ++at) {
        unsigned q = order[at];
#pragma unroll
        for (unsigned v = 0; v < CHANNELS; ++v) if (c + v < C) sum[v] += (double)from[v * Q + q];
    }
#pragma unroll
    for (unsigned v = 0; v < CHANNELS; ++v) if (c + v < C) x[(n * C + c + v) * P + p] = T(sum[v]);
}
