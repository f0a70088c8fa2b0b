"""Models that take words: programs of `tf.strings`, and Keras' preprocessing layers in each of their modes, of both Kerases."""

import numpy as np
import tensorflow as tf

from .spec import model


def words(*all):
    array = np.empty(len(all), object)
    array[:] = all
    return array


TEXTS = words(b"The cat ATE the dog!", b"", b"unknown words here, the the", b" mat  sat\ton hello-world", "Gr\u00fc\u00dfe \u65e5\u672c, caf\u00e9".encode(), b"\xff bad \xc3", b"1.5 -2 007")
BATCHES = [TEXTS, words(), words(b"hello"), words(b"a b c d e f g h"), TEXTS[::-1]]
CALLS = [("serving_default", {"text": batch}) for batch in BATCHES]


def program(name):
    """Declares a function of `text: str[n]`."""

    def declare(function):
        def build():
            module = tf.Module()
            module.serve = tf.function(function, input_signature=[tf.TensorSpec([None], tf.string, name="text")])
            return module, {"serving_default": module.serve}

        model(f"text_{name}", "module", calls=CALLS, finer=False, file=__file__)(build)
        return function

    return declare


def of_one(function):
    return lambda text: {"y": function(text)}


s = tf.strings
ONE = {
    "lower": lambda x: s.lower(x),
    "upper": lambda x: s.upper(x),
    "strip": lambda x: s.strip(x),
    "length": lambda x: s.length(x),
    "length_of_characters": lambda x: s.length(x, unit="UTF8_CHAR"),
    "substr": lambda x: s.substr(s.join([x, "abcdef"]), 1, 4),
    "substr_of_characters": lambda x: s.substr(s.join([x, "abcdef"]), 1, 4, unit="UTF8_CHAR"),
    "join": lambda x: s.join([x, "|", s.lower(x)], separator="-"),
    "reduce_join": lambda x: s.reduce_join(tf.stack([x, s.upper(x)], 1), axis=1, separator="+"),
    "reduce_join_all": lambda x: s.reduce_join(x, separator=", "),
    "hash_fast": lambda x: s.to_hash_bucket_fast(x, 1000),
    "hash_strong": lambda x: s.to_hash_bucket_strong(x, 1000, [7, 9]),
    "hash": lambda x: s.to_hash_bucket(x, 1000),
    "split": lambda x: s.split(x).to_tensor(b"<pad>"),
    "split_at": lambda x: s.split(x, ",").to_tensor(b"", shape=[None, 3]),
    "split_once": lambda x: s.split(x, " ", maxsplit=1).to_sparse().values,
    "split_lengths": lambda x: s.split(x).row_lengths(),
    "split_version_1": lambda x: tf.sparse.to_dense(tf.compat.v1.string_split(x, ", "), ""),
    "full_match": lambda x: s.regex_full_match(x, r"[a-z ]*"),
    "replace": lambda x: s.regex_replace(x, r"(\w+) (\w+)", r"\2 \1"),
    "replace_first": lambda x: s.regex_replace(x, r"[aeiou]", "_", replace_global=False),
    "replace_spaces": lambda x: s.regex_replace(x, r"\s+", " "),
    "replace_nothing": lambda x: s.regex_replace(x, r"a*", "-"),
    "as_string": lambda x: s.as_string(s.length(x)),
    "as_string_of_floats": lambda x: s.as_string(tf.cast(s.length(x), tf.float32) / 7.0, precision=3, width=8, fill="0"),
    "to_number": lambda x: s.to_number(s.join(["1", s.as_string(s.length(x)), ".25e2"])),
    "to_number_of_integers": lambda x: s.to_number(s.as_string(s.length(x) * 1000), tf.int64),
    "ngrams": lambda x: s.ngrams(s.split(x), 2, separator="_").to_tensor(b""),
    "ngrams_of_widths": lambda x: s.ngrams(s.split(x), [1, 3], pad_values=("<", ">")).to_tensor(b""),
    "unicode_decode": lambda x: s.unicode_decode(x, "UTF-8").to_tensor(-1),
    "unicode_decode_offsets": lambda x: s.unicode_decode_with_offsets(x, "UTF-8")[1].to_tensor(-1),
    "equal": lambda x: tf.equal(x, "hello"),
    "where": lambda x: tf.where(tf.equal(x, ""), "nothing", x),
    "unique": lambda x: tf.unique(tf.concat([x, x], 0))[1],
    "gather": lambda x: tf.gather(tf.concat([x, ["one more"]], 0), tf.zeros([3], tf.int32)),
    "mask": lambda x: tf.boolean_mask(x, s.length(x) > 5),
    "map": lambda x: tf.map_fn(lambda y: s.join([y, "!"]), x),
}
for NAME, FUNCTION in ONE.items():
    program(NAME)(of_one(FUNCTION))


VOCABULARY = ["the cat sat on the mat", "the dog, ate my homework!", "a cat and a dog", "hello world"]
MODES = {
    "int": {},
    "int_of_length": {"output_sequence_length": 5},
    "multi_hot": {"output_mode": "multi_hot"},
    "count": {"output_mode": "count", "max_tokens": 20, "pad_to_max_tokens": True},
    "tf_idf": {"output_mode": "tf_idf"},
    "ngrams": {"ngrams": 2},
    "ngrams_multi_hot": {"ngrams": (1, 3), "output_mode": "multi_hot"},
    "lower": {"standardize": "lower"},
    "strip_punctuation": {"standardize": "strip_punctuation"},
    "untouched": {"standardize": None},
    "whole": {"split": None, "standardize": None},
}


def layers_of(route):
    import keras
    import tf_keras

    return tf_keras if route == "legacy" else keras


def vectorisation(mode, route):
    def build():
        kit = layers_of(route)
        layer = kit.layers.TextVectorization(**MODES[mode])
        layer.adapt(VOCABULARY)
        text = kit.Input((), dtype="string", name="text")
        return kit.Model(text, layer(text))

    model(f"text_vectorization_{mode}", route, calls=CALLS, finer=False, file=__file__)(build)


for MODE in MODES:
    for ROUTE in ("export", "legacy"):
        vectorisation(MODE, ROUTE)
