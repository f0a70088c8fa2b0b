"""Signatures that train: a tape's gradients and a step of an optimiser, called ten times in order. Each call gives the loss and all
variables behind the step, of the model, of the optimiser and of what the step keeps beside them."""

import functools

import numpy as np
import tensorflow as tf

from .programs import F32, I32, ints, numbers
from .spec import model

v1 = tf.compat.v1
STEPS = 10


def seen(variables):
    return {f"v{n:02}": v.read_value() for n, v in enumerate(variables)}


def variables_of(tracked):
    """The variables of a Keras object of either version, as TensorFlow's."""
    found = tracked.variables
    found = found() if callable(found) else found
    return [getattr(v, "_value", None) if not isinstance(v, tf.Variable) else v for v in found]


def lesson(name, build, *inputs):
    """A module whose `train` takes inputs of these specs, a type and a shape; `build` gives the step and the variables."""

    def made():
        module = tf.Module()
        step, variables, module.kept = build()

        def train(*given):
            outputs = step(*given)
            return {**outputs, **seen(variables)}

        specs = [tf.TensorSpec([None, *shape], dtype, f"x{n}") for n, (dtype, shape) in enumerate(inputs)]
        return module, {"train": tf.function(train, input_signature=specs)}

    def feed(dtype, shape, seed):
        rows = 3 + seed % 3
        return ints(rows, *shape, low=0, high=7, seed=seed) if dtype == I32 else numbers(rows, *shape, seed=seed)

    calls = tuple(("train", {f"x{n}": feed(dtype, shape, s) for n, (dtype, shape) in enumerate(inputs)}) for s in range(STEPS))
    model(f"train_{name}", "module", calls=calls, state=True, file=__file__)(made)


REGRESSION = ((F32, (4,)), (F32, (1,)))


def keras_of(version):
    import keras
    import tf_keras

    return keras if version == "k3" else tf_keras


def network(keras, *layers, shape=(4,), dtype="float32"):
    keras.utils.set_random_seed(3)
    x = keras.Input(shape, dtype=dtype)
    y = x
    for layer in layers:
        y = layer(y)
    return keras.Model(x, y)


def mlp(keras):
    return network(keras, keras.layers.Dense(5, "tanh"), keras.layers.Dense(1))


def mean_square(keras, y, target):
    return tf.reduce_mean(tf.square(y - target))


def keras_step(version, optimiser, build=mlp, loss=mean_square):
    """The step, the variables and what the module has to hold, of a model of Keras."""
    keras = keras_of(version)
    net = build(keras)
    tool = optimiser(keras)
    trained = net.trainable_variables
    tool.build(trained) if hasattr(tool, "build") else tool._create_all_weights(trained)

    def step(x, target):
        with tf.GradientTape() as tape:
            value = loss(keras, net(x, training=True), target)
            value += sum(net.losses)
        tool.apply_gradients(zip(tape.gradient(value, trained), trained))
        return {"loss": value}

    own = {id(v): v for v in [*variables_of(net), *variables_of(tool), *hidden(tool)]}
    # The older optimisers hold their variables in a way that allows no second one.
    return step, list(own.values()), [net, tool, *([] if version == "old" else own.values())]


def hidden(tool):
    """Variables that an optimiser does not list."""
    return [v for v in vars(tool).values() if isinstance(v, tf.Variable)]


# By version of Keras, the optimisers and arguments.
BOTH = {
    "sgd": ("SGD", dict(learning_rate=0.1)), "momentum": ("SGD", dict(learning_rate=0.1, momentum=0.9)),
    "nesterov": ("SGD", dict(learning_rate=0.1, momentum=0.9, nesterov=True)),
    "rmsprop": ("RMSprop", {}), "rmsprop_centred": ("RMSprop", dict(centered=True, momentum=0.9, epsilon=1e-3)),
    "adagrad": ("Adagrad", dict(learning_rate=0.1)), "adadelta": ("Adadelta", dict(learning_rate=0.5, epsilon=1e-3)),
    "adam": ("Adam", dict(learning_rate=0.01)), "amsgrad": ("Adam", dict(learning_rate=0.01, amsgrad=True)),
    "adamax": ("Adamax", dict(learning_rate=0.01)), "ftrl": ("Ftrl", dict(learning_rate=0.1)),
    "ftrl_shrinking": ("Ftrl", dict(learning_rate=0.1, l1_regularization_strength=0.01, l2_shrinkage_regularization_strength=0.1)),
    "clip_norm": ("Adam", dict(learning_rate=0.01, clipnorm=0.1)), "clip_value": ("Adam", dict(learning_rate=0.01, clipvalue=0.05)),
}  # fmt: skip
NEWER = {
    "adamw": ("AdamW", dict(learning_rate=0.01, weight_decay=0.05)), "lion": ("Lion", dict(learning_rate=0.01)),
    "adafactor": ("Adafactor", dict(learning_rate=0.01)), "ema": ("SGD", dict(learning_rate=0.1, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3)),
    "clip_global": ("Adam", dict(learning_rate=0.01, global_clipnorm=0.1)), "decay": ("SGD", dict(learning_rate=0.1, momentum=0.9, weight_decay=0.01)),
}  # fmt: skip
K3 = {
    "lamb": ("Lamb", dict(learning_rate=0.01)), "accumulated": ("Adam", dict(learning_rate=0.01, gradient_accumulation_steps=3)),
    "nadam": ("Nadam", dict(learning_rate=0.01)),
}  # fmt: skip


def chosen(version, kind, arguments):
    """An optimiser of Keras 3, of Keras 2, or of the older ones of Keras 2."""

    def build(keras):
        package = keras.optimizers.legacy if version == "old" else keras.optimizers
        return getattr(package, kind)(**arguments)

    return build


for version, tables in {"k3": (BOTH, NEWER, K3), "k2": (BOTH, NEWER), "old": (BOTH, {"nadam": ("Nadam", dict(learning_rate=0.01))})}.items():
    for table in tables:
        for name, (kind, arguments) in table.items():
            lesson(f"{version}_{name}", functools.partial(keras_step, version, chosen(version, kind, arguments)), *REGRESSION)


def scheduled(version):
    keras = keras_of(version)
    S = keras.optimizers.schedules
    return {
        "exponential": lambda: S.ExponentialDecay(0.1, 3, 0.5), "cosine": lambda: S.CosineDecay(0.0, 6, warmup_target=0.1, warmup_steps=3),
        "pieces": lambda: S.PiecewiseConstantDecay([2, 5], [0.1, 0.05, 0.01]), "polynomial": lambda: S.PolynomialDecay(0.1, 5, cycle=True),
        "inverse_time": lambda: S.InverseTimeDecay(0.1, 2, 0.5, staircase=True), "restarts": lambda: S.CosineDecayRestarts(0.1, 3),
    }  # fmt: skip


for version in ("k3", "k2"):
    for name in ("exponential", "cosine", "pieces", "polynomial", "inverse_time", "restarts"):

        def optimiser(keras, version=version, name=name):
            return keras.optimizers.SGD(scheduled(version)[name](), momentum=0.9)

        lesson(f"{version}_rate_{name}", functools.partial(keras_step, version, optimiser), *REGRESSION)


# What else a step holds.


def embedded(keras):
    """Gradients of rows of a table, of which some come several times."""
    L = keras.layers
    return network(keras, L.Embedding(7, 4), L.Flatten(), L.Dense(1), shape=(4,), dtype="int32")


TABLE = ((I32, (4,)), (F32, (1,)))
for version in ("k3", "k2", "old"):
    for name in ("sgd", "momentum", "rmsprop", "adagrad", "adam", "adamax", "ftrl"):
        # Keras 3 finds common rows by branches whose results have as many rows as data say.
        if version != "k3" or name not in ("rmsprop", "adagrad"):
            lesson(f"{version}_{name}_rows", functools.partial(keras_step, version, chosen(version, *BOTH[name]), embedded), *TABLE)

# A bias in front of a batch norm has a gradient of rounding errors alone, which Adam makes steps of.
LAYERS = {
    "batch_norm": lambda L: [L.Dense(5, use_bias=False), L.BatchNormalization(momentum=0.8), L.ReLU(), L.Dense(1)],
    "layer_norm": lambda L: [L.Dense(5), L.LayerNormalization(), L.Activation("gelu"), L.Dense(1)],
    "dropout": lambda L: [L.Dense(5, "relu"), L.Dropout(0.4, seed=3), L.Dense(1)],
    "regularised": lambda L: [L.Dense(5, "swish", kernel_regularizer="l2"), L.Dense(1, kernel_constraint="max_norm")],
    "convolution": lambda L: [L.Reshape((2, 2, 1)), L.Conv2D(3, 2, padding="same", activation="elu"), L.DepthwiseConv2D(2), L.Flatten(), L.Dense(1)],
    "unrolled": lambda L: [L.Reshape((2, 2)), L.LSTM(3, unroll=True), L.Dense(1)],
}  # fmt: skip


def layered(layers):
    return lambda keras: network(keras, *layers(keras.layers))


for version in ("k3", "k2"):
    for name, layers in LAYERS.items():
        # Keras 2 normalises layers by a batch norm, whose gradient is an operator of its own.
        if (version, name) != ("k2", "layer_norm"):
            lesson(f"{version}_{name}", functools.partial(keras_step, version, chosen(version, "Adam", dict(learning_rate=0.01)), layered(layers)), *REGRESSION)


def classes(keras, y, target):
    label = tf.cast(tf.clip_by_value(tf.abs(target[:, 0]) * 2, 0, 2), I32)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)(label, y)


for version in ("k3", "k2"):
    net = layered(lambda L: [L.Dense(5, "relu"), L.Dense(3)])
    lesson(f"{version}_classes", functools.partial(keras_step, version, chosen(version, "Adam", dict(learning_rate=0.01)), net, classes), *REGRESSION)


def scaled(keras):
    """Small gradients are scaled up, by more where all of them stay finite."""
    inner = keras.optimizers.Adam(0.01)
    return keras.optimizers.LossScaleOptimizer(inner, initial_scale=8.0, dynamic_growth_steps=3)


lesson("k3_loss_scale", functools.partial(keras_step, "k3", scaled), *REGRESSION)


def by_hand():
    """Without Keras: gradients that are cut by their common norm and gathered over two steps, and averages of the weights."""
    weights = [tf.Variable(numbers(4, 5) * 0.5), tf.Variable(tf.zeros([5])), tf.Variable(numbers(5, 1))]
    gathered = [tf.Variable(tf.zeros_like(w)) for w in weights]
    averages, count = [tf.Variable(w) for w in weights], tf.Variable(0, dtype=tf.int64)

    def step(x, target):
        with tf.GradientTape() as tape:
            loss = mean_square(None, tf.nn.softplus(x @ weights[0] + weights[1]) @ weights[2], target)
        found, norm = tf.clip_by_global_norm(tape.gradient(loss, weights), 0.5)
        count.assign_add(1)
        for sum_of, g in zip(gathered, found):
            sum_of.assign_add(g / 2.0)
        if count % 2 == 0:
            for w, sum_of, average in zip(weights, gathered, averages):
                w.assign_sub(0.1 * sum_of)
                sum_of.assign(tf.zeros_like(sum_of))
                average.assign(average * 0.9 + w * 0.1)
        return {"loss": loss, "norm": norm}

    kept = [*weights, *gathered, *averages, count]
    return step, kept, kept


lesson("by_hand", by_hand, *REGRESSION)


def plain_step(weights, loss_of):
    """A step of plain descent along a loss."""

    def step(*given):
        with tf.GradientTape() as tape:
            loss = loss_of(*given)
        for w, g in zip(weights, tape.gradient(loss, weights)):
            w.assign_sub(0.05 * g)
        return {"loss": loss}

    return step, weights, weights


def recognised(second):
    """Sequences of labels that a frame-by-frame classifier should read; the blank is the last class, or the first."""
    weights = [tf.Variable(numbers(4, 5) * 0.5), tf.Variable(numbers(5, seed=1))]

    def loss(x, labels):
        labels = labels % 4 + (1 if second else 0)
        at = tf.where(labels >= 0)
        sparse = tf.SparseTensor(at, tf.gather_nd(labels, at), tf.shape(labels, tf.int64))
        logits, lengths = tf.tensordot(x, weights[0], 1) + weights[1], tf.fill([tf.shape(x)[0]], 6)
        if second:
            return tf.reduce_mean(tf.nn.ctc_loss(sparse, logits, None, lengths, logits_time_major=False, blank_index=0))
        return tf.reduce_mean(v1.nn.ctc_loss(sparse, logits, lengths, time_major=False, ctc_merge_repeated=False))

    return plain_step(weights, loss)


for name, second in (("ctc", False), ("ctc_second", True)):
    lesson(name, functools.partial(recognised, second), (F32, (6, 4)), (I32, (3,)))


def lstm_block(op):
    """An LSTM that is one operator, over an open number of sequences."""
    w, b, peepholes = tf.Variable(numbers(5, 8) * 0.5), tf.Variable(tf.zeros([8])), [tf.Variable(numbers(2, seed=n) * 0.5) for n in range(3)]

    def loss(x):
        x, state = tf.transpose(x, [1, 0, 2]), tf.zeros([tf.shape(x)[0], 2])
        attrs = {"forget_bias": 1.0} if op == "BlockLSTM" else {}
        wci, wcf, wco = peepholes
        h = getattr(tf.raw_ops, op)(seq_len_max=tf.shape(x, tf.int64)[0], x=x, cs_prev=state, h_prev=state, w=w, wci=wci, wcf=wcf, wco=wco, b=b, use_peephole=True, **attrs).h
        return tf.reduce_mean(tf.square(h - 0.25))

    return plain_step([w, b, *peepholes], loss)


for op in ("BlockLSTM", "BlockLSTMV2"):
    lesson(op.lower(), functools.partial(lstm_block, op), (F32, (5, 3)))


def quantised():
    """Training that knows of the quantisation to come: weights by channel, activations by ranges that are learned."""
    w, low, high = tf.Variable(numbers(4, 3)), tf.Variable(-1.0), tf.Variable(1.5)
    lows, highs = tf.Variable([-1.0, -0.5, -2.0]), tf.Variable([1.0, 2.0, 0.5])

    def loss(x, target):
        x = tf.quantization.fake_quant_with_min_max_args(x, -2.0, 2.0, num_bits=4)
        y = x @ tf.quantization.fake_quant_with_min_max_vars_per_channel(w, lows, highs, narrow_range=True)
        y = tf.quantization.fake_quant_with_min_max_vars(y, low, high, num_bits=6)
        return tf.reduce_mean(tf.square(y - target))

    return plain_step([w, low, high, lows, highs], loss)


lesson("quantised", quantised, *REGRESSION)


def resized():
    """Images made larger and smaller, cut out by boxes that are learned, and dilated."""
    w, filters, boxes = tf.Variable(numbers(1, 1, 2, 2)), tf.Variable(numbers(2, 2, 2) * 0.25), tf.Variable([[0.1, 0.2, 0.7, 0.9]])

    def loss(x):
        x = tf.nn.conv2d(x, w, 1, "VALID")
        large, small = tf.image.resize(x, [7, 6], "bicubic"), tf.image.resize(x, [2, 3], "lanczos3", antialias=True)
        batch = tf.shape(x)[0]
        crop = tf.image.crop_and_resize(x, tf.tile(boxes, [batch, 1]), tf.range(batch), [3, 3])
        wide = tf.nn.dilation2d(x, filters, [1, 1, 1, 1], "SAME", "NHWC", [1, 1, 1, 1])
        return sum(tf.reduce_mean(tf.square(part - 0.5)) for part in (large, small, crop, wide))

    return plain_step([w, filters, boxes], loss)


lesson("resized", resized, (F32, (4, 5, 2)))


def measured():
    """Metrics of Keras 3 that the step updates."""
    import keras

    step, variables, kept = keras_step("k3", chosen("k3", "SGD", dict(learning_rate=0.1)))
    metrics = [keras.metrics.Mean(name="mean"), keras.metrics.MeanAbsoluteError(name="error"), keras.metrics.RootMeanSquaredError(name="root")]
    own = [v._value for metric in metrics for v in metric.variables]

    def train(x, target):
        outputs = step(x, target)
        y = kept[0](x)
        metrics[0].update_state(outputs["loss"])
        for metric in metrics[1:]:
            metric.update_state(target, y)
        return {**outputs, **{metric.name: metric.result() for metric in metrics}}

    return train, [*variables, *own], [*kept, *own]


lesson("k3_metrics", measured, *REGRESSION)


# TensorFlow 1: the optimisers of tf.compat.v1.train, on variables of both kinds.

V1 = {
    "sgd": lambda: v1.train.GradientDescentOptimizer(0.1), "momentum": lambda: v1.train.MomentumOptimizer(0.1, 0.9),
    "nesterov": lambda: v1.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True), "rmsprop": lambda: v1.train.RMSPropOptimizer(0.01, momentum=0.5),
    "rmsprop_centred": lambda: v1.train.RMSPropOptimizer(0.01, centered=True, epsilon=1e-3), "adagrad": lambda: v1.train.AdagradOptimizer(0.1),
    "adagrad_da": lambda: v1.train.AdagradDAOptimizer(0.1, v1.train.get_or_create_global_step(), l1_regularization_strength=0.01),
    "adadelta": lambda: v1.train.AdadeltaOptimizer(0.5, epsilon=1e-3), "adam": lambda: v1.train.AdamOptimizer(0.01), "ftrl": lambda: v1.train.FtrlOptimizer(0.1, l2_shrinkage_regularization_strength=0.1),
    "proximal_sgd": lambda: v1.train.ProximalGradientDescentOptimizer(0.1, 0.01, 0.02), "proximal_adagrad": lambda: v1.train.ProximalAdagradOptimizer(0.1, 0.1, 0.01, 0.02),
}  # fmt: skip


def graph_lesson(name, optimiser, resource, embedded):
    def build():
        x, target = v1.placeholder(I32 if embedded else F32, [None, 4], "x"), v1.placeholder(F32, [None, 1], "y")
        variable = lambda name, *shape: v1.get_variable(name, initializer=np.random.default_rng(len(name)).normal(0, 0.5, shape).astype(np.float32), use_resource=resource)
        y = tf.reduce_mean(tf.nn.embedding_lookup(variable("table", 7, 4), x), 1) if embedded else x
        y = tf.matmul(tf.tanh(tf.matmul(y, variable("hidden", 4, 5))), variable("out", 5, 1))
        loss = tf.reduce_mean(tf.square(y - target))
        step = optimiser().minimize(loss, v1.train.get_or_create_global_step())
        kept = sorted(v1.global_variables(), key=lambda v: v.name)
        with tf.control_dependencies([step]):
            return {"train": ({"x": x, "y": target}, {"done": tf.constant(True), **seen(kept)})}

    feed = (lambda s: ints(3 + s % 3, 4, low=0, high=7, seed=s)) if embedded else (lambda s: numbers(3 + s % 3, 4, seed=s))
    calls = tuple(("train", {"x": feed(s), "y": numbers(3 + s % 3, 1, seed=s)}) for s in range(STEPS))
    model(f"train_v1_{name}", "builder", calls=calls, state=True, file=__file__)(build)


for name, optimiser in V1.items():
    graph_lesson(name, optimiser, name in ("adam", "ftrl"), False)
    graph_lesson(f"{name}_rows", optimiser, name not in ("adam", "ftrl"), True)
