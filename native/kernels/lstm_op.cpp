#include "lstm_op.hpp"

#include "lstm.hpp"
#include "problem.hpp"

namespace etcoreml {
namespace {

constexpr size_t kGates = 4;

enum Input { kProjected, kH, kC, kWeights, kInputs };

}  // namespace

void CompressedLstm::validate_and_infer_types() {
  NODE_VALIDATION_CHECK(this, get_input_size() == kInputs, "wrong number of inputs");
  NODE_VALIDATION_CHECK(this, hidden_ > 0, "wrong size");
  for (size_t i = 0; i < kInputs; ++i) {
    const auto expected = i == kWeights ? ov::element::u8 : ov::element::f32;
    NODE_VALIDATION_CHECK(this, get_input_element_type(i) == expected, "wrong type of input ", i);
  }
  const auto hidden = static_cast<size_t>(hidden_);
  const size_t panels = (kGates * hidden + kernels::kPanel - 1) / kernels::kPanel;
  const auto weights = get_input_shape(kWeights);
  NODE_VALIDATION_CHECK(this, weights.size() == 3 && (weights[0] == 1 || weights[0] == 2),
                        "wrong number of directions");
  const size_t directions = weights[0];
  NODE_VALIDATION_CHECK(
      this,
      weights == ov::Shape({directions, panels, hidden * kernels::kPanel * sizeof(uint16_t)}),
      "wrong weights");
  NODE_VALIDATION_CHECK(this, !reverse_ || directions == 1, "both directions, one of them twice");
  const auto width = static_cast<int64_t>(directions * hidden);
  const auto& projected = get_input_partial_shape(kProjected);
  NODE_VALIDATION_CHECK(
      this, projected.compatible(ov::PartialShape{-1, -1, static_cast<int64_t>(kGates) * width}),
      "wrong products");
  NODE_VALIDATION_CHECK(this, projected.rank().is_static(), "the rank must be known");
  const auto& batch = projected[1];
  NODE_VALIDATION_CHECK(
      this, batch.is_static() && batch.get_length() <= static_cast<int64_t>(kernels::kFewRows),
      "too large a batch");
  const ov::PartialShape state{batch, width};
  for (const size_t i : {kH, kC}) {
    NODE_VALIDATION_CHECK(this, get_input_partial_shape(i).compatible(state), "wrong states");
  }
  set_output_type(0, ov::element::f32, ov::PartialShape{projected[0], batch, width});
  set_output_type(1, ov::element::f32, state);
  set_output_type(2, ov::element::f32, state);
}

std::shared_ptr<ov::Node> CompressedLstm::clone_with_new_inputs(
    const ov::OutputVector& inputs) const {
  auto copy = std::make_shared<CompressedLstm>();
  copy->hidden_ = hidden_;
  copy->reverse_ = reverse_;
  copy->set_arguments(inputs);
  copy->constructor_validate_and_infer_types();
  return copy;
}

bool CompressedLstm::visit_attributes(ov::AttributeVisitor& visitor) {
  visitor.on_attribute("hidden", hidden_);
  visitor.on_attribute("reverse", reverse_);
  return true;
}

bool CompressedLstm::evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const {
  if (kernels::kernels() == nullptr) return false;
  const auto shape = inputs[kProjected].get_shape();
  kernels::Lstm p{};
  p.steps = shape[0];
  p.batch = shape[1];
  p.directions = inputs[kWeights].get_shape()[0];
  p.hidden = static_cast<size_t>(hidden_);
  p.is_reverse = reverse_;
  const ov::Shape state{p.batch, p.directions * p.hidden};
  for (const size_t i : {kH, kC}) {
    OPENVINO_ASSERT(inputs[i].get_shape() == state, "CompressedLstm: a state is ",
                    inputs[i].get_shape(), ", expected ", state);
  }
  outputs[0].set_shape({p.steps, state[0], state[1]});
  outputs[1].set_shape(state);
  outputs[2].set_shape(state);
  p.projected = inputs[kProjected].data<const float>();
  p.initial_h = inputs[kH].data<const float>();
  p.initial_c = inputs[kC].data<const float>();
  p.weights = inputs[kWeights].data<const uint8_t>();
  p.y = outputs[0].data<float>();
  p.h = outputs[1].data<float>();
  p.c = outputs[2].data<float>();
  kernels::run(p);
  return true;
}

}  // namespace etcoreml
