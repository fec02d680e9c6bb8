#include "linear_op.hpp"

#include <openvino/core/extension.hpp>
#include <openvino/core/op_extension.hpp>

#include "problem.hpp"

namespace etcoreml {
namespace {

constexpr size_t kHalfInputs = 3;
constexpr size_t kIndexInputs = 5;  // without offset

size_t size(const ov::Tensor& tensor, size_t axis) { return tensor.get_shape()[axis]; }

}  // namespace

void CompressedLinear::validate_and_infer_types() {
  const bool is_half = format_ == "fp16";
  NODE_VALIDATION_CHECK(this, is_half || format_ == "index4", "unknown format ", format_);
  const bool has_offset = !is_half && get_input_size() == kIndexInputs + 1;
  NODE_VALIDATION_CHECK(
      this, get_input_size() == (is_half ? kHalfInputs : kIndexInputs) + (has_offset ? 1 : 0),
      "wrong number of inputs");
  NODE_VALIDATION_CHECK(this, columns_ > 0 && (is_half || block_ > 0), "wrong sizes");
  for (size_t i = 0; i < get_input_size(); ++i) {
    const auto expected = i == 1 ? ov::element::u8 : ov::element::f32;
    NODE_VALIDATION_CHECK(this, get_input_element_type(i) == expected, "wrong type of input ", i);
    NODE_VALIDATION_CHECK(this, i == 0 || get_input_partial_shape(i).is_static(),
                          "the shape of input ", i, " varies");
  }
  const auto columns = static_cast<size_t>(columns_);
  const auto padding = kernels::kIndexPadding;
  const size_t padded = (columns + padding - 1) / padding * padding;
  const size_t row = is_half ? columns * 2 : padded / 2;
  const size_t outputs = get_input_shape(2).at(0);
  NODE_VALIDATION_CHECK(this, get_input_shape(1) == ov::Shape({outputs, row}), "wrong weights");
  if (!is_half) {
    const auto block = static_cast<size_t>(block_);
    const bool is_power = block >= 8 && (block & (block - 1)) == 0;
    NODE_VALIDATION_CHECK(this, block % padding == 0 || (block < padding && is_power),
                          "wrong size of a block: ", block);
    const ov::Shape blocks{outputs, (padded + block - 1) / block};
    const size_t tables = get_input_shape(3).at(0);
    NODE_VALIDATION_CHECK(this, tables > 0 && outputs % tables == 0, "wrong number of tables");
    NODE_VALIDATION_CHECK(this, get_input_shape(3) == ov::Shape({tables, 16}), "wrong tables");
    NODE_VALIDATION_CHECK(this, get_input_shape(4) == blocks, "wrong scales");
    NODE_VALIDATION_CHECK(this, !has_offset || get_input_shape(5) == blocks, "wrong offsets");
  }
  auto shape = get_input_partial_shape(0);
  NODE_VALIDATION_CHECK(this, shape.rank().is_static() && shape.rank().get_length() > 0,
                        "the rank of x must be known and not 0");
  auto& last = shape[shape.size() - 1];
  NODE_VALIDATION_CHECK(this, last.compatible(columns_), "wrong size of x");
  last = static_cast<int64_t>(outputs);
  set_output_type(0, ov::element::f32, shape);
}

std::shared_ptr<ov::Node> CompressedLinear::clone_with_new_inputs(
    const ov::OutputVector& inputs) const {
  auto copy = std::make_shared<CompressedLinear>();
  copy->format_ = format_;
  copy->columns_ = columns_;
  copy->block_ = block_;
  copy->set_arguments(inputs);
  copy->constructor_validate_and_infer_types();
  return copy;
}

bool CompressedLinear::visit_attributes(ov::AttributeVisitor& visitor) {
  visitor.on_attribute("format", format_);
  visitor.on_attribute("columns", columns_);
  visitor.on_attribute("block", block_);
  return true;
}

bool CompressedLinear::evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const {
  if (kernels::kernels() == nullptr) return false;
  auto shape = inputs[0].get_shape();
  const auto columns = static_cast<size_t>(columns_);
  OPENVINO_ASSERT(shape.back() == columns, "CompressedLinear: x has ", shape.back(),
                  " columns, expected ", columns);
  kernels::Problem p{};
  p.outputs = size(inputs[2], 0);
  p.columns = columns;
  p.rows = inputs[0].get_size() / columns;
  shape.back() = p.outputs;
  outputs[0].set_shape(shape);
  p.x = inputs[0].data<const float>();
  p.y = outputs[0].data<float>();
  p.bias = inputs[2].data<const float>();
  p.weights = inputs[1].data<const uint8_t>();
  p.format = kernels::Format::kHalf;
  if (format_ == "index4") {
    p.format = kernels::Format::kIndex4;
    p.table = inputs[3].data<const float>();
    p.rows_per_table = p.outputs / size(inputs[3], 0);
    p.scale = inputs[4].data<const float>();
    p.offset = inputs.size() > kIndexInputs ? inputs[5].data<const float>() : nullptr;
    p.block = static_cast<size_t>(block_);
  }
  kernels::run(p);
  return true;
}

}  // namespace etcoreml

OPENVINO_CREATE_EXTENSIONS(std::vector<ov::Extension::Ptr>({
    std::make_shared<ov::OpExtension<etcoreml::CompressedLinear>>(),
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
