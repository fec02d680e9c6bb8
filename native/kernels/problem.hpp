// A linear layer whose weights stay as they are stored, and the kernels that compute it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace etcoreml::kernels {

enum class Format {
  kHalf,    // IEEE fp16, `columns` to a row
  kIndex4,  // indices of 4 bits, low nibble first, rows padded to a multiple of kIndexPadding
};

// Elements; the largest group of columns that any of the kernels decodes at once.
constexpr size_t kIndexPadding = 128;

// y = x W' + bias, all of x and y being f32 and dense.
struct Problem {
  size_t rows;     // of x and y
  size_t columns;  // of x and W
  size_t outputs;  // rows of W, columns of y
  const float* x;
  float* y;
  const float* bias;  // (outputs,)
  Format format;
  const uint8_t* weights;
  // Of kIndex4: W[n, k] = (table[n / rows_per_table][index] - offset[n, k / block]) * scale[...].
  const float* table;    // (outputs / rows_per_table, 16)
  const float* scale;    // (outputs, padded columns / block, rounded up)
  const float* offset;   // as scale; null for zero
  size_t rows_per_table;
  size_t block;  // 8 to 64 and a power of two, or a multiple of kIndexPadding
};

// The steps of one instruction set. x is first spread: copied with its columns in the order in
// which weights are decoded, and padded with zeros. Few rows of x are multiplied as they are; more
// are packed into panels, so that a vector holds one column of several rows.
struct Kernels {
  const char* name;
  size_t group;       // columns are padded to multiples of this
  size_t panel_rows;  // rows of x in a panel
  void (*spread)(const Problem&, size_t first_row, size_t rows, float* spread);
  void (*pack)(const float* spread, size_t rows, size_t columns, size_t panel, float* packed);
  void (*few)(const Problem&, size_t first_row, size_t rows, const float* spread,
              size_t first_output, size_t end_output);
  // `scratch` holds kScratch floats.
  void (*many)(const Problem&, size_t first_row, size_t rows, const float* packed,
               size_t first_output, size_t end_output, float* scratch);
};

constexpr size_t kFewRows = 16;       // rows of x multiplied without packing, at most
constexpr size_t kRowBlock = 256;       // rows of x packed at once
constexpr size_t kOutputBlock = 96;   // outputs that one task computes, at most
constexpr size_t kColumnBlock = 384;  // columns whose panels stay in the L2 cache
constexpr size_t kTileRows = 12;      // outputs of a register tile, at most
constexpr size_t kTileStride = kColumnBlock + 16;  // keeps a tile's rows out of one cache set
constexpr size_t kScratch = kOutputBlock * kRowBlock + kTileRows * kTileStride;

const Kernels* avx512_kernels();
const Kernels* avx2_kernels();

// The best of this CPU, null if it has neither.
const Kernels* kernels();

// Chooses others by name; false, without effect, if this CPU does not have them.
bool use(const char* name);

// Computes with the threads of the calling thread's TBB arena.
void run(const Problem& problem);

}  // namespace etcoreml::kernels
