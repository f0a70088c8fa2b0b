"""Matrix products and Einsum."""

import numpy as np

from .spec import COMPLEX, DTYPES, FLOATS, INF, NAN, case, rand, tensor


def products():
    for dtype in (*FLOATS, "i32", "i64", *COMPLEX):
        case("MatMul", f"2x3x4 {dtype}", rand(2, 3, dtype=dtype), rand(3, 4, dtype=dtype, seed=1))
        for op in ("BatchMatMul", "BatchMatMulV2"):
            case(op, f"batch of two {dtype}", rand(2, 2, 3, dtype=dtype), rand(2, 3, 2, dtype=dtype, seed=1))
    for ta in (False, True):
        for tb in (False, True):
            a, b = rand(3, 5) if ta else rand(5, 3), rand(4, 3, seed=1) if tb else rand(3, 4, seed=1)
            case("MatMul", f"transpose {ta} {tb}", a, b, transpose_a=ta, transpose_b=tb)
            for dtype in ("f32", "c64"):
                a = rand(2, 3, 2, dtype=dtype) if ta else rand(2, 2, 3, dtype=dtype)
                b = rand(2, 4, 3, dtype=dtype, seed=1) if tb else rand(2, 3, 4, dtype=dtype, seed=1)
                for op in ("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"):
                    extra = {"Tout": DTYPES[dtype]} if op == "BatchMatMulV3" else {}
                    case(op, f"adjoint {ta} {tb} {dtype}", a, b, adj_x=ta, adj_y=tb, **extra)
    case("MatMul", "transposed complex is not conjugated", rand(2, 2, dtype="c64"), rand(2, 2, dtype="c64", seed=1), transpose_a=True)
    for m, k, n in ((1, 1, 1), (1, 7, 1), (1, 9, 5), (5, 1, 9), (17, 3, 1), (7, 16, 9), (13, 33, 10)):
        case("MatMul", f"{m}x{k}x{n}", rand(m, k), rand(k, n, seed=1))
    case("MatMul", "inner zero", rand(2, 0), rand(0, 3))
    case("MatMul", "no rows", rand(0, 2), rand(2, 3))
    case("MatMul", "no columns", rand(2, 2), rand(2, 0))
    case("MatMul", "zero times NaN", tensor([[0.0, 1.0]]), tensor([[NAN, 1.0], [2.0, INF]]))
    case("MatMul", "wraps", tensor([[2**30, 2**30]], "i32"), tensor([[2], [3]], "i32"))
    case("MatMul", "inner sizes differ", rand(2, 3), rand(4, 2), fails=True)
    case("MatMul", "rank 3", rand(1, 2, 3), rand(3, 2), fails=True)
    for op in ("BatchMatMulV2", "BatchMatMulV3"):
        extra = {"Tout": DTYPES["f32"]} if op == "BatchMatMulV3" else {}
        case(op, "batches broadcast", rand(2, 1, 3, 4), rand(5, 4, 2, seed=1), **extra)
        case(op, "matrix on the right", rand(3, 2, 4), rand(4, 3, seed=1), **extra)
        case(op, "matrix on the left", rand(2, 4), rand(3, 4, 3, seed=1), **extra)
        case(op, "rank 2", rand(2, 3), rand(3, 2, seed=1), **extra)
        case(op, "inner zero", rand(2, 2, 0), rand(2, 0, 3), **extra)
        case(op, "empty batch", rand(0, 2, 3), rand(0, 3, 2), **extra)
        case(op, "attention heads", rand(1, 2, 3, 4), rand(1, 2, 5, 4, seed=1), adj_y=True, **extra)
    case("BatchMatMulV3", "bytes to i32", rand(2, 2, 3, dtype="i8"), rand(2, 3, 2, dtype="i8", seed=1), Tout=DTYPES["i32"])
    case("BatchMatMul", "rank 4", rand(1, 2, 3, 4), rand(1, 2, 4, 2, seed=1))


def einsums():
    table = {
        "ij,jk->ik": ((2, 3), (3, 4)), "ij,kj->ik": ((2, 3), (4, 3)), "bij,bjk->bik": ((2, 2, 3), (2, 3, 2)),
        "abc,cde->abde": ((2, 3, 4), (4, 2, 2)), "abcd,cde->abe": ((2, 2, 3, 2), (3, 2, 4)), "aecd,abcd->acbe": ((1, 3, 2, 4), (1, 5, 2, 4)),
        "acbe,aecd->abcd": ((1, 2, 5, 3), (1, 3, 2, 4)), "i,j->ij": ((3,), (2,)), "i,i->": ((4,), (4,)), "ij,ij->i": ((2, 3), (2, 3)),
        "ij->ji": ((2, 3),), "ij->i": ((2, 3),), "ij->": ((2, 3),), "ii->i": ((3, 3),), "ii->": ((3, 3),), "bii->bi": ((2, 3, 3),),
        "...ij,...jk->...ik": ((2, 1, 2, 3), (3, 3, 2)), "...i,i->...": ((2, 3, 4), (4,)), "i...->...i": ((2, 3, 4),),
        "ij,jk,kl->il": None, "ab,cd->acbd": ((2, 2), (3, 2)), "bhqk,bkhd->bqhd": ((1, 2, 3, 4), (1, 4, 2, 2)), "ijk->kji": ((2, 3, 4),),
        "bi,bij->bj": ((3, 2), (3, 2, 4)), ",i->i": ((), (3,)), "ij,j->i": ((0, 3), (3,)), "ij,jk->k": ((2, 0), (0, 3)),
    }  # fmt: skip
    for equation, shapes in table.items():
        if shapes is not None:
            case("Einsum", equation, [rand(*shape, seed=s) for s, shape in enumerate(shapes)], equation=equation)
    for dtype in ("f64", "f16", "bf16", "i32", "i64", "c64"):
        case("Einsum", f"product {dtype}", [rand(2, 3, dtype=dtype), rand(3, 2, dtype=dtype, seed=1)], equation="ab,bc->ac", optional=True)
    case("Einsum", "sizes differ", [rand(2, 3), rand(4, 2)], equation="ab,bc->ac", fails=True)


products()
einsums()
