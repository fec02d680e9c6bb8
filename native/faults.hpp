// What happens to a Python exception that may not cross the runtime's C++ frames.
#pragma once

#include <executorch/runtime/core/error.h>
#include <nanobind/nanobind.h>

#include <string>

namespace etcoreml {

// Python's side of this file: etcoreml.runtime.faults. `record` takes the exception, keeps it for
// the calling thread and returns (ExecuTorch error code, message to log).
void set_fault_recorder(nanobind::object record);

// Hands the exception to Python's recorder and logs its message once. A KeyboardInterrupt is
// re-raised in the calling thread as soon as it is back in Python code; the runtime is told that
// all went well, because the RuntimeError it would raise otherwise would win.
executorch::runtime::Error report_exception(nanobind::python_error& error, const char* stage);

// Raises etcoreml.errors.<type>(message, hint=hint) through the same path.
executorch::runtime::Error report_error(
    const char* type, const std::string& message, const char* hint, const char* stage);

// Drops the reference to Python's recorder; called once at exit.
void clear_fault_recorder();

}  // namespace etcoreml
