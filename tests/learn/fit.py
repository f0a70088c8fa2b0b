"""Records how Keras 3's `fit` trains small networks with examples in their order: in `fits.json` the examples, the losses and
accuracies of each epoch, and the variables at the end. The networks are those of `record.py`, and `images`, which this makes."""

import json

import keras
import numpy as np

from record import HERE, K, model, rounded


def images():
    keras.utils.set_random_seed(9)
    L = keras.layers
    layers = [
        keras.Input((8, 9, 1), name="image"),
        L.Conv2D(4, 3, activation="relu"),
        L.MaxPooling2D(2),
        L.Conv2D(5, 2, padding="same", activation="relu"),
        L.Flatten(),
        L.Dense(3, activation="softmax"),
    ]
    return keras.Sequential(layers)


def towers():
    """Two inputs, each with a batch of its own, which meet."""
    keras.utils.set_random_seed(12)
    L = keras.layers
    a, b = (keras.Input((4,), name=name) for name in "ab")
    tower = L.Dense(5, activation="sigmoid")
    return keras.Model([a, b], L.Dense(3)(L.Multiply()([tower(a), tower(b)])))


def targets(rng, kind, rows):
    return rng.integers(0, 3, rows) if kind == "classes" else rng.normal(size=(rows, 3)).astype(np.float32)


def arrays(rng, shape, kind, rows):
    """Inputs of which targets follow in part, so that there is something to learn."""
    x = rng.normal(size=(rows, *shape)).astype(np.float32)
    if kind == "classes":
        y = (x.reshape(rows, -1)[:, :3]).argmax(1)
        return x, np.where(rng.random(rows) < 0.2, rng.integers(0, 3, rows), y)
    return x, targets(rng, kind, rows)


def flat(values):
    values = np.asarray(values)
    return [int(v) for v in values] if values.dtype.kind == "i" else rounded(values)


def fit(rng, name, net, loss, optimizer, spec, kind, rows, batch, epochs, validation=0, split=None, weighted=False, patience=None):
    several = isinstance(net.input_shape, list)
    shape = (net.input_shape[0] if several else net.input_shape)[1:]
    x, y = arrays(rng, shape, kind, rows)
    other = rng.normal(size=x.shape).astype(np.float32) if several else None
    weights = rng.uniform(0, 2, rows).astype(np.float32) if weighted else None
    held = arrays(rng, shape, kind, validation) if validation else None
    metrics = ["accuracy"] if kind == "classes" else []
    net.compile(optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=False)
    stop = keras.callbacks.EarlyStopping("val_loss", patience=patience, restore_best_weights=True) if patience else None
    history = net.fit(
        [x, other] if several else x, y, batch_size=batch, epochs=epochs, shuffle=False, verbose=0, sample_weight=weights,
        validation_data=held, validation_split=split or 0.0, callbacks=[stop] if stop else None,
    ).history
    return {
        "model": name, "loss": loss, "optimizer": spec, "batch": batch, "epochs": epochs, "split": split, "patience": patience,
        "shape": [rows, *shape], "x": rounded(x), "other": None if other is None else rounded(other), "target": flat(y),
        "weights": None if weights is None else rounded(weights),
        "validation": None if held is None else {"x": rounded(held[0]), "target": flat(held[1])},
        "history": {key: [float(v) for v in values] for key, values in history.items()},
        "variables": [rounded(v.numpy()) for v in net.trainable_variables],
    }


def main():
    rng = np.random.default_rng(11)
    images().export(str(HERE / "images"), verbose=False)
    towers().export(str(HERE / "towers"), verbose=False)
    classes = "sparse_categorical_crossentropy"
    fits = [
        fit(rng, "softmax", model("softmax"), classes, K.Adam(0.02), "adam:lr=0.02", "classes", 22, 8, 4, validation=7),
        fit(rng, "softmax", model("softmax"), classes, K.SGD(0.1, momentum=0.9), "momentum:lr=0.1", "classes", 20, 5, 3,
            weighted=True),
        fit(rng, "linear", model(None), "mse", K.RMSprop(), "rmsprop", "values", 25, 4, 3, split=0.3),
        fit(rng, "softmax", model("softmax"), classes, K.Adam(0.3), "adam:lr=0.3", "classes", 16, 4, 30, validation=9, patience=3),
        fit(rng, "images", images(), classes, K.Adam(0.01), "adam:lr=0.01", "classes", 30, 8, 3, validation=10),
        fit(rng, "towers", towers(), "mse", K.Adam(0.02), "adam:lr=0.02", "values", 21, 8, 3),
    ]
    (HERE / "fits.json").write_text(json.dumps(fits) + "\n")


if __name__ == "__main__":
    main()
