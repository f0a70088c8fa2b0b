"""A step of training as LiteRT takes it: a signature `train` of a tf.Module whose variables stay variables, and one called `reset`.

Only LiteRT's own operators may be in it, since its package for Python has no others. What can be said in them is: a rectifier with
the gradient that TensorFlow's has, cross-entropy as a sum over the classes, and Adam by Keras' formula.
"""

import tempfile

import numpy as np

from training import parts


def rectifier(tf):
    @tf.custom_gradient
    def relu(x):
        y = tf.maximum(x, 0.0)
        return y, lambda dy: dy * tf.cast(y > 0.0, tf.float32)

    return relu


def module(tf, keras, file, x, y):
    """Of the model in a file of Keras'."""
    model = keras.models.load_model(file)
    for layer in model.layers:
        if getattr(layer, "activation", None) is keras.activations.relu:
            layer.activation = rectifier(tf)
    # The last activation is part of the loss.
    model.layers[-1].activation = None
    forward, learned = parts(model, x)
    classes = model.output_shape[-1]

    class Step(tf.Module):
        def __init__(self):
            super().__init__()
            self.learned = [tf.Variable(v.numpy()) for v in learned]
            zeros = lambda: [tf.Variable(tf.zeros(v.shape)) for v in learned]
            self.momenta, self.velocities = zeros(), zeros()
            self.power1, self.power2 = tf.Variable(1.0), tf.Variable(1.0)

        @tf.function(input_signature=[tf.TensorSpec(x.shape, x.dtype, name="x"), tf.TensorSpec(y.shape, y.dtype, name="y")])
        def train(self, x, y):
            for kept, value in zip(learned, self.learned):
                kept._value = value
            with tf.GradientTape() as tape:
                logs = tf.nn.log_softmax(forward(x))
                loss = -tf.reduce_mean(tf.reduce_sum(tf.one_hot(y, classes) * logs, -1))
            gradients = tape.gradient(loss, self.learned)
            self.power1.assign(self.power1 * 0.9)
            self.power2.assign(self.power2 * 0.999)
            rate = 0.001 * tf.sqrt(1.0 - self.power2) / (1.0 - self.power1)
            for value, m, v, g in zip(self.learned, self.momenta, self.velocities, gradients):
                m.assign(m + (g - m) * (1.0 - 0.9))
                v.assign(v + (g * g - v) * (1.0 - 0.999))
                value.assign(value - rate * m / (tf.sqrt(v) + 1e-7))
            return {"loss": loss}

        @tf.function(input_signature=[])
        def reset(self):
            for value, kept in zip(self.learned, begun):
                value.assign(kept)
            for value in (*self.momenta, *self.velocities):
                value.assign(tf.zeros(value.shape))
            for value in (self.power1, self.power2):
                value.assign(1.0)
            return {"begun": tf.constant(1.0)}

    begun = [np.array(v) for v in learned]
    return Step()


def to_litert(file, x, y, path):
    import keras
    import tensorflow as tf

    step = module(tf, keras, file, x, y)
    with tempfile.TemporaryDirectory() as folder:
        signatures = {"train": step.train.get_concrete_function(), "reset": step.reset.get_concrete_function()}
        tf.saved_model.save(step, folder, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.experimental_enable_resource_variables = True
        path.write_bytes(converter.convert())
