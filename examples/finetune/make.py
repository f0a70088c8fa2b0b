"""Make the model and the images of this example.

    python make.py digits.csv

`digits.csv` is that of scikit-learn's datasets (1797 rows of 64 grey values from 0 to 16, then the digit): the test part of the
UCI data set "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, 1998, CC BY 4.0). `model/1` learns from the last
1197 rows; the first 600 are written to `images.bin`, as 65 bytes each.
"""

import pathlib
import shutil
import sys

import keras
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
SIDE, KEPT = 28, 600


def enlarged(images):
    """Images of 8x8 in 0..16 as 28x28 in 0..1, each pixel the nearest one, flat."""
    nearest = np.arange(SIDE) * 8 // SIDE
    return (images.reshape(-1, 8, 8)[:, nearest][:, :, nearest] / 16).astype(np.float32).reshape(-1, SIDE * SIDE)


def main():
    rows = np.loadtxt(sys.argv[1], delimiter=",", dtype=np.uint8)
    rows[:KEPT].tofile(HERE / "images.bin")
    images, digits = enlarged(rows[KEPT:, :64]), rows[KEPT:, 64].astype(np.int64)
    keras.utils.set_random_seed(1)
    dense = keras.layers.Dense
    layers = [dense(10, "relu", name="hidden"), dense(10, "softmax", name="classes")]
    model = keras.Sequential([keras.Input((SIDE * SIDE,), name="pixels"), *layers])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images, digits, epochs=30, verbose=0)
    print("accuracy on images.bin:", model.evaluate(enlarged(rows[:KEPT, :64]), rows[:KEPT, 64], verbose=0)[1])
    shutil.rmtree(HERE / "model", ignore_errors=True)
    model.export(str(HERE / "model/1"), verbose=False)


if __name__ == "__main__":
    main()
