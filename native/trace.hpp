// What a delegate did during a call, on its way to ExecuTorch's event tracer.
#pragma once

#include <executorch/runtime/core/event_tracer.h>
#include <executorch/runtime/platform/platform.h>
#include <nanobind/nanobind.h>

namespace etcoreml {

// What is wanted of a delegate; numbers of etcoreml.runtime.traced.
enum class TraceLevel { kNone = 0, kEvents = 1, kIntermediates = 2 };

TraceLevel trace_level(executorch::runtime::EventTracer* tracer);

// Raises DebugBufferError if the values of a run, as far as known, would overrun the buffer.
void check_room(executorch::runtime::EventTracer& tracer, nanobind::handle traced);

// Logs the run that has just ended. `start` is in ticks, which are nanoseconds here.
void log_run(
    executorch::runtime::EventTracer& tracer, nanobind::handle traced, TraceLevel level,
    et_timestamp_t start);

}  // namespace etcoreml
