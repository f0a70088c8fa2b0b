"""Operators that today's TensorFlow only knows from old graphs. Each is another operator under its former name."""

from .spec import FLOATS, Run, case, const, distinct, rand, tensor


def former(op, name, now, inputs, now_inputs=None, now_attrs=None, **attrs):
    run = Run(now, inputs if now_inputs is None else now_inputs, now_attrs or {}, list, gone=True)
    case(op, name, *inputs, via=run, **attrs)


for dtype in FLOATS:
    values = distinct(3, 5, dtype=dtype)
    former("TopK", f"two {dtype}", "TopKV2", (values,), (values, const(2)), k=2)
    former("BatchMatrixBandPart", f"lower {dtype}", "MatrixBandPart", (rand(2, 3, 3, dtype=dtype), const(-1, "i64"), const(0, "i64")))
    former("BatchMatrixDiag", f"batch {dtype}", "MatrixDiag", (rand(2, 3, dtype=dtype),))
    former("BatchMatrixDiagPart", f"batch {dtype}", "MatrixDiagPart", (rand(2, 3, 3, dtype=dtype),))
    former("BatchMatrixSetDiag", f"batch {dtype}", "MatrixSetDiag", (rand(2, 3, 3, dtype=dtype), rand(2, 3, dtype=dtype, seed=1)))
    case("MatrixSetDiag", f"batch {dtype}", rand(2, 3, 3, dtype=dtype), rand(2, 3, dtype=dtype, seed=1))
former("TopK", "ties", "TopKV2", (tensor([2, 1, 2, 1, 2]),), (tensor([2, 1, 2, 1, 2]), const(4)), k=4)
former("BatchMatrixDiagPart", "wide", "MatrixDiagPart", (rand(2, 2, 4),))
case("MatrixSetDiag", "wide", rand(2, 4), rand(2, seed=1))
case("MatrixSetDiag", "tall", rand(1, 4, 2), rand(1, 2, seed=1))
former("BatchMatrixSetDiag", "wide", "MatrixSetDiag", (rand(2, 2, 4), rand(2, 2, seed=1)))
for count in (1, 3):
    terms = [rand(2, 2, seed=seed) for seed in range(count)]
    former("AccumulateNV2", f"{count} terms", "AddN", (terms,), shape=[2, 2])
statistics = [rand(3, seed=seed, low=8) for seed in (1, 2, 3, 4)]
mean, variance, beta, gamma = statistics
for scaled in (False, True):
    scale = gamma if scaled else tensor([1, 1, 1])
    former(
        "BatchNormWithGlobalNormalization", f"scaled {scaled}".lower(), "FusedBatchNorm", (rand(2, 2, 2, 3), mean, variance, beta, gamma),
        (rand(2, 2, 2, 3), scale, beta, mean, variance), {"epsilon": 0.001, "is_training": False},
        variance_epsilon=0.001, scale_after_normalization=scaled,
    )  # fmt: skip
for dtype in ("f32", "f64"):
    case("CheckNumericsV2", f"finite {dtype}", rand(2, 3, dtype=dtype), message="checked")
case("CheckNumericsV2", "NaN", tensor([1.0, float("nan")]), message="checked", fails=True)
