"""Recurrent layers of Keras 3 and of tf_keras, each with its options: every output of a model is one layer."""

from .spec import model

KINDS = ("LSTM", "GRU", "SimpleRNN")


def keras3():
    import keras

    return keras


def keras2():
    import tf_keras

    return tf_keras


def outputs(keras, inputs, made):
    """A model of many outputs; what returns several values gives as many."""
    named = {}
    for number, results in enumerate(made):
        for part, result in enumerate(results if isinstance(results, (list, tuple)) else [results]):
            named[f"layer_{number:02}_{part}"] = result
    return keras.Model(inputs, named)


def options(keras, kind):
    """One layer for each option, of sequences of 5 features."""
    L = keras.layers
    layer = getattr(L, kind)
    x = L.Input((None, 5), name="x")
    state = L.Input((4,), name="state")
    states = [state, state * 0.5] if kind == "LSTM" else [state]
    made = [
        layer(4)(x),
        layer(4, return_sequences=True)(x),
        layer(4, return_state=True)(x),
        layer(4, return_sequences=True, return_state=True, go_backwards=True)(x),
        layer(4, use_bias=False)(x),
        layer(4, activation="relu", return_sequences=True)(x),
        layer(4, go_backwards=True)(x),
        layer(4, return_sequences=True)(x, initial_state=states),
        layer(3, return_sequences=True)(layer(4, return_sequences=True)(x)),
        L.Dense(3)(layer(4, return_sequences=True)(x)),
        layer(4, return_sequences=True)(L.Masking(0.0)(x * L.ReLU()(x[:, :, :1]))),
        layer(17)(x),
        layer(1, return_sequences=True)(x),
    ]
    if keras.__name__ == "tf_keras":
        # Keras 3 keeps a generator for dropout outside of what it saves, and fails on it itself.
        made += [layer(4, dropout=0.3, recurrent_dropout=0.3)(x), layer(4, time_major=True)(L.Permute((1, 2))(x))]
    if kind != "SimpleRNN":
        made += [
            layer(4, recurrent_activation="hard_sigmoid", return_sequences=True)(x),
            layer(4, recurrent_activation="tanh", activation="sigmoid")(x),
        ]
    if kind == "LSTM":
        made.append(layer(4, unit_forget_bias=False)(x))
    if kind == "GRU":
        made += [layer(4, reset_after=False)(x), layer(4, reset_after=False, return_sequences=True, go_backwards=True)(x)]
    return outputs(keras, [x, state], made)


def fixed(keras, kind):
    """A length that is known, by loops and unrolled."""
    L = keras.layers
    layer = getattr(L, kind)
    x = L.Input((4, 3), name="x")
    made = [
        layer(4, unroll=True)(x),
        layer(4, unroll=True, return_sequences=True, go_backwards=True)(x),
        layer(4, return_sequences=True)(x),
        layer(4)(x[:, :1]),
    ]
    return outputs(keras, [x], made)


def both_ways(keras, kind):
    """Bidirectional layers, all ways to merge."""
    L = keras.layers
    layer = getattr(L, kind)
    x = L.Input((None, 5), name="x")
    made = [L.Bidirectional(layer(9), merge_mode=mode)(x) for mode in ("concat", "sum", "mul", "ave")]
    made += [L.Bidirectional(layer(9, return_sequences=True), merge_mode=mode)(x) for mode in ("concat", "sum", None)]
    made.append(L.Bidirectional(layer(4, return_state=True))(x))
    made.append(L.Bidirectional(layer(4), backward_layer=layer(3, go_backwards=True))(x))
    made.append(L.Bidirectional(layer(4))(L.Bidirectional(layer(3, return_sequences=True))(x)))
    return outputs(keras, [x], made)


def words(keras, kind):
    """Tokens of which 0 is no word."""
    L = keras.layers
    layer = getattr(L, kind)
    x = L.Input((None,), dtype="int32", name="words")
    embedded = L.Embedding(9, 5, mask_zero=True)(x)
    made = [
        layer(4)(embedded),
        layer(4, return_sequences=True)(embedded),
        layer(4, return_sequences=True, go_backwards=True)(embedded),
        L.Bidirectional(layer(4))(embedded),
        layer(3)(layer(4, return_sequences=True)(embedded)),
    ]
    return outputs(keras, [x], made)


def cells(keras):
    L = keras.layers
    x = L.Input((None, 5), name="x")
    made = [
        L.RNN([L.LSTMCell(4), L.GRUCell(3), L.SimpleRNNCell(2)])(x),
        L.RNN(L.StackedRNNCells([L.LSTMCell(4), L.LSTMCell(4)]), return_sequences=True)(x),
        L.RNN(L.GRUCell(4), return_state=True)(x),
        L.Bidirectional(L.RNN(L.SimpleRNNCell(4), return_sequences=True))(x),
    ]
    return outputs(keras, [x], made)


def convolutional(keras):
    L = keras.layers
    line, plane, space = L.Input((3, 8, 2), name="line"), L.Input((3, 6, 5, 2), name="plane"), L.Input((2, 4, 4, 3, 1), name="space")
    made = [
        L.ConvLSTM1D(3, 3, padding="same", return_sequences=True)(line),
        L.ConvLSTM1D(3, 2, strides=2)(line),
        L.ConvLSTM2D(3, 3, padding="same")(plane),
        L.ConvLSTM2D(2, (2, 3), return_sequences=True, return_state=True)(plane),
        L.ConvLSTM2D(2, 3, padding="same", dilation_rate=2, go_backwards=True)(plane),
        L.ConvLSTM2D(2, 3, padding="same", recurrent_activation="hard_sigmoid", use_bias=False)(plane),
        L.ConvLSTM3D(2, 2, padding="same")(space),
        L.Bidirectional(L.ConvLSTM2D(2, 3, padding="same"))(plane),
    ]
    return outputs(keras, [line, plane, space], made)


for prefix, keras, routes in (("keras3", keras3, ("saved_model", "export")), ("keras2", keras2, ("legacy",))):
    for kind in KINDS:
        of = kind.lower()
        # Keras 2 takes minutes to save so many layers of two directions in one model; its tokens and cells have some.
        for build in (options, fixed, both_ways) if prefix == "keras3" else (options, fixed):
            # The second route writes the same graph; one of each kind does.
            chosen = routes if build is options else routes[:1]
            model(f"{prefix}_{of}_{build.__name__}", *chosen)(lambda b=build, k=keras, kind=kind: b(k(), kind))
        model(f"{prefix}_{of}_words", routes[0], feeds={"": (0, 9)})(lambda k=keras, kind=kind: words(k(), kind))
    model(f"{prefix}_cells", routes[0])(lambda k=keras: cells(k()))
    model(f"{prefix}_conv_lstm", routes[0], batches=(1, 3))(lambda k=keras: convolutional(k()))
