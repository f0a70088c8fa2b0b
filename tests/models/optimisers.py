"""Steps of optimisers on resource variables, as operators have them: `optimisers` is one SavedModel whose signatures are `OP__step`,
`optimisers.json` holds calls of each in order and what the variables are behind them. `python optimisers.py` makes both again."""

import itertools

from state import BF16, F16, F32, F64, I32, I64, make, np, numbers, program, raw, signature, tf

# By rule: the slots, the numbers, and the attributes of which every combination is taken.
STEPS = {
    "GradientDescent": ([], dict(alpha=0.1), []),
    "ProximalGradientDescent": ([], dict(alpha=0.1, l1=0.3, l2=0.2), []),
    "Momentum": (["accum"], dict(lr=0.1, momentum=0.9), ["use_nesterov"]),
    "KerasMomentum": (["accum"], dict(lr=0.1, momentum=0.9), ["use_nesterov"]),
    "Adagrad": (["accum"], dict(lr=0.1), ["update_slots"]),
    "AdagradV2": (["accum"], dict(lr=0.1, epsilon=0.01), ["update_slots"]),
    "ProximalAdagrad": (["accum"], dict(lr=0.1, l1=0.3, l2=0.2), []),
    "AdagradDA": (["gradient_accumulator", "gradient_squared_accumulator"], dict(lr=0.1, l1=0.02, l2=0.2, global_step=3), []),
    "Adadelta": (["accum", "accum_update"], dict(lr=0.5, rho=0.9, epsilon=0.01), []),
    "Adam": (["m", "v"], dict(beta1_power=0.81, beta2_power=0.98, lr=0.1, beta1=0.9, beta2=0.99, epsilon=0.01), ["use_nesterov"]),
    "AdamWithAmsgrad": (["m", "v", "vhat"], dict(beta1_power=0.81, beta2_power=0.98, lr=0.1, beta1=0.9, beta2=0.99, epsilon=0.01), []),
    "AdaMax": (["m", "v"], dict(beta1_power=0.81, lr=0.1, beta1=0.9, beta2=0.99, epsilon=0.01), []),
    "RMSProp": (["ms", "mom"], dict(lr=0.1, rho=0.9, momentum=0.5, epsilon=0.01), []),
    "CenteredRMSProp": (["mg", "ms", "mom"], dict(lr=0.1, rho=0.9, momentum=0.5, epsilon=0.5), []),
    "Ftrl": (["accum", "linear"], dict(lr=0.5, l1=0.3, l2=0.2, lr_power=-0.5), ["multiply_linear_by_lr"]),
    "FtrlV2": (["accum", "linear"], dict(lr=0.5, l1=0.3, l2=0.2, l2_shrinkage=0.1, lr_power=-0.5), ["multiply_linear_by_lr"]),
    "AddSign": (["m"], dict(lr=0.1, alpha=1.5, sign_decay=0.9, beta=0.8), []),
    "PowerSign": (["m"], dict(lr=0.1, logbase=0.7, sign_decay=0.9, beta=0.8), []),
}
# Other numbers than those.
OTHERS = {
    "ProximalGradientDescent": [dict(l1=0.0), dict(l1=-0.5)], "ProximalAdagrad": [dict(l1=0.0)], "AdagradDA": [dict(l1=0.0), dict(global_step=0)],
    "Ftrl": [dict(lr_power=-0.3), dict(lr_power=0.0), dict(l1=0.0, l2=0.0)], "FtrlV2": [dict(lr_power=-0.3), dict(l1=5.0)],
}  # fmt: skip
# Which types kernels have.
WIDE = ("ProximalGradientDescent", "ProximalAdagrad", "AdagradDA")
NO_BF16 = ("ResourceApplyAdaMax", "ResourceSparseApplyRMSProp", "ResourceSparseApplyCenteredRMSProp")
# Kernels look at the learning rate.
LOOKS_AT_RATE = ("ResourceSparseApplyProximalAdagrad", "ResourceSparseApplyFtrl", "ResourceSparseApplyFtrlV2")


def has(op):
    return hasattr(raw, op)


def variants(op):
    """Types, attributes and numbers that are not the first ones."""
    rule = op.split("Apply")[-1]
    _, _, flags = STEPS[rule]
    types = [F32, F64] if rule in WIDE else [F32, F64, F16, BF16][: 3 if op in NO_BF16 else 4]
    chosen = [dict(zip(flags, values)) for values in itertools.product([False, True], repeat=len(flags))]
    found = [(dtype, chosen[n % len(chosen)], {}) for n, dtype in enumerate(types)] + [(F32, attrs, {}) for attrs in chosen[1:]]
    found += [(F32, chosen[-1], other) for other in OTHERS.get(rule, [])]
    return [(dtype, {**attrs, "use_locking": n % 2 == 1}, other) for n, (dtype, attrs, other) in enumerate(found)]


def start(slot, shape):
    """What a variable begins with; sums of squares are more than 0."""
    value = numbers(*shape, seed=len(slot))
    return np.abs(value) + 0.1 if slot in ("v", "vhat", "ms", "gradient_squared_accumulator") or "accum" in slot and slot != "gradient_accumulator" else value


def numbers_of(rule, dtype, other, given=None):
    _, scalars, _ = STEPS[rule]
    number = lambda name, value: tf.constant(value, I64 if name == "global_step" else dtype)
    found = {name: number(name, value) for name, value in {**scalars, **other}.items()}
    return found if given is None else {**found, next(name for name in found if name in ("lr", "alpha")): tf.cast(given, dtype)}


def gradient_name(op):
    return "delta" if op.endswith(("ApplyGradientDescent", "ApplyProximalGradientDescent")) and "Sparse" not in op else "grad"


def seen(variables):
    return [tf.cast(v.read_value(), F32) if v.dtype in (F16, BF16) else v.read_value() for v in variables]


def dense(rule):
    op, slots = f"ResourceApply{rule}", STEPS[rule][0]

    class Steps(tf.Module):
        def __init__(self):
            make = lambda slot, dtype: tf.Variable(tf.cast(start(slot, (2, 3)), dtype))
            self.sets = [[make(slot, dtype) for slot in ["var", *slots]] for dtype, _, _ in variants(op)]

        @signature(g=(F32, [2, 3]), rate=(F32, []))
        def step(self, g, rate):
            outputs = {}
            for n, (dtype, attrs, other) in enumerate(variants(op)):
                handles = {slot: v.handle for slot, v in zip(["var", *slots], self.sets[n])}
                scalars = numbers_of(rule, dtype, other, None if n % 2 else rate)
                getattr(raw, op)(**handles, **scalars, **{gradient_name(op): tf.cast(g, dtype)}, **attrs)
                outputs |= {f"{slot}_{n}": value for slot, value in zip(["var", *slots], seen(self.sets[n]))}
            return outputs

    Steps.__name__ = op
    rates = (0.1, 0.5, -0.1) if rule != "ProximalAdagrad" else (0.1, 0.5, 0.0)
    calls = [("step", {"g": g, "rate": np.float32(rate)}) for g, rate in zip(gradients((2, 3)), rates)]
    program(*calls)(Steps)


def gradients(shape):
    """Ordinary ones, with zeros, and large ones."""
    middle = numbers(*shape, seed=2)
    middle[0] = 0
    return [numbers(*shape, seed=1), middle, numbers(*shape, seed=3) * 50]


def sparse(rule):
    op, slots = f"ResourceSparseApply{rule}", STEPS[rule][0]
    shapes = [(5, 3), (4,), (3, 2, 2)]

    class Steps(tf.Module):
        def __init__(self):
            make = lambda slot, dtype, n: tf.Variable(tf.cast(start(slot, shapes[n % 3]), dtype))
            self.sets = [[make(slot, dtype, n) for slot in ["var", *slots]] for n, (dtype, _, _) in enumerate(variants(op))]

        def apply(self, n, indices, g, rate):
            dtype, attrs, other = variants(op)[n]
            handles = {slot: v.handle for slot, v in zip(["var", *slots], self.sets[n])}
            scalars = numbers_of(rule, dtype, other, rate)
            getattr(raw, op)(**handles, **scalars, grad=tf.cast(g, dtype), indices=indices, **attrs)
            return {f"{slot}_{n}": value for slot, value in zip(["var", *slots], seen(self.sets[n]))}

        @signature(i=(I32, [None]), g=(F32, [None, 3]), rate=(F32, []))
        def step(self, i, g, rate):
            """As many indices as a call has, of which some may be the same."""
            outputs = {}
            for n in range(len(self.sets)):
                rows = [g, g[:, 0], tf.stack([g[:, :2], g[:, 1:]], 1)][n % 3]
                outputs |= self.apply(n, tf.cast(i, I64) if n % 2 else i, rows, None if n % 2 else rate)
            return outputs

        @signature(i=(I64, [4]), g=(F32, [4, 3]))
        def unique(self, i, g):
            """Rows that are made to differ first, as TensorFlow's optimisers do it."""
            rows, place = tf.unique(i)
            return self.apply(0, rows, tf.math.unsorted_segment_sum(g, place, tf.size(rows)), None)

        @signature(g=(F32, [1, 3]))
        def one(self, g):
            return self.apply(0, tf.constant([3]), g, None)

    Steps.__name__ = op
    step = lambda *i, rate=0.1, seed=1: ("step", {"i": np.int32(i), "g": numbers(len(i), 3, seed=seed), "rate": np.float32(rate)})
    unique = lambda *i: ("unique", {"i": np.int64(i), "g": numbers(4, 3)})
    rates = [step(0, 0, rate=rate) for rate in (0.0, -0.2)]
    calls = [step(2, 0, 1), step(1, 1, 0, 1, seed=2), step(), unique(4, 0, 4, 1), ("one", {"g": numbers(1, 3)}), step(2, 2, 2)]
    # What fails comes last: TensorFlow may have changed some variables then.
    fail = [step(2, 5), unique(4, 0, -1, 1)]
    program(*calls, *([*fail, *rates] if op in LOOKS_AT_RATE else [*rates, *fail]))(Steps)


for name in STEPS:
    if has(f"ResourceApply{name}"):
        dense(name)
    if has(f"ResourceSparseApply{name}"):
        sparse(name)

if __name__ == "__main__":
    import state

    make("optimisers", [name for name in state.PROGRAMS if name.startswith("Resource")])
