"""Recurrent networks and networks of attention, and the recurrent ones as ONNX graphs written by hand.

What converters make of a loop is slow everywhere. ONNX has nodes for a whole LSTM or GRU, which exporters of other frameworks
write, so onnxruntime and OpenVINO get those.
"""

import numpy as np

from subject import keras_model, network


class Graph:
    """An ONNX graph under construction: a chain of nodes with constants. `value` is the last result."""

    def __init__(self, shape, dtype):
        from onnx import TensorProto, helper

        self.nodes, self.constants, self.value = [], [], "x"
        kind = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32}[dtype]
        self.input = helper.make_tensor_value_info("x", kind, shape)

    def constant(self, array):
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, op, *operands, outputs=1, **attributes):
        from onnx import helper

        names = [f"{op}{len(self.nodes)}_{n}" for n in range(outputs)]
        self.nodes.append(helper.make_node(op, list(operands), names, **attributes))
        self.value = names[0]
        return names if outputs > 1 else names[0]

    def finish(self, shape):
        from onnx import TensorProto, helper

        self.nodes[-1].output[0] = "y"
        output = helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, "by_hand", [self.input], [output], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


# Keras orders an LSTM's gates input, forget, cell, output, and ONNX input, output, forget, cell; a GRU's are in one order.
GATES = {"lstm": [0, 3, 1, 2], "gru": [0, 1, 2]}


def recurrent_weights(kind, kernel, recurrent, bias):
    """Keras' weights as ONNX has them: W [gates * units, inputs], R [gates * units, units], B [2 * gates * units]."""
    order = GATES[kind]
    gates = lambda array: np.concatenate([np.split(array, len(order), -1)[n] for n in order], -1)
    biases = bias if kind == "gru" else np.stack([bias, np.zeros_like(bias)])
    return gates(kernel).T, gates(recurrent).T, gates(biases).reshape(-1)


def recurrent(name, title, kind, units, length, features=None, vocabulary=None, both=False, count=1, classes=0):
    """Declare layers of LSTM or GRU, one behind the other, over features or tokens, and two dense layers where there are
    `classes`."""
    shape = (length,) if vocabulary else (length, features)
    bounds, dtype = ((0, vocabulary), "int32") if vocabulary else ((-1.0, 1.0), "float32")

    def build():
        import keras
        from keras import layers as L

        x = inputs = keras.Input(shape, dtype=dtype)
        if vocabulary:
            x = L.Embedding(vocabulary, 64, name="embedding")(x)
        for n in range(count):
            layer = {"lstm": L.LSTM, "gru": L.GRU}[kind](units, return_sequences=n + 1 < count, name=f"layer{n}")
            x = L.Bidirectional(layer, name=f"layer{n}")(x) if both else layer(x)
        if classes:
            x = L.Dense(32, activation="relu", name="hidden")(x)
            x = L.Dense(classes, activation="softmax", name="classes")(x)
        return keras.Model(inputs, x)

    def node(weights, batch):
        graph = Graph((batch, *shape), dtype)
        if vocabulary:
            graph.add("Gather", graph.constant(weights["embedding/embeddings"]), graph.value)
        graph.add("Transpose", graph.value, perm=[1, 0, 2])
        directions = ("forward", "backward") if both else ("",)
        for n in range(count):
            parts = []
            for way in directions:
                within = f"layer{n}/{way}_layer{n}" if way else f"layer{n}"
                cell = f"{within}/{kind}_cell"
                parts.append(recurrent_weights(kind, *(weights[f"{cell}/{w}"] for w in ("kernel", "recurrent_kernel", "bias"))))
            w, r, b = (graph.constant(np.stack(part)) for part in zip(*parts))
            attributes = {"hidden_size": units, "direction": "bidirectional" if both else "forward"}
            attributes |= {"linear_before_reset": 1} if kind == "gru" else {}
            results = graph.add(kind.upper(), graph.value, w, r, b, outputs=2, **attributes)
            if n + 1 < count:
                # [length, directions, batch, units] to [length, batch, directions * units].
                graph.add("Transpose", results[0], perm=[0, 2, 1, 3])
                graph.add("Reshape", graph.value, graph.constant(np.array([length, batch, -1], np.int64)))
            else:
                graph.add("Transpose", results[1], perm=[1, 0, 2])
                graph.add("Reshape", graph.value, graph.constant(np.array([batch, -1], np.int64)))
        if classes:
            for layer, after in (("hidden", "Relu"), ("classes", "Softmax")):
                graph.add("Gemm", graph.value, graph.constant(weights[f"{layer}/kernel"]), graph.constant(weights[f"{layer}/bias"]))
                graph.add(after, graph.value)
        return graph.finish((batch, classes or units * len(directions)))

    keras_model(name, title, shape, bounds, build, family="recurrent", dtype=dtype, node=node)


recurrent("lstm_text", "LSTM 64 over 80 tokens", "lstm", 64, 80, vocabulary=10000, classes=2)
recurrent("gru_text", "GRU 64 over 64 tokens", "gru", 64, 64, vocabulary=5000, classes=2)
recurrent("bilstm_text", "bidirectional LSTM 64 over 64 tokens", "lstm", 64, 64, vocabulary=5000, both=True, classes=2)
recurrent("lstm_256", "LSTM 256 over 100 steps", "lstm", 256, 100, features=256)
recurrent("lstm_512", "LSTM 512 over 100 steps", "lstm", 512, 100, features=512)
recurrent("gru_128", "GRU 128 over 100 steps", "gru", 128, 100, features=128)
recurrent("bilstm_128", "bidirectional LSTM 128 over 100 steps", "lstm", 128, 100, features=128, both=True)
recurrent("lstm_stacked", "2 LSTM 128 over 100 steps", "lstm", 128, 100, features=128, count=2)


@network("ConvLSTM2D 8, 8 frames of 16x16x3", (8, 16, 16, 3), (-1.0, 1.0), family="recurrent")
def conv_lstm():
    import keras
    from keras import layers as L

    x = inputs = keras.Input((8, 16, 16, 3))
    x = L.ConvLSTM2D(8, 3, padding="same")(x)
    return keras.Model(inputs, L.Dense(4)(L.Flatten()(x)))


@network("one step of LSTM 128, state in and out", (384,), (-1.0, 1.0), family="recurrent")
def lstm_step():
    import keras
    from keras import layers as L

    inputs = keras.Input((384,))
    x, h, c = (inputs[:, at : at + 128] for at in (0, 128, 256))
    _, (h, c) = L.LSTMCell(128)(x, [h, c])
    return keras.Model(inputs, L.Concatenate()([h, c]))


@network("seq2seq with two attentions, LSTM 32, 12 and 7 tokens", (19,), (0, 200), dtype="int32", family="recurrent")
def seq2seq():
    import keras
    from keras import layers as L

    inputs = keras.Input((19,), dtype="int32")
    embed = L.Embedding(200, 32)
    source, h, c = L.LSTM(32, return_sequences=True, return_state=True)(embed(inputs[:, :12]))
    target = L.LSTM(32, return_sequences=True)(embed(inputs[:, 12:]), initial_state=[h, c])
    context = L.Concatenate()([target, L.Attention()([target, source]), L.AdditiveAttention()([target, source])])
    return keras.Model(inputs, L.Dense(200, activation="softmax")(context))


def attention(x, heads, before=False):
    """Attention of a sequence to itself and two dense layers, each with its sum and layer norm."""
    from keras import layers as L

    width = x.shape[-1]
    norm = lambda x: L.LayerNormalization(epsilon=1e-6)(x)
    y = norm(x) if before else x
    x = L.Add()([x, L.MultiHeadAttention(heads, width // heads)(y, y)])
    x = x if before else norm(x)
    y = norm(x) if before else x
    x = L.Add()([x, L.Dense(width)(L.Dense(4 * width, activation="gelu")(y))])
    return x if before else norm(x)


@network("transformer encoder, 2 layers of 128, length 64", (64, 128), (-1.0, 1.0), family="attention")
def transformer():
    import keras
    from keras import layers as L

    x = inputs = keras.Input((64, 128))
    for _ in range(2):
        x = attention(x, 4)
    return keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling1D()(x)))


@network("MultiHeadAttention 4x32, length 64", (64, 128), (-1.0, 1.0), family="attention")
def multi_head_attention():
    import keras
    from keras import layers as L

    inputs = keras.Input((64, 128))
    return keras.Model(inputs, L.MultiHeadAttention(4, 32)(inputs, inputs))


def bert(name, layers, width, heads):
    def with_length(length):
        def build():
            import keras
            from keras import layers as L

            inputs = keras.Input((length,), dtype="int32")
            x = L.Embedding(30522, width)(inputs) + L.Embedding(512, width)(keras.ops.arange(length))
            x = L.LayerNormalization(epsilon=1e-6)(x)
            for _ in range(layers):
                x = attention(x, heads)
            return keras.Model(inputs, L.Dense(width, activation="tanh")(x[:, 0]))

        title = f"BERT {name}, {layers} layers of {width}, length {length}"
        keras_model(f"bert_{name}_{length}", title, (length,), (0, 30522), build, family="attention", dtype="int32")

    for length in (32, 128, 384):
        with_length(length)


bert("tiny", 2, 128, 2)
bert("mini", 4, 256, 4)
bert("small", 4, 512, 8)


@network("ViT tiny, 224x224", (224, 224, 3), (-1.0, 1.0), family="attention")
def vit_tiny():
    import keras
    from keras import layers as L

    inputs = keras.Input((224, 224, 3))
    x = L.Reshape((196, 192))(L.Conv2D(192, 16, strides=16)(inputs))
    x = x + L.Embedding(196, 192)(keras.ops.arange(196))
    for _ in range(12):
        x = attention(x, 3, before=True)
    return keras.Model(inputs, L.Dense(1000)(L.GlobalAveragePooling1D()(L.LayerNormalization(epsilon=1e-6)(x))))


@network("one step of a decoder, 4 layers of 256, 256 cached", (256 + 4 * 2 * 256 * 256,), (-1.0, 1.0), family="attention")
def decoder_step():
    import keras
    from keras import layers as L

    width, heads, cached = 256, 4, 256
    inputs = keras.Input((width + 4 * 2 * cached * width,))
    x = inputs[:, :width]
    caches = L.Reshape((8, heads, cached, width // heads))(inputs[:, width:])
    norm = lambda x: L.LayerNormalization(epsilon=1e-6)(x)
    made = []
    for layer in range(4):
        y = norm(x)
        query, key, value = (L.Reshape((heads, 1, width // heads))(L.Dense(width)(y)) for _ in range(3))
        keys = L.Concatenate(axis=2)([caches[:, 2 * layer], key])
        values = L.Concatenate(axis=2)([caches[:, 2 * layer + 1], value])
        scores = keras.ops.matmul(query, keras.ops.swapaxes(keys, -1, -2)) / 8.0
        y = keras.ops.matmul(keras.ops.softmax(scores), values)
        x = x + L.Dense(width)(L.Reshape((width,))(y))
        x = x + L.Dense(width)(L.Dense(4 * width, activation="gelu")(norm(x)))
        made += [L.Reshape((width,))(key), L.Reshape((width,))(value)]
    return keras.Model(inputs, L.Concatenate()([norm(x), *made]))
