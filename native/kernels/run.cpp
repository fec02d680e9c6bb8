// Divides a problem among threads and calls the kernels of this CPU.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <new>

#include "parallel.hpp"
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

thread_local Buffer scratch_buffer, prepared_buffer;

size_t blocks_of(size_t size, size_t block) { return (size + block - 1) / block; }

// Panels of outputs divided into at most `most` tasks of at least `least` panels.
struct Division {
  size_t outputs, panels, tasks;

  Division(size_t outputs, size_t least, size_t most)
      : outputs(outputs),
        panels(blocks_of(outputs, kPanel)),
        tasks(std::max<size_t>(1, std::min(panels / least, most))) {}

  size_t begin(size_t i) const { return std::min(panels * i / tasks * kPanel, outputs); }
};

constexpr size_t kTasksPerThread = 8;
constexpr size_t kFewPanels = 4;    // as many streams from memory at once
constexpr size_t kManyPanels = 2;
constexpr size_t kMostPanels = 8;   // rows of x come from the cache once for so many

void run_few(const Kernels& k, Problem p, size_t threads) {
  if (const size_t floats = k.prepared_floats ? k.prepared_floats(p) : 0) {
    k.prepare(p, prepared_buffer.reserve(floats));
  }
  const Division division(p.outputs, kFewPanels, threads == 1 ? 1 : threads * kTasksPerThread);
  parallel(division.tasks, [&](size_t i) { k.few(p, division.begin(i), division.begin(i + 1)); });
}

void run_many(const Kernels& k, const Problem& p, size_t threads) {
  const size_t row_blocks = blocks_of(p.rows, kRowBlock);
  const size_t panels = blocks_of(p.outputs, kPanel);
  const size_t most = std::max(blocks_of(panels, kMostPanels),
                               threads == 1 ? 1 : blocks_of(threads * kTasksPerThread, row_blocks));
  const Division division(p.outputs, kManyPanels, most);
  parallel(row_blocks * division.tasks, [&](size_t i) {
    const size_t block = i / division.tasks, part = i % division.tasks;
    const size_t row = p.rows * block / row_blocks, end = p.rows * (block + 1) / row_blocks;
    k.many(p, row, end - row, division.begin(part), division.begin(part + 1),
           scratch_buffer.reserve(kScratch));
  });
}

bool supports(const Kernels* set) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (set == avx512_vnni_kernels()) {
    return supports(avx512_kernels()) && __builtin_cpu_supports("avx512vnni");
  }
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
  for (const Kernels* set : {avx512_vnni_kernels(), avx512_kernels(), avx2_kernels()}) {
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
  for (const Kernels* set : {avx512_vnni_kernels(), avx512_kernels(), avx2_kernels()}) {
    if (std::strcmp(set->name, name) == 0 && supports(set)) {
      chosen() = set;
      return true;
    }
  }
  return false;
}

void run(const Problem& p) {
  if (p.rows == 0 || p.outputs == 0) return;
  const Kernels& k = *chosen().load();
  const size_t threads = thread_count();
  // A thread that waits must not begin another inference: it would wait for itself.
  tbb::this_task_arena::isolate(
      [&] { p.rows <= kFewRows ? run_few(k, p, threads) : run_many(k, p, threads); });
}

}  // namespace etcoreml::kernels
