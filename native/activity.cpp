#include "activity.hpp"

#include <Python.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace etcoreml {
namespace {

std::vector<Activity*> activities;
bool closing = false;
unsigned long closing_thread = 0;

struct MemoryRange {
  uintptr_t begin = 0;
  uintptr_t end = 0;
};

MemoryRange range_of(const executorch::runtime::EValue& value) {
  if (!value.isTensor()) {
    return {};
  }
  const auto& tensor = value.toTensor();
  auto begin = reinterpret_cast<uintptr_t>(tensor.const_data_ptr());
  return {begin, begin + tensor.nbytes()};
}

}  // namespace

Activity::Activity(const void* delegate, Arguments arguments)
    : delegate_(delegate), arguments_(arguments) {
  activities.push_back(this);
}

Activity::~Activity() {
  auto found = std::find(activities.begin(), activities.end(), this);
  if (found != activities.end()) {  // a fork forgets them
    activities.erase(found);
  }
}

bool Activity::overlaps(const Activity& other) const {
  if (delegate_ == other.delegate_) {
    return true;
  }
  for (const auto* mine : arguments_) {
    MemoryRange a = range_of(*mine);
    for (const auto* theirs : other.arguments_) {
      MemoryRange b = range_of(*theirs);
      if (a.begin < b.end && b.begin < a.end) {
        return true;
      }
    }
  }
  return false;
}

bool Activity::collides() {
  bool found = false;
  for (Activity* other : activities) {
    if (other != this && other->delegate_ != nullptr && overlaps(*other)) {
      other->disturbed_ = true;
      found = true;
    }
  }
  return found;
}

void park_if_closing() {
  if (closing && PyThread_get_thread_ident() != closing_thread) {
    PyEval_SaveThread();
    for (;;) {
      pause();
    }
  }
}

void drain_and_close() {
  closing = true;
  closing_thread = PyThread_get_thread_ident();
  while (!activities.empty()) {
    Py_BEGIN_ALLOW_THREADS;
    usleep(1000);
    Py_END_ALLOW_THREADS;
  }
}

void forget_activities() {
  activities.clear();
}

}  // namespace etcoreml
