#include "faults.hpp"

#include <executorch/runtime/platform/log.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include <cstdint>
#include <sstream>
#include <utility>

namespace nb = nanobind;
using executorch::runtime::Error;

namespace etcoreml {
namespace {

PyObject* recorder = nullptr;  // strong reference

// ET_LOG cuts a message at 256 bytes: log line by line.
void log_lines(const char* stage, const std::string& message) {
  std::istringstream lines(message);
  for (std::string line; std::getline(lines, line);) {
    for (size_t begin = 0; begin == 0 || begin < line.size(); begin += 160) {
      ET_LOG(Error, "CoreMLBackend %s: %s", stage, line.substr(begin, 160).c_str());
    }
  }
}

Error record(nb::handle exception, const char* stage) {
  if (recorder == nullptr) {
    ET_LOG(Error, "CoreMLBackend %s failed while the interpreter exits", stage);
    return Error::Internal;
  }
  try {
    auto [code, message] =
        nb::cast<std::pair<uint32_t, std::string>>(nb::handle(recorder)(exception));
    log_lines(stage, message);
    return static_cast<Error>(code);
  } catch (nb::python_error& error) {
    error.discard_as_unraisable("etcoreml.runtime.faults.record");
  } catch (const std::exception& error) {
    ET_LOG(Error, "CoreMLBackend %s: %s", stage, error.what());
  }
  return Error::Internal;
}

}  // namespace

void set_fault_recorder(nb::object record) {
  Py_XDECREF(recorder);
  recorder = record.release().ptr();
}

void clear_fault_recorder() {
  Py_CLEAR(recorder);
}

Error report_exception(nb::python_error& error, const char* stage) {
  if (error.matches(PyExc_KeyboardInterrupt)) {
    PyThreadState_SetAsyncExc(PyThread_get_thread_ident(), PyExc_KeyboardInterrupt);
    return Error::Ok;
  }
  return record(error.value(), stage);
}

Error report_error(
    const char* type, const std::string& message, const char* hint, const char* stage) {
  try {
    nb::object error_class = nb::module_::import_("etcoreml.errors").attr(type);
    return record(error_class(message, nb::arg("hint") = hint), stage);
  } catch (nb::python_error& error) {
    return record(error.value(), stage);
  }
}

}  // namespace etcoreml
