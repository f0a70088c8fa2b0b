"""Steps of optimisers on variables of the old kind: `optimisers_v1` is one SavedModel whose signatures are `OP__step`,
`optimisers_v1.json` holds calls of each in order. `python optimisers_v1.py` makes both again."""

import state_v1
from optimisers import STEPS, gradient_name, gradients, has, numbers_of, start
from programs import np, numbers, tf
from state_v1 import add, calls, raw, v1


def variables(op, slots, shape, dtype):
    name = lambda slot: f"{op}_{slot}_{dtype.name}"
    return {slot: v1.get_variable(name(slot), initializer=tf.cast(start(slot, shape), dtype)) for slot in ["var", *slots]}


def behind(step, given):
    """What the variables are once the step has been made."""
    with tf.control_dependencies([step]):
        return {f"{slot}_{v.dtype.base_dtype.name}": v.read_value() for slot, v in given.items()} | {f"y_{step.dtype.base_dtype.name}": tf.identity(step)}


def dense(rule):
    op, (slots, _, flags) = f"Apply{rule}", STEPS[rule]
    g, outputs = v1.placeholder(tf.float32, [2, 3], f"{op}_g"), {}
    for dtype in (tf.float32, tf.float64):
        given = variables(op, slots, (2, 3), dtype)
        attrs = {flag: dtype == tf.float64 for flag in [*flags, "use_locking"]}
        step = getattr(raw, op)(**{k: v._ref() for k, v in given.items()}, **numbers_of(rule, dtype, {}), **{gradient_name(op): tf.cast(g, dtype)}, **attrs)
        outputs |= behind(step, given)
    add(op, "step", outputs, g=g)
    calls(op, *[("step", {"g": g}) for g in gradients((2, 3))])


def sparse(rule):
    op, (slots, _, flags) = f"SparseApply{rule}", STEPS[rule]
    i, g, outputs = v1.placeholder(tf.int32, [None], f"{op}_i"), v1.placeholder(tf.float32, [None, 2], f"{op}_g"), {}
    for dtype in (tf.float32, tf.float64):
        given = variables(op, slots, (4, 2), dtype)
        attrs = {flag: dtype == tf.float64 for flag in [*flags, "use_locking"]}
        indices = i if dtype == tf.float32 else tf.cast(i, tf.int64)
        step = getattr(raw, op)(**{k: v._ref() for k, v in given.items()}, **numbers_of(rule, dtype, {}), grad=tf.cast(g, dtype), indices=indices, **attrs)
        outputs |= behind(step, given)
    add(op, "step", outputs, i=i, g=g)
    calls(op, *[("step", {"i": np.int32(i), "g": numbers(len(i), 2)}) for i in ([2, 0, 2], [1], [], [0, 4])])


def builders():
    for rule in STEPS:
        if has(f"Apply{rule}"):
            yield lambda rule=rule: dense(rule)
        if has(f"SparseApply{rule}"):
            yield lambda rule=rule: sparse(rule)


if __name__ == "__main__":
    state_v1.make("optimisers_v1", builders())
