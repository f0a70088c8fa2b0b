"""Programs that draw random numbers without a seed: `unseeded` is one SavedModel whose signatures they are. TensorFlow's answers are others at
every call, so none are recorded. `python unseeded.py` makes it again."""

import math

from programs import F32, I32, numbers, save, tf

raw = tf.raw_ops


def signature(**specs):
    """A function of the inputs `specs`, each a type and a shape."""
    return lambda function: tf.function(function, input_signature=[tf.TensorSpec(shape, dtype, name) for name, (dtype, shape) in specs.items()])


class Unseeded(tf.Module):
    def __init__(self):
        self.weight, self.other = tf.Variable(numbers(3)), tf.Variable(1.0)

    @signature(x=(F32, [None]))
    def laws(self, x):
        """As many numbers of each law as there are elements."""
        shape = tf.shape(x)
        return {
            "uniform": tf.random.uniform(shape), "another": tf.random.uniform(shape), "normal": tf.random.normal(shape, 3.0, 2.0),
            "truncated": tf.random.truncated_normal(shape), "die": tf.random.uniform(shape, 1, 7, I32), "gamma": tf.random.gamma(shape, 4.0),
            "poisson": tf.random.poisson(shape, 6.0), "order": tf.random.shuffle(tf.range(shape[0])), "any": raw.NonDeterministicInts(shape=shape, dtype=tf.uint64),
            "class": raw.Multinomial(logits=[[0.0, math.log(3.0)]], num_samples=shape[0])[0], "dropped": tf.nn.dropout(tf.ones(shape), 0.25),
        }  # fmt: skip

    @signature(n=(I32, []))
    def bodies(self, n):
        """In loops and branches; two loops with nodes of the same names."""
        x, y = tf.zeros([2]), tf.zeros([2])
        for _ in tf.range(n):
            x += tf.random.uniform([2])
            if x[0] > 1:
                x -= tf.random.normal([2])
        for _ in tf.range(n):
            y += tf.random.uniform([2])
        return {"x": x, "y": y}

    @signature(x=(F32, [3]))
    def train(self, x):
        """Beside a seed, and variables of which one follows from what is drawn."""
        self.weight.assign_add(tf.random.normal([3]))
        self.other.assign_add(1.0)
        return {"seeded": tf.random.uniform([3], seed=5), "free": tf.random.uniform([3]), "twice": 2.0 * x}

    @signature(x=(F32, [3]))
    def serve(self, x):
        return {"y": x * self.weight, "z": x * self.other}


if __name__ == "__main__":
    module = Unseeded()
    save("unseeded", module, {name: getattr(module, name) for name in ("laws", "bodies", "train", "serve")})
