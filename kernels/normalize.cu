// Normalisation: statistics of groups of numbers, what they make of the numbers, and the gradients.
//
// The slow truth (normalize.py), for one group of n numbers x, where w and b are parameters, r is what a residual block adds, g and
// gr are the gradients by y and by r, <.> is the mean over the group, and v = w * (x - mean) * rstd + b + r:
//
//     forward     mean = <x>,  var = <(x - mean)^2>,  rstd = 1 / sqrt(var + eps),  y = max(v, 0), or v without a rectifier
//     backward    u = g where v > 0, else 0 (without a rectifier u = g);  gr = u
//                 gx = rstd * (w u - <w u> - (x - mean) rstd^2 <w u (x - mean)>)
//                 gb = sum of u,  gw = rstd * sum of u (x - mean),  over all numbers with this w and b
//
// A group is `segments` pieces of `length` neighbours: batch norm has one piece per picture for each channel, all others have one
// piece.  Element i of the array has w[i / pixels % channels]; that changes inside a group or it does not (VARIED).  For instance
// of 2 pictures with 3 channels of 8 pixels batch norm's group 1 is two pieces of 8, which begin at 8 and at 32.
//
// Who owns what.  A group that is small, or one of many, has a block of its own, which reads it twice: for the statistics, and,
// mostly out of a cache, to write the result (`forward`, `backward`).  A large one is shared out among blocks in two steps: first
// each adds up its part (`moments`, `grad_sums`), then each adds up the sums of all parts of its group, which are few, and writes
// its part (`finish`, `grad_finish`), the last part first, which may still be cached.  Sums have one order: no atomics.
//
// One reading gives mean and variance.  A thread takes CHUNK numbers, finds about their middle m, and adds up the differences
// d = x - m in their own type: e = sum of d, q = sum of d^2.  With a = m - p, for one number p of the group,
//
//     sum of x - p = e + CHUNK a,     sum of (x - p)^2 = q + 2 a e + CHUNK a^2        exactly, whatever m is,
//
// and from there on all sums are in double, where mean = p + s1/n and var = s2/n - (s1/n)^2.  As p is one of the numbers,
// (p - mean)^2 <= n var, so the subtraction loses at most log2(n) of 53 bits: to single precision nothing is lost below
// n = 2^28, and numbers that are all equal have variance 0.  Both are right to CHUNK units of rounding of the deviations.
//
// Gradients add up CHUNK numbers in their own type, and these sums in double.
//
// Constants: TYPE of the numbers; VEC numbers that are read together; THREADS of a block, at least a warp; VARIED; BACKWARD which half.

typedef TYPE T;

#define CHUNK (sizeof(T) == 4 ? 16 : 8)
#define UNROLL (int)(CHUNK / VEC)

struct Geometry {
    int segments, length, pitch;        // of a group; from a piece to the next in numbers of the array
    int each;                           // vectors of a group that a block takes
    int channels, pixels;               // see above
    int relu;                           // whether negative v become 0
};

struct __align__(VEC * sizeof(T)) Vector { T v[VEC]; };

struct Two { double a, b; };

// Sums over the threads of a block, known to all of them.  Once in a kernel: a second call would write where slow warps still read.
__device__ __forceinline__ Two block_sums(Two mine)
{
    for (int far = 16; far > 0; far /= 2) {
        mine.a += __shfl_xor_sync(0xffffffffu, mine.a, far);
        mine.b += __shfl_xor_sync(0xffffffffu, mine.b, far);
    }
    if (THREADS == 32) return mine;
    __shared__ Two warps[THREADS / 32];
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = mine;
    __syncthreads();
    mine = {0, 0};
    for (int i = 0; i < THREADS / 32; ++i) {
        mine.a += warps[i].a;
        mine.b += warps[i].b;
    }
    return mine;
}

// The sums of all parts of a group: parts (P, R)
__device__ __forceinline__ Two all_parts(const Two* __restrict__ parts, int group, int R, int P)
{
    Two sum = {0, 0};
    for (int p = threadIdx.x; p < P; p += THREADS) {
        Two part = parts[(long long)p * R + group];
        sum.a += part.a;
        sum.b += part.b;
    }
    return block_sums(sum);
}

// Call body(offsets) for every chunk of this thread: where its vectors begin, counted from the group's first number; -1 for none
template <class Body>
__device__ __forceinline__ void each_chunk(unsigned from, unsigned to, const Geometry& s, Body body)
{
    unsigned length = s.length / VEC, start = from + threadIdx.x;
    unsigned segment = start / length, vector = start % length, by_segment = THREADS / length, by_vector = THREADS % length;
    for (unsigned e = start; e < to; e += THREADS * UNROLL) {
        int offset[UNROLL];
#pragma unroll
        for (int u = 0; u < UNROLL; ++u) {
            offset[u] = to - e > (unsigned)(u * THREADS) ? (int)(segment * s.pitch + vector * VEC) : -1;
            segment += by_segment;
            vector += by_vector;
            if (vector >= length) {
                vector -= length;
                ++segment;
            }
        }
        body(offset);
    }
}

__device__ __forceinline__ void load(const T* __restrict__ x, const int* offset, Vector* v)
{
#pragma unroll
    for (int u = 0; u < UNROLL; ++u)
        if (offset[u] >= 0) v[u] = *(const Vector*)(x + offset[u]);
}

__device__ __forceinline__ T multiply_add(T a, T b, T c)
{
    if constexpr (sizeof(T) == 4) return fmaf(a, b, c);
    else return fma(a, b, c);
}

// What a group makes of its numbers: fixed once mean and rstd are known
struct Line {
    const T *w, *b;
    T mean, rstd, scale, shift;         // scale = rstd * w, shift = b where these do not change inside the group
    int first;                          // the channel of its first number

    __device__ __forceinline__ Line(const T* w, const T* b, T mean, T rstd, int group, const Geometry& s)
        : w(w), b(b), mean(mean), rstd(rstd)
    {
        first = (int)((long long)group * s.length / s.pixels % s.channels);
        scale = w ? rstd * w[first] : rstd;
        shift = b ? b[first] : T(0);
    }

    // scale and shift of the vector at this offset
    __device__ __forceinline__ void at(int offset, const Geometry& s, T* k, T* h) const
    {
        int c = first;
#pragma unroll
        for (int i = 0; i < VEC; ++i) {
            if (VARIED && (i == 0 || s.pixels % VEC)) c = first + (s.pixels == 1 ? offset + i : (offset + i) / s.pixels);
            k[i] = VARIED && w ? rstd * w[c] : scale;
            h[i] = VARIED && b ? b[c] : shift;
        }
    }

    // w * (x - mean) * rstd + b + r, in the same steps forwards and backwards: the rectifier must be open at the same places
    __device__ __forceinline__ T value(T x, T k, T h, T r) const { return multiply_add(x - mean, k, h) + r; }
};

__device__ __forceinline__ unsigned vectors(const Geometry& s)
{
    return (unsigned)s.segments * (unsigned)(s.length / VEC);
}

__device__ __forceinline__ unsigned end_of_part(unsigned part, const Geometry& s)
{
    return min((part + 1) * (unsigned)s.each, vectors(s));
}

#if !BACKWARD
// A number of the group, near which its numbers are added up
__device__ __forceinline__ T pivot(const T* x)
{
    return *x - *x == 0 ? *x : T(0);
}

// The sums of x - p and of its squares over vectors from..to of a group
__device__ __forceinline__ Two moments_of(const T* __restrict__ x, unsigned from, unsigned to, const Geometry& s)
{
    double p = pivot(x);
    Two sum = {0, 0};
    each_chunk(from, to, s, [&](const int* offset) {
        Vector v[UNROLL];
        load(x, offset, v);
        T total = 0, e = 0, q = 0;
        int count = 0;
#pragma unroll
        for (int u = 0; u < UNROLL; ++u)
            if (offset[u] >= 0) {
                count += VEC;
#pragma unroll
                for (int i = 0; i < VEC; ++i) total += v[u].v[i];
            }
        T m = total / T(count);
#pragma unroll
        for (int u = 0; u < UNROLL; ++u)
            if (offset[u] >= 0)
#pragma unroll
                for (int i = 0; i < VEC; ++i) {
                    T d = v[u].v[i] - m;
                    e += d;
                    q += d * d;
                }
        if (m - m != 0 && m == m) e = 0;                  // of infinite numbers the mean is infinite, and the variance no number
        double a = m - p;
        sum.a += e + count * a;
        sum.b += q + a * (2.0 * e + count * a);
    });
    return block_sums(sum);
}

__device__ __forceinline__ Line statistics(Two sum, const T* x, const T* w, const T* b, T* mean, double* var, T* rstd, double eps,
                                           int group, bool keep, const Geometry& s)
{
    double n = (double)s.segments * s.length, shift = sum.a / n, square = sum.b / n - shift * shift;
    square = square < 0 ? 0 : square;
    T m = T(pivot(x) + shift), k = T(1 / sqrt(square + eps));
    if (keep && threadIdx.x == 0) {
        mean[group] = m;
        var[group] = square;
        rstd[group] = k;
    }
    return Line(w, b, m, k, group, s);
}

__device__ __forceinline__ void write_part(const T* __restrict__ x, const T* __restrict__ r, T* __restrict__ y, const Line& line,
                                           unsigned from, unsigned to, const Geometry& s)
{
    each_chunk(from, to, s, [&](const int* offset) {
        Vector v[UNROLL], add[UNROLL] = {};
        load(x, offset, v);
        if (r) load(r, offset, add);
#pragma unroll
        for (int u = 0; u < UNROLL; ++u) {
            if (offset[u] < 0) continue;
            T k[VEC], h[VEC];
            line.at(offset[u], s, k, h);
            Vector out;
#pragma unroll
            for (int i = 0; i < VEC; ++i) {
                T value = line.value(v[u].v[i], k[i], h[i], add[u].v[i]);
                out.v[i] = s.relu && value <= 0 ? T(0) : value;           // what is no number stays so
            }
            *(Vector*)(y + offset[u]) = out;
        }
    });
}

// grid: (R groups)
extern "C" __global__ void __launch_bounds__(THREADS)
forward(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b, const T* __restrict__ r, T* __restrict__ y,
        T* __restrict__ mean, double* __restrict__ var, T* __restrict__ rstd, double eps, const Geometry s)
{
    int group = blockIdx.x, start = group * s.length;
    x += start;
    Two sum = moments_of(x, 0, vectors(s), s);
    Line line = statistics(sum, x, w, b, mean, var, rstd, eps, group, true, s);
    write_part(x, r ? r + start : r, y + start, line, 0, vectors(s), s);
}

// grid: (R groups, P parts) -> parts (P, R)
extern "C" __global__ void __launch_bounds__(THREADS)
moments(const T* __restrict__ x, Two* __restrict__ parts, const Geometry s)
{
    unsigned group = blockIdx.x, part = blockIdx.y;
    Two sum = moments_of(x + group * s.length, part * s.each, end_of_part(part, s), s);
    if (threadIdx.x == 0) parts[(long long)part * gridDim.x + group] = sum;
}

// grid: (R groups, P parts)
extern "C" __global__ void __launch_bounds__(THREADS)
finish(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b, const T* __restrict__ r, T* __restrict__ y,
      const Two* __restrict__ parts, T* __restrict__ mean, double* __restrict__ var, T* __restrict__ rstd, double eps, const Geometry s)
{
    unsigned group = gridDim.x - 1 - blockIdx.x, part = gridDim.y - 1 - blockIdx.y, start = group * s.length;
    x += start;
    Two sum = all_parts(parts, group, gridDim.x, gridDim.y);
    Line line = statistics(sum, x, w, b, mean, var, rstd, eps, group, part == 0, s);
    write_part(x, r ? r + start : r, y + start, line, part * s.each, end_of_part(part, s), s);
}

// Running statistics (C,) towards those of N groups, as a batch norm (N = 1) or an instance norm has them: a thread for each channel
extern "C" __global__ void __launch_bounds__(THREADS)
follow(T* __restrict__ mean, T* __restrict__ var, const T* __restrict__ found_mean, const double* __restrict__ found_var, int N, int C,
       double momentum, double correction)
{
    int c = blockIdx.x * THREADS + threadIdx.x;
    if (c >= C) return;
    double m = 0, v = 0;
    for (int n = 0; n < N; ++n) m += found_mean[n * C + c], v += found_var[n * C + c];
    mean[c] = T((1 - momentum) * mean[c] + momentum * (m / N));
    var[c] = T((1 - momentum) * var[c] + momentum * correction * (v / N));
}

#else
// The sums of u and of u (x - mean), VARIED those of rstd w u, over vectors from..to of a group; with r, u goes to gr
__device__ __forceinline__ Two grad_sums_of(const T* __restrict__ g, const T* __restrict__ x, const T* __restrict__ r, T* __restrict__ gr,
                                            const Line& line, unsigned from, unsigned to, const Geometry& s)
{
    Two sum = {0, 0};
    each_chunk(from, to, s, [&](const int* offset) {
        Vector up[UNROLL], v[UNROLL], add[UNROLL] = {};
        load(g, offset, up);
        load(x, offset, v);
        if (r) load(r, offset, add);
        T first = 0, second = 0;
#pragma unroll
        for (int u = 0; u < UNROLL; ++u) {
            if (offset[u] < 0) continue;
            T k[VEC], h[VEC];
            line.at(offset[u], s, k, h);
#pragma unroll
            for (int i = 0; i < VEC; ++i) {
                bool open = !s.relu || line.value(v[u].v[i], k[i], h[i], add[u].v[i]) > 0;
                T passed = up[u].v[i] * T(open), weighted = VARIED ? passed * k[i] : passed;
                up[u].v[i] = passed;
                first += weighted;
                second += weighted * (v[u].v[i] - line.mean);
            }
            if (gr) *(Vector*)(gr + offset[u]) = up[u];
        }
        sum.a += first;
        sum.b += second;
    });
    return block_sums(sum);
}

// gx of vectors from..to of a group, from the sums over all of it; `relu` whether g still has to pass the rectifier
__device__ __forceinline__ void grad_write_part(const T* __restrict__ g, const T* __restrict__ x, T* __restrict__ gx, const Line& line,
                                                Two sum, bool relu, unsigned from, unsigned to, const Geometry& s)
{
    double n = (double)s.segments * s.length, rstd = line.rstd, outer = VARIED ? 1 : (double)line.scale;
    T slope = T(outer * rstd * rstd * sum.b / n), shift = T(outer * sum.a / n);
    each_chunk(from, to, s, [&](const int* offset) {
        Vector up[UNROLL], v[UNROLL];
        load(g, offset, up);
        load(x, offset, v);
#pragma unroll
        for (int u = 0; u < UNROLL; ++u) {
            if (offset[u] < 0) continue;
            T k[VEC], h[VEC];
            line.at(offset[u], s, k, h);
            Vector out;
#pragma unroll
            for (int i = 0; i < VEC; ++i) {
                T d = v[u].v[i] - line.mean;
                bool open = !relu || line.value(v[u].v[i], k[i], h[i], 0) > 0;
                out.v[i] = multiply_add(-d, slope, multiply_add(up[u].v[i] * T(open), k[i], -shift));
            }
            *(Vector*)(gx + offset[u]) = out;
        }
    });
}

// gw and gb where a group has one w of its own, else its sums, as far as they are wanted
__device__ __forceinline__ void keep_sums(Two sum, T rstd, T* gw, T* gb, Two* sums, int group)
{
    if (threadIdx.x) return;
    if (gw) gw[group] = T(rstd * sum.b);
    if (gb) gb[group] = T(sum.a);
    if (sums) sums[group] = {sum.a, rstd * sum.b};
}

// grid: (R groups).  With r, what the rectifier lets through is read back from gr by the thread that wrote it.
extern "C" __global__ void __launch_bounds__(THREADS)
backward(const T* __restrict__ g, const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b, const T* __restrict__ r,
         T* gr, const T* __restrict__ mean, const T* __restrict__ rstd, T* __restrict__ gx, T* gw, T* gb, Two* sums, const Geometry s)
{
    int group = blockIdx.x, start = group * s.length;
    Line line(w, b, mean[group], rstd[group], group, s);
    g += start;
    x += start;
    gx += start;
    T* passed = r ? gr + start : 0;
    Two sum = grad_sums_of(g, x, r ? r + start : r, passed, line, 0, vectors(s), s);
    keep_sums(sum, line.rstd, gw, gb, sums, group);
    if (r) grad_write_part(passed, x, gx, line, sum, false, 0, vectors(s), s);
    else grad_write_part(g, x, gx, line, sum, s.relu, 0, vectors(s), s);
}

// grid: (R groups, P parts) -> parts (P, R)
extern "C" __global__ void __launch_bounds__(THREADS)
grad_sums(const T* __restrict__ g, const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b, const T* __restrict__ r,
          T* __restrict__ gr, const T* __restrict__ mean, const T* __restrict__ rstd, Two* __restrict__ parts, const Geometry s)
{
    unsigned group = blockIdx.x, part = blockIdx.y, start = group * s.length;
    Line line(w, b, mean[group], rstd[group], group, s);
    Two sum = grad_sums_of(g + start, x + start, r ? r + start : r, gr ? gr + start : gr, line, part * s.each, end_of_part(part, s), s);
    if (threadIdx.x == 0) parts[(long long)part * gridDim.x + group] = sum;
}

// grid: (R groups, P parts)
extern "C" __global__ void __launch_bounds__(THREADS)
grad_finish(const T* __restrict__ g, const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b,
           const Two* __restrict__ parts, const T* __restrict__ mean, const T* __restrict__ rstd, T* __restrict__ gx, T* gw, T* gb,
           Two* sums, const Geometry s)
{
    unsigned group = gridDim.x - 1 - blockIdx.x, part = gridDim.y - 1 - blockIdx.y, start = group * s.length;
    Line line(w, b, mean[group], rstd[group], group, s);
    Two sum = all_parts(parts, group, gridDim.x, gridDim.y);
    if (part == 0) keep_sums(sum, line.rstd, gw, gb, sums, group);
    grad_write_part(g + start, x + start, gx + start, line, sum, s.relu, part * s.each, end_of_part(part, s), s);
}

// The array as rows of channels * pixels numbers -> sums (parts, channels * pixels) of u and u (x - mean) rstd down the columns.
// grid: (blocks of columns, parts); a thread owns a column, so a row is read by neighbours, and `each` rows.
extern "C" __global__ void __launch_bounds__(THREADS)
column_sums(const T* __restrict__ g, const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b,
            const T* __restrict__ mean, const T* __restrict__ rstd, Two* __restrict__ sums, int rows, int each, const Geometry s)
{
    int width = s.channels * s.pixels, q = blockIdx.x * THREADS + threadIdx.x, groups = width / s.length;
    if (q >= width) return;
    T weight = w ? w[q / s.pixels] : T(1), bias = b ? b[q / s.pixels] : T(0);
    int from = blockIdx.y * each, to = min(from + each, rows);
    Two sum = {0, 0};
    for (int start = from; start < to; start += CHUNK) {
        T first = 0, second = 0;
        int stop = min(start + (int)CHUNK, to);
#pragma unroll 4
        for (int n = start; n < stop; ++n) {
            int group = n * groups + q / s.length, i = n * width + q;
            T d = x[i] - mean[group], k = rstd[group];
            T passed = g[i] * T(!s.relu || multiply_add(d, k * weight, bias) > 0);
            first += passed;
            second += passed * d * k;
        }
        sum.a += first;
        sum.b += second;
    }
    sums[(long long)blockIdx.y * width + q] = sum;
}

// sums (count, channels, pixels) -> gb and gw (channels), added up over the other two, by `lanes` threads each: one, or a block
extern "C" __global__ void __launch_bounds__(THREADS)
parameter_grads(const Two* __restrict__ sums, T* gw, T* gb, int count, int channels, int pixels, int lanes, const Geometry)
{
    int c = lanes == 1 ? blockIdx.x * THREADS + threadIdx.x : blockIdx.x;
    Two sum = {0, 0};
    if (c < channels)
        for (long long j = lanes == 1 ? 0 : threadIdx.x; j < (long long)count * pixels; j += lanes) {
            Two one = sums[(j / pixels * channels + c) * pixels + j % pixels];
            sum.a += one.a;
            sum.b += one.b;
        }
    if (lanes > 1) sum = block_sums(sum);
    if (c >= channels || (lanes > 1 && threadIdx.x)) return;
    if (gw) gw[c] = T(sum.b);
    if (gb) gb[c] = T(sum.a);
}
#endif
