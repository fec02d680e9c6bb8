// The kernels as an operation of OpenVINO's CPU plugin.
#pragma once

#include <openvino/op/op.hpp>

#include <string>

namespace etcoreml {

// Inputs: x (..., columns) f32; weights (panels, bytes of a panel) u8; bias (outputs,) f32; of the
// formats "int8" and "index4" also scale (panels, blocks, 32) f32; of "index4" table (T, 16) f32;
// of both, maybe, offset as scale.
// Output: (..., outputs) f32.
//
// The weights are declared as bytes because the plugin would turn constants of type f16 into f32.
class CompressedLinear : public ov::op::Op {
 public:
  OPENVINO_OP("CompressedLinear", "etcoreml");

  CompressedLinear() = default;

  void validate_and_infer_types() override;
  std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& inputs) const override;
  bool visit_attributes(ov::AttributeVisitor& visitor) override;
  bool evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override;
  bool has_evaluate() const override { return true; }

 private:
  std::string format_ = "fp16";
  int64_t columns_ = 0;
  int64_t block_ = 0;    // columns that share a scale
  bool rounds_ = false;  // each weight to fp16
};

}  // namespace etcoreml
