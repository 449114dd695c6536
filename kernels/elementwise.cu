// The rectifier with both its passes, and dropout's product: functions of one number, for every element of an array.
//
// The slow truth (elementwise.py):
//
//     rectify         y = x where x > 0, else slope * x; with slope 0 max(x, 0)
//     rectify_grad    gx = g * (1 where x > 0, slope where x <= 0, 0 where x is not a number)
//     masked          y = x * (scale where keep, else 0)
//
// There is next to nothing to compute, so only the traffic counts: every number is read once and written once.  A thread owns
// VEC neighbours, which it reads and writes as 16 bytes together; neighbouring threads own neighbouring ones.  An array that
// begins anywhere else than at 16 bytes, and the end of one, go number by number.
//
// Constants: TYPE of the numbers; THREADS of a block.

typedef TYPE T;

#define VEC (unsigned)(16 / sizeof(T))

struct __align__(16) Vector { T v[VEC]; };
struct __align__(VEC) Flags { bool v[VEC]; };

// Whether numbers j to j + VEC of an array lie in it and begin at whole bytes for V
template <class V, class E>
__device__ __forceinline__ bool together(const E* x, unsigned j, unsigned size)
{
    return size - j >= VEC && (size_t)(x + j) % sizeof(V) == 0;
}

template <class V, class E>
__device__ __forceinline__ V read(const E* __restrict__ x, unsigned j, unsigned size)
{
    V r = {};
    if (together<V>(x, j, size)) return *(const V*)(x + j);
#pragma unroll
    for (unsigned v = 0; v < VEC; ++v) if (j + v < size) r.v[v] = x[j + v];
    return r;
}

__device__ __forceinline__ void write(T* __restrict__ y, unsigned j, unsigned size, const Vector& r)
{
    if (together<Vector>(y, j, size)) *(Vector*)(y + j) = r;
    else
#pragma unroll
        for (unsigned v = 0; v < VEC; ++v) if (j + v < size) y[j + v] = r.v[v];
}

__device__ __forceinline__ unsigned mine()
{
    return (blockIdx.x * THREADS + threadIdx.x) * VEC;
}

extern "C" __global__ void __launch_bounds__(THREADS)
rectify(const T* __restrict__ x, T* __restrict__ y, T slope, int relu, unsigned size)
{
    unsigned j = mine();
    if (j >= size) return;
    Vector a = read<Vector>(x, j, size);
#pragma unroll
    for (unsigned v = 0; v < VEC; ++v) {
        T bent = relu ? T(0) : a.v[v] * slope;            // not a product where the slope is 0: infinity would become no number
        a.v[v] = a.v[v] <= 0 ? bent : a.v[v];             // what is not a number stays
    }
    write(y, j, size, a);
}

extern "C" __global__ void __launch_bounds__(THREADS)
rectify_grad(const T* __restrict__ g, const T* __restrict__ x, T* __restrict__ gx, T slope, unsigned size)
{
    unsigned j = mine();
    if (j >= size) return;
    Vector a = read<Vector>(x, j, size), b = read<Vector>(g, j, size);
#pragma unroll
    for (unsigned v = 0; v < VEC; ++v) b.v[v] *= a.v[v] > 0 ? T(1) : a.v[v] <= 0 ? slope : T(0);
    write(gx, j, size, b);
}

// The mask stands for `repeat` neighbours each, and begins anew after `flags` of them: element j has keep[j / repeat % flags].
extern "C" __global__ void __launch_bounds__(THREADS)
masked(const T* __restrict__ x, const bool* __restrict__ keep, T* __restrict__ y, T scale, unsigned size, unsigned repeat,
       unsigned flags)
{
    unsigned j = mine();
    if (j >= size) return;
    Vector a = read<Vector>(x, j, size);
    Flags k = {};
    if (flags == size) k = read<Flags>(keep, j, size);
    else
#pragma unroll
        for (unsigned v = 0; v < VEC; ++v)                // a division takes longer than a number from memory: one will often do
            if (v > 0 && repeat % VEC == 0) k.v[v] = k.v[0];
            else if (j + v < size) k.v[v] = keep[(j + v) / repeat % flags];
#pragma unroll
    for (unsigned v = 0; v < VEC; ++v) a.v[v] *= k.v[v] ? scale : T(0);
    write(y, j, size, a);
}
