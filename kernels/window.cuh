// How a window lies over an image, for the sources of convolution: positions, taps, pixels, and which of them exist.
//
// Constants: T0 T1 T2 the taps along each of three axes; an image has two, T0 = 1.  P0 P1 P2, if given, the pixels of a patch.

#define TAPS (T0 * T1 * T2)

// Filters that stride as far as they are large do not overlap: each position of u makes a patch of y of its own, and a row of the
// product is a pixel of it.  Row m of such a sum is pixel m % PATCH of channel m / PATCH.  With PAIR a patch is two neighbours in
// a line, which have different taps of filters that overlap (cuda/conv.py).
#ifdef P0
#define PATCH (P0 * P1 * P2)
#else
#define PATCH 1
#define P1 1
#define P2 1
#endif

struct Geometry {
    int images, groups;                 // N, G
    int rows, channels;                 // M filters and Q channels of one group
    int size[3], out[3];                // pixels of the source x; positions of the window
    int stride[3], first[3], step[3];   // position p and tap t meet at the pixel  p*stride + first + t*step  of x
    int filter_row, filter_channel, filter_group, filter_first, filter_step[3];     // where w has row m, channel q, tap t
    int to_size[3], to_first[3], to_step[3];                                        // the pixel of y that position p is
    int depth, width;                   // rows and columns of the packed filters
    int pixels_each;                    // correlate_weight: pixels that one part adds up
    int pair_first, pair_taps;          // PAIR: pixel r of a patch and tap t of the line have tap pair_first + r - 2t of pair_taps
};

struct Place { int d, h, w; };

__device__ __forceinline__ Place unravel(int p, const int* sizes)
{
    int row = p / sizes[2];
    return {row / sizes[1], row % sizes[1], p % sizes[2]};
}

__device__ __forceinline__ int flat(Place at, const int* sizes)
{
    return (at.d * sizes[1] + at.h) * sizes[2] + at.w;
}

// The pixel under the first tap of position o
__device__ __forceinline__ Place corner(Place o, const Geometry& s)
{
    return {o.d * s.stride[0] + s.first[0], o.h * s.stride[1] + s.first[1], o.w * s.stride[2] + s.first[2]};
}

__device__ __forceinline__ Place tap_place(int t, const Geometry& s)
{
    return {t / (T1 * T2) * s.step[0], t / T2 % T1 * s.step[1], t % T2 * s.step[2]};
}

// Which taps of a window lie inside the image: a bit for each, or, where they are too many, its corner and a comparison.
struct Inside {
#if TAPS <= 32
    unsigned bits;

    __device__ __forceinline__ void look(Place at, const Geometry& s)
    {
        unsigned line = 0;
        bits = 0;
#pragma unroll
        for (int k = 0; k < T2; ++k) line |= unsigned((unsigned)(at.w + k * s.step[2]) < (unsigned)s.size[2]) << k;
#pragma unroll
        for (int i = 0; i < T0; ++i)
#pragma unroll
            for (int j = 0; j < T1; ++j) {
                bool there = ((unsigned)(at.d + i * s.step[0]) < (unsigned)s.size[0])
                             & ((unsigned)(at.h + j * s.step[1]) < (unsigned)s.size[1]);
                bits |= (there ? line : 0u) << (i * T1 + j) * T2;
            }
    }

    __device__ __forceinline__ void none() { bits = 0; }

    __device__ __forceinline__ bool at(int t, const Geometry&) const { return bits >> t & 1; }
#else
    Place from;

    __device__ __forceinline__ void look(Place at, const Geometry&) { from = at; }

    __device__ __forceinline__ void none() { from = {-(1 << 30), 0, 0}; }

    __device__ __forceinline__ bool at(int t, const Geometry& s) const
    {
        Place tap = tap_place(t, s);
        return ((unsigned)(from.d + tap.d) < (unsigned)s.size[0]) & ((unsigned)(from.h + tap.h) < (unsigned)s.size[1])
               & ((unsigned)(from.w + tap.w) < (unsigned)s.size[2]);
    }
#endif
};

// Where position o of image n is written: the plane of its first row, m0 of group g, and the pixel in it
__device__ __forceinline__ long long target(int n, int g, int m0, Place o, const Geometry& s)
{
    Place at = {o.d * s.to_step[0] + s.to_first[0], o.h * s.to_step[1] + s.to_first[1], o.w * s.to_step[2] + s.to_first[2]};
    int plane = s.to_size[0] * s.to_size[1] * s.to_size[2];
    return (((long long)n * s.groups + g) * (s.rows / PATCH) + m0) * plane + flat(at, s.to_size);
}

// How far row m of a patch is from its first
__device__ __forceinline__ long long patch_row(int m, const Geometry& s)
{
    Place at = {m % PATCH / (P1 * P2), m / P2 % P1, m % P2};
    return (long long)(m / PATCH) * (s.to_size[0] * s.to_size[1] * s.to_size[2]) + flat(at, s.to_size);
}
