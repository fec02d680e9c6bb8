// Products of a few rows with many, each number of which is read once: a query and the keys of a
// cache.
#pragma once

#include <cstddef>

namespace etcoreml::kernels {

// z[b] = x[b] y[b]', all f32 and dense.
struct DotProducts {
  size_t batch;
  size_t rows;     // of x, at most kFewRows
  size_t columns;  // of x and y
  size_t outputs;  // rows of y
  const float* x;  // (batch, rows, columns)
  const float* y;  // (batch, outputs, columns)
  float* z;        // (batch, rows, outputs)
};

// Computes with the threads of the calling thread's TBB arena.
void run(const DotProducts& products);

}  // namespace etcoreml::kernels
