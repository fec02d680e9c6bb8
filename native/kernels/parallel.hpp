// Work for the threads of the calling thread's TBB arena.
#pragma once

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task_arena.h>

#include <cstddef>

namespace etcoreml::kernels {

inline size_t thread_count() {
  return static_cast<size_t>(tbb::this_task_arena::max_concurrency());
}

// Pieces of work that threads take as they get done: small, that none waits long for another.
template <class Body>
void parallel(size_t tasks, const Body& body) {
  if (tasks == 1) return body(0);
  tbb::parallel_for(
      tbb::blocked_range<size_t>(0, tasks),
      [&](const tbb::blocked_range<size_t>& range) {
        for (size_t i = range.begin(); i < range.end(); ++i) body(i);
      },
      tbb::simple_partitioner());
}

}  // namespace etcoreml::kernels
