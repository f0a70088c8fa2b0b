"""Keeps a mean over all numbers that it was ever given, and prints those of this run that are more than it; see ../mean. Needs Python alone.

    smc compile examples/mean/model -o libmean.so
    python3 examples/python/mean.py ./libmean.so mean.state 1 2 6

The variables of the model are in the file between runs. How many numbers are more than the mean, the call tells.
"""

import ctypes
import pathlib
import sys

ALIGN = 64
FLOATS, INTS = ctypes.POINTER(ctypes.c_float), ctypes.POINTER(ctypes.c_int64)


class Io(ctypes.Structure):
    """struct mean_above of libmean.h"""

    _fields_ = [
        ("numbers", FLOATS),
        ("above", FLOATS),
        ("count", INTS),
        ("mean", FLOATS),
        ("batch", ctypes.c_int64),
        ("boolean_mask_Where", ctypes.c_int64),
        ("state", ctypes.c_void_p),
        ("threads", ctypes.c_void_p),
        ("cpu", ctypes.c_uint64),
    ]


def load(path):
    library = ctypes.CDLL(str(pathlib.Path(path).resolve()))
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    for name, result, arguments in [
        ("above", ctypes.c_int, [ctypes.POINTER(Io), pointer, size]),
        ("above_workspace", size, [ctypes.c_int64]),
        ("state_bytes", size, []),
        ("state_init", ctypes.c_int, [pointer, size]),
        ("state_load", ctypes.c_int, [pointer, size, pointer, size]),
        ("state_save", ctypes.c_int, [pointer, pointer, size]),
    ]:
        function = getattr(library, f"mean_{name}")
        function.restype, function.argtypes = result, arguments
    return library


class Memory:
    """So many bytes at a multiple of 64, which hold these ones first."""

    def __init__(self, size, content=b""):
        self.size, self.memory = size, ctypes.create_string_buffer(size + ALIGN)
        self.address = -(-ctypes.addressof(self.memory) // ALIGN) * ALIGN
        ctypes.memmove(self.address, content, len(content))

    def bytes(self):
        return ctypes.string_at(self.address, self.size)


def check(status):
    if status != 0:
        raise SystemExit(f"the model returned status {status}, see enum smc_status in libmean.h")


def state(library, path):
    """A block with what the file holds, or with the variables as the model stores them where there is no file."""
    block = Memory(library.mean_state_bytes())
    if path.exists():
        saved = path.read_bytes()
        check(library.mean_state_load(block.address, block.size, Memory(len(saved), saved).address, len(saved)))
    else:
        check(library.mean_state_init(block.address, block.size))
    return block


def above(library, block, numbers):
    """How many numbers there were, their mean, and those of these that are more."""
    array = ctypes.c_float * len(numbers)
    # An output whose size data decide has room for the most that there can be.
    found, count, mean = array(), ctypes.c_int64(), ctypes.c_float()
    workspace = Memory(library.mean_above_workspace(len(numbers)))
    io = Io(array(*numbers), found, ctypes.pointer(count), ctypes.pointer(mean), len(numbers), -1, block.address, None, 0)
    check(library.mean_above(ctypes.byref(io), workspace.address, workspace.size))
    return count.value, mean.value, found[: io.boolean_mask_Where]


def main():
    if len(sys.argv) < 3:
        raise SystemExit(f"usage: {sys.argv[0]} libmean.so FILE NUMBER..")
    library, path = load(sys.argv[1]), pathlib.Path(sys.argv[2])
    block = state(library, path)
    count, mean, more = above(library, block, [float(number) for number in sys.argv[3:]])
    print(" ".join([f"{count} numbers, mean {mean:g}; above it:", *(f"{number:g}" for number in more)]))
    saved = Memory(block.size)
    check(library.mean_state_save(block.address, saved.address, saved.size))
    path.write_bytes(saved.bytes())


if __name__ == "__main__":
    main()
