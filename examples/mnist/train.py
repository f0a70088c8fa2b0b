"""Train the two MNIST models of this example and save them as SavedModels.

    python train.py                      # data by keras.datasets.mnist (downloads it)
    python train.py --data FOLDER        # data from idx files, plain or gzipped

`model/1` is the network of TensorFlow's beginner tutorial (Flatten, Dense 128, Dense 10); `cnn/1` has convolutions, batch
normalisation, pooling and dropout. Both take float images in 0..1 of shape [batch, 28, 28] and give ten probabilities.
Everything is seeded: the same data and TensorFlow version give the same weights on one machine.
"""

import argparse
import gzip
import pathlib
import shutil
import struct

import keras
import numpy as np
import tensorflow as tf

HERE = pathlib.Path(__file__).resolve().parent


def read_idx(path):
    """An idx file (the format MNIST comes in) of unsigned bytes, as an array."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    zero, dtype, rank = struct.unpack_from(">HBB", raw)
    if zero != 0 or dtype != 8:
        raise SystemExit(f"{path} is not an idx file of unsigned bytes")
    shape = struct.unpack_from(f">{rank}I", raw, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def find_idx(folder, stem):
    """The files of a folder that are named like `train-images`, whatever separator and suffix they carry."""
    for name in (stem, stem.replace("-idx", ".idx")):
        for suffix in ("", ".gz"):
            if (folder / (name + suffix)).exists():
                return read_idx(folder / (name + suffix))
    return None


def load(folder, count):
    """Images and labels to train on and to evaluate on.

    A folder that holds the 60,000 training images is used as MNIST means it; one that holds the 10,000 test images only is cut:
    the first `count` (default 8,000) train, the last 2,000 evaluate.
    """
    if folder is None:
        train, test = keras.datasets.mnist.load_data()
    else:
        test = find_idx(folder, "t10k-images-idx3-ubyte"), find_idx(folder, "t10k-labels-idx1-ubyte")
        train = find_idx(folder, "train-images-idx3-ubyte"), find_idx(folder, "train-labels-idx1-ubyte")
        if test[0] is None or test[1] is None:
            raise SystemExit(f"{folder} holds no t10k-images-idx3-ubyte(.gz) and t10k-labels-idx1-ubyte(.gz)")
        if train[0] is None or train[1] is None:
            train, test, count = test, tuple(part[-2000:] for part in test), min(count or 8000, 8000)
    return tuple(part[:count] for part in train), test


def dense_model():
    return keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ],
        name="mnist",
    )


def conv_model():
    return keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Reshape((28, 28, 1)),
            keras.layers.Conv2D(12, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(24, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.AveragePooling2D(2),
            keras.layers.Dropout(0.25),
            keras.layers.Flatten(),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dropout(0.25),
            keras.layers.Dense(10, activation="softmax"),
        ],
        name="mnist_cnn",
    )


def train_and_save(make, path, train, test, epochs):
    keras.utils.set_random_seed(1)
    model = make()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(train[0] / np.float32(255), train[1], epochs=epochs, batch_size=64, verbose=2)
    _, accuracy = model.evaluate(test[0] / np.float32(255), test[1], verbose=0)
    print(f"{model.name}: {accuracy:.2%} of {len(test[1])} images right, {model.count_params()} parameters, saved to {path}")
    shutil.rmtree(path, ignore_errors=True)
    tf.saved_model.save(model, str(path))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="folder with MNIST idx files; default: keras.datasets.mnist")
    parser.add_argument("--train", type=int, metavar="N", help="train on the first N images")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--out", type=pathlib.Path, default=HERE, help="where model/1 and cnn/1 go; default: beside this file")
    args = parser.parse_args()
    tf.config.experimental.enable_op_determinism()
    train, test = load(args.data, args.train)
    train_and_save(dense_model, args.out / "model" / "1", train, test, args.epochs)
    train_and_save(conv_model, args.out / "cnn" / "1", train, test, args.epochs)


if __name__ == "__main__":
    main()
