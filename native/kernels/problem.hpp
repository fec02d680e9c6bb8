// A linear layer whose weights stay as they are stored, and the kernels that compute it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace etcoreml::kernels {

struct DotProducts;

// What the weights are, before the scales of their blocks.
enum class Format {
  kHalf,    // IEEE fp16, without scales
  kInt8,    // signed bytes
  kIndex4,  // indices of 4 bits into a table, 8 to a word, the first in the lowest bits
};

// Outputs whose weights lie side by side: column after column, the units of kPanel outputs are
// stored together. A unit is one weight, or one word of indices.
constexpr size_t kPanel = 32;
constexpr size_t kIndicesPerWord = 8;
constexpr size_t kTableSize = 16;

// y = x W' + bias, all of x and y being f32 and dense.
struct Problem {
  size_t rows;     // of x and y
  size_t columns;  // of x and W
  size_t outputs;  // rows of W, columns of y
  const float* x;
  float* y;
  const float* bias;  // (outputs,)
  Format format;
  const uint8_t* weights;  // (panels, units, kPanel)
  // Where there are scales, W[n, k] = (value - offset[n, k / block]) * scale[n, k / block].
  const float* scale;   // (panels, blocks, kPanel)
  const float* offset;  // as scale; null for zero
  size_t block;         // a multiple of kIndicesPerWord, or at least `columns`
  bool rounds;          // each W[n, k] to fp16; values and offsets are then integers
  // Of kIndex4: the value is table[n / rows_per_table][index].
  const float* table;     // (outputs / rows_per_table, kTableSize)
  size_t rows_per_table;  // a multiple of kTableSize, or `outputs`
  // What `Kernels::prepare` made of x, null if nothing. For each row: three rows of bytes, as many
  // as columns, filled up to 16; and for each block a step and the sum of x.
  const int8_t* pieces;
  const float* steps;
  const float* sums;
};

// The steps of one instruction set, for outputs from a panel's first to a panel's last.
struct Kernels {
  const char* name;
  // For at most kFewRows rows of x; reads each weight once.
  void (*few)(const Problem&, size_t first_output, size_t end_output);
  // For at most kRowBlock rows; expands each weight once, into `scratch` of kScratch floats.
  void (*many)(const Problem&, size_t first_row, size_t rows, size_t first_output,
               size_t end_output, float* scratch);
  // A step of an LSTM of one sequence, after the products, both (4, hidden); renews c and h.
  void (*lstm_step)(size_t hidden, const float* product, const float* projected, float* c,
                    float* h);
  // Outputs of one element of the batch, from a first to a last.
  void (*dot_products)(const DotProducts&, size_t b, size_t first_output, size_t end_output);
  // How much memory `prepare` needs before `few`, in floats; 0 where `few` takes x as it is.
  size_t (*prepared_floats)(const Problem&);
  // Takes x apart; false, without effect, where `few` has to take it as it is.
  bool (*prepare)(Problem&, float* buffer);
};

constexpr size_t kFewRows = 4;
constexpr size_t kRowBlock = 256;
constexpr size_t kColumnBlock = 768;               // columns expanded at once, at most
constexpr size_t kCopyStride = kColumnBlock + 16;  // keeps rows out of one cache set
constexpr size_t kScratch = (kColumnBlock + kRowBlock) * kPanel + kRowBlock * kCopyStride;

const Kernels* avx512_vnni_kernels();
const Kernels* avx512_kernels();
const Kernels* avx2_kernels();

// The best of this CPU, null if it has neither.
const Kernels* kernels();

// Chooses others by name; false, without effect, if this CPU does not have them.
bool use(const char* name);

// Computes with the threads of the calling thread's TBB arena.
void run(const Problem& problem);

}  // namespace etcoreml::kernels
