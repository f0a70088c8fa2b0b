"""Writes the table of TensorFlow's operators that smc carries (compiler/src/saved/op_defs.txt).

`cargo xtask op-defs` runs it in the pinned TensorFlow: op_defs.py OUTPUT. One line per operator, sorted by name:

    NAME[!] INPUT... > OUTPUT... ; ATTRIBUTE...

`!` marks a stateful operator. An argument is `name:TYPE[*NUMBER][&]`, where TYPE is a data type such as `int32`, `$T` for
the type in attribute T or `[T]` for the list of types in attribute T, NUMBER the attribute that counts repetitions and
`&` a reference to a variable. An attribute is `name:kind` or `name:kind=DEFAULT`, DEFAULT being JSON without spaces:
types by name, shapes as lists of sizes (-1 unknown, null for unknown rank), functions by name, infinities as strings,
tensors as the hexadecimal bytes of their message.
"""

import json
import sys

from tensorflow.core.framework import op_def_pb2, types_pb2
from tensorflow.python.client import pywrap_tf_session


def type_name(number):
    return types_pb2.DataType.Name(number).removeprefix("DT_").lower()


def argument(arg):
    if arg.type_list_attr:
        text = f"[{arg.type_list_attr}]"
    elif arg.type_attr:
        text = f"${arg.type_attr}"
    else:
        text = type_name(arg.type)
    if arg.number_attr:
        text += f"*{arg.number_attr}"
    return f"{arg.name}:{text}" + ("&" if arg.is_ref else "")


def scalar(kind, value):
    if kind == "string":
        return value.decode("utf-8")
    if kind == "type":
        return type_name(value)
    if kind == "shape":
        return None if value.unknown_rank else [dim.size for dim in value.dim]
    if kind == "func":
        return value.name
    if kind == "tensor":
        return value.SerializeToString().hex()
    if kind == "float" and value in (float("inf"), float("-inf")):
        return str(value)
    if kind == "float":
        return float(repr(value))
    return value


FIELDS = {"string": "s", "int": "i", "float": "f", "bool": "b", "type": "type", "shape": "shape", "func": "func", "tensor": "tensor"}


def attribute(attr):
    text = f"{attr.name}:{attr.type.replace('list(', '').replace(')', '[]')}"
    if attr.HasField("default_value"):
        kind = attr.type.removeprefix("list(").removesuffix(")")
        if attr.type.startswith("list("):
            value = [scalar(kind, v) for v in getattr(attr.default_value.list, FIELDS[kind])]
        else:
            value = scalar(kind, getattr(attr.default_value, FIELDS[kind]))
        text += "=" + json.dumps(value, separators=(",", ":")).replace(" ", "\\u0020")
    return text


def main():
    ops = op_def_pb2.OpList()
    ops.ParseFromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    lines = []
    for op in ops.op:
        words = [op.name + ("!" if op.is_stateful else "")]
        words += [argument(a) for a in op.input_arg]
        words += [">"] + [argument(a) for a in op.output_arg]
        words += [";"] + [attribute(a) for a in op.attr]
        lines.append(" ".join(words))
    lines.sort(key=lambda line: line.split()[0].rstrip("!"))
    with open(sys.argv[1], "w", encoding="ascii") as out:
        out.write("\n".join(lines) + "\n")


main()
