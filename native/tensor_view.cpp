#include "tensor_view.hpp"

#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <string>

namespace nb = nanobind;
namespace ea = executorch::aten;
using ea::ScalarType;
using executorch::runtime::Error;

namespace etcoreml {
namespace {

// Format characters of PEP 3118; null where it has none, and NumPy could not read the memory.
const char* format_of(ScalarType dtype) {
  switch (dtype) {
    case ScalarType::Byte: return "B";
    case ScalarType::Char: return "b";
    case ScalarType::Short: return "h";
    case ScalarType::Int: return "i";
    case ScalarType::Long: return "q";
    case ScalarType::Half: return "e";
    case ScalarType::Float: return "f";
    case ScalarType::Double: return "d";
    case ScalarType::Bool: return "?";
    case ScalarType::UInt16: return "H";
    case ScalarType::UInt32: return "I";
    case ScalarType::UInt64: return "Q";
    default: return nullptr;
  }
}

// Shape and strides handed to a consumer: a view's own may change when it is resized.
struct ExportedLayout {
  std::vector<Py_ssize_t> shape;
  std::vector<Py_ssize_t> strides;
};

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  return nb::inst_ptr<TensorView>(self)->get_buffer(self, view, flags);
}

void release_buffer(PyObject*, Py_buffer* view) {
  delete static_cast<ExportedLayout*>(view->internal);
}

PyType_Slot view_slots[] = {
    {Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)},
    {Py_bf_releasebuffer, reinterpret_cast<void*>(release_buffer)},
    {0, nullptr}};

}  // namespace

bool TensorSignature::matches(const ea::Tensor& tensor) const {
  return data == tensor.const_data_ptr() && dtype == tensor.scalar_type() &&
      sizes.size() == static_cast<size_t>(tensor.dim()) &&
      std::equal(sizes.begin(), sizes.end(), tensor.sizes().begin());
}

TensorSignature TensorSignature::of(const ea::Tensor& tensor) {
  return {tensor.const_data_ptr(), tensor.scalar_type(),
          {tensor.sizes().begin(), tensor.sizes().end()}};
}

TensorView::TensorView(ea::Tensor& tensor) : tensor_(&tensor) {
  read_layout();
}

void TensorView::read_layout() {
  data_ = tensor_->mutable_data_ptr();
  dtype_ = tensor_->scalar_type();
  itemsize_ = static_cast<Py_ssize_t>(ea::elementSize(dtype_));
  shape_.assign(tensor_->sizes().begin(), tensor_->sizes().end());
  strides_.clear();
  for (auto stride : tensor_->strides()) {
    strides_.push_back(static_cast<Py_ssize_t>(stride) * itemsize_);
  }
  contiguous_ = true;
  Py_ssize_t packed = itemsize_;
  for (size_t i = shape_.size(); i-- > 0;) {
    contiguous_ = contiguous_ && (shape_[i] == 1 || strides_[i] == packed);
    packed *= shape_[i];
  }
}

void TensorView::resize(const std::vector<int32_t>& sizes) {
  if (tensor_ == nullptr) {
    throw nb::value_error("a tensor argument was used after execute() returned");
  }
  Error error = executorch::runtime::resize_tensor(*tensor_, {sizes.data(), sizes.size()});
  if (error != Error::Ok) {
    throw nb::value_error(executorch::runtime::to_string(error));
  }
  read_layout();
}

nb::tuple TensorView::shape() const {
  nb::list sizes;
  for (Py_ssize_t size : shape_) {
    sizes.append(size);
  }
  return nb::tuple(sizes);
}

int TensorView::get_buffer(PyObject* self, Py_buffer* view, int flags) const {
  view->obj = nullptr;
  const char* format = format_of(dtype_);
  if (format == nullptr) {
    PyErr_SetString(PyExc_BufferError, "the tensor's dtype has no buffer format");
    return -1;
  }
  bool wants_strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES;
  if (!contiguous_ && !wants_strides) {
    PyErr_SetString(PyExc_BufferError, "the tensor is not C-contiguous");
    return -1;
  }
  auto layout = std::make_unique<ExportedLayout>(ExportedLayout{shape_, strides_});
  Py_ssize_t nbytes = itemsize_;
  for (Py_ssize_t size : shape_) {
    nbytes *= size;
  }
  view->obj = Py_NewRef(self);
  view->buf = data_;
  view->len = nbytes;
  view->readonly = 0;
  view->itemsize = itemsize_;
  view->format = (flags & PyBUF_FORMAT) ? const_cast<char*>(format) : nullptr;
  view->ndim = static_cast<int>(shape_.size());
  view->shape = (flags & PyBUF_ND) ? layout->shape.data() : nullptr;
  view->strides = wants_strides ? layout->strides.data() : nullptr;
  view->suboffsets = nullptr;
  view->internal = layout.release();
  return 0;
}

void bind_tensor_view(nb::module_& module) {
  nb::class_<TensorView>(module, "TensorView", nb::type_slots(view_slots))
      .def_prop_ro("shape", &TensorView::shape)
      .def_prop_ro("scalar_type", &TensorView::scalar_type)
      .def("resize", &TensorView::resize, nb::arg("shape"));
}

}  // namespace etcoreml
