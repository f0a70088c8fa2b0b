"""Models that take serialized examples: parsed, made numbers by hash buckets and vocabularies, and given to linear and deep parts."""

import numpy as np
import tensorflow as tf

from .spec import model

FLOATS = [f"number_{n}" for n in range(5)]
WORDS = ["city", "browser", "language"]


def values(*shape, seed=3):
    return tf.Variable(np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32))


def example(seed):
    """An example of a few features, some of which are missing."""
    rng = np.random.default_rng(seed)
    feature = {key: tf.train.Feature(float_list=tf.train.FloatList(value=[rng.normal()])) for key in FLOATS if rng.random() < 0.8}
    feature["age"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[rng.integers(0, 100)]))
    feature["clicks"] = tf.train.Feature(int64_list=tf.train.Int64List(value=rng.integers(0, 2**40, 3)))
    feature["embedding"] = tf.train.Feature(float_list=tf.train.FloatList(value=rng.normal(size=4)))
    for key in WORDS:
        some = [b"word %d" % n for n in rng.integers(0, 50, rng.integers(0, 3))]
        feature[key] = tf.train.Feature(bytes_list=tf.train.BytesList(value=some or [b"none"]))
    tags = [b"tag %d" % n for n in rng.integers(0, 9, rng.integers(0, 5))]
    feature["tags"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=tags))
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def words(*all):
    array = np.empty(len(all), object)
    array[:] = all
    return array


BATCHES = [words(*(example(n) for n in range(start, start + count))) for start, count in ((0, 1), (10, 4), (100, 64))]
CALLS = [("serving_default", {"examples": batch}) for batch in BATCHES]


@model("records_wide_and_deep", "module", calls=CALLS, finer=False)
def records_wide_and_deep():
    """Eleven features: numbers and words, a linear part over buckets and a deep one over embeddings."""

    class Module(tf.Module):
        def __init__(self):
            self.wide = {key: values(100, 1, seed=n) for n, key in enumerate(WORDS)}
            self.deep = {key: values(100, 8, seed=n + 10) for n, key in enumerate(WORDS)}
            self.hidden, self.bias, self.last = values(5 + 1 + 3 + 4 + 24, 32, seed=20), values(32, seed=21), values(32, 1, seed=22)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def serve(self, examples):
            spec = {key: tf.io.FixedLenFeature([1], tf.float32, [0.0]) for key in FLOATS}
            spec |= {"age": tf.io.FixedLenFeature([1], tf.int64), "clicks": tf.io.FixedLenFeature([3], tf.int64), "embedding": tf.io.FixedLenFeature([4], tf.float32)}
            spec |= {key: tf.io.VarLenFeature(tf.string) for key in WORDS}
            parsed = tf.io.parse_example(examples, spec)
            wide, deep = 0.0, [parsed[key] for key in FLOATS] + [tf.cast(parsed["age"], tf.float32) / 100.0, parsed["embedding"]]
            deep.append(tf.math.log1p(tf.cast(parsed["clicks"], tf.float32)) / 30.0)
            for key in WORDS:
                bucket = tf.strings.to_hash_bucket_fast(tf.sparse.to_dense(parsed[key], "none")[:, 0], 100)
                wide += tf.gather(self.wide[key], bucket)
                deep.append(tf.gather(self.deep[key], bucket))
            hidden = tf.nn.relu(tf.concat(deep, 1) @ self.hidden + self.bias)
            return {"logits": hidden @ self.last + wide}

    module = Module()
    return module, {"serving_default": module.serve}


@model("records_ragged", "module", calls=CALLS, finer=False)
def records_ragged():
    """Features as they come: sparse, ragged, padded and their lengths."""

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def serve(self, examples):
            spec = {
                "tags": tf.io.VarLenFeature(tf.string), "clicks": tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64),
                "city": tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True, default_value="?"),
                "number_0": tf.io.RaggedFeature(tf.float32), "age": tf.io.FixedLenFeature([], tf.int64, -1),
            }  # fmt: skip
            parsed = tf.io.parse_example(examples, spec)
            tags, clicks, number = parsed["tags"], parsed["clicks"], parsed["number_0"]
            return {
                "indices": tags.indices, "buckets": tf.strings.to_hash_bucket_strong(tags.values, 7, [1, 2]), "shape": tags.dense_shape,
                "clicks": clicks.values, "splits": clicks.row_splits, "city": tf.strings.length(parsed["city"]), "number": number.values,
                "row_splits": number.row_splits, "age": parsed["age"],
            }  # fmt: skip

    module = Module()
    return module, {"serving_default": module.serve}


@model("records_single", "module", calls=[("serving_default", {"example": np.array(example(n), object)}) for n in range(3)], finer=False)
def records_single():
    """One example without a batch."""

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([], tf.string, name="example")])
        def serve(self, example):
            spec = {"tags": tf.io.VarLenFeature(tf.string), "embedding": tf.io.FixedLenFeature([2, 2], tf.float32), "age": tf.io.FixedLenFeature([], tf.int64)}
            parsed = tf.io.parse_single_example(example, spec)
            return {"lengths": tf.strings.length(parsed["tags"].values), "embedding": parsed["embedding"], "age": parsed["age"]}

    module = Module()
    return module, {"serving_default": module.serve}
