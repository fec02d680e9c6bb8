// The kernels in AVX2, FMA and F16C.
#include "problem.hpp"

#include <immintrin.h>

namespace etcoreml::kernels {
namespace {

struct Vec {
  static constexpr size_t kWidth = 8;
  struct Table {  // 16 numbers
    __m256 low, high;
    Table() = default;
    explicit Table(const float* p) : low(_mm256_loadu_ps(p)), high(_mm256_loadu_ps(p + 8)) {}
  };
  using Words = __m256i;

  __m256 v;

  static Vec zero() { return {_mm256_setzero_ps()}; }
  static Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static Vec broadcast(float f) { return {_mm256_set1_ps(f)}; }
  static Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
  static Vec subtract(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
  static Vec multiply(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  float sum() const {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }

  static Vec load_half(const uint8_t* p) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  static Words load_words(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  // The permutations look at the lowest three bits of a lane; the fourth chooses between them.
  static Vec look_up(const Table& table, Words words, size_t nibble) {
    const __m256i index = _mm256_srli_epi32(words, static_cast<int>(4 * nibble));
    const __m256 high = _mm256_castsi256_ps(_mm256_slli_epi32(index, 28));
    return {_mm256_blendv_ps(_mm256_permutevar8x32_ps(table.low, index),
                             _mm256_permutevar8x32_ps(table.high, index), high)};
  }
  static Table load_table(const float* p) { return Table(p); }
  // One number for each `block` columns, a lane holding eight.
  static Vec per_block(const float* p, size_t block) {
    if (block >= 8 * kWidth) return broadcast(*p);
    float values[8];
    for (size_t i = 0; i < 8; ++i) values[i] = p[i * 8 / block];
    return load(values);
  }
};

// to[i][j] = from[j][i] of 8 x 8 numbers.
void transpose(const float* from, size_t from_stride, float* to, size_t to_stride) {
  __m256 r[8], t[8];
  for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(from + i * from_stride);
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xEE);
    r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
  }
  for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(to + i * to_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(to + (i + 4) * to_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}

#include "tiles.inc"

constexpr Kernels kKernels{"avx2", kGroup, kPanelRows, spread, pack, few, many};

}  // namespace

const Kernels* avx2_kernels() { return &kKernels; }

}  // namespace etcoreml::kernels
