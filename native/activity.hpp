// Which threads are inside the delegate: needed to refuse overlaps and to exit cleanly.
#pragma once

#include <executorch/runtime/core/evalue.h>
#include <executorch/runtime/core/span.h>

namespace etcoreml {

using Arguments = executorch::runtime::Span<executorch::runtime::EValue*>;

// Marks the calling thread as inside the delegate for the object's lifetime. All of it needs the
// GIL, which orders access to the list of activities.
class Activity {
 public:
  // Loading: overlaps with nothing.
  Activity() : Activity(nullptr, {}) {}
  // Executing `delegate` with `arguments`.
  Activity(const void* delegate, Arguments arguments);
  ~Activity();
  Activity(const Activity&) = delete;
  Activity& operator=(const Activity&) = delete;

  // Whether another thread executes the same delegate, or one that shares memory with it; marks
  // that thread's activity as disturbed, since its arguments may have been overwritten already.
  bool collides();
  // Whether another thread collided with this activity while it ran.
  bool disturbed() const { return disturbed_; }

 private:
  bool overlaps(const Activity& other) const;

  const void* delegate_;
  Arguments arguments_;
  bool disturbed_ = false;
};

// Never returns once another thread has begun to shut the interpreter down: a daemon thread that
// went on would be killed in the middle of C++ frames, which aborts the process. Needs the GIL.
void park_if_closing();

// Keeps other threads out from now on and waits until none is inside. Needs the GIL.
void drain_and_close();

// Forgets the threads that a fork left behind. Called in the child.
void forget_activities();

}  // namespace etcoreml
