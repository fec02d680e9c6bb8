// Python's view of the bridge: binds, and does nothing else.
#include <executorch/runtime/platform/runtime.h>
#include <nanobind/nanobind.h>

#include "activity.hpp"
#include "backend.hpp"
#include "buffers.hpp"
#include "faults.hpp"
#include "stream_guard.hpp"
#include "tensor_view.hpp"

namespace nb = nanobind;

NB_MODULE(_native, module) {
  // A process that exits while programs are loaded, or is a fork of one, has no defect to report.
  nb::set_leak_warnings(false);
  etcoreml::StreamGuard::capture();
  etcoreml::bind_tensor_view(module);
  etcoreml::bind_buffers(module);
  module.def(
      "register_backend",
      [](nb::object init, nb::object record) {
        executorch::runtime::runtime_init();
        etcoreml::set_fault_recorder(std::move(record));
        return etcoreml::register_backend(std::move(init));
      },
      nb::arg("init"), nb::arg("record"));
  module.def("close", [] {
    etcoreml::drain_and_close();
    etcoreml::release_delegates();
    etcoreml::clear_fault_recorder();
  });
  module.def("after_fork", &etcoreml::forget_activities);
}
