// The operators as TensorFlow's users write them: make.py builds this file into a library, with which the model is made. smc and
// compiled models never see it.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace tf = tensorflow;
using tf::shape_inference::InferenceContext;

// y = x above 0 and slope * x below, within [-limit, limit].
REGISTER_OP("Example>LeakyClip")
    .Input("x: float")
    .Output("y: float")
    .Attr("slope: float = 0.25")
    .Attr("limit: float")
    .SetShapeFn(tf::shape_inference::UnchangedShape);

class LeakyClip : public tf::OpKernel {
 public:
  explicit LeakyClip(tf::OpKernelConstruction *c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("slope", &slope_));
    OP_REQUIRES_OK(c, c->GetAttr("limit", &limit_));
  }
  void Compute(tf::OpKernelContext *c) override {
    tf::Tensor *y = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, c->input(0).shape(), &y));
    auto from = c->input(0).flat<float>();
    auto to = y->flat<float>();
    for (int64_t i = 0; i < from.size(); ++i) {
      const float value = from(i) > 0 ? from(i) : slope_ * from(i);
      to(i) = std::min(std::max(value, -limit_), limit_);
    }
  }

 private:
  float slope_, limit_;
};
REGISTER_KERNEL_BUILDER(Name("Example>LeakyClip").Device(tf::DEVICE_CPU), LeakyClip);

// Runs of equal neighbours: the value of each, and how long it is. A negative number is refused.
REGISTER_OP("Example>Runs")
    .Input("x: T")
    .Output("values: T")
    .Output("lengths: int64")
    .Attr("T: {int32, int64}")
    .SetShapeFn([](InferenceContext *c) {
      c->set_output(0, c->Vector(InferenceContext::kUnknownDim));
      c->set_output(1, c->Vector(InferenceContext::kUnknownDim));
      return absl::OkStatus();
    });

template <class T>
class Runs : public tf::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(tf::OpKernelContext *c) override {
    auto x = c->input(0).vec<T>();
    std::vector<T> values;
    std::vector<int64_t> lengths;
    for (int64_t i = 0; i < x.size(); ++i) {
      OP_REQUIRES(c, x(i) >= 0, absl::InvalidArgumentError("a number is negative"));
      if (values.empty() || values.back() != x(i)) {
        values.push_back(x(i));
        lengths.push_back(0);
      }
      ++lengths.back();
    }
    tf::Tensor *out = nullptr;
    const tf::TensorShape shape({static_cast<int64_t>(values.size())});
    OP_REQUIRES_OK(c, c->allocate_output(0, shape, &out));
    std::copy(values.begin(), values.end(), out->vec<T>().data());
    OP_REQUIRES_OK(c, c->allocate_output(1, shape, &out));
    std::copy(lengths.begin(), lengths.end(), out->vec<int64_t>().data());
  }
};
REGISTER_KERNEL_BUILDER(Name("Example>Runs").Device(tf::DEVICE_CPU).TypeConstraint<int32_t>("T"), Runs<int32_t>);
REGISTER_KERNEL_BUILDER(Name("Example>Runs").Device(tf::DEVICE_CPU).TypeConstraint<int64_t>("T"), Runs<int64_t>);

// Notes that it was called: an effect without an output.
REGISTER_OP("Example>Note").Input("x: float").Attr("tag: string").SetIsStateful();

class Note : public tf::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(tf::OpKernelContext *) override {}
};
REGISTER_KERNEL_BUILDER(Name("Example>Note").Device(tf::DEVICE_CPU), Note);
