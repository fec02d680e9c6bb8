// The recurrence of a long short-term memory, on fp16 weights.
#pragma once

#include <cstddef>
#include <cstdint>

namespace etcoreml::kernels {

// Of each gate in the order input, forget, output, cell there are `hidden` numbers. All are f32,
// and dense but for what has a stride.
struct Lstm {
  size_t steps;
  size_t batch;       // at most kFewRows
  size_t directions;  // 1 or 2, the second from the last step to the first
  size_t hidden;
  bool is_reverse;         // of one direction: walks from the last step to the first
  const float* projected;  // (steps, batch, directions, 4, hidden): W x + bias
  const uint8_t* weights;  // (directions, panels, hidden, kPanel) fp16, of 4 * hidden outputs
  const float* initial_h;  // (batch, directions, hidden)
  const float* initial_c;  // likewise
  float* y;                // (steps, batch, directions, hidden), in the order of the input
  float* h;                // (batch, directions, hidden), the last states
  float* c;                // likewise
};

// Computes with the threads of the calling thread's TBB arena.
void run(const Lstm& lstm);

}  // namespace etcoreml::kernels
