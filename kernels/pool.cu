// Pooling: the maximum of every window with its tap, sums over windows, and what goes back to the pixels.
//
// The slow truth (pool.py), for one plane of the image, k over the taps and o over the positions of the window:
//
//     window_max      y[o] = max over k of x[o*S - low + k*D],  tap[o] = the first k that has it, the last that is NaN;
//                     relu: max(y, 0), and where y is not above 0 a tap of no pixel
//     window_sum      y[o] = sum over k of x[o*S - low + k*D],  outside the image x is 0
//     spread          x[p] = sum of g[o] over the pairs (o, k) with  o*S - low + k*D = p;  after a maximum only k = tap[o]
//     gather          y[o] = x[index[o]]
//     scatter_add     x[p] = sum of g[o] over the o with index[o] = p
//     scatter         x[p] = u[o] for the last o with index[o] = p, else 0
//
// Who owns what.  A sum or a maximum belongs to the thread of its window (large windows to a team of LANES threads), and what
// goes back belongs to the thread of the pixel: it looks up the windows that reach it, so nothing is added by two threads at a
// time, and the order of a sum is that of the reference.  Where the stride is known, a thread owns a cell of as many pixels as
// a step of the window has: 2x2 windows side by side are then read once and write their four pixels.  All numbers are read
// once from the slow memory; that windows overlap is the caches' business.
//
// By index, pixels cannot tell who reaches them.  scatter_add lets the first o of an index collect the later ones: every o
// looks at all indices of its plane, O*O comparisons, so it is for planes of few positions.  scatter finds the last o of every
// pixel by an atomic maximum of integers, which is the same in whatever order it is taken.
//
// Constants: TYPE of the numbers; KIND which of the kernels; THREADS of a block.
//     for windows  FIXED whether K0 K1 K2, the taps along each of three axes, and S0 S1 S2, the strides, are known (then steps
//                  between taps are 1); TAP_TYPE
//     for sums     LANES threads per window; ADAPTIVE windows from floor(o*size/out) to ceil((o+1)*size/out)
//     by index     INDEX_TYPE

typedef TYPE T;

#define MAXIMUM 0
#define SUMS 1
#define MOVES 2

#if KIND != MOVES
typedef TAP_TYPE Tap;

#if FIXED
#define TAPS(a) ((a) == 0 ? K0 : (a) == 1 ? K1 : K2)
#define STRIDE(a) ((a) == 0 ? S0 : (a) == 1 ? S1 : S2)
#define STEP(a) 1
#define CELL(a) STRIDE(a)
#else
#define TAPS(a) s.taps[a]
#define STRIDE(a) s.stride[a]
#define STEP(a) s.step[a]
#define CELL(a) 1
#endif

struct Geometry {
    int size[3], out[3];                // pixels of the image; positions of the window
    int taps[3], stride[3], low[3], step[3];
    int cells[3];                       // spread: groups of CELL pixels, counted from the first pixel of the padding
};

struct Place { int plane, at[3]; };

__device__ __forceinline__ Place unravel(unsigned i, const int* sizes)
{
    unsigned row = i / sizes[2], layer = row / sizes[1], plane = sizes[0] == 1 ? layer : layer / sizes[0];
    return {(int)plane, {(int)(layer - plane * sizes[0]), (int)(row - layer * sizes[1]), (int)(i - row * sizes[2])}};
}

// Call visit(tap, x there) for the taps of the window at `o` that lie inside the image.
template <class Visit>
__device__ __forceinline__ void each_tap(const T* __restrict__ x, const Place& o, const Geometry& s, Visit visit)
{
    int start[3];
#pragma unroll
    for (int a = 0; a < 3; ++a) start[a] = o.at[a] * STRIDE(a) - s.low[a];
#pragma unroll
    for (int k0 = 0; k0 < TAPS(0); ++k0)
#pragma unroll
        for (int k1 = 0; k1 < TAPS(1); ++k1) {
            int d = start[0] + k0 * STEP(0), h = start[1] + k1 * STEP(1);
            if ((unsigned)d >= (unsigned)s.size[0] || (unsigned)h >= (unsigned)s.size[1]) continue;
            const T* row = x + ((o.plane * s.size[0] + d) * s.size[1] + h) * s.size[2];
#pragma unroll
            for (int k2 = 0; k2 < TAPS(2); ++k2) {
                int w = start[2] + k2 * STEP(2);
                if ((unsigned)w < (unsigned)s.size[2]) visit((k0 * TAPS(1) + k1) * TAPS(2) + k2, row[w]);
            }
        }
}

// The tap of the window at position o that stands over pixel p of the padded image; -1 for none
__device__ __forceinline__ int tap_over(int p, int o, int a, const Geometry& s)
{
    int k = p - o * STRIDE(a), tap = k / STEP(a);
    return k >= 0 && tap < TAPS(a) && tap * STEP(a) == k ? tap : -1;
}

struct __align__(2 * sizeof(T)) Pair { T v[2]; };

// grid: cells of all planes.  A thread adds up what the windows that reach its cell give to each of its pixels: after a maximum
// the first window first, after a sum the first tap first, as the reference does.
extern "C" __global__ void __launch_bounds__(THREADS)
spread(const T* __restrict__ g, const Tap* __restrict__ tap, T* __restrict__ x, const Geometry s, unsigned cells)
{
    unsigned i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= cells) return;
    Place cell = unravel(i, s.cells);
    T sum[CELL(0)][CELL(1)][CELL(2)] = {};
    int at[3], last[3], reach[3];
#pragma unroll
    for (int a = 0; a < 3; ++a) {
        at[a] = cell.at[a] * CELL(a);
        last[a] = at[a] / STRIDE(a);                      // the last window that begins at or before the cell's last pixel
        reach[a] = (TAPS(a) - 1) * STEP(a) / STRIDE(a);   // how many windows before it still reach the cell
    }
#pragma unroll
    for (int i0 = 0; i0 <= reach[0]; ++i0)
#pragma unroll
        for (int i1 = 0; i1 <= reach[1]; ++i1)
#pragma unroll
            for (int i2 = 0; i2 <= reach[2]; ++i2) {
                int o0 = last[0] - (KIND == MAXIMUM ? reach[0] - i0 : i0), o1 = last[1] - (KIND == MAXIMUM ? reach[1] - i1 : i1);
                int o2 = last[2] - (KIND == MAXIMUM ? reach[2] - i2 : i2);
                if ((unsigned)o0 >= (unsigned)s.out[0] || (unsigned)o1 >= (unsigned)s.out[1] || (unsigned)o2 >= (unsigned)s.out[2])
                    continue;
                int window = ((cell.plane * s.out[0] + o0) * s.out[1] + o1) * s.out[2] + o2;
                T v = g[window];
                int won = KIND == MAXIMUM ? (int)tap[window] : 0;
#pragma unroll
                for (int c0 = 0; c0 < CELL(0); ++c0)
#pragma unroll
                    for (int c1 = 0; c1 < CELL(1); ++c1)
#pragma unroll
                        for (int c2 = 0; c2 < CELL(2); ++c2) {
                            int k0 = tap_over(at[0] + c0, o0, 0, s), k1 = tap_over(at[1] + c1, o1, 1, s);
                            int k2 = tap_over(at[2] + c2, o2, 2, s);
                            bool meets = k0 >= 0 && k1 >= 0 && k2 >= 0;
                            if (meets && (KIND != MAXIMUM || (k0 * TAPS(1) + k1) * TAPS(2) + k2 == won)) sum[c0][c1][c2] += v;
                        }
            }
#pragma unroll
    for (int c0 = 0; c0 < CELL(0); ++c0)
#pragma unroll
        for (int c1 = 0; c1 < CELL(1); ++c1) {
            int d = at[0] + c0 - s.low[0], h = at[1] + c1 - s.low[1], w = at[2] - s.low[2];
            if ((unsigned)d >= (unsigned)s.size[0] || (unsigned)h >= (unsigned)s.size[1]) continue;
            T* row = x + ((cell.plane * s.size[0] + d) * s.size[1] + h) * s.size[2];
            if (CELL(2) == 2 && s.low[2] % 2 == 0 && s.size[2] % 2 == 0) {
                if ((unsigned)w < (unsigned)s.size[2]) *(Pair*)(row + w) = {{sum[c0][c1][0], sum[c0][c1][CELL(2) - 1]}};
                continue;
            }
#pragma unroll
            for (int c2 = 0; c2 < CELL(2); ++c2)
                if ((unsigned)(w + c2) < (unsigned)s.size[2]) row[w + c2] = sum[c0][c1][c2];
        }
}
#endif

#if KIND == MAXIMUM
// grid: windows of all planes, one per thread
extern "C" __global__ void __launch_bounds__(THREADS)
window_max(const T* __restrict__ x, T* __restrict__ y, Tap* __restrict__ tap, const Geometry s, unsigned windows, int relu)
{
    unsigned i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= windows) return;
    T best = 0;
    int winner = -1;
    each_tap(x, unravel(i, s.out), s, [&](int k, T v) {
        bool better = v > best || v != v || winner < 0;
        best = better ? v : best;
        winner = better ? k : winner;
    });
    y[i] = relu && best <= 0 ? T(0) : best;
    tap[i] = (Tap)(relu && !(best > 0) ? winner + TAPS(0) * TAPS(1) * TAPS(2) : winner);
}
#endif

#if KIND == SUMS
// grid: windows of all planes, LANES threads for each; the sums of a team are added up as a tree, so their order is fixed.
extern "C" __global__ void __launch_bounds__(THREADS)
window_sum(const T* __restrict__ x, T* __restrict__ y, const Geometry s, unsigned windows)
{
    unsigned i = blockIdx.x * (THREADS / LANES) + threadIdx.x / LANES;
    if (i >= windows) return;
    Place o = unravel(i, s.out);
    T sum = 0;
#if LANES == 1 && !ADAPTIVE
    each_tap(x, o, s, [&](int, T v) { sum += v; });
#else
    int first[3], count[3], step[3];                      // of the pixels under the window, along each axis
#pragma unroll
    for (int a = 0; a < 3; ++a) {
        if (ADAPTIVE) {
            long long at = o.at[a], size = s.size[a], out = s.out[a];
            first[a] = (int)(at * size / out);
            count[a] = (int)(((at + 1) * size + out - 1) / out) - first[a];
            step[a] = 1;
        } else {
            int start = o.at[a] * STRIDE(a) - s.low[a], skipped = start < 0 ? (STEP(a) - 1 - start) / STEP(a) : 0;
            int inside = start < s.size[a] ? (s.size[a] - 1 - start) / STEP(a) + 1 : 0;
            first[a] = start + skipped * STEP(a);
            count[a] = max(0, min(TAPS(a), inside) - skipped);
            step[a] = STEP(a);
        }
    }
    int total = count[0] * count[1] * count[2];
    const T* plane = x + o.plane * s.size[0] * s.size[1] * s.size[2];
    for (int t = threadIdx.x % LANES; t < total; t += LANES) {
        int row = t / count[2], layer = row / count[1];
        int d = first[0] + layer * step[0], h = first[1] + (row - layer * count[1]) * step[1];
        sum += plane[(d * s.size[1] + h) * s.size[2] + first[2] + (t - row * count[2]) * step[2]];
    }
#endif
#if LANES > 1
#pragma unroll
    for (int far = 16; far > 0; far /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, far);
#if LANES > 32
    __shared__ T warps[LANES / 32];
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = 0;
    for (int warp = 0; warp < LANES / 32; ++warp) sum += warps[warp];
#endif
    if (threadIdx.x % LANES) return;
#endif
    y[i] = sum;
}
#endif

#if KIND == MOVES
typedef INDEX_TYPE Index;

// The pixel that an index names; -1 for one outside the plane, which is never followed
__device__ __forceinline__ int pixel_of(Index index, int pixels)
{
    return index >= 0 && (unsigned long long)index < (unsigned long long)pixels ? (int)index : -1;
}

// y[i] = x[index[i]] for O numbers of each plane; NaN where there is no such pixel
extern "C" __global__ void __launch_bounds__(THREADS)
gather(const T* __restrict__ x, const Index* __restrict__ index, T* __restrict__ y, unsigned size, int O, int pixels)
{
    unsigned i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= size) return;
    int p = pixel_of(index[i], pixels);
    y[i] = p < 0 ? T(__uint_as_float(0x7fc00000u)) : x[i / O * pixels + p];
}

// grid: tiles of O, for each plane; x is 0 before
extern "C" __global__ void __launch_bounds__(THREADS)
scatter_add(const T* __restrict__ g, const Index* __restrict__ index, T* __restrict__ x, int O, int pixels)
{
    __shared__ int there[THREADS];
    int tiles = (O + THREADS - 1) / THREADS, plane = blockIdx.x / tiles, o = blockIdx.x % tiles * THREADS + threadIdx.x;
    g += plane * O;
    index += plane * O;
    int mine = o < O ? pixel_of(index[o], pixels) : -1;
    bool first = mine >= 0;
    T sum = 0;
    for (int start = 0; start < O; start += THREADS) {
        int other = start + threadIdx.x;
        __syncthreads();
        there[threadIdx.x] = other < O ? pixel_of(index[other], pixels) : -1;
        __syncthreads();
        for (int j = 0; j < THREADS; ++j)
            if (there[j] == mine && first) {
                first = start + j >= o;
                if (first) sum += g[start + j];
            }
    }
    if (first) x[plane * pixels + mine] = sum;
}

// last[p] = 1 + the last o whose index is p; last is 0 before
extern "C" __global__ void __launch_bounds__(THREADS)
claim(const Index* __restrict__ index, int* __restrict__ last, unsigned size, int O, int pixels)
{
    unsigned i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= size) return;
    int p = pixel_of(index[i], pixels);
    if (p >= 0) atomicMax(&last[i / O * pixels + p], (int)(i % O) + 1);
}

// x[p] = u of that o, else 0
extern "C" __global__ void __launch_bounds__(THREADS)
scatter(const T* __restrict__ u, const int* __restrict__ last, T* __restrict__ x, unsigned size, int O, int pixels)
{
    unsigned i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= size) return;
    x[i] = last[i] ? u[i / pixels * O + last[i] - 1] : T(0);
}
#endif
