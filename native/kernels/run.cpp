// Divides a problem among threads and calls the kernels of this CPU.
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <new>

#include "problem.hpp"

namespace etcoreml::kernels {
namespace {

// Memory that a thread keeps from call to call: fresh pages would cost more than the arithmetic.
class Buffer {
 public:
  float* reserve(size_t floats) {
    if (floats > floats_) {
      data_.reset();
      floats_ = 0;
      data_.reset(static_cast<float*>(::operator new(floats * sizeof(float), kAlignment)));
      floats_ = floats;
    }
    return data_.get();
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(float* data) const { ::operator delete(data, kAlignment); }
  };
  std::unique_ptr<float, Free> data_;
  size_t floats_ = 0;
};

thread_local Buffer spread_buffer, packed_buffer, scratch_buffer;

size_t blocks_of(size_t size, size_t block) { return (size + block - 1) / block; }

template <class Body>
void parallel(size_t tasks, const Body& body) {
  if (tasks == 1) return body(0);
  tbb::parallel_for(size_t{0}, tasks, body);
}

void run_rows(const Kernels& k, const Problem& p, size_t first_row, size_t rows) {
  const size_t columns = blocks_of(p.columns, k.group) * k.group;
  const float* spread = p.x + first_row * columns;
  if (p.format != Format::kHalf || p.columns != columns) {
    float* const copy = spread_buffer.reserve(rows * columns);
    k.spread(p, first_row, rows, copy);
    spread = copy;
  }
  const auto threads = static_cast<size_t>(tbb::this_task_arena::max_concurrency());
  if (rows <= kFewRows) {
    // Enough tasks to even out threads of different speed.
    const size_t tasks = threads == 1 ? 1 : std::min(threads * 4, blocks_of(p.outputs, 32));
    return parallel(tasks, [&](size_t i) {
      const size_t step = blocks_of(blocks_of(p.outputs, tasks), 8) * 8;
      const size_t first = std::min(i * step, p.outputs);
      k.few(p, first_row, rows, spread, first, std::min(first + step, p.outputs));
    });
  }
  const size_t panels = blocks_of(rows, k.panel_rows);
  float* const packed = packed_buffer.reserve(panels * k.panel_rows * columns);
  parallel(panels, [&](size_t i) { k.pack(spread, rows, columns, i, packed); });
  const size_t tasks = blocks_of(p.outputs, kOutputBlock);
  parallel(tasks, [&](size_t i) {
    float* const scratch = scratch_buffer.reserve(kScratch);
    k.many(p, first_row, rows, packed, p.outputs * i / tasks, p.outputs * (i + 1) / tasks,
           scratch);
  });
}

bool supports(const Kernels* set) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (set == avx512_kernels()) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  }
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
#else
  (void)set;
  return false;
#endif
}

const Kernels* best() {
  for (const Kernels* set : {avx512_kernels(), avx2_kernels()}) {
    if (supports(set)) return set;
  }
  return nullptr;
}

std::atomic<const Kernels*>& chosen() {
  static std::atomic<const Kernels*> kernels{best()};
  return kernels;
}

}  // namespace

const Kernels* kernels() { return chosen(); }

bool use(const char* name) {
  for (const Kernels* set : {avx512_kernels(), avx2_kernels()}) {
    if (std::strcmp(set->name, name) == 0 && supports(set)) {
      chosen() = set;
      return true;
    }
  }
  return false;
}

void run(const Problem& p) {
  if (p.rows == 0 || p.outputs == 0) return;
  // The buffers are this thread's: it must not begin another inference while it waits.
  tbb::this_task_arena::isolate([&] {
    const Kernels& k = *chosen().load();
    const size_t blocks = blocks_of(p.rows, kRowBlock);
    const size_t step = blocks_of(blocks_of(p.rows, blocks), k.panel_rows) * k.panel_rows;
    for (size_t row = 0; row < p.rows; row += step) {
      run_rows(k, p, row, std::min(step, p.rows - row));
    }
  });
}

}  // namespace etcoreml::kernels
