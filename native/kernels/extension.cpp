// What OpenVINO, and Python, find in the library.
#include <openvino/core/extension.hpp>
#include <openvino/core/op_extension.hpp>

#include "dot_products_op.hpp"
#include "linear_op.hpp"
#include "lstm_op.hpp"
#include "problem.hpp"

OPENVINO_CREATE_EXTENSIONS(std::vector<ov::Extension::Ptr>({
    std::make_shared<ov::OpExtension<etcoreml::CompressedLinear>>(),
    std::make_shared<ov::OpExtension<etcoreml::CompressedLstm>>(),
    std::make_shared<ov::OpExtension<etcoreml::DotProducts>>(),
}));

// For Python. The first is asked before OpenVINO loads the library: the name of the instruction
// set, null if this CPU has none that the kernels are written for. The second chooses another.
extern "C" {

__attribute__((visibility("default"))) const char* etcoreml_kernels() {
  const auto* found = etcoreml::kernels::kernels();
  return found == nullptr ? nullptr : found->name;
}

__attribute__((visibility("default"))) bool etcoreml_use_kernels(const char* name) {
  return etcoreml::kernels::use(name);
}

}
