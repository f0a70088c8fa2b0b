"""A frozen graph evaluated in double precision, node by node: the truth that float32 results are measured against.

Every half or float constant and input becomes a double; integers, booleans and strings stay. A node runs as its TensorFlow kernel for
doubles where there is one. Kernels that know float32 only, or one layout only, are computed here by their definition.
"""

import functools

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.python.eager import context, execute
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph
from tensorflow.python.framework import op_def_registry, tensor_util

NARROW = (types_pb2.DT_FLOAT, types_pb2.DT_HALF, types_pb2.DT_BFLOAT16)


def widened(dtype):
    return types_pb2.DT_DOUBLE if dtype in NARROW else dtype


def wide(array):
    if is_list(array):
        return array
    array = np.asarray(array)
    return array.astype(np.float64) if array.dtype.kind == "f" or array.dtype == tf.bfloat16.as_numpy_dtype else array


def is_list(value):
    """Whether a value is a list of tensors, which has no array."""
    return isinstance(value, tf.Tensor) and value.dtype == tf.variant


def array(value):
    return value if is_list(value) else np.asarray(value)


def attributes(node):
    """A node's attributes as `execute` takes them, types widened."""
    found = {}
    for attr in op_def_registry.get(node.op).attr:
        if attr.name not in node.attr:
            continue
        value, kind = node.attr[attr.name], attr.type
        if kind == "type":
            found[attr.name] = widened(value.type)
        elif kind == "list(type)":
            found[attr.name] = [widened(t) for t in value.list.type]
        elif kind == "shape":
            found[attr.name] = tf.TensorShape(value.shape)
        elif kind == "list(shape)":
            found[attr.name] = [tf.TensorShape(shape) for shape in value.list.shape]
        elif kind.startswith("list("):
            found[attr.name] = list(getattr(value.list, {"int": "i", "float": "f", "bool": "b", "string": "s"}[kind[5:-1]]))
        else:
            found[attr.name] = getattr(value, {"int": "i", "float": "f", "bool": "b", "string": "s", "tensor": "tensor"}[kind])
    return found


def kernel(op, attrs, inputs):
    """TensorFlow's own kernel."""
    definition = op_def_registry.get(op)
    count = 0
    for arg in definition.output_arg:
        if arg.number_attr:
            count += attrs[arg.number_attr]
        elif arg.type_list_attr:
            count += len(attrs[arg.type_list_attr])
        else:
            count += 1
    flat = [item for key, value in attrs.items() for item in (key, value)]
    return execute.execute(op.encode(), count, [tf.convert_to_tensor(i) for i in inputs], tuple(flat), context.context())


def to_last(array, first):
    return np.moveaxis(np.asarray(array), 1, -1) if first else np.asarray(array)


def from_last(array, first):
    return np.moveaxis(np.asarray(array), -1, 1) if first else np.asarray(array)


def is_first(attrs):
    return attrs.get("data_format", b"").startswith(b"NC")


def spatial(values, first):
    return values[2:] if first else values[1:-1]


def window_pads(attrs, size, kernel_size, strides, dilations, first):
    """Paddings before and after each spatial dimension."""
    if attrs["padding"] == b"EXPLICIT":
        pairs = np.reshape(attrs["explicit_paddings"], (-1, 2)).tolist()
        return spatial(pairs, first)
    if attrs["padding"] == b"VALID":
        return [(0, 0)] * len(size)
    total = [max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0) for n, k, s, d in zip(size, kernel_size, strides, dilations)]
    return [(t // 2, t - t // 2) for t in total]


def taps(x, kernel_size, strides, dilations):
    """For each position in the window: its index and what the windows of a padded channels-last array hold there."""
    size = [(n - (k - 1) * d - 1) // s + 1 for n, k, s, d in zip(x.shape[1:-1], kernel_size, strides, dilations)]
    size = [max(n, 0) for n in size]
    for offset in np.ndindex(*kernel_size):
        at = (slice(o * d, o * d + (n - 1) * s + 1, s) if n else slice(0, 0) for o, n, s, d in zip(offset, size, strides, dilations))
        yield offset, x[(slice(None), *at)]


def convolution(attrs, x, w):
    first = is_first(attrs)
    x, rank = to_last(x, first), w.ndim - 2
    strides, dilations = spatial(attrs["strides"], first), spatial(attrs.get("dilations") or [1] * (rank + 2), first)
    x = np.pad(x, [(0, 0), *window_pads(attrs, x.shape[1:-1], w.shape[:rank], strides, dilations, first), (0, 0)])
    groups = x.shape[-1] // w.shape[-2]
    out = 0
    for offset, part in taps(x, w.shape[:rank], strides, dilations):
        tap = [p @ k for p, k in zip(np.split(part, groups, -1), np.split(w[offset], groups, -1))]
        out = out + (np.concatenate(tap, -1) if groups > 1 else tap[0])
    return [from_last(out, first)]


def depthwise(attrs, x, w):
    first = is_first(attrs)
    x = to_last(x, first)
    strides, dilations = spatial(attrs["strides"], first), spatial(attrs.get("dilations") or [1] * 4, first)
    x = np.pad(x, [(0, 0), *window_pads(attrs, x.shape[1:-1], w.shape[:2], strides, dilations, first), (0, 0)])
    out = sum(part[..., None] * w[offset] for offset, part in taps(x, w.shape[:2], strides, dilations))
    return [from_last(out.reshape(*out.shape[:3], -1), first)]


def transposed_convolution(attrs, sizes, w, y):
    """The gradient of a convolution with respect to its input: every output scatters a kernel."""
    first = is_first(attrs)
    y, sizes, rank = to_last(y, first), list(sizes), w.ndim - 2
    size = spatial(sizes, first)
    strides, dilations = spatial(attrs["strides"], first), spatial(attrs.get("dilations") or [1] * (rank + 2), first)
    pads = window_pads(attrs, size, w.shape[:rank], strides, dilations, first)
    out = np.zeros((y.shape[0], *(n + a + b for n, (a, b) in zip(size, pads)), w.shape[-2]))
    for offset in np.ndindex(*w.shape[:rank]):
        at = tuple(slice(o * d, o * d + (n - 1) * s + 1, s) for o, d, n, s in zip(offset, dilations, y.shape[1:-1], strides))
        out[(slice(None), *at)] += y @ w[offset].T
    cut = tuple(slice(a, a + n) for n, (a, _) in zip(size, pads))
    return [from_last(out[(slice(None), *cut)], first)]


def pooling(attrs, x, maximum):
    first = is_first(attrs)
    x = to_last(x, first)
    size, strides = spatial(attrs["ksize"], first), spatial(attrs["strides"], first)
    pads = [(0, 0), *window_pads(attrs, x.shape[1:-1], size, strides, [1] * len(size), first), (0, 0)]
    padded = np.pad(x, pads, constant_values=-np.inf if maximum else 0.0)
    ones = [1] * len(size)
    if maximum:
        out = functools.reduce(np.maximum, (part for _, part in taps(padded, size, strides, ones)))
    else:
        counts = np.pad(np.ones_like(x), pads)
        out = sum(part for _, part in taps(padded, size, strides, ones)) / sum(part for _, part in taps(counts, size, strides, ones))
    return [from_last(out, first)]


def batch_norm(attrs, x, scale, offset, mean, variance):
    if attrs.get("is_training", True):
        raise NotImplementedError("batch normalisation in training")
    first = is_first(attrs)
    y = (to_last(x, first) - mean) / np.sqrt(variance + attrs["epsilon"]) * scale + offset
    return [from_last(y, first), mean, variance, mean, variance, mean][: len(op_def_registry.get("FusedBatchNormV3").output_arg)]


def bias(attrs, x, b):
    first = attrs.get("data_format", b"NHWC") == b"NCHW"
    return [from_last(to_last(x, first) + b, first)]


def response_norm(attrs, x):
    radius, channels = attrs["depth_radius"], x.shape[-1]
    squares = np.pad(x * x, [(0, 0)] * 3 + [(radius, radius)])
    total = sum(squares[..., i : i + channels] for i in range(2 * radius + 1))
    return [x / (attrs["bias"] + attrs["alpha"] * total) ** attrs["beta"]]


def bilinear(attrs, x, size):
    for axis, out in ((1, int(size[0])), (2, int(size[1]))):
        count = x.shape[axis]
        if attrs.get("align_corners"):
            at = np.arange(out) * ((count - 1) / (out - 1) if out > 1 else 0.0)
        elif attrs.get("half_pixel_centers"):
            at = np.maximum((np.arange(out) + 0.5) * (count / out) - 0.5, 0)
        else:
            at = np.arange(out) * (count / out)
        low = np.minimum(np.floor(at).astype(int), count - 1)
        high = np.minimum(low + 1, count - 1)
        share = np.reshape(at - low, [-1 if i == axis else 1 for i in range(4)])
        x = np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share
    return [x]


def einsum(attrs, *operands):
    return [np.einsum(attrs["equation"].decode(), *operands)]


def bitcast(attrs, x):
    """The bits of a float32 that was widened are those of its narrow self."""
    target = np.dtype(tf.as_dtype(attrs["type"]).as_numpy_dtype)
    return [(x.astype(np.float32) if x.dtype == np.float64 and target.itemsize <= 4 else x).view(target)]


OWN = {
    "Bitcast": bitcast,
    "Conv2D": convolution,
    "Conv3D": convolution,
    "DepthwiseConv2dNative": depthwise,
    "Conv2DBackpropInput": transposed_convolution,
    "Conv3DBackpropInputV2": transposed_convolution,
    "MaxPool": lambda attrs, x: pooling(attrs, x, True),
    "MaxPool3D": lambda attrs, x: pooling(attrs, x, True),
    "AvgPool": lambda attrs, x: pooling(attrs, x, False),
    "AvgPool3D": lambda attrs, x: pooling(attrs, x, False),
    "FusedBatchNorm": batch_norm,
    "FusedBatchNormV2": batch_norm,
    "FusedBatchNormV3": batch_norm,
    "BiasAdd": bias,
    "BiasAddV1": bias,
    "LRN": response_norm,
    "ResizeBilinear": bilinear,
    "Einsum": einsum,
}


BODIES = {}


def body_of(name, library):
    """A function's graph; made once, since loops call theirs again and again. The key keeps the library's object alive."""
    key = (name, id(library))
    if key not in BODIES:
        BODIES[key] = (library, function_def_to_graph(library[name]))
    return BODIES[key][1]


def holds(condition):
    """Whether TensorFlow takes a value for true: a number that is not zero, a tensor that is not empty."""
    condition = np.asarray(condition)
    return bool(condition) if condition.ndim == 0 else condition.size > 0


def evaluate(graph_def, feeds, fetches, library=None):
    """The tensors named by `fetches`, given those named by `feeds` (names as `node:0`); `library` holds the functions called."""
    library = library or {function.signature.name: function for function in graph_def.library.function}
    nodes = {node.name: node for node in graph_def.node}
    values = {name: [wide(value)] for name, value in ((key.split(":")[0], value) for key, value in feeds.items())}

    def value(edge):
        name, _, port = edge.partition(":")
        return values[name][int(port or 0)]

    def call(name, inputs):
        body = body_of(name, library)
        given = {tensor.name: i for tensor, i in zip(body.inputs, inputs, strict=True)}
        return evaluate(body.as_graph_def(), given, [tensor.name for tensor in body.outputs], library)

    def step(node):
        inputs = [value(edge) for edge in node.input if not edge.startswith("^")]
        if node.op == "Const":
            return [wide(tensor_util.MakeNdarray(node.attr["value"].tensor))]
        if node.op == "PlaceholderWithDefault":
            return inputs
        if node.op == "Switch":
            return [None, inputs[0]] if inputs[1] else [inputs[0], None]
        if node.op == "_SwitchN":
            count = node.attr["num_outs"].i
            which = int(inputs[1]) if 0 <= int(inputs[1]) < count else count - 1
            return [inputs[0] if i == which else None for i in range(count)]
        if any(i is None for i in inputs):
            taken = next((n for n, i in enumerate(inputs) if i is not None), None)
            return [inputs[taken], np.int32(taken)] if node.op == "Merge" and taken is not None else [None] * 8
        if node.op in ("PartitionedCall", "StatefulPartitionedCall"):
            return call(node.attr["f"].func.name, inputs)
        if node.op in ("If", "StatelessIf"):
            return call(node.attr["then_branch" if holds(inputs[0]) else "else_branch"].func.name, inputs[1:])
        if node.op in ("Case", "StatelessCase"):
            branches = node.attr["branches"].list.func
            which = int(inputs[0]) if 0 <= int(inputs[0]) < len(branches) else -1
            return call(branches[which].name, inputs[1:])
        if node.op in ("While", "StatelessWhile"):
            while holds(call(node.attr["cond"].func.name, inputs)[0]):
                inputs = call(node.attr["body"].func.name, inputs)
            return inputs
        if node.op in OWN:
            return [np.asarray(v) for v in OWN[node.op](attributes(node), *inputs)]
        if node.op == "Merge":
            return [inputs[0], np.int32(0)]
        return [v if is_list(v) else v.numpy() for v in kernel(node.op, attributes(node), inputs)]

    pending, waiting = [fetch.split(":")[0] for fetch in fetches], set()
    while pending:
        name = pending[-1]
        missing = [] if name in values else [e.lstrip("^").split(":")[0] for e in nodes[name].input if not e.startswith("^")]
        missing = [m for m in missing if m not in values]
        if missing:
            if not waiting.isdisjoint(missing):
                raise NotImplementedError(f"a loop through {name}")
            waiting.add(name)
            pending += missing
            continue
        pending.pop()
        waiting.discard(name)
        if name not in values:
            values[name] = step(nodes[name])
    return [array(value(fetch)) for fetch in fetches]
