// Products on tensor cores: a warp multiplies 16 x 8 by 8 x 8 numbers in one instruction (m16n8k8, from compute capability 8.0).
//
// A factor is rounded to TensorFloat-32, which keeps float's exponent and 10 bits of its mantissa: to the nearest, ties away from
// zero, so it is off by at most 2^-11 of itself and a product by 2^-10.  Products are exact then, and sums are float's.
//
// The 32 lanes of a warp hold the matrices in their registers.  With g = lane / 4 and t = lane % 4, a lane has, for h = 0 and 1,
//
//     a[h] = A[g + 8h, t]      a[2 + h] = A[g + 8h, t + 4]       b[h] = B[t + 4h, g]
//     c[h] = C[g, 2t + h]      c[2 + h] = C[g + 8, 2t + h]       (PTX ISA, "Matrix Fragments for mma.m16n8k8")
//
// A warp owns 8*TM rows and 4*TN columns of the block's tile, so TM x TN sums are a thread's here as elsewhere: with TM = TN = 8
// a tile of 64 x 32, which 16 instructions update from 24 numbers of shared memory per lane.
//
// The terms of a sum may come in any order, if both factors agree.  So t and t + 4 of the instruction are rows of shared memory
// that follow each other: lane t reads LANE_ROWS rows from t * LANE_ROWS on.  A row is PAD numbers longer than a multiple of 16,
// so LANE_ROWS rows are 8 of the 32 banks off, and the lanes of a load meet 8t + g: 32 different banks.

#define LANE_ROWS (8 / PAD)
#define GROUP 2                         // neighbours in a row of C

static_assert(BM % (8 * TM) == 0 && BN % (4 * TN) == 0 && TM % 2 == 0 && TN % 2 == 0, "whole warps, whole instructions");
static_assert(BM % 16 == 0 && BN % 16 == 0 && BK % (4 * LANE_ROWS) == 0, "different banks");

#define ROW(i) (top + (i) * 8)
#define COLUMN(j) (left + (j) / 2 * 8 + (j) % 2)

__device__ __forceinline__ int first_row(int thread) { return thread / 32 / (BN / (4 * TN)) * (8 * TM) + thread % 32 / 4; }

__device__ __forceinline__ int first_column(int thread) { return thread / 32 % (BN / (4 * TN)) * (4 * TN) + thread % 4 * 2; }

#ifdef __CUDACC__
__device__ __forceinline__ float to_tf32(float x)
{
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return __uint_as_float(bits);
}

// C += A B, for all lanes together
__device__ __forceinline__ void multiply_add(float& c0, float& c1, float& c2, float& c3, const float* a, const float* b)
{
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)
        : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])), "r"(__float_as_uint(a[3])),
          "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
}
#endif                                  // on a CPU, tests/kernels/cuda/host.h does both

__device__ __forceinline__ T rounded(T x) { return to_tf32(x); }

// One step of the product, whose factors are rounded already
__device__ __forceinline__ void multiply(const T (*a)[BM + PAD], const T (*b)[BN + PAD], int top, int left, T (*sum)[TN])
{
    int lane = threadIdx.x % 32, column = left - lane % 4 * 2 + lane / 4;
#pragma unroll
    for (int k = 0; k < BK; k += 8) {
        int row = k / (4 * LANE_ROWS) * (4 * LANE_ROWS) + lane % 4 * LANE_ROWS + k % (4 * LANE_ROWS) / 4;
        T from_a[TM / 2][4], from_b[TN / 2][2];
#pragma unroll
        for (int i = 0; i < 2 * TM; ++i) from_a[i / 4][i % 4] = a[row + i % 4 / 2][ROW(i / 4 * 2 + i % 2)];
#pragma unroll
        for (int j = 0; j < TN; ++j) from_b[j / 2][j % 2] = b[row + j % 2][column + j / 2 * 8];
#pragma unroll
        for (int i = 0; i < TM; i += 2)
#pragma unroll
            for (int j = 0; j < TN; j += 2)
                multiply_add(sum[i][j], sum[i][j + 1], sum[i + 1][j], sum[i + 1][j + 1], from_a[i / 2], from_b[j / 2]);
    }
}
