"""Record what TensorFlow predicts with the two models of examples/mnist, for the test that compares every label.

    python record_mnist.py               # from the images kept in tests/data/mnist
    python record_mnist.py --data FOLDER # cut the images anew from MNIST's test files

Writes to tests/data/mnist: the last 2,000 test images (`images-idx3-ubyte.gz`), their true labels (`labels-idx1-ubyte.gz`),
TensorFlow's labels per model (`model-labels-idx1-ubyte.gz`, `cnn-labels-idx1-ubyte.gz`). Writes examples/mnist/digits.bin: the first
20 of these images, each as 784 bytes of pixels and one of its label.
"""

import argparse
import gzip
import pathlib
import struct
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "mnist"))

FOLDER = ROOT / "tests" / "data" / "mnist"


def write_idx(path, array):
    raw = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(raw, 9, mtime=0))


def predict(model_dir, images):
    """The most probable label of each image, and how close the closest decision was."""
    import tensorflow as tf

    serve = tf.saved_model.load(str(model_dir)).signatures["serving_default"]
    (probabilities,) = serve(inputs=tf.constant(images / np.float32(255))).values()
    best = np.sort(probabilities.numpy(), axis=1)
    return probabilities.numpy().argmax(axis=1), (best[:, -1] - best[:, -2]).min()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="folder with MNIST's test images and labels as idx files")
    args = parser.parse_args()
    import train

    FOLDER.mkdir(parents=True, exist_ok=True)
    if args.data:
        write_idx(FOLDER / "images-idx3-ubyte.gz", train.find_idx(args.data, "t10k-images-idx3-ubyte")[-2000:])
        write_idx(FOLDER / "labels-idx1-ubyte.gz", train.find_idx(args.data, "t10k-labels-idx1-ubyte")[-2000:])
    images = train.read_idx(FOLDER / "images-idx3-ubyte.gz")
    labels = train.read_idx(FOLDER / "labels-idx1-ubyte.gz")
    for name in ("model", "cnn"):
        predicted, margin = predict(ROOT / "examples" / "mnist" / name / "1", images)
        write_idx(FOLDER / f"{name}-labels-idx1-ubyte.gz", predicted)
        print(f"{name}: {np.mean(predicted == labels):.2%} right, closest decision {margin:.2e}")
    digits = b"".join(image.tobytes() + bytes([label]) for image, label in zip(images[:20], labels[:20]))
    (ROOT / "examples" / "mnist" / "digits.bin").write_bytes(digits)


if __name__ == "__main__":
    main()
