"""Records how Keras 3 trains small networks: SavedModels that only infer, each in a folder, and in `steps.json` batches, losses
and all variables after each step, for every optimiser and loss. `python record.py` makes all of it again, and what `fit.py`
records."""

import json
import pathlib
import shutil
import tempfile

import keras
import numpy as np
import tensorflow as tf
import tf_keras

HERE = pathlib.Path(__file__).parent
STEPS = 10
K = keras.optimizers
OPTIMIZERS = {
    "sgd": lambda: K.SGD(),
    "sgd:lr=0.1,weight_decay=0.01": lambda: K.SGD(0.1, weight_decay=0.01),
    "momentum": lambda: K.SGD(momentum=0.9),
    "nesterov": lambda: K.SGD(momentum=0.9, nesterov=True),
    "adam": lambda: K.Adam(),
    "adam:lr=0.02,amsgrad": lambda: K.Adam(0.02, amsgrad=True),
    "adam:clipnorm=0.1": lambda: K.Adam(clipnorm=0.1),
    "sgd:clipvalue=0.05": lambda: K.SGD(clipvalue=0.05),
    "momentum:global_clipnorm=0.2": lambda: K.SGD(momentum=0.9, global_clipnorm=0.2),
    "adamw": lambda: K.AdamW(),
    "rmsprop": lambda: K.RMSprop(),
    "rmsprop:momentum=0.9,centered": lambda: K.RMSprop(momentum=0.9, centered=True),
    "adagrad": lambda: K.Adagrad(),
    "adadelta": lambda: K.Adadelta(),
    "adamax": lambda: K.Adamax(),
    "nadam": lambda: K.Nadam(),
    "ftrl": lambda: K.Ftrl(),
    "ftrl:lr=0.05,l1_regularization_strength=0.01,l2_regularization_strength=0.1,beta=0.1": lambda: K.Ftrl(
        0.05, l1_regularization_strength=0.01, l2_regularization_strength=0.1, beta=0.1
    ),
    "lion": lambda: K.Lion(),
    "lamb": lambda: K.Lamb(),
    "adafactor": lambda: K.Adafactor(),
    "adafactor:lr=0.1,beta_2_decay=-0.5,clip_threshold=0.5": lambda: K.Adafactor(0.1, beta_2_decay=-0.5, clip_threshold=0.5),
}
LOSSES = {
    "sparse_categorical_crossentropy": (keras.losses.SparseCategoricalCrossentropy, "classes", "softmax"),
    "sparse_categorical_crossentropy:logits": (
        lambda **k: keras.losses.SparseCategoricalCrossentropy(from_logits=True, **k),
        "classes",
        None,
    ),
    "categorical_crossentropy": (keras.losses.CategoricalCrossentropy, "shares", "softmax"),
    "binary_crossentropy": (keras.losses.BinaryCrossentropy, "shares", "sigmoid"),
    "mse": (keras.losses.MeanSquaredError, "values", None),
    "mae": (keras.losses.MeanAbsoluteError, "values", None),
    "huber": (keras.losses.Huber, "values", None),
    "cosine_similarity": (keras.losses.CosineSimilarity, "values", "tanh"),
}


# What is regularised, kernels or all of the last layer.
PENALTIES = {
    "0.01": [{"kernel_regularizer": keras.regularizers.L2(0.01)}] * 2,
    "0.03:last": [{}, {"kernel_regularizer": keras.regularizers.L2(0.03), "bias_regularizer": keras.regularizers.L2(0.03)}],
}


def model(activation, penalties=({}, {})):
    keras.utils.set_random_seed(5)
    layers = [
        keras.Input((6,), name="x"),
        keras.layers.Dense(5, activation="relu", name="first", **penalties[0]),
        keras.layers.Dense(3, activation=activation, name="last", **penalties[1]),
    ]
    return keras.Sequential(layers)


def rounded(values):
    return [float(np.float32(v)) for v in np.asarray(values).ravel()]


def train(activation, loss, optimizer, batches, weights=None, penalties=({}, {})):
    net = model(activation, penalties)
    net.compile(optimizer=optimizer, loss=loss, jit_compile=False)
    steps = []
    for x, target in batches:
        value = net.train_on_batch(x, target, sample_weight=weights)
        value = value[0] if isinstance(value, (list, tuple)) else value
        steps.append({"loss": float(value), "variables": [rounded(v.numpy()) for v in net.trainable_variables]})
        net.reset_metrics()
    return steps


def pictures():
    """Layers of a network of images; their batch norms keep their statistics."""
    keras.utils.set_random_seed(6)
    L = keras.layers
    layers = [
        keras.Input((13, 12, 2), name="x"),
        L.Conv2D(4, 3, strides=2, padding="same", use_bias=False),
        L.BatchNormalization(scale=False),
        L.Activation("relu6"),
        L.DepthwiseConv2D(3, padding="same", activation="gelu", depth_multiplier=2, use_bias=False),
        L.MaxPooling2D(3, strides=2, padding="same"),
        L.Conv2D(6, 2, dilation_rate=2, padding="same", activation="silu"),
        L.AveragePooling2D(2, strides=1),
        L.LayerNormalization(center=False),
        L.SeparableConv2D(7, 1, padding="same", activation="elu", use_bias=False),
        L.GlobalMaxPooling2D(),
        L.Dropout(0.5),
        L.Dense(9, activation="softplus"),
        L.Dense(3, activation="softmax"),
    ]
    return keras.Sequential(layers)


def words():
    """Layers of a network of words."""
    keras.utils.set_random_seed(7)
    L = keras.layers
    x = keras.Input((5,), dtype="int32", name="x")
    y = L.Embedding(11, 4)(x)
    z = L.MultiHeadAttention(2, 3, use_bias=False)(y, y)
    y = L.LayerNormalization(scale=False)(L.Add()([y, z]))
    y = L.Conv1D(5, 2, activation="tanh", use_bias=False)(y)
    y = L.Concatenate()([L.GlobalAveragePooling1D()(y), L.Flatten()(L.Cropping1D((1, 0))(y))])
    return keras.Model(x, L.Dense(3, activation="softmax")(L.Dense(7, activation="leaky_relu", use_bias=False)(y)))


def recurrent():
    """Layers that run in loops, one of them over steps that a mask leaves out."""
    keras.utils.set_random_seed(8)
    L = keras.layers
    x = keras.Input((5,), dtype="int32", name="x")
    y = L.Embedding(11, 4, mask_zero=True)(x)
    y = L.Bidirectional(L.LSTM(3, return_sequences=True))(y)
    y = L.GRU(4)(y)
    return keras.Model(x, L.Dense(3, activation="softmax")(y))


class Rounded(keras.layers.Layer):
    """A product whose operands are rounded as if they were quantised, to ranges that learn."""

    def build(self, shape):
        ends = lambda value, *extents: self.add_weight(shape=extents, initializer=keras.initializers.Constant(value))
        self.ends = [ends(-1.0, 2), ends(1.5, 2), ends(-0.4), ends(0.5)]
        self.kernel = self.add_weight(shape=(2, 3))

    def call(self, x):
        low, high, least, most = self.ends
        x = tf.quantization.fake_quant_with_min_max_vars_per_channel(x, low, high, num_bits=4)
        y = tf.tensordot(x, tf.quantization.fake_quant_with_min_max_vars(self.kernel, least, most, num_bits=6), 1)
        return tf.quantization.fake_quant_with_min_max_args(y, -0.75, 1.0, num_bits=5)


class Resized(keras.layers.Layer):
    """Means of what resizing, a crop by a box that learns, and a dilation make of an image."""

    def build(self, shape):
        self.box = self.add_weight(shape=(1, 4), initializer=lambda *_, **__: tf.constant([[0.1, 0.2, 0.7, 0.9]]))
        self.filter = self.add_weight(shape=(2, 2, 3))

    def call(self, x):
        batch = tf.shape(x)[0]
        parts = [
            tf.image.resize(x, [7, 8], "bicubic"),
            tf.image.resize(x, [3, 4], "lanczos3", antialias=True),
            tf.image.crop_and_resize(x, tf.tile(tf.convert_to_tensor(self.box), [batch, 1]), tf.range(batch), [3, 2]),
            tf.nn.dilation2d(x, tf.convert_to_tensor(self.filter), [1, 1, 1, 1], "SAME", "NHWC", [1, 1, 1, 1]),
        ]
        return tf.concat([tf.reduce_mean(tf.square(part), [1, 2]) for part in parts], 1)

    def compute_output_shape(self, shape):
        return shape[0], 12


def adapted():
    """Layers of operators whose gradients TensorFlow writes as operators of their own."""
    keras.utils.set_random_seed(9)
    layers = [keras.Input((6, 5, 2), name="x"), Rounded(), Resized(), keras.layers.Dense(3, activation="softmax")]
    return keras.Sequential(layers)


class Unlikely(keras.layers.Layer):
    """How unlikely some labels are for the steps of a sequence, as one number."""

    def call(self, x):
        batch = tf.shape(x)[0]
        at = tf.reshape(tf.stack(tf.meshgrid(tf.range(batch), tf.range(3), indexing="ij"), -1), [-1, 2])
        labels = tf.SparseTensor(tf.cast(at, tf.int64), tf.tile([0, 2, 2], [batch]), tf.cast([batch, 3], tf.int64))
        return tf.compat.v1.nn.ctc_loss(labels, x, tf.fill([batch], 6), time_major=False)[:, None] / 4

    def compute_output_shape(self, shape):
        return shape[0], 1


def heard():
    keras.utils.set_random_seed(10)
    L = keras.layers
    return keras.Sequential([keras.Input((6, 4), name="x"), L.Dense(5), Unlikely(), L.Dense(3, activation="softmax")])


def saturated():
    """Activations of numbers whose exponentials overflow."""
    keras.utils.set_random_seed(11)
    L = keras.layers
    x = keras.Input((6,), name="x")
    y = L.Rescaling([1.0, 10.0, 100.0, 100.0, 1000.0, 1000.0])(L.Dense(6)(x))
    y = L.Concatenate()([L.Activation(name)(y) for name in ["sigmoid", "silu", "softplus", "mish", "elu", "selu"]])
    return keras.Model(x, L.Dense(3, activation="softmax")(L.Rescaling(0.001)(y)))


def train_frozen(net, optimizer, batches):
    """Steps of a network whose layers do what they do when they infer."""
    loss_of = keras.losses.SparseCategoricalCrossentropy()
    steps = []
    for x, target in batches:
        with tf.GradientTape() as tape:
            loss = loss_of(target, net(x, training=False))
        gradients = tape.gradient(loss, net.trainable_variables)
        gradients = [tf.convert_to_tensor(g) for g in gradients]
        optimizer.apply_gradients(zip(gradients, net.trainable_variables))
        steps.append({"loss": float(loss), "variables": [rounded(v.numpy()) for v in net.trainable_variables]})
    return steps


class Odd(tf.Module):
    """Signatures that cannot be trained, and why; and one that can."""

    def __init__(self):
        self.w = tf.Variable(tf.ones([3, 2]), name="w")
        self.fixed = tf.Variable(tf.ones([2]), trainable=False, name="fixed")
        self.count = tf.Variable(1, name="count")

    def signatures(self):
        def several(x):
            return {"y": x @ self.w, "z": x}

        def integers(x):
            return {"y": tf.argmax(x @ self.w, 1)}

        def nothing(x):
            return {"y": x * 2}

        def scalar(x):
            return {"y": tf.reduce_sum(x @ self.w)}

        def counts(x):
            self.count.assign_add(1)
            return {"y": x @ self.w}

        def data_end(x):
            y = x @ self.w
            while tf.reduce_sum(y) < 100.0:
                y *= 2.0
            return {"y": y}

        def data_size(x):
            y = x @ self.w
            return {"y": tf.boolean_mask(y, y[:, 0] > 0)}

        def train_step(x):
            return {"y": x @ self.w}

        def held(x):
            return {"y": tf.stop_gradient(x @ self.w) + x @ self.w + self.fixed}

        @tf.custom_gradient
        def doubled(x):
            return x * 2.0, lambda upstream: upstream * 7.0

        def own_gradient(x):
            return {"y": doubled(x @ self.w)}

        def own_gradient_in_a_branch(x):
            return {"y": tf.cond(tf.reduce_sum(x) > 0, lambda: doubled(x @ self.w), lambda: x @ self.w)}

        def own_gradient_aside(x):
            """No gradient passes it: nothing that learns comes before the one, and none comes to the other."""
            return {"y": doubled(x) @ self.w + tf.stop_gradient(doubled(x @ self.w))}

        def silu(x):
            return {"y": tf.nn.silu(x @ self.w)}

        def silu_of_factor(x):
            return {"y": tf.nn.silu(x @ self.w, 1.5)}

        spec = [tf.TensorSpec([None, 3], name="x")]
        functions = [several, integers, nothing, scalar, counts, data_end, data_size, train_step, held]
        functions += [own_gradient, own_gradient_in_a_branch, own_gradient_aside, silu, silu_of_factor]
        return {f.__name__: tf.function(f, input_signature=spec).get_concrete_function() for f in functions}


def version_1(folder):
    """A graph of TensorFlow 1, whose collection says what can be trained."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 3], "x")
        w = v1.get_variable("w", initializer=tf.ones([3, 2]))
        fixed = v1.get_variable("fixed", initializer=tf.ones([2]), trainable=False)
        y = tf.matmul(x, w) + fixed
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder), {"x": x}, {"y": y})


def penalised(batches):
    """Runs in which large weights cost."""
    runs = []
    for spec, penalties in PENALTIES.items():
        steps = train("softmax", keras.losses.SparseCategoricalCrossentropy(), K.Adam(0.02), batches[:4], penalties=penalties)
        runs.append({"model": "softmax", "loss": "sparse_categorical_crossentropy", "optimizer": "adam:lr=0.02",
                     "target": "classes", "weights": None, "l2": spec, "steps": steps})
    return runs


def norms(kit):
    """Batch norms of pictures and of rows, as Keras 3 or TF-Keras has them: the latter's first one is TensorFlow's one operator."""
    kit.utils.set_random_seed(9)
    L = kit.layers
    layers = [
        kit.Input((5, 4, 2), name="x"),
        L.Conv2D(3, 2, use_bias=False),
        L.BatchNormalization(momentum=0.9),
        L.Activation("relu"),
        L.Flatten(),
        L.Dense(5, use_bias=False),
        L.BatchNormalization(momentum=0.9, scale=False, epsilon=0.01),
        L.Dense(3, activation="softmax"),
    ]
    return kit.Sequential(layers)


def stored(net):
    """What a model stores, by key."""
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(net, folder)
        reader = tf.train.load_checkpoint(folder + "/variables/variables")
        floats = [key for key, dtype in reader.get_variable_to_dtype_map().items() if dtype == tf.float32]
        return {key: rounded(reader.get_tensor(key)) for key in sorted(floats) if "optimizer" not in key and "keras_api" not in key}


def normed(name, kit):
    """Three steps in which these learn. What is saved has never been compiled, and its keys are those of the layers."""
    rng = np.random.default_rng(17)
    given = [rng.normal(size=(4, 5, 4, 2)).astype(np.float32) for _ in range(3)]
    targets = [rng.integers(0, 3, 4) for _ in range(3)]
    net = norms(kit)
    tf.saved_model.save(net, str(HERE / name))
    learned = norms(kit)
    learned.compile(kit.optimizers.SGD(0.1), "sparse_categorical_crossentropy", jit_compile=False)
    steps = []
    for x, target in zip(given, targets):
        learned.reset_metrics()
        loss = float(np.ravel(learned.train_on_batch(x, target))[0])
        net.set_weights(learned.get_weights())
        steps.append({"loss": loss, "variables": stored(net)})
    classes = [[int(c) for c in target] for target in targets]
    return {"model": name, "x": [rounded(x) for x in given], "classes": classes, "steps": steps}


def main():
    rng = np.random.default_rng(3)
    xs = [rng.normal(size=(4, 6)).astype(np.float32) for _ in range(STEPS)]
    # A row of zeros meets the corner of relu, where biases are 0 at first.
    xs[0][0] = 0
    targets = {
        "classes": [rng.integers(0, 3, 4) for _ in range(STEPS)],
        "shares": [rng.dirichlet(np.ones(3), 4).astype(np.float32) for _ in range(STEPS)],
        "values": [rng.normal(size=(4, 3)).astype(np.float32) for _ in range(STEPS)],
    }
    weights = np.array([0.5, 2.0, 0.0, 1.5], np.float32)
    for old in HERE.iterdir():
        # These have scripts of their own.
        if old.is_dir() and old.name not in ("frozen", "heads"):
            shutil.rmtree(old)
    runs = []
    for activation in ["softmax", "sigmoid", "tanh", None]:
        model(activation).export(str(HERE / (activation or "linear")), verbose=False)
    for spec, make in OPTIMIZERS.items():
        batches = list(zip(xs, targets["classes"]))
        steps = train("softmax", keras.losses.SparseCategoricalCrossentropy(), make(), batches)
        runs.append({"model": "softmax", "loss": "sparse_categorical_crossentropy", "optimizer": spec,
                     "target": "classes", "weights": None, "steps": steps})
    for spec, (loss, target, activation) in LOSSES.items():
        for given in [None, weights]:
            batches = list(zip(xs, targets[target]))[:3]
            steps = train(activation, loss(), K.SGD(0.1), batches, given)
            runs.append({"model": activation or "linear", "loss": spec, "optimizer": "sgd:lr=0.1", "target": target,
                         "weights": None if given is None else rounded(given), "steps": steps})
    runs += penalised(list(zip(xs, targets["classes"])))
    odd = Odd()
    tf.saved_model.save(odd, str(HERE / "odd"), signatures=odd.signatures())
    version_1(HERE / "version_1")
    whole = []
    for make in [pictures, words, recurrent, adapted, heard, saturated]:
        name = make.__name__
        shape = make().input_shape[1:]
        draw = lambda: rng.integers(0, 11, (4, *shape)) if name in ("words", "recurrent") else rng.normal(size=(4, *shape)).astype(np.float32)
        given = [draw() for _ in range(3)]
        make().export(str(HERE / name), verbose=False)
        steps = train_frozen(make(), K.SGD(0.1), list(zip(given, targets["classes"])))
        whole.append({"model": name, "shape": [4, *shape], "x": [rounded(x) for x in given], "steps": steps})
    record = {
        "whole": whole,
        "x": [rounded(x) for x in xs],
        "classes": [[int(c) for c in t] for t in targets["classes"]],
        "shares": [rounded(t) for t in targets["shares"]],
        "values": [rounded(t) for t in targets["values"]],
        "runs": runs,
        "norms": [normed("norms", keras), normed("norms_fused", tf_keras)],
    }
    (HERE / "steps.json").write_text(json.dumps(record) + "\n")

    # It imports this.
    import fit

    fit.main()


if __name__ == "__main__":
    main()
