// im2col and col2im: the patches under a window as columns, and columns back to where they came from.
//
// The slow truth (im2col.py), for one plane of an image, k over the taps, o over the positions of the window:
//
//     im2col      col[k, o] = x[o*S - low + k*D], 0 outside the image
//     col2im      x[p] = sum of col[k, o] over the pairs (k, o) with  o*S - low + k*D = p
//
// This is the lesson, not the workhorse: convolution reads the columns from x when it needs them (conv.cu), and they are never
// stored.  Both kernels here show the rule of all others: one thread owns a result, and collects it.
//
// im2col: a thread owns a position of the window and copies its taps.  Neighbouring threads write neighbouring numbers, as col
// has the positions last.  A pixel is read as often as windows cover it, all but once from the cache.
//
// col2im could go the same way backwards: each position adds its taps to the pixels below.  Then two threads would add to one
// pixel at a time, and need atomic additions, whose order nobody knows.  So the question is turned round: a thread owns a pixel,
// and asks each tap k whether a position has it there, which is where (p + low - k*D) divides by S.  No number is added twice,
// and each sum has the reference's order, tap by tap.
//
// Constants: TYPE of the numbers; THREADS of a block.

typedef TYPE T;

struct Geometry {
    int size[3], out[3], taps[3];       // pixels of the image; positions of the window; its taps
    int stride[3], low[3], step[3];     // S, the padding in front, D
};

struct Place { int plane, at[3]; };

__device__ __forceinline__ Place unravel(unsigned i, const int* sizes)
{
    unsigned row = i / sizes[2], layer = row / sizes[1], plane = layer / sizes[0];
    return {(int)plane, {(int)(layer - plane * sizes[0]), (int)(row - layer * sizes[1]), (int)(i - row * sizes[2])}};
}

// grid: positions of all planes
extern "C" __global__ void __launch_bounds__(THREADS)
im2col(const T* __restrict__ x, T* __restrict__ col, const Geometry s, unsigned count)
{
    unsigned i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= count) return;
    Place o = unravel(i, s.out);
    int positions = s.out[0] * s.out[1] * s.out[2], taps = s.taps[0] * s.taps[1] * s.taps[2];
    T* to = col + (size_t)o.plane * taps * positions + (i - (unsigned)o.plane * positions);
    for (int k0 = 0; k0 < s.taps[0]; ++k0)
        for (int k1 = 0; k1 < s.taps[1]; ++k1)
            for (int k2 = 0; k2 < s.taps[2]; ++k2) {
                int d = o.at[0] * s.stride[0] - s.low[0] + k0 * s.step[0];
                int h = o.at[1] * s.stride[1] - s.low[1] + k1 * s.step[1];
                int w = o.at[2] * s.stride[2] - s.low[2] + k2 * s.step[2];
                bool inside = (unsigned)d < (unsigned)s.size[0] && (unsigned)h < (unsigned)s.size[1]
                              && (unsigned)w < (unsigned)s.size[2];
                *to = inside ? x[(((size_t)o.plane * s.size[0] + d) * s.size[1] + h) * s.size[2] + w] : T(0);
                to += positions;
            }
}

// The position along axis a whose tap k lies over pixel p; -1 for none
__device__ __forceinline__ int position(int p, int k, int a, const Geometry& s)
{
    int from = p + s.low[a] - k * s.step[a], o = from / s.stride[a];
    return from >= 0 && o < s.out[a] && o * s.stride[a] == from ? o : -1;
}

// grid: pixels of all planes
extern "C" __global__ void __launch_bounds__(THREADS)
col2im(const T* __restrict__ col, T* __restrict__ x, const Geometry s, unsigned count)
{
    unsigned i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= count) return;
    Place p = unravel(i, s.size);
    T sum = 0;
    for (int k0 = 0; k0 < s.taps[0]; ++k0) {
        int o0 = position(p.at[0], k0, 0, s);
        for (int k1 = 0; k1 < s.taps[1]; ++k1) {
            int o1 = position(p.at[1], k1, 1, s);
            for (int k2 = 0; k2 < s.taps[2]; ++k2) {
                int o2 = position(p.at[2], k2, 2, s);
                if (o0 < 0 || o1 < 0 || o2 < 0) continue;
                size_t k = (((size_t)p.plane * s.taps[0] + k0) * s.taps[1] + k1) * s.taps[2] + k2;
                sum += col[((k * s.out[0] + o0) * s.out[1] + o1) * s.out[2] + o2];
            }
        }
    }
    x[i] = sum;
}
