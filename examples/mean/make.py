"""Makes the model of this example: a mean that goes on from call to call. `python make.py` needs TensorFlow."""

import pathlib
import shutil

import tensorflow as tf


class Mean(tf.Module):
    def __init__(self):
        self.mean = tf.Variable(0.0)
        self.count = tf.Variable(0, dtype=tf.int64)

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "x")])
    def feed(self, x):
        self.count.assign_add(1)
        self.mean.assign_add((x - self.mean) / tf.cast(self.count, tf.float32))
        return {"mean": self.mean.read_value()}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "numbers")])
    def above(self, numbers):
        """Feeds all numbers, and gives those that are more than the mean then is."""
        self.count.assign_add(tf.size(numbers, tf.int64))
        self.mean.assign_add(tf.math.divide_no_nan(tf.reduce_sum(numbers - self.mean), tf.cast(self.count, tf.float32)))
        above = tf.boolean_mask(numbers, numbers > self.mean)
        return {"mean": self.mean.read_value(), "count": self.count.read_value(), "above": above}

    @tf.function(input_signature=[])
    def get(self):
        return {"mean": self.mean.read_value(), "count": self.count.read_value()}


model = Mean()
path = pathlib.Path(__file__).parent / "model"
shutil.rmtree(path, ignore_errors=True)
tf.saved_model.save(model, str(path), signatures={"feed": model.feed, "above": model.above, "get": model.get})
shutil.rmtree(path / "assets", ignore_errors=True)
(path / "fingerprint.pb").unlink(missing_ok=True)
