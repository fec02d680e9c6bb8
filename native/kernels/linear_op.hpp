// The kernels as an operation of OpenVINO's CPU plugin.
#pragma once

#include <openvino/op/op.hpp>

#include <string>

namespace etcoreml {

// Inputs: x (..., columns) f32; weights (outputs, bytes of a row) u8; bias (outputs,) f32; of
// format "index4" also table (T, 16), scale (outputs, blocks) and, maybe, offset, of that shape,
// all f32.
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
  int64_t block_ = 0;  // columns that share a scale
};

}  // namespace etcoreml
