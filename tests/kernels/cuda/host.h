// Enough of CUDA for a C++ compiler of the CPU, so that kernels/*.cu run and can be checked without a GPU.
//
// A block's threads are fibers: one runs until it comes to a barrier, then the next.  What a thread reads after a barrier, the
// others have written before it; what it reads without one, they have written or not, depending on who comes first.  So a
// missing barrier shows as a result that changes with the order of the threads, which the caller chooses.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>
#include <ucontext.h>

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };

static uint3 threadIdx, blockIdx;
static dim3 blockDim, gridDim;
static const int warpSize = 32;

namespace host {

enum State { READY, AT_BARRIER, AT_WARP, DONE };

static const size_t STACK = 64 << 10;

struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack{new char[STACK]};       // not filled: what is not touched takes no memory
    State state;
    uint3 index;
};

static std::vector<Fiber*> fibers;
static ucontext_t scheduler;
static Fiber* current;
static void (*body)(void*);
static void* arguments;
static uint64_t posted[1024];                             // what each thread shows its warp

inline void leave(State state) {
    current->state = state;
    swapcontext(&current->context, &scheduler);
}

inline void run_thread() {
    body(arguments);
    leave(DONE);
}

inline void fail(const char* message) {
    std::fprintf(stderr, "cuda on the host: %s, block (%u, %u, %u)\n", message, blockIdx.x, blockIdx.y, blockIdx.z);
    std::abort();
}

// Let every thread of a block run to its end.  order 0: first thread first; 1: last first; larger: a shuffle.
inline void run_block(int order) {
    int n = (int)fibers.size();
    std::vector<int> turn(n);
    for (int i = 0; i < n; ++i) turn[i] = order == 1 ? n - 1 - i : i;
    if (order > 1) {
        unsigned seed = order;
        for (int i = n - 1; i > 0; --i) std::swap(turn[i], turn[(seed = seed * 1664525u + 1013904223u) / 65536 % (i + 1)]);
    }
    for (Fiber* f : fibers) {
        getcontext(&f->context);
        f->context.uc_stack.ss_sp = f->stack.get();
        f->context.uc_stack.ss_size = STACK;
        f->context.uc_link = nullptr;
        makecontext(&f->context, run_thread, 0);
        f->state = READY;
    }
    for (;;) {
        int ready = 0, waiting = 0, done = 0;
        for (int i : turn) {
            Fiber* f = fibers[i];
            if (f->state == READY) {
                current = f;
                threadIdx = f->index;
                swapcontext(&scheduler, &f->context);
                ++ready;
            }
        }
        for (int w = 0; w < n; w += 32) {                 // a warp goes on when all of its threads that still run have met
            int met = 0, over = 0, size = w + 32 < n ? 32 : n - w;
            for (int i = w; i < w + size; ++i) met += fibers[i]->state == AT_WARP, over += fibers[i]->state == DONE;
            if (met && met + over == size) {
                for (int i = w; i < w + size; ++i) if (fibers[i]->state == AT_WARP) fibers[i]->state = READY;
                ready += met;
            }
        }
        for (Fiber* f : fibers) waiting += f->state == AT_BARRIER, done += f->state == DONE;
        if (done == n) return;
        if (waiting == n) for (Fiber* f : fibers) f->state = READY;
        else if (!ready) fail(done ? "some threads ended before a barrier that others wait at" : "threads wait at different barriers");
    }
}

template <class... A, size_t... I>
void unpack(void (*kernel)(A...), void** p, std::index_sequence<I...>) { kernel(*(A*)p[I]...); }

template <class... A>
void launch(void (*kernel)(A...), void** p, const unsigned* grid, const unsigned* block, int order) {
    struct Call { void (*kernel)(A...); void** p; } call{kernel, p};
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    size_t n = (size_t)block[0] * block[1] * block[2];
    while (fibers.size() < n) fibers.push_back(new Fiber);
    while (fibers.size() > n) { delete fibers.back(); fibers.pop_back(); }
    for (size_t i = 0; i < n; ++i)
        fibers[i]->index = {unsigned(i % block[0]), unsigned(i / block[0] % block[1]), unsigned(i / block[0] / block[1])};
    body = [](void* c) { auto* call = (Call*)c; unpack(call->kernel, call->p, std::index_sequence_for<A...>()); };
    arguments = &call;
    for (unsigned z = 0; z < grid[2]; ++z)
        for (unsigned y = 0; y < grid[1]; ++y)
            for (unsigned x = 0; x < grid[0]; ++x) {
                blockIdx = {x, y, z};
                run_block(order);
            }
    arguments = nullptr;
}

template <class V> V exchange(V value, int from, bool valid) {
    int me = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z), warp = me / 32 * 32;
    static_assert(sizeof(V) <= 8, "a shuffle moves at most eight bytes");
    std::memcpy(&posted[me], &value, sizeof(V));
    leave(AT_WARP);
    V got = value;
    if (valid) std::memcpy(&got, &posted[warp + from], sizeof(V));
    leave(AT_WARP);
    return got;
}

// The lanes whose value is that of this one
template <class V> unsigned same(V value) {
    int me = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z), warp = me / 32 * 32;
    static_assert(sizeof(V) <= 8, "a warp compares at most eight bytes");
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(V));
    posted[me] = bits;
    leave(AT_WARP);
    unsigned found = 0;
    for (int i = 0; i < 32; ++i) found |= unsigned(posted[warp + i] == bits) << i;
    leave(AT_WARP);
    return found;
}

// What tf32.cuh has of a GPU: a float with 10 bits of mantissa (cvt.rna), by adding half of the last bit that stays.
inline float round_to_tf32(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    bits = x != x ? 0x7fffffffu : (bits & 0x7f800000u) == 0x7f800000u ? bits : (bits + 0x1000u) & ~0x1fffu;
    std::memcpy(&x, &bits, 4);
    return x;
}

// mma.m16n8k8 of TensorFloat-32: all lanes show their fragments, and each adds up its four numbers of C, one after the other.
// The 13 last bits of a factor are overlooked, as a GPU does.
inline void multiply_add_tf32(float* c, const float* a, const float* b) {
    static float shown[1024][6];
    int me = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z), warp = me / 32 * 32, lane = me % 32;
    for (int i = 0; i < 6; ++i) {
        uint32_t bits;
        std::memcpy(&bits, i < 4 ? &a[i] : &b[i - 4], 4);
        bits &= ~0x1fffu;
        std::memcpy(&shown[me][i], &bits, 4);
    }
    leave(AT_WARP);
    for (int i = 0; i < 4; ++i) {
        int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
        for (int k = 0; k < 8; ++k)
            c[i] += shown[warp + row % 8 * 4 + k % 4][row / 8 + k / 4 * 2] * shown[warp + column * 4 + k % 4][4 + k / 4];
    }
    leave(AT_WARP);
}

inline int lane() { return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32; }

}  // namespace host

inline void __syncthreads() { host::leave(host::AT_BARRIER); }
inline void __syncwarp(unsigned = 0xffffffffu) { host::leave(host::AT_WARP); }

template <class V> V __shfl_sync(unsigned, V v, int from) { return host::exchange(v, from & 31, true); }
template <class V> V __shfl_xor_sync(unsigned, V v, int mask) { return host::exchange(v, host::lane() ^ mask, true); }
template <class V> V __shfl_down_sync(unsigned, V v, unsigned by) { return host::exchange(v, host::lane() + by, host::lane() + by < 32); }
template <class V> V __shfl_up_sync(unsigned, V v, unsigned by) { return host::exchange(v, host::lane() - by, host::lane() >= (int)by); }

template <class V> unsigned __match_any_sync(unsigned, V v) { return host::same(v); }
inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __ffs(int v) { return __builtin_ffs(v); }

template <class V> V atomicAdd(V* at, V v) { V old = *at; *at += v; return old; }
template <class V> V atomicMax(V* at, V v) { V old = *at; if (v > old) *at = v; return old; }

inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
template <class V> V __ldg(const V* p) { return *p; }
template <class V> V min(V a, V b) { return b < a ? b : a; }
template <class V> V max(V a, V b) { return a < b ? b : a; }
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline double rsqrt(double x) { return 1 / std::sqrt(x); }
inline float __uint_as_float(unsigned u) { float f; std::memcpy(&f, &u, 4); return f; }
inline unsigned __float_as_uint(float f) { unsigned u; std::memcpy(&u, &f, 4); return u; }
inline float to_tf32(float x) { return host::round_to_tf32(x); }
inline void multiply_add(float& c0, float& c1, float& c2, float& c3, const float* a, const float* b) {
    float c[4] = {c0, c1, c2, c3};
    host::multiply_add_tf32(c, a, b);
    c0 = c[0], c1 = c[1], c2 = c[2], c3 = c[3];
}
