"""Channels-first copies of cases that are written channels last, for kernels that exist in one layout only."""

import numpy as np

from .spec import Const, Run, case

FIRST = {"NHWC": "NCHW", "NDHWC": "NCDHW"}


def first(array):
    """A channels-last array with its channels moved to the front."""
    return np.moveaxis(array, -1, 1)


def last(array):
    return np.moveaxis(array, 1, -1)


def first_list(values):
    return [values[0], values[-1], *values[1:-1]]


def both_layouts(op, name, inputs, moved=(0,), layout="NHWC", shape_operand=None, moves_result=True, **attrs):
    """The case in both layouts; `moved` numbers the operands that carry channels, as the first output does unless it is a filter.

    Where TensorFlow refuses the channels-first one, its outputs come from the channels-last run.
    """
    optional = attrs.pop("optional", False)
    case(op, name, *inputs, data_format=layout, optional=optional, **attrs)
    swapped = dict(attrs)
    for key in ("strides", "ksize", "dilations"):
        if key in attrs:
            swapped[key] = first_list(attrs[key])
    if attrs.get("explicit_paddings"):
        pads = np.reshape(attrs["explicit_paddings"], (-1, 2)).tolist()
        swapped["explicit_paddings"] = [int(p) for pair in first_list(pads) for p in pair]
    turned = [first(v) if i in moved else v for i, v in enumerate(inputs)]
    if shape_operand is not None:
        turned[shape_operand] = Const(np.array(first_list(list(inputs[shape_operand].value)), inputs[shape_operand].value.dtype))
    via = Run(op, tuple(inputs), {**attrs, "data_format": layout}, lambda outputs: [first(outputs[0]) if moves_result else outputs[0], *outputs[1:]])
    case(op, f"{name}, channels first", *turned, data_format=FIRST[layout], via=via, optional=optional, **swapped)
