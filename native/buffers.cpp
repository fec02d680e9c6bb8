#include "buffers.hpp"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <utility>
#include <vector>

namespace nb = nanobind;
using executorch::runtime::FreeableBuffer;

namespace etcoreml {
namespace {

struct OwnedBuffer {
  FreeableBuffer bytes;
};

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  auto* owned = nb::inst_ptr<OwnedBuffer>(self);
  return PyBuffer_FillInfo(
      view, self, const_cast<void*>(owned->bytes.data()),
      static_cast<Py_ssize_t>(owned->bytes.size()), /*readonly=*/1, flags);
}

PyType_Slot buffer_slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)}, {0, nullptr}};

std::vector<std::string> keys(const NamedData& data) {
  std::vector<std::string> names;
  auto count = data.map == nullptr ? 0 : data.map->get_num_keys();
  for (uint32_t i = 0; count.ok() && i < count.get(); ++i) {
    auto key = data.map->get_key(i);
    if (key.ok()) {
      names.emplace_back(key.get());
    }
  }
  return names;
}

nb::object get(const NamedData& data, const std::string& key) {
  if (data.map == nullptr) {
    return nb::none();
  }
  auto bytes = data.map->get_data(key);
  return bytes.ok() ? own_buffer(std::move(bytes.get())) : nb::none();
}

}  // namespace

nb::object own_buffer(FreeableBuffer&& buffer) {
  nb::object owner = nb::cast(new OwnedBuffer{std::move(buffer)}, nb::rv_policy::take_ownership);
  return nb::steal(PyMemoryView_FromObject(owner.ptr()));
}

void bind_buffers(nb::module_& module) {
  nb::class_<OwnedBuffer>(module, "OwnedBuffer", nb::type_slots(buffer_slots));
  nb::class_<NamedData>(module, "NamedData").def("keys", &keys).def("get", &get, nb::arg("key"));
}

}  // namespace etcoreml
