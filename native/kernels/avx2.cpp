// The kernels in AVX2, FMA and F16C.
#include "problem.hpp"

#include <immintrin.h>

namespace etcoreml::kernels {
namespace {

// Of fp16: the smallest and the largest normal number.
constexpr float kSmallest = 0x1p-14f;
constexpr float kLargest = 65504.0f;

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
  static Vec fnma(Vec a, Vec b, Vec c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }
  static Vec add(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
  static Vec subtract(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
  static Vec multiply(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  Vec rounded_to_half() const {
    return {_mm256_cvtph_ps(_mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT))};
  }

  Vec absolute() const { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), v)}; }
  // Whether all a are 0, or at least the smallest normal fp16 number while a * b is not too large.
  static bool are_normal(Vec a, Vec b) {
    const __m256 size = a.absolute().v;
    const __m256 is_zero = _mm256_cmp_ps(size, _mm256_setzero_ps(), _CMP_EQ_OQ);
    const __m256 is_large = _mm256_cmp_ps(size, _mm256_set1_ps(kSmallest), _CMP_GE_OQ);
    const __m256 most = _mm256_mul_ps(size, b.v);
    const __m256 is_small = _mm256_cmp_ps(most, _mm256_set1_ps(kLargest), _CMP_LE_OQ);
    const __m256 is_normal = _mm256_or_ps(is_zero, _mm256_and_ps(is_large, is_small));
    return _mm256_movemask_ps(is_normal) == 0xFF;
  }

  static Vec load_half(const uint8_t* p) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  static Vec load_int8(const uint8_t* p) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))};
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

  // Vectors of outputs that few rows of x are multiplied with at once.
  static constexpr size_t at_once(size_t rows, bool is_scaled) {
    return (rows == 1 ? 8 : rows == 2 ? 4 : 2) / (is_scaled ? 2 : 1);
  }
};

constexpr size_t kTileRows = 6;

#include "tiles.inc"

constexpr Kernels kKernels{"avx2", few, many};

}  // namespace

const Kernels* avx2_kernels() { return &kKernels; }

}  // namespace etcoreml::kernels
