#include "lstm.hpp"

#include <algorithm>
#include <vector>

#include "parallel.hpp"
#include "problem.hpp"

namespace etcoreml::kernels {
namespace {

constexpr size_t kGates = 4;

// Bytes of weights from which a product pays for waking threads, a few microseconds, in each step.
constexpr size_t kDivided = size_t{1} << 20;
constexpr size_t kTasksPerThread = 4;

size_t panels_of(const Lstm& p) { return (kGates * p.hidden + kPanel - 1) / kPanel; }

size_t bytes_of(const Lstm& p) { return panels_of(p) * kPanel * p.hidden * sizeof(uint16_t); }

// One direction, from its first step to its last; each product is divided into `tasks`.
void walk(const Lstm& p, const Kernels& k, size_t direction, size_t tasks) {
  const size_t outputs = kGates * p.hidden, panels = panels_of(p);
  const size_t stride = p.directions * p.hidden;  // from a sequence to the next
  const std::vector<float> zeros(outputs);
  std::vector<float> h(p.batch * p.hidden), product(p.batch * outputs);
  Problem products{};
  products.rows = p.batch;
  products.columns = products.block = p.hidden;
  products.outputs = outputs;
  products.x = h.data();
  products.y = product.data();
  products.bias = zeros.data();
  products.format = Format::kHalf;
  products.weights = p.weights + direction * bytes_of(p);
  for (size_t b = 0; b < p.batch; ++b) {
    const size_t at = b * stride + direction * p.hidden;
    std::copy_n(p.initial_h + at, p.hidden, h.data() + b * p.hidden);
    std::copy_n(p.initial_c + at, p.hidden, p.c + at);
  }
  const bool is_reverse = direction == 1 || p.is_reverse;
  for (size_t i = 0; i < p.steps; ++i) {
    parallel(tasks, [&](size_t task) {
      k.few(products, panels * task / tasks * kPanel, panels * (task + 1) / tasks * kPanel);
    });
    const size_t first = (is_reverse ? p.steps - 1 - i : i) * p.batch;
    for (size_t b = 0; b < p.batch; ++b) {
      float* const next = h.data() + b * p.hidden;
      k.lstm_step(p.hidden, product.data() + b * outputs,
                  p.projected + ((first + b) * p.directions + direction) * outputs,
                  p.c + b * stride + direction * p.hidden, next);
      std::copy_n(next, p.hidden, p.y + (first + b) * stride + direction * p.hidden);
    }
  }
  for (size_t b = 0; b < p.batch; ++b) {
    std::copy_n(h.data() + b * p.hidden, p.hidden, p.h + b * stride + direction * p.hidden);
  }
}

}  // namespace

void run(const Lstm& p) {
  if (p.batch == 0) return;
  const Kernels& k = *kernels();
  const size_t threads = thread_count();
  // A thread that waits must not begin another inference: it would wait for itself.
  tbb::this_task_arena::isolate([&] {
    if (threads > p.directions && bytes_of(p) >= kDivided) {
      const size_t tasks = std::min(threads * kTasksPerThread, panels_of(p));
      for (size_t d = 0; d < p.directions; ++d) walk(p, k, d, tasks);
    } else {
      parallel(p.directions, [&](size_t d) { walk(p, k, d, 1); });
    }
  });
}

}  // namespace etcoreml::kernels
