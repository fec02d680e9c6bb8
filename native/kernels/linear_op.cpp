#include "linear_op.hpp"

#include "problem.hpp"

namespace etcoreml {
namespace {

// Inputs after x, weights and bias.
constexpr size_t kScale = 3;
constexpr size_t kTable = 4;

struct Known {
  const char* name;
  kernels::Format format;
  size_t unit;        // columns stored together
  size_t unit_bytes;  // of one output
  size_t inputs;      // without offset
};

constexpr Known kFormats[] = {
    {"fp16", kernels::Format::kHalf, 1, 2, kScale},
    {"int8", kernels::Format::kInt8, 1, 1, kScale + 1},
    {"index4", kernels::Format::kIndex4, kernels::kIndicesPerWord, 4, kTable + 1},
};

const Known* find(const std::string& name) {
  for (const auto& each : kFormats) {
    if (name == each.name) return &each;
  }
  return nullptr;
}

size_t blocks_of(size_t size, size_t block) { return (size + block - 1) / block; }

size_t size(const ov::Tensor& tensor, size_t axis) { return tensor.get_shape()[axis]; }

}  // namespace

void CompressedLinear::validate_and_infer_types() {
  const Known* const known = find(format_);
  NODE_VALIDATION_CHECK(this, known != nullptr, "unknown format ", format_);
  const bool is_scaled = known->inputs > kScale;
  const bool has_offset = is_scaled && get_input_size() == known->inputs + 1;
  NODE_VALIDATION_CHECK(this, get_input_size() == known->inputs + (has_offset ? 1 : 0),
                        "wrong number of inputs");
  NODE_VALIDATION_CHECK(this, columns_ > 0 && block_ > 0, "wrong sizes");
  for (size_t i = 0; i < get_input_size(); ++i) {
    const auto expected = i == 1 ? ov::element::u8 : ov::element::f32;
    NODE_VALIDATION_CHECK(this, get_input_element_type(i) == expected, "wrong type of input ", i);
    NODE_VALIDATION_CHECK(this, i == 0 || get_input_partial_shape(i).is_static(),
                          "the shape of input ", i, " varies");
  }
  const auto columns = static_cast<size_t>(columns_);
  const size_t outputs = get_input_shape(2).at(0);
  const size_t panels = blocks_of(outputs, kernels::kPanel);
  const size_t bytes = blocks_of(columns, known->unit) * known->unit_bytes * kernels::kPanel;
  NODE_VALIDATION_CHECK(this, get_input_shape(1) == ov::Shape({panels, bytes}), "wrong weights");
  if (is_scaled) {
    const auto block = static_cast<size_t>(block_);
    NODE_VALIDATION_CHECK(this, block % kernels::kIndicesPerWord == 0 || block >= columns,
                          "wrong size of a block: ", block);
    const ov::Shape blocks{panels, blocks_of(columns, block), kernels::kPanel};
    NODE_VALIDATION_CHECK(this, get_input_shape(kScale) == blocks, "wrong scales");
    NODE_VALIDATION_CHECK(this, !has_offset || get_input_shape(known->inputs) == blocks,
                          "wrong offsets");
  }
  if (known->inputs > kTable) {
    const size_t tables = get_input_shape(kTable).at(0);
    NODE_VALIDATION_CHECK(
        this, tables == 1 || (tables > 1 && outputs % (tables * kernels::kTableSize) == 0),
        "wrong number of tables");
    NODE_VALIDATION_CHECK(this, get_input_shape(kTable) == ov::Shape({tables, kernels::kTableSize}),
                          "wrong tables");
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
  copy->rounds_ = rounds_;
  copy->set_arguments(inputs);
  copy->constructor_validate_and_infer_types();
  return copy;
}

bool CompressedLinear::visit_attributes(ov::AttributeVisitor& visitor) {
  visitor.on_attribute("format", format_);
  visitor.on_attribute("columns", columns_);
  visitor.on_attribute("block", block_);
  visitor.on_attribute("rounds", rounds_);
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
  const Known& known = *find(format_);
  p.format = known.format;
  p.block = static_cast<size_t>(block_);
  p.rounds = rounds_;
  if (known.inputs > kScale) p.scale = inputs[kScale].data<const float>();
  if (inputs.size() > known.inputs) p.offset = inputs[known.inputs].data<const float>();
  if (known.inputs > kTable) {
    p.table = inputs[kTable].data<const float>();
    p.rows_per_table = p.outputs / size(inputs[kTable], 0);
  }
  kernels::run(p);
  return true;
}

}  // namespace etcoreml
