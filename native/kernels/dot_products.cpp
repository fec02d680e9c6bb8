#include "dot_products.hpp"

#include <algorithm>

#include "parallel.hpp"
#include "problem.hpp"

namespace etcoreml::kernels {
namespace {

// Numbers of y from which a thread's share pays for waking it, a few microseconds.
constexpr size_t kShare = size_t{1} << 14;
constexpr size_t kTasksPerThread = 4;

}  // namespace

void run(const DotProducts& p) {
  if (p.batch == 0 || p.rows == 0 || p.outputs == 0) return;
  const Kernels& k = *kernels();
  const size_t threads = thread_count(), size = p.batch * p.outputs * p.columns;
  const size_t most = threads == 1 ? 1 : std::min(size / kShare, threads * kTasksPerThread);
  const size_t parts = std::clamp<size_t>(most / p.batch, 1, p.outputs);
  const auto compute = [&](size_t i) {
    const size_t b = i / parts, part = i % parts;
    k.dot_products(p, b, p.outputs * part / parts, p.outputs * (part + 1) / parts);
  };
  if (most <= 1) {
    for (size_t b = 0; b < p.batch; ++b) compute(b);
    return;
  }
  // A thread that waits must not begin another inference: it would wait for itself.
  tbb::this_task_arena::isolate([&] { parallel(p.batch * parts, compute); });
}

}  // namespace etcoreml::kernels
