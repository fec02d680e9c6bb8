// The kernels in AVX2, FMA and F16C.
#include "dot_products.hpp"
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
  static Vec fnma(Vec a, Vec b, Vec c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }
  static Vec add(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
  static Vec subtract(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
  static Vec multiply(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
  static Vec divide(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
  // If one is nan, b.
  static Vec minimum(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
  static Vec maximum(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
  // Where a < b.
  static Vec where_less(Vec a, Vec b, Vec yes, Vec no) {
    return {_mm256_blendv_ps(no.v, yes.v, _mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ))};
  }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  Vec rounded_to_half() const {
    return {_mm256_cvtph_ps(_mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT))};
  }

  // The sum of each of four, side by side.
  static void store_sums(const Vec (&v)[4], float* p) {
    const __m256 pairs = _mm256_hadd_ps(_mm256_hadd_ps(v[0].v, v[1].v),
                                        _mm256_hadd_ps(v[2].v, v[3].v));
    _mm_storeu_ps(p, _mm_add_ps(_mm256_castps256_ps128(pairs), _mm256_extractf128_ps(pairs, 1)));
  }

  Vec absolute() const { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), v)}; }
  Vec nearest() const {
    return {_mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  // Of an integer, the power of a normal number; of nan, any.
  Vec power_of_two() const {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(v), _mm256_set1_epi32(127));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23))};
  }
  // How far the size of each number is from `least`, in units of the last place; numbers that are
  // smaller, and nan, are farther than any.
  Words distance(float least) const {
    const __m256i first = _mm256_castps_si256(_mm256_set1_ps(least));
    return _mm256_sub_epi32(_mm256_castps_si256(absolute().v), first);
  }
  static Words farther(Words a, Words b) { return _mm256_max_epu32(a, b); }
  static bool are_near(Words a, Words most) {
    const __m256i is_near = _mm256_cmpeq_epi32(_mm256_max_epu32(a, most), most);
    return _mm256_movemask_epi8(is_near) == -1;
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

#include "lstm.inc"

#include "dot_products.inc"

constexpr Kernels kKernels{"avx2", few, many, step, dot_products, nullptr, nullptr};

}  // namespace

const Kernels* avx2_kernels() { return &kKernels; }

}  // namespace etcoreml::kernels
