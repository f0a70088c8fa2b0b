"""Run the specified cases in TensorFlow and write them to tests/cases/<Op>.json; tests/cases/README.md describes the format.

    python record.py              # every operator
    python record.py --op Conv2D  # one
"""

import argparse
import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import rewriter_config_pb2
from tensorflow.python.framework import op_def_library, op_def_registry

import cases
from cases.spec import CASES, Const, DTYPES, NARROW, SWEEPS, Beside, Sizes, name_of

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "cases"
# Outputs that mean something; in inference, TensorFlow leaves the rest of a batch normalisation's outputs uninitialised.
KEPT = {"BatchNormWithGlobalNormalization": 1, "FusedBatchNorm": 1, "FusedBatchNormV2": 1, "FusedBatchNormV3": 1,
        "FusedBatchNormGrad": 3, "FusedBatchNormGradV2": 3, "FusedBatchNormGradV3": 3}  # fmt: skip
# Results of more elements are recorded by a hash: they have to be exact.
MOST = 4_000
NO_KERNEL = ("No OpKernel", "data type is not supported")
WRONG = []
REFUSED = (tf.errors.OpError, ValueError, TypeError, NotImplementedError)


def session(graph):
    """A session that runs the graph as written: no rewriting, so that a node's own kernel computes it."""
    config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.rewrite_options.constant_folding = rewriter_config_pb2.RewriterConfig.OFF
    config.graph_options.optimizer_options.opt_level = tf.compat.v1.OptimizerOptions.L0
    return tf.compat.v1.Session(graph=graph, config=config)


def with_defaults(op, attrs):
    """The attributes given and the operator's defaults for those that neither the case nor the operands decide."""
    definition = op_def_registry.get(op)
    decided = {name for arg in definition.input_arg for name in (arg.type_attr, arg.number_attr, arg.type_list_attr)}
    filled = dict(attrs)
    for attr in definition.attr:
        if attr.name not in decided and attr.name not in attrs and attr.HasField("default_value"):
            value = attr.default_value
            if value.WhichOneof("value") == "list":
                kind = ("i", "f", "b", "s", "type", "shape")
                filled[attr.name] = next((list(part) for part in (getattr(value.list, k) for k in kind) if part), [])
            else:
                filled[attr.name] = getattr(value, value.WhichOneof("value"))
    return filled


def run(op, inputs, attrs):
    """One node's outputs on these operands, and the node as TensorFlow completed it."""
    feeds = {}

    def operand(value):
        if isinstance(value, list):
            return [operand(part) for part in value]
        if isinstance(value, Const):
            return tf.constant(value.value)
        placeholder = tf.compat.v1.placeholder(tf.as_dtype(value.dtype))
        # A kernel that works in place may do so in the memory that is fed.
        feeds[placeholder] = np.array(value)
        return placeholder

    names = [arg.name for arg in op_def_registry.get(op).input_arg]
    with tf.Graph().as_default() as graph:
        operands = dict(zip(names, map(operand, inputs), strict=True))
        op_def_library.apply_op(op, **operands, **with_defaults(op, attrs))
        node = next(found for found in graph.get_operations() if found.type == op)
        with session(graph) as running:
            outputs = running.run(list(node.outputs) or node, feeds)
            return (outputs if node.outputs else []), node


def number(value):
    """The shortest text that reads back as the same value through a double."""
    if np.isnan(value):
        return '"NaN"'
    if np.isinf(value):
        return '"Infinity"' if value > 0 else '"-Infinity"'
    text = str(np.float32(value)) if value.dtype.itemsize == 2 else str(value)
    if value.dtype != np.float64 and value.dtype.type(float(text)) != value:
        text = repr(float(value))
    return text


def element(value):
    if isinstance(value, bytes):
        try:
            return json.dumps(value.decode())
        except UnicodeDecodeError:
            return json.dumps({"hex": value.hex()})
    if isinstance(value, (np.bool_, bool)):
        return "true" if value else "false"
    if np.iscomplexobj(value):
        return f"[{number(value.real)}, {number(value.imag)}]"
    if isinstance(value, np.integer):
        return str(value)
    return number(value)


def hash_of(array):
    """FNV-1a, 64 bits, of an array's little-endian bytes."""
    value = 0xCBF29CE484222325
    for byte in np.ascontiguousarray(array).tobytes():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def tensor_text(array, extra=""):
    array = np.asarray(array)
    if array.size > MOST:
        return f'{{"dtype": "{name_of(array.dtype)}", "shape": {list(array.shape)}, "data": [], "hash": "{hash_of(array)}"{extra}}}'
    data = ", ".join(element(value) for value in array.flat)
    return f'{{"dtype": "{name_of(array.dtype)}", "shape": {list(array.shape)}, "data": [{data}]{extra}}}'


def narrow_as(dtype):
    """How a case names a type that C lacks."""
    return f', "as": "{types_pb2.DataType.Name(tf.as_dtype(dtype).as_datatype_enum)}"' if dtype in NARROW.values() else ""


def operand_text(value):
    """An operand; of a narrow type the bytes that hold it, of an integer with its sign."""
    array = operand_array(value)
    narrow = narrow_as(array.dtype)
    held = array.view(np.int8 if array.dtype == NARROW["i4"] else np.uint8) if narrow else array
    return tensor_text(held, narrow + (', "const": true' if isinstance(value, Const) else ""))


def output_text(value):
    """A result; of a narrow type its values in a wider one."""
    array = np.asarray(value)
    narrow = narrow_as(array.dtype)
    wide = np.int32 if array.dtype in (NARROW["i4"], NARROW["u4"]) else np.float32
    return tensor_text(array.astype(wide) if narrow else array, narrow)


def check_normal(case, arrays):
    """TensorFlow flushes denormal numbers to zero in arithmetic; no case depends on that."""
    for array in arrays:
        if array.dtype in (np.float32, np.float64):
            tiny = np.finfo(array.dtype).tiny
            if np.any((np.abs(array) < tiny) & (array != 0)):
                wrong(case, f"a denormal number in {array}")


def shape_value(shape):
    return None if shape.unknown_rank else [dim.size for dim in shape.dim]


def attr_value(value, declared):
    """An AttrValue as JSON: one key that names the kind."""
    kind = value.WhichOneof("value")
    if kind == "list" or declared.startswith("list("):
        kind = {"int": "i", "float": "f", "bool": "b", "string": "s", "type": "type", "shape": "shape"}[declared[5:-1]]
        parts = getattr(value.list, kind)
        return {"list_" + kind: [plain(part, kind) for part in parts]}
    return {kind: plain(getattr(value, kind), kind)}


def plain(value, kind):
    if kind == "s":
        return value.decode()
    if kind == "type":
        return types_pb2.DataType.Name(value)
    if kind == "shape":
        return shape_value(value)
    if kind == "f":
        return float(str(np.float32(value)))
    if kind in ("i", "b"):
        return value
    raise SystemExit(f"an attribute of kind {kind} has no place in a case")


def attrs_of(op, node):
    declared = {attr.name: attr.type for attr in op_def_registry.get(op).attr}
    attrs = {name: attr_value(value, declared[name]) for name, value in node.node_def.attr.items() if name in declared}
    return dict(sorted(attrs.items()))


def flat(inputs):
    return [part for value in inputs for part in (value if isinstance(value, list) else [value])]


def types_of(op, inputs, attrs):
    """The attributes of a node that could not be built or run: those given and those its operands decide."""

    def operand(value):
        if isinstance(value, list):
            return [operand(part) for part in value]
        shape = value.value.shape if isinstance(value, Const) else None
        return tf.compat.v1.placeholder(tf.as_dtype(operand_array(value).dtype), shape)

    names = [arg.name for arg in op_def_registry.get(op).input_arg]
    with tf.Graph().as_default() as graph:
        operands = dict(zip(names, map(operand, inputs), strict=True))
        op_def_library.apply_op(op, **operands, **with_defaults(op, attrs))
        return attrs_of(op, next(found for found in graph.get_operations() if found.type == op))


def attrs_by_hand(op, inputs, attrs):
    """The attributes of a node of an operator that this TensorFlow no longer lets one build."""
    definition, found = op_def_registry.get(op), {}
    for arg, value in zip(definition.input_arg, inputs, strict=True):
        first = operand_array(flat([value])[0])
        if arg.number_attr:
            found[arg.number_attr] = {"i": len(value)}
        if arg.type_attr:
            found[arg.type_attr] = {"type": types_pb2.DataType.Name(tf.as_dtype(first.dtype).as_datatype_enum)}
    for attr in definition.attr:
        if attr.name in attrs:
            kind = {"int": "i", "float": "f", "bool": "b", "string": "s", "shape": "shape", "list(int)": "list_i"}[attr.type]
            found[attr.name] = {kind: attrs[attr.name]}
        elif attr.name not in found:
            found[attr.name] = attr_value(attr.default_value, attr.type)
    return dict(sorted(found.items()))


def wrong(case, what):
    """Note a case whose specification is mistaken; all of them are printed at the end."""
    WRONG.append(f"{case.op} {case.name}: {message_of(what) if isinstance(what, Exception) else what}")


def message_of(refusal):
    """TensorFlow's own sentence, without the frame that Python puts around it."""
    text = refusal.message if isinstance(refusal, tf.errors.OpError) else str(refusal)
    framed = text.startswith("Graph execution error:")
    lines = text.split("Node: ", 1)[-1].split("\n")[1:] if framed else text.split("\n")
    return next((line.strip() for line in lines if line.strip()), text)


def operand_array(value):
    return value.value if isinstance(value, (Const, Beside)) else value


def record(case):
    """The case as a line of JSON, or None where TensorFlow has no kernel for it and the case may be left out."""
    derived, error = "", None
    try:
        if case.via is not None and (case.via.always or case.via.gone):
            raise ValueError("taken from another run")
        outputs, node = run(case.op, case.inputs, case.attrs)
        attrs = attrs_of(case.op, node)
        if case.fails:
            return wrong(case, f"expected a failure, got {outputs}")
    except REFUSED as refusal:
        if case.optional and (isinstance(refusal, TypeError) or any(text in str(refusal) for text in NO_KERNEL)):
            return None
        if case.via is not None:
            outputs, _ = run(case.via.op, case.via.inputs, case.via.attrs)
            attrs = (attrs_by_hand if case.via.gone else types_of)(case.op, case.inputs, case.attrs)
            outputs, derived = case.via.back(outputs), ', "derived": true'
        elif case.fails and not isinstance(refusal, TypeError):
            outputs, attrs = [], types_of(case.op, case.inputs, case.attrs)
            error = message_of(refusal)
        else:
            return wrong(case, refusal)
    inputs, outputs = flat(case.inputs), outputs[: KEPT.get(case.op)]
    check_normal(case, [*map(operand_array, inputs), *map(np.asarray, outputs)])
    inputs = ", ".join(map(operand_text, inputs))
    outputs = ", ".join(map(output_text, outputs))
    head = f'"name": {json.dumps(case.name)}, "attrs": {json.dumps(attrs)}'
    return f'{{{head}, "inputs": [{inputs}], "outputs": [{outputs}], "error": {json.dumps(error)}{derived}}}'


def swept_text(value, array):
    """A recorded operand of a sweep: constants are the node's own, sizes say what they are computed from."""
    if isinstance(value, Sizes):
        forms = [[form.times, [list(place) for place in form.of], form.plus] for form in value.forms()]
        return tensor_text(array, f', "sizes": {json.dumps(forms)}')
    kind = {Const: "const", Beside: "beside"}.get(type(value))
    return tensor_text(array, f', "{kind}": true' if kind else "")


def left_as_it_was(op, inputs, attrs, outputs):
    """Whether a kernel for single precision returned without writing its results: in double precision they have other shapes."""

    def doubled(value):
        if isinstance(value, list):
            return [doubled(part) for part in value]
        array = operand_array(value)
        array = array.astype(np.float64) if array.dtype == np.float32 else array
        return Const(array) if isinstance(value, Const) else array

    try:
        wide, _ = run(op, [doubled(value) for value in inputs], attrs)
    except REFUSED:
        return False
    return [np.shape(output) for output in wide] != [np.shape(output) for output in outputs]


def record_run(sweep, operands):
    """One run of a sweep as JSON, and the attributes of its node."""
    arrays = [operand_array(value) for value in flat(operands)]
    arrays = [value.value(arrays) if isinstance(value, Sizes) else value for value in arrays]
    rest = iter(arrays)
    texts = [swept_text(value, array) for value, array in zip(flat(operands), arrays)]
    given = [[next(rest) for _ in value] if isinstance(value, list) else next(rest) for value in operands]
    given = [Const(value) if isinstance(source, Const) else value for source, value in zip(operands, given) if not isinstance(source, Beside)]
    try:
        outputs, node = run(sweep.op, given, sweep.attrs)
        attrs, error = attrs_of(sweep.op, node), None
        if left_as_it_was(sweep.op, given, sweep.attrs, outputs):
            outputs, error = [], "the kernel returns without a result of the right shape"
    except REFUSED as refusal:
        if isinstance(refusal, TypeError) or any(text in str(refusal) for text in NO_KERNEL):
            raise
        outputs, attrs, error = [], types_of(sweep.op, given, sweep.attrs), message_of(refusal)
    outputs = ", ".join(map(tensor_text, outputs[: KEPT.get(sweep.op)]))
    return f'{{"inputs": [{", ".join(texts)}], "outputs": [{outputs}], "error": {json.dumps(error)}}}', attrs


def record_sweep(sweep):
    """The sweep as a line of JSON."""
    runs = [record_run(sweep, operands) for operands in sweep.runs]
    if any(attrs != runs[0][1] for _, attrs in runs):
        raise SystemExit(f"{sweep.op} {sweep.name}: the runs differ in their attributes")
    texts = ",\n  ".join(text for text, _ in runs)
    return f'{{"name": {json.dumps(sweep.name)}, "attrs": {json.dumps(runs[0][1])}, "runs": [\n  {texts}\n]}}'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--op", help="record this operator only")
    only = parser.parse_args().op
    ops = sorted({case.op for case in [*CASES, *SWEEPS]})
    if only and only not in ops:
        raise SystemExit(f"no cases are specified for {only}")
    OUT.mkdir(parents=True, exist_ok=True)
    total, left_out = 0, []
    for op in [only] if only else ops:
        mine = [case for case in CASES if case.op == op]
        names = [case.name for case in mine]
        names += [sweep.name for sweep in SWEEPS if sweep.op == op]
        if len(set(names)) != len(names):
            raise SystemExit(f"{op}: two cases of one name: {sorted(n for n in names if names.count(n) > 1)}")
        lines = [(case, record(case)) for case in mine]
        left_out += [f"{op} {case.name}" for case, line in lines if line is None]
        lines = [line for _, line in lines if line is not None]
        text = f'{{"op": "{op}", "cases": [\n' + ",\n".join(lines) + "\n]"
        sweeps = [record_sweep(sweep) for sweep in SWEEPS if sweep.op == op]
        text += ', "sweeps": [\n' + ",\n".join(sweeps) + "\n]}\n" if sweeps else "}\n"
        json.loads(text)
        (OUT / f"{op}.json").write_text(text)
        total += len(lines) + len(sweeps)
    print(f"{total} cases of {1 if only else len(ops)} operators recorded")
    if left_out:
        print(f"{len(left_out)} cases left out because TensorFlow has no CPU kernel for their types")
    if WRONG:
        raise SystemExit("\n".join(WRONG))


if __name__ == "__main__":
    main()
