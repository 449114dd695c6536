// The steps of the optimisers, for many arrays in one launch.
//
// The slow truth (update.py), element by element, with d = sign*g + decay*w:
//
//     sgd         b <- momentum*b + keep*d,   w <- w - lr*b,  under nesterov w <- w - lr*(d + momentum*b);  no b: w <- w - lr*d
//     adam        w <- shrink*w,   m <- beta1*m + (1-beta1)*d,   v <- beta2*v + (1-beta2)*d*d,
//                 w <- w - rate*m/(sqrt(v)/root + eps)
//     rmsprop     v <- alpha*v + (1-alpha)*d*d,   x = d/(sqrt(v) + eps),   b <- momentum*b + x,   w <- w - lr*b
//     adagrad     s <- s + d*d,   w <- w - rate*d/(sqrt(s) + eps)
//     adadelta    v <- rho*v + (1-rho)*d*d,   x = sqrt((u + eps)/(v + eps))*d,   u <- rho*u + (1-rho)*x*x,   w <- w - lr*x
//     bound       a <- a*factor, limited to [-limit, limit]
//     square sum  of all a*a, in double
//
// A network has a hundred arrays, most of them tiny, and a launch for each would cost more than the arithmetic.  So a launch
// gets the addresses and sizes of up to MOST arrays by value (a kernel may have 4 KB of arguments, which nobody has to copy to
// the device).  Array i is cut into chunks; block number first[i] owns its first chunk, first[i+1] is the first block of the
// next array, and a block finds its array by bisection.
//
// A thread owns VEC neighbouring elements at a time: weight, gradient and memories are read once, 16 bytes each, and written
// once.  Arrays that begin anywhere else than at 16 bytes, and the end of an array, go number by number.
//
// The sum of squares goes in two steps, blocks first, then their sums, so it is the same in every run.
//
// The few numbers of a step (lr, beta, ...) come by value, or, where a launch is recorded to be repeated and must find new ones
// each time, from an array on the device that `store` fills.
//
// Constants: TYPE of the arrays; COLUMNS arrays for each weight: itself, its gradient, its memories; MOST; ROW numbers; THREADS;
// FACTOR_TYPE of bound's factor, where it is an array.

#include "block.cuh"

typedef TYPE T;
typedef FACTOR_TYPE Factor;

#define VEC (int)(16 / sizeof(T))
#define STORED 480                      // numbers that `store` takes at a time

struct Group {
    T* at[COLUMNS][MOST];               // the arrays; a null pointer: there is no such memory
    long long size[MOST];
    int first[MOST + 1];                // the number of its first block
    int count, chunk;                   // arrays; elements of a chunk, a multiple of THREADS * VEC
};

struct Numbers { const double* elsewhere; double v[ROW]; };
struct Stored { double v[STORED]; };
struct __align__(16) Vector { T v[VEC]; };

__device__ __forceinline__ T number(const Numbers& n, int i)
{
    return T(n.elsewhere ? n.elsewhere[i] : n.v[i]);
}

// Call rule(w, g, a, b, c) for every element that the block owns: its number in each of the arrays, to be read and changed.
template <bool WRITE, class Rule>
__device__ __forceinline__ void each_element(const Group& s, Rule rule)
{
    int i = 0, end = s.count;
    while (end - i > 1) {
        int middle = (i + end) / 2;
        if (s.first[middle] <= (int)blockIdx.x) i = middle;
        else end = middle;
    }
    long long start = (long long)((int)blockIdx.x - s.first[i]) * s.chunk;
    long long stop = start + s.chunk < s.size[i] ? start + s.chunk : s.size[i];

    T* at[COLUMNS];
    bool together = true;
#pragma unroll
    for (int c = 0; c < COLUMNS; ++c) {
        at[c] = s.at[c][i];
        together = together && (size_t)at[c] % 16 == 0;
    }
    for (long long j = start + (int)threadIdx.x * VEC; j < stop; j += THREADS * VEC) {
        Vector x[5] = {};
        bool whole = together && j + VEC <= stop;
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
            if (!at[c]) continue;
            if (whole) x[c] = *(const Vector*)(at[c] + j);
            else
#pragma unroll
                for (int v = 0; v < VEC; ++v) if (j + v < stop) x[c].v[v] = at[c][j + v];
        }
#pragma unroll
        for (int v = 0; v < VEC; ++v) rule(x[0].v[v], x[1].v[v], x[2].v[v], x[3].v[v], x[4].v[v]);
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
            if (!WRITE || c == 1 || !at[c]) continue;                    // gradients are only read
            if (whole) *(Vector*)(at[c] + j) = x[c];
            else
#pragma unroll
                for (int v = 0; v < VEC; ++v) if (j + v < stop) at[c][j + v] = x[c].v[v];
        }
    }
}

__device__ __forceinline__ T slope(T w, T g, T decay, T sign)
{
    return decay != 0 ? sign * g + decay * w : sign * g;                 // 0 * inf is not 0
}

extern "C" __global__ void __launch_bounds__(THREADS) sgd(const Group s, const Numbers n)
{
    T lr = number(n, 0), momentum = number(n, 1), keep = number(n, 2), decay = number(n, 3), sign = number(n, 4);
    bool nesterov = number(n, 5) != 0;
    each_element<true>(s, [&](T& w, T g, T& b, T&, T&) {
        T d = slope(w, g, decay, sign);
        if (COLUMNS > 2) {
            b = momentum * b + keep * d;
            d = nesterov ? d + momentum * b : b;
        }
        w -= lr * d;
    });
}

extern "C" __global__ void __launch_bounds__(THREADS) adam(const Group s, const Numbers n)
{
    T beta1 = number(n, 0), rest1 = number(n, 1), beta2 = number(n, 2), rest2 = number(n, 3), eps = number(n, 4);
    T decay = number(n, 5), sign = number(n, 6), shrink = number(n, 7), rate = number(n, 8), root = number(n, 9);
    each_element<true>(s, [&](T& w, T g, T& m, T& v, T& top) {
        w *= shrink;
        T d = slope(w, g, decay, sign);
        m = beta1 * m + rest1 * d;
        v = beta2 * v + rest2 * d * d;
        if (COLUMNS > 4) top = top >= v || top != top ? top : v;         // what is not a number stays
        w -= rate * (m / (T(sqrt(COLUMNS > 4 ? top : v)) / root + eps));
    });
}

// Centered, m is an average of d, and v - m*m takes the place of v under the root.
extern "C" __global__ void __launch_bounds__(THREADS) rmsprop(const Group s, const Numbers n)
{
    T lr = number(n, 0), alpha = number(n, 1), rest = number(n, 2), eps = number(n, 3), decay = number(n, 4), sign = number(n, 5);
    T momentum = number(n, 6);
    bool centered = COLUMNS > 3 && s.at[COLUMNS > 3 ? 3 : 0][0], moved = COLUMNS > 4 && s.at[COLUMNS > 4 ? 4 : 0][0];
    each_element<true>(s, [&](T& w, T g, T& v, T& m, T& b) {
        T d = slope(w, g, decay, sign);
        v = alpha * v + rest * d * d;
        T square = v;
        if (centered) {
            m = alpha * m + rest * d;
            square -= m * m;
            square = square < 0 ? T(0) : square;
        }
        T x = d / (T(sqrt(square)) + eps);
        if (moved) x = b = momentum * b + x;
        w -= lr * x;
    });
}

extern "C" __global__ void __launch_bounds__(THREADS) adagrad(const Group s, const Numbers n)
{
    T rate = number(n, 0), eps = number(n, 1), decay = number(n, 2), sign = number(n, 3);
    each_element<true>(s, [&](T& w, T g, T& sum, T&, T&) {
        T d = slope(w, g, decay, sign);
        sum += d * d;
        w -= rate * (d / (T(sqrt(sum)) + eps));
    });
}

extern "C" __global__ void __launch_bounds__(THREADS) adadelta(const Group s, const Numbers n)
{
    T lr = number(n, 0), rho = number(n, 1), rest = number(n, 2), eps = number(n, 3), decay = number(n, 4), sign = number(n, 5);
    each_element<true>(s, [&](T& w, T g, T& v, T& u, T&) {
        T d = slope(w, g, decay, sign);
        v = rho * v + rest * d * d;
        T x = T(sqrt((u + eps) / (v + eps))) * d;
        u = rho * u + rest * x * x;
        w -= lr * x;
    });
}

// factor: an array of one number, or null: then it is the first of the numbers
extern "C" __global__ void __launch_bounds__(THREADS) bound(const Group s, const Numbers n, const Factor* __restrict__ factor)
{
    T times = factor ? T(*factor) : number(n, 0), limit = number(n, 1);
    each_element<true>(s, [&](T& a, T, T&, T&, T&) {
        T x = a * times;
        x = x > limit ? limit : x;
        a = x < -limit ? -limit : x;
    });
}

// The block's share of the sum of squares, to parts[block]
extern "C" __global__ void __launch_bounds__(THREADS) square_parts(const Group s, double* __restrict__ parts)
{
    double sum = 0;
    each_element<false>(s, [&](T& a, T, T&, T&, T&) { sum += double(a) * double(a); });
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

// One block: parts (count) -> total ()
extern "C" __global__ void __launch_bounds__(THREADS) sum_of_parts(const double* __restrict__ parts, double* __restrict__ total,
                                                                   int count)
{
    double sum = 0;
    for (int i = threadIdx.x; i < count; i += THREADS) sum += parts[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) *total = sum;
}

// Numbers of steps, from the arguments to the device: later than what was launched before, earlier than what is launched next
extern "C" __global__ void __launch_bounds__(THREADS) store(const Stored given, double* __restrict__ to, int count)
{
    for (int i = threadIdx.x; i < count; i += THREADS) to[i] = given.v[i];
}
