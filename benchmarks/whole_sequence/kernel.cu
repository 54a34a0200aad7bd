// A recurrent loop over a whole sequence as one kernel: the weights stay in registers, the states in
// those of the thread that owns the unit, and of a step only the exchanged row leaves the chip's
// cores. What stands in front of this file (made by unit.py) are the sizes and the cell's own step at
// one unit, `unit_forward` and `unit_backward`.
//
// A block owns 8 units of 16 rows. Its 8 warps share out the K of its product; 128 of its threads
// then add up their parts and do the arithmetic of one unit of one row each.
//
// Blocks wait for each other's data by looking at them: the exchanged sequence is filled with ones
// first, a NaN that no arithmetic makes, and whoever reads one reads again. No barrier is needed, and
// a step costs one way through the L2 cache. All blocks have to be resident: a cooperative launch.

#include <cuda_bf16.h>
#include <cstdint>
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

constexpr int UNITS = 8, ROWS = 16, WARPS = 8, PER_LOAD = 16 / sizeof(Number);
constexpr int CHUNK = 4 * PER_LOAD;  // of K: what the four lanes that share a row load at once
constexpr uint32_t MISSING = 0xFFFFFFFFu;
constexpr int AT_ONCE = 12;  // loads of a lane under way, of both halves
constexpr int MOST = 32;      // buffers of a call

struct Buffers {
  const void* in[MOST];
  void* out[MOST];
  int T, B;
};

__device__ inline float number(const void* p, size_t i) { return float(((const Number*)p)[i]); }
__device__ inline void put(void* p, size_t i, float v) { ((Number*)p)[i] = Number(v); }

__device__ inline uint4 load(const void* p) {  // past the cache of this core, which may be stale
  uint4 v;
  asm volatile("ld.volatile.global.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p) : "memory");
  return v;
}

__device__ inline bool is_missing(uint32_t word) {
  if (sizeof(Number) == 4) return word == MISSING;
  return (word & 0xFFFFu) == 0xFFFFu || (word >> 16) == 0xFFFFu;
}
__device__ inline bool is_missing(uint4 v) {
  return is_missing(v.x) || is_missing(v.y) || is_missing(v.z) || is_missing(v.w);
}

// c [16, 8] += a [16, k] b [k, 8]; of a, the registers of row g and of row g + 8 in turn.
__device__ inline void multiply(float c[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3,
                                uint32_t b0, uint32_t b1) {
  if (sizeof(Number) == 4)
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
  else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

__device__ inline uint32_t high(uint32_t x) { return EXACT ? x & 0xFFFFE000u : x; }
__device__ inline uint32_t low(uint32_t x) {
  return __float_as_uint(__uint_as_float(x) - __uint_as_float(high(x)));
}

// The same, of float32 to float32's own precision where EXACT: tf32 twice, for what it leaves over.
__device__ inline void multiply_accurately(float c[4], uint32_t a0, uint32_t a1, uint32_t a2,
                                           uint32_t a3, uint32_t b0, uint32_t b1) {
  if (EXACT) {
    multiply(c, low(a0), low(a1), low(a2), low(a3), high(b0), high(b1));
    multiply(c, high(a0), high(a1), high(a2), high(a3), low(b0), low(b1));
  }
  multiply(c, high(a0), high(a1), high(a2), high(a3), high(b0), high(b1));
}

// rows [16, K] times this block's columns of a weight, N of them for each unit, kept in registers.
template <int K, int N>
struct Product {
  static constexpr int CHUNKS = K / CHUNK, OWN = (CHUNKS + WARPS - 1) / WARPS;
  uint4 w[OWN][N];
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, l = lane % 4;

  // W is [N, H, K]: the columns of unit j are its rows j, H + j, ...
  __device__ void read_weights(const void* W) {
    for (int i = 0; i < OWN; i++) {
      int chunk = warp * OWN + i;
      for (int n = 0; n < N; n++)
        w[i][n] = chunk < CHUNKS ? *(const uint4*)((const Number*)W +
                      ((size_t)n * H + blockIdx.x * UNITS + g) * K + chunk * CHUNK + l * PER_LOAD)
                                 : make_uint4(0, 0, 0, 0);
    }
  }

  // This warp's part of the product, to parts[warp][N][16][8]; waits for the rows if need be.
  __device__ void operator()(const void* rows, int count, bool wait, float* parts) {
    float c[N][4] = {};
    const Number* place = (const Number*)rows + l * PER_LOAD + warp * OWN * CHUNK;
#pragma unroll
    for (int begin = 0; begin < OWN; begin += AT_ONCE) {
      uint4 a[AT_ONCE][2];
#pragma unroll
      for (int i = begin; i < begin + AT_ONCE && i < OWN; i++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
          bool there = warp * OWN + i < CHUNKS && g + 8 * half < count;
          a[i - begin][half] = there ? load(place + (size_t)(g + 8 * half) * K + i * CHUNK)
                                     : make_uint4(0, 0, 0, 0);
        }
#pragma unroll
      for (int i = begin; i < begin + AT_ONCE && i < OWN; i++) {
#pragma unroll
        for (int half = 0; half < 2; half++)
          while (wait && is_missing(a[i - begin][half]))
            a[i - begin][half] = load(place + (size_t)(g + 8 * half) * K + i * CHUNK);
        __syncwarp();
        uint4 p = a[i - begin][0], q = a[i - begin][1];
#pragma unroll
        for (int n = 0; n < N; n++) {
          multiply_accurately(c[n], p.x, q.x, p.y, q.y, w[i][n].x, w[i][n].y);
          multiply_accurately(c[n], p.z, q.z, p.w, q.w, w[i][n].z, w[i][n].w);
        }
      }
    }
#pragma unroll
    for (int n = 0; n < N; n++)
#pragma unroll
      for (int k = 0; k < 4; k++)
        parts[((warp * N + n) * ROWS + g + (k / 2) * 8) * UNITS + l * 2 + k % 2] = c[n][k];
  }

  // The sum of all warps' parts for a row and a unit.
  __device__ static float sum(const float* parts, int n, int row, int unit) {
    float total = 0;
#pragma unroll
    for (int warp = 0; warp < WARPS; warp++)
      total += parts[((warp * N + n) * ROWS + row) * UNITS + unit];
    return total;
  }
};

// in:  W [GATES, H, H], inputs [T, B, H] ..., shared [H] float ..., initial states [B, H] ...
// out: exchanged [T, B, H], emitted [T, B, H] ..., last states [B, H] ..., and if SAVE the products
//      [T, GATES, B, H] and the states before each step [T, STATES, B, H]
template <bool SAVE>
__global__ void __launch_bounds__(32 * WARPS, 1) forward(Buffers buffers) {
  __shared__ float parts[2][WARPS * GATES * ROWS * UNITS];
  const int T = buffers.T, B = buffers.B, first = blockIdx.y * ROWS, count = min(ROWS, B - first);
  const int row = threadIdx.x / UNITS, unit = threadIdx.x % UNITS;
  const bool owner = row < count;
  const size_t place = (size_t)(first + row) * H + blockIdx.x * UNITS + unit, step = (size_t)B * H;
  const void* const* in = buffers.in + 1;
  void* const* out = buffers.out + 1;
  Number* exchanged = (Number*)buffers.out[0];
  const void* start = in[INPUTS + SHARED + EXCHANGED];

  Product<H, GATES> product;
  product.read_weights(buffers.in[0]);
  float s[STATES], x[INPUTS + 1], p[SHARED + 1], y[GATES], n[STATES], e[EMITTED + 1];
  if (owner) {
    for (int i = 0; i < SHARED; i++) p[i] = ((const float*)in[INPUTS + i])[place % H];
    for (int i = 0; i < STATES; i++) s[i] = number(in[INPUTS + SHARED + i], place);
  }
  for (int t = 0; t < T; t++) {
    if (owner)
      for (int i = 0; i < INPUTS; i++) x[i] = number(in[i], t * step + place);
    const void* rows = t ? exchanged + (t - 1) * step : (const Number*)start;
    product((const Number*)rows + (size_t)first * H, count, t > 0, parts[t % 2]);
    __syncthreads();
    if (!owner) continue;
    for (int q = 0; q < GATES; q++) y[q] = product.sum(parts[t % 2], q, row, unit);
    unit_forward(s, x, p, y, n, e);
    put(exchanged, t * step + place, n[EXCHANGED]);
    for (int i = 0; i < EMITTED; i++) put(out[i], t * step + place, e[i]);
    if (SAVE) {
      for (int q = 0; q < GATES; q++) put(out[EMITTED + STATES], (t * GATES + q) * step + place, y[q]);
      for (int i = 0; i < STATES; i++)
        put(out[EMITTED + STATES + 1], (t * STATES + i) * step + place, s[i]);
    }
    for (int i = 0; i < STATES; i++) s[i] = n[i];
  }
  if (owner)
    for (int i = 0; i < STATES; i++) put(out[EMITTED + i], place, s[i]);
}

// in:  W [H, GATES H], inputs, shared, products and states as saved, gradients by exchanged, by emitted
//      [T, B, H] ... and by the last states [B, H] ...
// out: gradients by the products [T, B, GATES H], by the inputs [T, B, H] ..., by the initial states
//      [B, H] ..., by shared [B, H] float ...
__global__ void __launch_bounds__(32 * WARPS, 1) backward(Buffers buffers) {
  __shared__ float parts[2][WARPS * ROWS * UNITS];
  const int T = buffers.T, B = buffers.B, first = blockIdx.y * ROWS, count = min(ROWS, B - first);
  const int row = threadIdx.x / UNITS, unit = threadIdx.x % UNITS;
  const bool owner = row < count;
  const size_t j = blockIdx.x * UNITS + unit, place = (size_t)(first + row) * H + j;
  const size_t step = (size_t)B * H;
  const void* const* in = buffers.in + 1;
  const void* const* d_emitted = in + INPUTS + SHARED + 3;
  void* const* out = buffers.out + 1;
  Number* exchanged = (Number*)buffers.out[0];

  Product<GATES * H, 1> product;
  product.read_weights(buffers.in[0]);
  float s[STATES], x[INPUTS + 1], p[SHARED + 1], y[GATES], dn[STATES], de[EMITTED + 1];
  float ds[STATES], dx[INPUTS + 1], dp[SHARED + 1], dy[GATES], total[SHARED + 1] = {};
  float d_exchanged = 0;
  if (owner) {
    for (int i = 0; i < SHARED; i++) p[i] = ((const float*)in[INPUTS + i])[j];
    for (int i = 0; i < STATES; i++) dn[i] = number(d_emitted[EMITTED + i], place);
  }
  for (int t = T - 1; t >= -1; t--) {
    if (owner && t >= 0) {
      for (int i = 0; i < INPUTS; i++) x[i] = number(in[i], t * step + place);
      for (int q = 0; q < GATES; q++) y[q] = number(in[INPUTS + SHARED], (t * GATES + q) * step + place);
      for (int i = 0; i < STATES; i++)
        s[i] = number(in[INPUTS + SHARED + 1], (t * STATES + i) * step + place);
      for (int i = 0; i < EMITTED; i++) de[i] = number(d_emitted[i], t * step + place);
      d_exchanged = number(in[INPUTS + SHARED + 2], t * step + place);
    }
    if (t < T - 1) {
      const Number* rows = exchanged + ((size_t)(t + 1) * B + first) * GATES * H;
      product(rows, count, true, parts[(t + 1) % 2]);
      __syncthreads();
      if (owner) dn[EXCHANGED] += product.sum(parts[(t + 1) % 2], 0, row, unit);
    }
    if (!owner || t < 0) continue;
    dn[EXCHANGED] += d_exchanged;
    unit_backward(s, x, p, y, dn, de, ds, dx, dp, dy);
    for (int q = 0; q < GATES; q++)
      put(exchanged, (((size_t)t * B + first + row) * GATES + q) * H + j, dy[q]);
    for (int i = 0; i < OWN_INPUT_GRADIENTS; i++) put(out[i], t * step + place, dx[OWN_INPUTS[i]]);
    for (int i = 0; i < STATES; i++) dn[i] = ds[i];
    for (int i = 0; i < SHARED; i++) total[i] += dp[i];
  }
  if (!owner) return;
  for (int i = 0; i < STATES; i++) put(out[OWN_INPUT_GRADIENTS + i], place, dn[i]);
  for (int i = 0; i < SHARED; i++)
    ((float*)out[OWN_INPUT_GRADIENTS + STATES + i])[place] = total[i];
}

static ffi::Error launch(cudaStream_t stream, const void* kernel, int T, int B, int width,
                         ffi::RemainingArgs& args, ffi::RemainingRets& results) {
  Buffers buffers;
  buffers.T = T, buffers.B = B;
  if (args.size() > MOST || results.size() > MOST)
    return ffi::Error::InvalidArgument("too many buffers");
  for (size_t i = 0; i < args.size(); i++)
    buffers.in[i] = args.get<ffi::AnyBuffer>(i)->untyped_data();
  for (size_t i = 0; i < results.size(); i++)
    buffers.out[i] = (*results.get<ffi::AnyBuffer>(i))->untyped_data();
  cudaMemsetAsync(buffers.out[0], 0xFF, (size_t)T * B * width * sizeof(Number), stream);
  void* arguments[] = {&buffers};
  cudaError_t error = cudaLaunchCooperativeKernel(
      kernel, dim3(H / UNITS, (B + ROWS - 1) / ROWS), dim3(32 * WARPS), arguments, 0, stream);
  if (error != cudaSuccess) return ffi::Error::Internal(cudaGetErrorString(error));
  return ffi::Error::Success();
}

static ffi::Error forward_call(cudaStream_t stream, int32_t T, int32_t B, int32_t save,
                               ffi::RemainingArgs args, ffi::RemainingRets results) {
  auto kernel = save ? (const void*)forward<true> : (const void*)forward<false>;
  return launch(stream, kernel, T, B, H, args, results);
}

static ffi::Error backward_call(cudaStream_t stream, int32_t T, int32_t B, ffi::RemainingArgs args,
                                ffi::RemainingRets results) {
  return launch(stream, (const void*)backward, T, B, GATES * H, args, results);
}

XLA_FFI_DEFINE_HANDLER_SYMBOL(Forward, forward_call,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::PlatformStream<cudaStream_t>>()
                                  .Attr<int32_t>("T")
                                  .Attr<int32_t>("B")
                                  .Attr<int32_t>("save")
                                  .RemainingArgs()
                                  .RemainingRets());
XLA_FFI_DEFINE_HANDLER_SYMBOL(Backward, backward_call,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::PlatformStream<cudaStream_t>>()
                                  .Attr<int32_t>("T")
                                  .Attr<int32_t>("B")
                                  .RemainingArgs()
                                  .RemainingRets());
