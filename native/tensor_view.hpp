// One tensor argument of a delegate call, seen from Python without a copy.
#pragma once

#include <executorch/runtime/core/exec_aten/exec_aten.h>
#include <executorch/runtime/core/exec_aten/util/tensor_util.h>
#include <nanobind/nanobind.h>

#include <cstdint>
#include <vector>

namespace etcoreml {

// What decides whether a binding made for an earlier call still holds.
struct TensorSignature {
  const void* data = nullptr;
  executorch::aten::ScalarType dtype{};
  std::vector<int32_t> sizes;

  bool matches(const executorch::aten::Tensor& tensor) const;
  static TensorSignature of(const executorch::aten::Tensor& tensor);
};

// Exports the tensor's memory through the buffer protocol. The memory belongs to the runtime and
// may be read or written during execute() only; shape and dtype are copied and stay readable.
class TensorView {
 public:
  explicit TensorView(executorch::aten::Tensor& tensor);

  // Ends access to the tensor itself (not to memory already exported).
  void expire() { tensor_ = nullptr; }

  // Gives the tensor a new shape within its capacity; raises ValueError where it cannot have it.
  void resize(const std::vector<int32_t>& sizes);

  nanobind::tuple shape() const;
  int scalar_type() const { return static_cast<int>(dtype_); }

  int get_buffer(PyObject* self, Py_buffer* view, int flags) const;

 private:
  void read_layout();

  executorch::aten::Tensor* tensor_;
  void* data_;
  executorch::aten::ScalarType dtype_;
  Py_ssize_t itemsize_;
  bool contiguous_;
  std::vector<Py_ssize_t> shape_;    // elements
  std::vector<Py_ssize_t> strides_;  // bytes
};

void bind_tensor_view(nanobind::module_& module);

}  // namespace etcoreml
