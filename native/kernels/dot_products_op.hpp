// Products of a few rows with many as an operation of OpenVINO's CPU plugin.
#pragma once

#include <openvino/op/op.hpp>

namespace etcoreml {

// Inputs: x (..., rows, columns) and y (..., outputs, columns) f32, of the same batch; rows are
// known and few.
// Output: (..., rows, outputs) f32, x times y transposed.
class DotProducts : public ov::op::Op {
 public:
  OPENVINO_OP("DotProducts", "etcoreml");

  DotProducts() = default;

  void validate_and_infer_types() override;
  std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& inputs) const override;
  bool visit_attributes(ov::AttributeVisitor&) override { return true; }
  bool evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override;
  bool has_evaluate() const override { return true; }
};

}  // namespace etcoreml
