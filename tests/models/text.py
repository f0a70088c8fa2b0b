"""Programs that make, cut and read strings: `text` is one SavedModel whose signatures they are; `text.json` holds calls of each and what
TensorFlow answers. `python text.py` makes all again."""

from programs import BOOL, F32, I32, I64, PROGRAMS, answer, np, program, save, tf, write

STR = tf.string
KEPT = tf.Module()
WORDS = ["the", "cat", "sat", "on", "mat", "dog"]


def words(*values):
    return np.array([value if isinstance(value, bytes) else value.encode() for value in values] + [None], object)[:-1]


KEPT.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(WORDS, tf.range(2, 8, dtype=I64)), 1)
LONG = "A word Of More than Eight Bytes, AND another"
TEXTS = words("The cat sat.", "", "on THE mat!", b"\xff dog \xc3", LONG)


@program((TEXTS, TEXTS[::-1]), (words(), words()), (words("a"), words("B")), first=(STR, [None]), second=(STR, [None]))
def joined(first, second):
    both = tf.strings.join([tf.strings.lower(first), "-", tf.strings.upper(second)], "|")
    return {"both": both, "length": tf.strings.length(both), "hash": tf.strings.to_hash_bucket_fast(both, 1000)}


@program((np.array([1.5, -0.25, 1e20], np.float32), np.array([1, -2, 3])), (np.zeros(0, np.float32), np.zeros(0, np.int64)), x=(F32, [None]), n=(I64, [None]))
def numbers(x, n):
    return {"text": tf.strings.join([tf.strings.as_string(n, width=5, fill="0"), tf.strings.as_string(x, precision=2)], "=")}


@program((TEXTS, np.array(True)), (TEXTS, np.array(False)), (words(), np.array(True)), x=(STR, [None]), loud=(BOOL, []))
def branch(x, loud):
    return {"y": tf.cond(loud, lambda: tf.strings.upper(x), lambda: tf.strings.lower(x)), "x": x}


@program((TEXTS, np.array(3, np.int32)), (TEXTS, np.array(0, np.int32)), (words(), np.array(5, np.int32)), x=(STR, [None]), n=(I32, []))
def loop(x, n):
    """Each turn makes strings of those that the turn before it made."""
    longer = lambda i, y: (i + 1, tf.strings.join([y, tf.strings.as_string(i), tf.strings.substr(y, 0, 1)]))
    return {"y": tf.while_loop(lambda i, _: i < n, longer, (0, x), maximum_iterations=10)[1]}


@program((TEXTS,), (words(),), (words("", ""),), (words("CAT dog cat"),), text=(STR, [None]))
def vectorised(text):
    """What Keras' TextVectorization does."""
    plain = tf.strings.regex_replace(tf.strings.lower(text), r"[!-/:-@\[-`{-~]", "")
    tokens = tf.strings.split(plain)
    ids = tf.ragged.map_flat_values(KEPT.table.lookup, tokens)
    return {"ids": ids.to_tensor(0, shape=[None, 6]), "rows": tokens.row_lengths()}


def main():
    functions = {name: tf.function(function, input_signature=specs) for name, (function, specs, _) in PROGRAMS.items()}
    KEPT.functions = functions
    concrete = {name: function.get_concrete_function() for name, function in functions.items()}
    save("text", KEPT, concrete)
    named = lambda name, call: dict(zip([spec.name for spec in PROGRAMS[name][1]], call))
    write("text", {name: [answer(functions[name], named(name, call)) for call in PROGRAMS[name][2]] for name in functions})


main()
