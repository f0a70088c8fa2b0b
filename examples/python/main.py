"""Classifies handwritten digits; see ../mnist/README.md for the model and the file of digits. Needs Python alone.

    smc compile examples/mnist/model -o libmnist.so
    python3 examples/python/main.py ./libmnist.so examples/mnist/digits.bin
"""

import ctypes
import pathlib
import sys

PIXELS, CLASSES, ALIGN = 28 * 28, 10, 64


class Io(ctypes.Structure):
    """struct mnist_serving_default of libmnist.h"""

    _fields_ = [
        ("inputs", ctypes.POINTER(ctypes.c_float)),
        ("output_0", ctypes.POINTER(ctypes.c_float)),
        ("batch", ctypes.c_int64),
        ("threads", ctypes.c_void_p),
        ("cpu", ctypes.c_uint64),
    ]


def load(path):
    library = ctypes.CDLL(str(pathlib.Path(path).resolve()))
    library.mnist_serving_default_workspace.argtypes = [ctypes.c_int64]
    library.mnist_serving_default_workspace.restype = ctypes.c_size_t
    library.mnist_serving_default.argtypes = [ctypes.POINTER(Io), ctypes.c_void_p, ctypes.c_size_t]
    library.mnist_serving_default.restype = ctypes.c_int
    return library


def classify(library, images):
    """A list of ten probabilities for each image, which is 784 bytes."""
    batch = len(images)
    inputs = (ctypes.c_float * (batch * PIXELS))(*(grey / 255 for image in images for grey in image))
    outputs = (ctypes.c_float * (batch * CLASSES))()
    size = library.mnist_serving_default_workspace(batch)
    memory = ctypes.create_string_buffer(size + ALIGN)
    workspace = -(-ctypes.addressof(memory) // ALIGN) * ALIGN
    status = library.mnist_serving_default(ctypes.byref(Io(inputs, outputs, batch, None, 0)), workspace, size)
    if status != 0:
        raise RuntimeError(f"the model returned status {status}, see enum smc_status in libmnist.h")
    return [outputs[i * CLASSES : (i + 1) * CLASSES] for i in range(batch)]


def main():
    if len(sys.argv) != 3:
        raise SystemExit(f"usage: {sys.argv[0]} libmnist.so digits.bin")
    data = pathlib.Path(sys.argv[2]).read_bytes()
    records = [data[i : i + PIXELS + 1] for i in range(0, len(data), PIXELS + 1)]
    right = 0
    for record, row in zip(records, classify(load(sys.argv[1]), [record[:PIXELS] for record in records])):
        best, label = row.index(max(row)), record[PIXELS]
        print(f"label {label}, predicted {best} with probability {row[best]:.4f}")
        right += best == label
    print(f"{right} of {len(records)} digits recognised")


if __name__ == "__main__":
    main()
