// Read-only bytes that the runtime lends to a delegate while it loads.
#pragma once

#include <executorch/runtime/core/freeable_buffer.h>
#include <executorch/runtime/core/named_data_map.h>
#include <nanobind/nanobind.h>

namespace etcoreml {

// Wraps the buffer in a memoryview that owns it: the bytes live as long as any view of them.
nanobind::object own_buffer(executorch::runtime::FreeableBuffer&& buffer);

// The program's named data, usable during init() only: the runtime frees the map afterwards.
struct NamedData {
  const executorch::runtime::NamedDataMap* map = nullptr;
};

void bind_buffers(nanobind::module_& module);

}  // namespace etcoreml
