"""The networks of `training.py` in PyTorch, with Keras' weights: for each a function of the input and the parameters that learn.

Convolutions have their channels last in memory, as the input has, which PyTorch too is faster with on processors.
"""

import torch
from torch.nn import functional as F


def parameter(array):
    return torch.nn.Parameter(torch.from_numpy(array).clone())


class Weights:
    """Keras' weights by their paths, made parameters as they are asked for, in PyTorch's order of axes."""

    def __init__(self, arrays):
        self.arrays, self.learned = arrays, []

    def plain(self, path):
        self.learned.append(parameter(self.arrays[path]))
        return self.learned[-1]

    def matrix(self, path, rows):
        """Of `rows` inputs: [outputs, rows]."""
        array = self.arrays[path]
        self.learned.append(parameter(array.reshape(rows, -1).T.copy()))
        return self.learned[-1]

    def vector(self, path):
        self.learned.append(parameter(self.arrays[path].reshape(-1)))
        return self.learned[-1]

    def dense(self, layer, rows=None):
        kernel, bias = f"{layer}/kernel", f"{layer}/bias"
        w, b = self.matrix(kernel, rows or self.arrays[kernel].shape[0]), self.vector(bias)
        return lambda x: F.linear(x, w, b)

    def convolution(self, layer):
        kernel = torch.from_numpy(self.arrays[f"{layer}/kernel"].transpose(3, 2, 0, 1).copy())
        w = torch.nn.Parameter(kernel.contiguous(memory_format=torch.channels_last))
        self.learned.append(w)
        b = self.vector(f"{layer}/bias")
        return lambda x: F.conv2d(x, w, b, padding=1)


def images(x):
    """[n, height, width, channels] as PyTorch names the axes, without a copy."""
    return x.permute(0, 3, 1, 2)


def mlp(weights, x):
    hidden, classes = weights.dense("hidden"), weights.dense("classes")
    return lambda x: classes(F.relu(hidden(x))), x


def cnn(weights, x):
    convolutions = [weights.convolution(f"conv{n}") for n in range(2)]
    hidden, classes = weights.dense("hidden"), weights.dense("classes")

    def forward(x):
        for convolution in convolutions:
            x = F.max_pool2d(F.relu(convolution(x)), 2)
        return classes(F.relu(hidden(x.permute(0, 2, 3, 1).flatten(1))))

    return forward, images(x)


def mobilenet(weights, x):
    """MobileNetV2 as Keras has it, whose batch norms are folded into the convolutions, and a head that learns."""
    arrays, layout = weights.arrays, {"memory_format": torch.channels_last}

    def folded(layer, norm, depthwise=False):
        kernel = torch.from_numpy(arrays[f"{layer}/kernel"])
        kernel = kernel.permute(2, 3, 0, 1) if depthwise else kernel.permute(3, 2, 0, 1)
        scale, offset, mean, variance = (torch.from_numpy(arrays[f"{norm}/{n}"]) for n in ("gamma", "beta", "moving_mean", "moving_variance"))
        scale = scale / torch.sqrt(variance + 1e-3)
        return (kernel * scale[:, None, None, None]).contiguous(**layout), offset - mean * scale

    def spread(x, layer, norm, stride, groups):
        # Keras pads by what is missing: below and to the right, where the extent is even.
        x = F.pad(x, (0, 1, 0, 1)) if stride == 2 else x
        w, b = layers[layer, norm]
        return F.relu6(F.conv2d(x, w, b, stride=stride, padding=0 if stride == 2 else 1, groups=groups))

    def one(x, layer, norm):
        return F.conv2d(x, *layers[layer, norm])

    # Factor of expansion, channels, repetitions, stride: table 2 of the paper.
    table = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    blocks = [(t, c, s if n == 0 else 1) for t, c, count, s in table for n in range(count)]
    named = lambda n: f"block_{n}" if n else "expanded_conv"
    pairs = [("Conv1", "bn_Conv1", False), ("Conv_1", "Conv_1_bn", False)]
    for n, (expansion, _, _) in enumerate(blocks):
        kinds = (["expand"] if expansion > 1 else []) + ["depthwise", "project"]
        pairs += [(f"{named(n)}_{kind}", f"{named(n)}_{kind}_BN", kind == "depthwise") for kind in kinds]
    layers = {(layer, norm): folded(layer, norm, depthwise) for layer, norm, depthwise in pairs}
    classes = weights.dense("classes")

    def features(x):
        x = spread(x, "Conv1", "bn_Conv1", 2, 1)
        for n, (expansion, channels, stride) in enumerate(blocks):
            y, name = x, named(n)
            if expansion > 1:
                y = F.relu6(one(y, f"{name}_expand", f"{name}_expand_BN"))
            y = spread(y, f"{name}_depthwise", f"{name}_depthwise_BN", stride, y.shape[1])
            y = one(y, f"{name}_project", f"{name}_project_BN")
            x = x + y if stride == 1 and x.shape[1] == channels else y
        return F.relu6(one(x, "Conv_1", "Conv_1_bn")).mean((2, 3))

    def forward(x):
        with torch.no_grad():
            x = features(x)
        return classes(x)

    return forward, images(x)


def recurrent(kind):
    """Keras orders the gates of an LSTM as PyTorch does, and those of a GRU update, reset, candidate: PyTorch's second, first, third."""

    def network(weights, x):
        cell = f"sequence/{kind}_cell"
        kernel, recurrent, bias = (weights.arrays[f"{cell}/{name}"] for name in ("kernel", "recurrent_kernel", "bias"))
        gates = torch.tensor({"lstm": [0, 1, 2, 3], "gru": [1, 0, 2]}[kind])
        ordered = lambda a: torch.from_numpy(a).reshape(len(a), len(gates), -1)[:, gates].flatten(1)
        layer = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind](x.shape[2], len(recurrent), batch_first=True)
        biases = ordered(bias.reshape(-1, bias.shape[-1]))
        with torch.no_grad():
            layer.weight_ih_l0.copy_(ordered(kernel).T)
            layer.weight_hh_l0.copy_(ordered(recurrent).T)
            layer.bias_ih_l0.copy_(biases[0])
            layer.bias_hh_l0.copy_(biases[1] if kind == "gru" else torch.zeros_like(biases[0]))
        # Keras' LSTM has one bias.
        layer.bias_hh_l0.requires_grad = kind == "gru"
        weights.learned += [p for p in layer.parameters() if p.requires_grad]
        classes = weights.dense("classes")
        return lambda x: classes(layer(x)[0][:, -1]), x

    return network


def transformer(weights, x):
    width, heads = x.shape[2], 4

    def norm(name):
        gamma, beta = weights.vector(f"{name}/gamma"), weights.vector(f"{name}/beta")
        return lambda x: F.layer_norm(x, (width,), gamma, beta, 1e-6)

    def attention(name):
        query, key, value = (weights.dense(f"{name}/{part}", width) for part in ("query", "key", "value"))
        output = weights.dense(f"{name}/attention_output", width)
        split = lambda x: x.unflatten(-1, (heads, -1)).transpose(1, 2)

        def compute(x):
            q, k, v = split(query(x)), split(key(x)), split(value(x))
            scores = torch.matmul(q * (width // heads) ** -0.5, k.transpose(-1, -2))
            return output(torch.matmul(torch.softmax(scores, -1), v).transpose(1, 2).flatten(2))

        return compute

    # Keras numbers layers of a kind by the order in which they are made.
    numbered = lambda kind, n: f"{kind}_{n}" if n else kind
    layers = []
    for n in range(2):
        one, two = (norm(numbered("layer_normalization", 2 * n + k)) for k in range(2))
        wide, narrow = (weights.dense(numbered("dense", k)) for k in (2 * n + 1, 2 * n))
        layers.append((attention(numbered("multi_head_attention", n)), one, wide, narrow, two))
    classes = weights.dense("classes")

    def forward(x):
        for attend, one, wide, narrow, two in layers:
            x = one(x + attend(x))
            x = two(x + narrow(F.gelu(wide(x))))
        return classes(x.mean(1))

    return forward, x


NETWORKS = {
    "train_mlp_1": mlp,
    "train_mlp_32": mlp,
    "train_cnn_32": cnn,
    "train_mobilenet_head_16": mobilenet,
    "train_lstm_32": recurrent("lstm"),
    "train_gru_32": recurrent("gru"),
    "train_transformer_8": transformer,
}


def network(name, arrays, x):
    """The function that gives what softmax would take, what learns, and the input as the function takes it."""
    weights = Weights(arrays)
    forward, x = NETWORKS[name](weights, x)
    return forward, weights.learned, x
