// The kernels in AVX-512 (F, BW, VL, DQ).
#include "problem.hpp"

#include <immintrin.h>

namespace etcoreml::kernels {
namespace {

struct Vec {
  static constexpr size_t kWidth = 16;
  using Table = __m512;  // 16 numbers
  using Words = __m512i;

  __m512 v;

  static Vec zero() { return {_mm512_setzero_ps()}; }
  static Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Vec broadcast(float f) { return {_mm512_set1_ps(f)}; }
  static Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
  static Vec subtract(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
  static Vec multiply(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  float sum() const { return _mm512_reduce_add_ps(v); }

  static Vec load_half(const uint8_t* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static Words load_words(const uint8_t* p) { return _mm512_loadu_si512(p); }
  // The permutation looks at the lowest four bits of a lane only.
  static Vec look_up(Table table, Words words, size_t nibble) {
    const __m512i index = _mm512_srli_epi32(words, static_cast<unsigned>(4 * nibble));
    return {_mm512_permutexvar_ps(index, table)};
  }
  static Table load_table(const float* p) { return _mm512_loadu_ps(p); }
  // One number for each `block` columns, a lane holding eight.
  static Vec per_block(const float* p, size_t block) {
    if (block >= 8 * kWidth) return broadcast(*p);
    const size_t count = 8 * kWidth / block;
    const __m512 values = _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), p);
    const __m512i lanes =
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const auto shift = _mm_cvtsi32_si128(__builtin_ctzll(block) - 3);
    return {_mm512_permutexvar_ps(_mm512_srl_epi32(lanes, shift), values)};
  }
};

// to[i][j] = from[j][i] of 16 x 16 numbers.
void transpose(const float* from, size_t from_stride, float* to, size_t to_stride) {
  __m512 r[16], t[16];
  for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_ps(from + i * from_stride);
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
    r[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xEE);
    r[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    r[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xDD);
    t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xDD);
  }
  for (int i = 0; i < 8; ++i) {
    _mm512_storeu_ps(to + i * to_stride, _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88));
    _mm512_storeu_ps(to + (i + 8) * to_stride, _mm512_shuffle_f32x4(t[i], t[i + 8], 0xDD));
  }
}

#include "tiles.inc"

constexpr Kernels kKernels{"avx512", kGroup, kPanelRows, spread, pack, few, many};

}  // namespace

const Kernels* avx512_kernels() { return &kKernels; }

}  // namespace etcoreml::kernels
