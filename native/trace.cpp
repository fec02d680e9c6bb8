#include "trace.hpp"

#include <executorch/devtools/etdump/data_sinks/buffer_data_sink.h>
#include <executorch/devtools/etdump/etdump_flatcc.h>
#include <executorch/runtime/core/event_tracer_hooks_delegate.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace nb = nanobind;
namespace er = executorch::runtime;
namespace ea = executorch::aten;

namespace etcoreml {
namespace {

using Value = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

// Free bytes of the debug buffer; without a bound for tracers that write elsewhere.
int64_t room(er::EventTracer& tracer) {
  auto* dump = dynamic_cast<executorch::etdump::ETDumpGen*>(&tracer);
  if (dump == nullptr) {
    return std::numeric_limits<int64_t>::max();
  }
  auto* sink = dynamic_cast<executorch::etdump::BufferDataSink*>(dump->get_data_sink());
  if (sink == nullptr) {
    return dump->get_data_sink() == nullptr ? 0 : std::numeric_limits<int64_t>::max();
  }
  auto size = sink->get_storage_size();
  return size.ok() ? static_cast<int64_t>(*size) - static_cast<int64_t>(sink->get_used_bytes()) : 0;
}

ea::ScalarType scalar_type(nb::dlpack::dtype type) {
  switch (static_cast<nb::dlpack::dtype_code>(type.code)) {
    case nb::dlpack::dtype_code::Float:
      if (type.bits == 32) return ea::ScalarType::Float;
      if (type.bits == 64) return ea::ScalarType::Double;
      break;
    case nb::dlpack::dtype_code::Int:
      if (type.bits == 8) return ea::ScalarType::Char;
      if (type.bits == 16) return ea::ScalarType::Short;
      if (type.bits == 32) return ea::ScalarType::Int;
      if (type.bits == 64) return ea::ScalarType::Long;
      break;
    case nb::dlpack::dtype_code::UInt:
      if (type.bits == 8) return ea::ScalarType::Byte;
      break;
    case nb::dlpack::dtype_code::Bool:
      return ea::ScalarType::Bool;
    default:
      break;
  }
  throw std::runtime_error("an intermediate value has a dtype that ExecuTorch does not know");
}

void log_value(er::EventTracer& tracer, const std::string& name, const Value& value) {
  std::vector<ea::SizesType> sizes(value.ndim());
  std::vector<ea::DimOrderType> order(value.ndim());
  std::vector<ea::StridesType> strides(value.ndim());
  ea::StridesType stride = 1;
  for (size_t i = value.ndim(); i-- > 0;) {
    sizes[i] = static_cast<ea::SizesType>(value.shape(i));
    order[i] = static_cast<ea::DimOrderType>(i);
    strides[i] = stride;
    stride *= sizes[i];
  }
  ea::TensorImpl tensor(
      scalar_type(value.dtype()), static_cast<ssize_t>(sizes.size()), sizes.data(),
      const_cast<void*>(value.data()), order.data(), strides.data());
  er::event_tracer_log_output_delegate(
      &tracer, name.c_str(), er::kUnsetDelegateDebugIntId, ea::Tensor(&tensor));
}

}  // namespace

TraceLevel trace_level(er::EventTracer* tracer) {
  if (tracer == nullptr) {
    return TraceLevel::kNone;
  }
  if (tracer->event_tracer_debug_level() == er::EventTracerDebugLogLevel::kIntermediateOutputs) {
    return TraceLevel::kIntermediates;
  }
  return tracer->event_tracer_profiling_level() == er::EventTracerProfilingLevel::kProfileAllEvents
      ? TraceLevel::kEvents
      : TraceLevel::kNone;
}

void check_room(er::EventTracer& tracer, nb::handle traced) {
  try {
    traced.attr("check_room")(room(tracer));
  } catch (...) {
    // ExecuTorch would log the outputs of the failed run, and abort where they do not fit either.
    tracer.set_event_tracer_debug_level(er::EventTracerDebugLogLevel::kNoLogging);
    throw;
  }
}

void log_run(
    er::EventTracer& tracer, nb::handle traced, TraceLevel level, et_timestamp_t start) {
  const et_timestamp_t computed = et_pal_current_ticks();
  nb::list events = nb::cast<nb::list>(traced.attr("events")(start, computed));
  // The last event, of the time that no operation has, also holds what collecting them took.
  const et_timestamp_t collected = et_pal_current_ticks();
  // Values go first: of several events of one node, the Inspector compares the first.
  if (level == TraceLevel::kIntermediates) {
    for (nb::handle row : nb::cast<nb::list>(traced.attr("intermediates")(room(tracer)))) {
      log_value(tracer, nb::cast<std::string>(row[0]), nb::cast<Value>(row[1]));
    }
  }
  const size_t count = nb::len(events);
  for (size_t i = 0; i < count; ++i) {
    nb::tuple event = nb::cast<nb::tuple>(events[i]);
    const auto* name = nb::cast<const char*>(event[0]);
    const auto metadata = nb::cast<nb::bytes>(event[3]);
    const auto end = i + 1 == count ? collected : nb::cast<et_timestamp_t>(event[2]);
    er::event_tracer_log_profiling_delegate(
        &tracer, name, er::kUnsetDelegateDebugIntId, nb::cast<et_timestamp_t>(event[1]), end,
        metadata.c_str(), metadata.size());
  }
}

}  // namespace etcoreml
