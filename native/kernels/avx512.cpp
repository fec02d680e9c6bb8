// The kernels in AVX-512 (F, BW, VL, DQ).
#include "dot_products.hpp"
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
  static Vec fnma(Vec a, Vec b, Vec c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
  static Vec add(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
  static Vec subtract(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
  static Vec multiply(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
  static Vec divide(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
  // If one is nan, b.
  static Vec minimum(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
  static Vec maximum(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
  // Where a < b.
  static Vec where_less(Vec a, Vec b, Vec yes, Vec no) {
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), no.v, yes.v)};
  }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  Vec rounded_to_half() const {
    return {_mm512_cvtph_ps(_mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC))};
  }

  // The sum of each of four, side by side.
  static void store_sums(const Vec (&v)[4], float* p) {
    const auto half = [&](size_t i) {
      return _mm256_add_ps(_mm512_castps512_ps256(v[i].v), _mm512_extractf32x8_ps(v[i].v, 1));
    };
    const __m256 pairs = _mm256_hadd_ps(_mm256_hadd_ps(half(0), half(1)),
                                        _mm256_hadd_ps(half(2), half(3)));
    _mm_storeu_ps(p, _mm_add_ps(_mm256_castps256_ps128(pairs), _mm256_extractf128_ps(pairs, 1)));
  }

  Vec absolute() const { return {_mm512_abs_ps(v)}; }
  Vec nearest() const {
    return {_mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  // Of an integer, the power of a normal number; of nan, any.
  Vec power_of_two() const {
    const __m512i exponent = _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(127));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23))};
  }
  // How far the size of each number is from `least`, in units of the last place; numbers that are
  // smaller, and nan, are farther than any.
  Words distance(float least) const {
    const __m512i first = _mm512_castps_si512(_mm512_set1_ps(least));
    return _mm512_sub_epi32(_mm512_castps_si512(absolute().v), first);
  }
  static Words farther(Words a, Words b) { return _mm512_max_epu32(a, b); }
  static bool are_near(Words a, Words most) { return _mm512_cmpgt_epu32_mask(a, most) == 0; }

  static Vec load_half(const uint8_t* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static Vec load_int8(const uint8_t* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))};
  }
  static Words load_words(const uint8_t* p) { return _mm512_loadu_si512(p); }
  // The permutation looks at the lowest four bits of a lane only.
  static Vec look_up(Table table, Words words, size_t nibble) {
    const __m512i index = _mm512_srli_epi32(words, static_cast<unsigned>(4 * nibble));
    return {_mm512_permutexvar_ps(index, table)};
  }
  static Table load_table(const float* p) { return _mm512_loadu_ps(p); }

  // Vectors of outputs that few rows of x are multiplied with at once.
  static constexpr size_t at_once(size_t rows, bool is_scaled) {
    return (rows <= 2 ? 8 : 4) / (is_scaled ? 2 : 1);
  }
};

constexpr size_t kTileRows = 12;

#include "tiles.inc"

#include "lstm.inc"

#include "dot_products.inc"

constexpr Kernels kKernels{"avx512", few, many, step, dot_products, nullptr, nullptr};

}  // namespace

const Kernels* avx512_kernels() { return &kKernels; }

}  // namespace etcoreml::kernels
