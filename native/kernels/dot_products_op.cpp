#include "dot_products_op.hpp"

#include "dot_products.hpp"
#include "problem.hpp"

namespace etcoreml {

void DotProducts::validate_and_infer_types() {
  NODE_VALIDATION_CHECK(this, get_input_size() == 2, "wrong number of inputs");
  for (size_t i = 0; i < 2; ++i) {
    NODE_VALIDATION_CHECK(this, get_input_element_type(i) == ov::element::f32,
                          "wrong type of input ", i);
    NODE_VALIDATION_CHECK(this, get_input_partial_shape(i).rank().is_static(),
                          "the rank of input ", i, " must be known");
  }
  auto shape = get_input_partial_shape(0);
  const auto& y = get_input_partial_shape(1);
  const size_t rank = shape.size();
  NODE_VALIDATION_CHECK(this, rank >= 2 && y.size() == rank, "wrong ranks");
  for (size_t axis = 0; axis + 2 < rank; ++axis) {
    NODE_VALIDATION_CHECK(this, shape[axis].compatible(y[axis]), "batches differ in axis ", axis);
  }
  const auto& rows = shape[rank - 2];
  NODE_VALIDATION_CHECK(
      this, rows.is_static() && rows.get_length() <= static_cast<int64_t>(kernels::kFewRows),
      "too many rows");
  NODE_VALIDATION_CHECK(this, shape[rank - 1].compatible(y[rank - 1]), "columns differ");
  shape[rank - 1] = y[rank - 2];
  set_output_type(0, ov::element::f32, shape);
}

std::shared_ptr<ov::Node> DotProducts::clone_with_new_inputs(
    const ov::OutputVector& inputs) const {
  auto copy = std::make_shared<DotProducts>();
  copy->set_arguments(inputs);
  copy->constructor_validate_and_infer_types();
  return copy;
}

bool DotProducts::evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const {
  if (kernels::kernels() == nullptr) return false;
  auto shape = inputs[0].get_shape();
  auto expected = inputs[1].get_shape();
  const size_t rank = shape.size();
  kernels::DotProducts p{};
  p.rows = shape[rank - 2];
  p.columns = shape[rank - 1];
  p.outputs = expected[rank - 2];
  expected[rank - 2] = p.rows;
  OPENVINO_ASSERT(shape == expected, "DotProducts: x is ", shape, ", y is ",
                  inputs[1].get_shape());
  p.batch = 1;
  for (size_t axis = 0; axis + 2 < rank; ++axis) p.batch *= shape[axis];
  shape[rank - 1] = p.outputs;
  outputs[0].set_shape(shape);
  p.x = inputs[0].data<const float>();
  p.y = inputs[1].data<const float>();
  p.z = outputs[0].data<float>();
  kernels::run(p);
  return true;
}

}  // namespace etcoreml
