// The recurrence of an LSTM as an operation of OpenVINO's CPU plugin.
#pragma once

#include <openvino/op/op.hpp>

namespace etcoreml {

// Inputs: projected (s, b, D * 4 * H) f32, the products of the inputs with their weights and the
// bias, gates in the order input, forget, output, cell; h and c (b, D * H) f32; weights
// (D, panels, bytes of a panel) u8, fp16 as in `CompressedLinear`.
// Outputs: every step (s, b, D * H), in the order of the input; the last h and c (b, D * H); f32.
class CompressedLstm : public ov::op::Op {
 public:
  OPENVINO_OP("CompressedLstm", "etcoreml");

  CompressedLstm() = default;

  void validate_and_infer_types() override;
  std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& inputs) const override;
  bool visit_attributes(ov::AttributeVisitor& visitor) override;
  bool evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override;
  bool has_evaluate() const override { return true; }

 private:
  int64_t hidden_ = 0;
  bool reverse_ = false;  // walks from the last step to the first; of one direction only
};

}  // namespace etcoreml
