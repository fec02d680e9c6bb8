// Weights of 4 bits times a few rows of x in integers (AVX-512 VNNI).
//
// Within a block of columns x is written as step * (16384 a + 128 b + c), where a, b and c fit in
// bytes: 22 bits, relative to the largest number of the block. Products and sums of these are exact,
// so that the error is that of a sum in f32 of which the largest number is a part. Of a word of indices, those of even columns
// lie in the lower halves of its bytes, those of odd columns in the upper ones.
#include "dot_products.hpp"
#include "problem.hpp"

#include <immintrin.h>

namespace etcoreml::kernels {
namespace {

constexpr size_t kPieces = 3;
constexpr size_t kWidth = 16;
constexpr float kLargest = 127.0f * 16384.0f;
constexpr float kLeast = 1e-30f, kMost = 1e30f;  // beyond, steps or sums would not be normal

constexpr size_t parts(size_t size, size_t part) { return (size + part - 1) / part; }

size_t padded(const Problem& p) { return parts(p.columns, kWidth) * kWidth; }
size_t blocks(const Problem& p) { return parts(p.columns, p.block); }

// What an index stands for is (index ^ flip) - zero.
struct Code {
  bool is_known, is_signed;
};

Code code(const Problem& p) {
  if (p.rows_per_table != p.outputs) return {false, false};
  bool is_signed = true, is_unsigned = true;
  for (int i = 0; i < static_cast<int>(kTableSize); ++i) {
    is_signed = is_signed && p.table[i] == static_cast<float>(i < 8 ? i : i - 16);
    is_unsigned = is_unsigned && p.table[i] == static_cast<float>(i);
  }
  return {is_signed || is_unsigned, is_signed};
}

size_t prepared_floats(const Problem& p) {
  const bool is_fit = p.format == Format::kIndex4 && !p.rounds &&
                      (p.block % kWidth == 0 || p.block >= p.columns) && code(p).is_known;
  return is_fit ? p.rows * (kPieces * padded(p) / sizeof(float) + 2 * blocks(p)) : 0;
}

// Takes a row apart; false where a number is none, or too large or too small.
bool take_apart(const float* x, size_t columns, size_t block, size_t stride, int8_t* pieces,
                float* step, float* sum) {
  const __m128i order = _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15);
  for (size_t b = 0, first = 0; first < columns; ++b, first += block) {
    const size_t end = first + block < columns ? first + block : columns;
    __m512 most = _mm512_setzero_ps();
    __mmask16 strange = 0;
    const auto load = [&](size_t k) {
      const size_t count = end - k < kWidth ? end - k : kWidth;
      return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), x + k);
    };
    for (size_t k = first; k < end; k += kWidth) {
      const __m512 size = _mm512_abs_ps(load(k));
      strange |= _mm512_cmp_ps_mask(size, _mm512_set1_ps(kMost), _CMP_NLE_UQ);
      most = _mm512_max_ps(most, size);
    }
    const float largest = _mm512_reduce_max_ps(most);
    if (strange != 0 || (largest != 0 && largest < kLeast)) return false;
    const __m512 factor = _mm512_set1_ps(largest == 0 ? 0 : kLargest / largest);
    int64_t total = 0;
    for (size_t k = first; k < end; k += kWidth) {
      const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(load(k), factor));
      total += _mm512_reduce_add_epi32(q);
      const __m512i a = _mm512_srai_epi32(_mm512_add_epi32(q, _mm512_set1_epi32(8192)), 14);
      const __m512i rest = _mm512_sub_epi32(q, _mm512_slli_epi32(a, 14));
      const __m512i c = _mm512_srai_epi32(_mm512_add_epi32(rest, _mm512_set1_epi32(64)), 7);
      const __m512i values[kPieces] = {a, c, _mm512_sub_epi32(rest, _mm512_slli_epi32(c, 7))};
      for (size_t i = 0; i < kPieces; ++i) {
        const __m128i bytes = _mm_shuffle_epi8(_mm512_cvtepi32_epi8(values[i]), order);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(pieces + i * stride + k), bytes);
      }
    }
    step[b] = largest / kLargest;
    sum[b] = static_cast<float>(static_cast<double>(total) * step[b]);
  }
  return true;
}

bool prepare(Problem& p, float* buffer) {
  const size_t stride = padded(p), count = blocks(p);
  auto* const pieces = reinterpret_cast<int8_t*>(buffer);
  float* const steps = buffer + p.rows * kPieces * stride / sizeof(float);
  float* const sums = steps + p.rows * count;
  for (size_t m = 0; m < p.rows; ++m) {
    if (!take_apart(p.x + m * p.columns, p.columns, p.block, stride, pieces + m * kPieces * stride,
                    steps + m * count, sums + m * count)) {
      return false;
    }
  }
  p.pieces = pieces;
  p.steps = steps;
  p.sums = sums;
  return true;
}

// M rows of V vectors of outputs. Those `ahead` come next: the cache is told.
template <size_t M, size_t V>
void dot(const Problem& p, size_t n, size_t ahead, bool is_signed) {
  const size_t units = parts(p.columns, kIndicesPerWord), stride = padded(p), count = blocks(p);
  const size_t words_ahead = ahead * units * sizeof(uint32_t), scales_ahead = ahead * count;
  const size_t block_units = parts(p.block < p.columns ? p.block : p.columns, kIndicesPerWord);
  const __m512i low = _mm512_set1_epi8(0x0f), flip = _mm512_set1_epi8(is_signed ? 8 : 0);
  const __m512 zero = _mm512_set1_ps(is_signed ? 8.0f : 0.0f);
  const uint8_t* words[V];
  size_t scales[V];
#pragma GCC unroll 4
  for (size_t v = 0; v < V; ++v) {
    const size_t at = n + v * kWidth;
    words[v] = p.weights + (at / kPanel * units * kPanel + at % kPanel) * sizeof(uint32_t);
    scales[v] = at / kPanel * count * kPanel + at % kPanel;
  }
  __m512 y[M][V];
#pragma GCC unroll 4
  for (size_t m = 0; m < M; ++m) {
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) y[m][v] = _mm512_setzero_ps();
  }
  for (size_t b = 0, unit = 0; unit < units; ++b) {
    const size_t end = unit + block_units < units ? unit + block_units : units;
    __m512i found[M][V][kPieces];
#pragma GCC unroll 4
    for (size_t m = 0; m < M; ++m) {
#pragma GCC unroll 4
      for (size_t v = 0; v < V; ++v) {
#pragma GCC unroll 3
        for (size_t i = 0; i < kPieces; ++i) found[m][v][i] = _mm512_setzero_si512();
      }
    }
    for (; unit < end; ++unit) {
#pragma GCC unroll 4
      for (size_t v = 0; v < V; ++v) {
        const uint8_t* const at = words[v] + unit * kPanel * sizeof(uint32_t);
        const __m512i word = _mm512_loadu_si512(at);
        _mm_prefetch(at + words_ahead, _MM_HINT_T1);
        const __m512i even = _mm512_xor_si512(_mm512_and_si512(word, low), flip);
        const __m512i odd =
            _mm512_xor_si512(_mm512_and_si512(_mm512_srli_epi32(word, 4), low), flip);
#pragma GCC unroll 4
        for (size_t m = 0; m < M; ++m) {
#pragma GCC unroll 3
          for (size_t i = 0; i < kPieces; ++i) {
            const auto* const x =
                reinterpret_cast<const int32_t*>(p.pieces + (m * kPieces + i) * stride) + 2 * unit;
            __m512i& sum = found[m][v][i];
            sum = _mm512_dpbusd_epi32(sum, even, _mm512_set1_epi32(x[0]));
            sum = _mm512_dpbusd_epi32(sum, odd, _mm512_set1_epi32(x[1]));
          }
        }
      }
    }
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) {
      const size_t at = scales[v] + b * kPanel;
      const __m512 scale = _mm512_loadu_ps(p.scale + at);
      _mm_prefetch(p.scale + at + scales_ahead, _MM_HINT_T1);
      __m512 offset = zero;
      if (p.offset != nullptr) {
        offset = _mm512_add_ps(offset, _mm512_loadu_ps(p.offset + at));
        _mm_prefetch(p.offset + at + scales_ahead, _MM_HINT_T1);
      }
#pragma GCC unroll 4
      for (size_t m = 0; m < M; ++m) {
        const __m512i* const pieces = found[m][v];
        __m512 whole = _mm512_fmadd_ps(_mm512_cvtepi32_ps(pieces[1]), _mm512_set1_ps(128.0f),
                                       _mm512_cvtepi32_ps(pieces[2]));
        whole = _mm512_fmadd_ps(_mm512_cvtepi32_ps(pieces[0]), _mm512_set1_ps(16384.0f), whole);
        const __m512 product = _mm512_mul_ps(whole, _mm512_set1_ps(p.steps[m * count + b]));
        const __m512 value =
            _mm512_fnmadd_ps(offset, _mm512_set1_ps(p.sums[m * count + b]), product);
        y[m][v] = _mm512_fmadd_ps(value, scale, y[m][v]);
      }
    }
  }
#pragma GCC unroll 4
  for (size_t m = 0; m < M; ++m) {
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) {
      const size_t at = n + v * kWidth;
      if (at >= p.outputs) continue;
      const size_t present = p.outputs - at < kWidth ? p.outputs - at : kWidth;
      const auto mask = static_cast<__mmask16>((1u << present) - 1);
      const __m512 bias = _mm512_maskz_loadu_ps(mask, p.bias + at);
      _mm512_mask_storeu_ps(p.y + m * p.outputs + at, mask, _mm512_add_ps(y[m][v], bias));
    }
  }
}

template <size_t M>
void dots(const Problem& p, size_t first, size_t end) {
  constexpr size_t kAtOnce = M == 1 ? 4 : M == 2 ? 2 : 1;
  const bool is_signed = code(p).is_signed;
  constexpr size_t kStep = kAtOnce * kWidth, kAhead = kStep < kPanel ? kPanel : kStep;
  size_t n = first;
  for (; n + kStep <= end; n += kStep) {
    dot<M, kAtOnce>(p, n, n + kStep + kAhead <= end ? kAhead : 0, is_signed);
  }
  for (; n < end; n += kWidth) dot<M, 1>(p, n, 0, is_signed);
}

void few(const Problem& p, size_t first, size_t end) {
  if (p.pieces == nullptr) return avx512_kernels()->few(p, first, end);
  using Function = void (*)(const Problem&, size_t, size_t);
  static constexpr Function kByRows[kFewRows] = {dots<1>, dots<2>, dots<3>, dots<4>};
  kByRows[p.rows - 1](p, first, end < p.outputs ? end : p.outputs);
}

void many(const Problem& p, size_t first_row, size_t rows, size_t first, size_t end,
          float* scratch) {
  avx512_kernels()->many(p, first_row, rows, first, end, scratch);
}

void step(size_t hidden, const float* product, const float* projected, float* c, float* h) {
  avx512_kernels()->lstm_step(hidden, product, projected, c, h);
}

void dot_products(const DotProducts& p, size_t b, size_t first, size_t end) {
  avx512_kernels()->dot_products(p, b, first, end);
}

constexpr Kernels kKernels{"avx512_vnni", few,           many,           step,
                           dot_products,  prepared_floats, prepare};

}  // namespace

const Kernels* avx512_vnni_kernels() { return &kKernels; }

}  // namespace etcoreml::kernels
