"""Recurrent cells, and the operator that runs one over a sequence."""

import numpy as np

from .spec import Const, Run, case, rand, sweep, tensor


def sixteenths(*shape, dtype="f32", seed=0):
    """Small weights: sums of products stay near one."""
    return tensor((np.asarray(rand(*shape, seed=seed), np.float32) / 4).tolist(), dtype) if 0 not in shape else rand(*shape, dtype=dtype)


def lstm(batch, inputs, cells, dtype="f32", steps=None):
    """Input, cells and output before, weights, peepholes, bias."""
    shape = (batch, inputs) if steps is None else (steps, batch, inputs)
    peepholes = [sixteenths(cells, dtype=dtype, seed=s) for s in (5, 6, 7)]
    state = [sixteenths(batch, cells, dtype=dtype, seed=s) for s in (2, 3)]
    return [sixteenths(*shape, dtype=dtype, seed=1), *state, sixteenths(inputs + cells, 4 * cells, dtype=dtype, seed=4), *peepholes, sixteenths(4 * cells, dtype=dtype, seed=8)]


def cells():
    for dtype in ("f32", "f16"):
        case("LSTMBlockCell", dtype, *lstm(2, 3, 4, dtype), optional=dtype == "f16")
        case("LSTMBlockCell", f"peepholes {dtype}", *lstm(2, 3, 4, dtype), use_peephole=True, forget_bias=0.5, cell_clip=0.25, optional=dtype == "f16")
    case("LSTMBlockCell", "no clip", *lstm(1, 1, 1), cell_clip=-1.0, forget_bias=0.0)
    case("LSTMBlockCell", "clip of zero", *lstm(1, 2, 1), cell_clip=0.0)
    case("LSTMBlockCell", "no batch", *lstm(0, 3, 2), fails=True)
    case("LSTMBlockCell", "no inputs", *lstm(2, 0, 3))
    case("LSTMBlockCell", "weights too short", *lstm(2, 3, 4)[:3], *lstm(2, 2, 4)[3:], fails=True)
    case("LSTMBlockCell", "other batch", lstm(3, 3, 4)[0], *lstm(2, 3, 4)[1:], fails=True)
    gru = lambda b, i, c: (sixteenths(b, i, seed=1), sixteenths(b, c, seed=2), sixteenths(i + c, 2 * c, seed=3), sixteenths(i + c, c, seed=4), sixteenths(2 * c, seed=5), sixteenths(c, seed=6))
    for name, sizes in (("", (2, 3, 4)), ("one", (1, 1, 1)), ("no batch", (0, 2, 3))):
        case("GRUBlockCell", name or "f32", *gru(*sizes))
    sweep("LSTMBlockCell", "batches", [lstm(batch, 3, 2) for batch in (0, 1, 3)])
    sweep("GRUBlockCell", "batches", [gru(batch, 3, 2) for batch in (0, 1, 3)])
    case("GRUBlockCell", "weights too short", *gru(2, 3, 4)[:2], *gru(2, 2, 4)[2:], fails=True)


def gradients():
    """Of one step; what the cell gave is any numbers."""
    def lstm_grad(batch, inputs, cells, dtype="f32"):
        return *lstm(batch, inputs, cells, dtype), *(sixteenths(batch, cells, dtype=dtype, seed=s) for s in range(10, 18))

    def gru_grad(b, i, c):
        weights = sixteenths(i + c, 2 * c, seed=3), sixteenths(i + c, c, seed=4), sixteenths(2 * c, seed=5), sixteenths(c, seed=6)
        return sixteenths(b, i, seed=1), sixteenths(b, c, seed=2), *weights, *(sixteenths(b, c, seed=s) for s in range(10, 14))

    for name, sizes in (("f32", (2, 3, 4)), ("one", (1, 1, 1))):
        case("GRUBlockCellGrad", name, *gru_grad(*sizes))
        for peephole in (False, True):
            case("LSTMBlockCellGrad", f"{name}, peepholes {peephole}", *lstm_grad(*sizes), use_peephole=peephole)
    for peephole in (False, True):
        case("LSTMBlockCellGrad", f"f16, peepholes {peephole}", *lstm_grad(2, 3, 4, "f16"), use_peephole=peephole, optional=True)
    case("GRUBlockCellGrad", "no batch", *gru_grad(0, 2, 3))
    case("GRUBlockCellGrad", "weights too short", *gru_grad(2, 3, 4)[:2], *gru_grad(2, 2, 4)[2:], fails=True)
    case("GRUBlockCellGrad", "other batch", *gru_grad(2, 3, 4)[:-1], gru_grad(3, 3, 4)[-1], fails=True)
    case("LSTMBlockCellGrad", "weights too short", *lstm_grad(2, 3, 4)[:3], *lstm_grad(2, 2, 4)[3:], use_peephole=False, fails=True)
    case("LSTMBlockCellGrad", "other batch", *lstm_grad(2, 3, 4)[:-1], lstm_grad(3, 3, 4)[-1], use_peephole=False, fails=True)
    for peephole in (False, True):
        sweep("LSTMBlockCellGrad", f"batches, peepholes {peephole}", [lstm_grad(batch, 3, 2) for batch in (1, 3)], use_peephole=peephole)
    sweep("GRUBlockCellGrad", "batches", [gru_grad(batch, 3, 2) for batch in (0, 1, 3)])


def up_to(op, length, operands):
    """Behind the length, the kernel leaves what was in memory in all results but cells and output, which are zeros."""

    def back(outputs):
        for output in outputs:
            output[length:] = 0
        return outputs

    return Run(op, (Const(np.int64(length)), *operands), {}, back, always=True)


def sequences():
    for op in ("BlockLSTM", "BlockLSTMV2"):
        bias = {"forget_bias": 0.5} if op == "BlockLSTM" else {}
        operands = lstm(2, 3, 4, steps=5)
        for length in (5, 3, 0):
            case(op, f"{length} of 5 steps", Const(np.int64(length)), *operands, via=up_to(op, length, operands))
        case(op, "length of data", tensor(3, "i64"), *operands, via=up_to(op, 3, operands))
        case(op, "peepholes", Const(np.int64(4)), *lstm(2, 3, 4, steps=4), use_peephole=True, cell_clip=0.25, **bias)
        case(op, "no clip", Const(np.int64(2)), *lstm(1, 1, 1, steps=2), cell_clip=-1.0, **bias)
        case(op, "f16", Const(np.int64(3)), *lstm(2, 3, 2, "f16", steps=3), optional=True)
        case(op, "no batch", Const(np.int64(2)), *lstm(0, 3, 2, steps=2))
        # The length is that of the sequence: what lies behind it is not defined.
        sweep(op, "batches", [(Const(np.int64(2)), *lstm(batch, 3, 2, steps=2)) for batch in (0, 1, 3)])
        case(op, "bias too short", Const(np.int64(5)), *lstm(2, 3, 4, steps=5)[:-1], sixteenths(12, seed=8), fails=True)


def sequence_gradients():
    """What the cells gave is any numbers."""

    def operands(batch, inputs, cells, steps, dtype="f32"):
        return *lstm(batch, inputs, cells, dtype, steps), *(sixteenths(steps, batch, cells, dtype=dtype, seed=s) for s in range(10, 19))

    def without_weights(outputs):
        outputs[3][:] = 0
        return outputs

    length = lambda n: Const(np.int64(n))
    for op in ("BlockLSTMGrad", "BlockLSTMGradV2"):
        for peephole in (False, True):
            name, attrs = f"peepholes {peephole}", {"use_peephole": peephole}
            for n in (4, 2, 0):
                case(op, f"{n} of 4 steps, {name}", length(n), *operands(2, 3, 4, 4), **attrs)
                case(op, f"{n} of 4 steps by data, {name}", tensor(n, "i64"), *operands(2, 3, 4, 4), **attrs)
            case(op, f"one, {name}", length(1), *operands(1, 1, 1, 1), **attrs)
            case(op, f"f16, {name}", length(3), *operands(2, 3, 2, 3, "f16"), optional=True, **attrs)
            none = length(2), *operands(0, 3, 2, 2)
            case(op, f"no batch, {name}", *none, via=Run(op, none, attrs, without_weights, always=True), **attrs)
            case(op, f"no inputs, {name}", length(2), *operands(2, 0, 2, 2), **attrs)
            # The gradient of the weights of no sequences is what was in memory.
            sweep(op, f"batches, {name}", [(length(2), *operands(batch, 3, 2, 2)) for batch in (1, 3)], **attrs)
            sweep(op, f"steps, {name}", [(length(1), *operands(2, 3, 2, steps)) for steps in (1, 2, 4)], **attrs)
            sweep(op, f"steps by data, {name}", [(tensor(n, "i64"), *operands(2, 3, 2, steps)) for steps in (1, 2, 4) for n in range(steps + 1)], **attrs)
        case(op, "bias too short", length(4), *operands(2, 3, 4, 4)[:7], sixteenths(12, seed=8), *operands(2, 3, 4, 4)[8:], use_peephole=False, fails=True)
        case(op, "weights too short", length(4), *operands(2, 3, 4, 4)[:3], sixteenths(6, 16, seed=4), *operands(2, 3, 4, 4)[4:], use_peephole=False, fails=True)


cells()
gradients()
sequences()
sequence_gradients()
