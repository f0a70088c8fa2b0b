"""Programs that look something up: `tables` is one SavedModel whose signatures they are, with files among its assets, `tables_v1` one of
TensorFlow 1; `tables.json` and `tables_v1.json` hold calls of each and what TensorFlow answers. `python tables.py` makes all again."""

import pathlib
import shutil
import sys
import tempfile

from programs import F32, F64, HERE, I32, I64, PROGRAMS, answer, np, program, tf, write

lookup, v1, raw = tf.lookup, tf.compat.v1, tf.raw_ops
STR = tf.string
KEPT = tf.Module()
FILES = pathlib.Path(tempfile.mkdtemp())


def words(*values):
    return np.array([value if isinstance(value, bytes) else value.encode() for value in values] + [None], object)[:-1]


def i64(*values):
    return np.array(values, np.int64)


def table(keys, values, default, key_dtype=None, value_dtype=None):
    pairs = lookup.KeyValueTensorInitializer(tf.constant(keys, key_dtype), tf.constant(values, value_dtype))
    return kept(lookup.StaticHashTable(pairs, default))


def kept(what):
    """Hangs a table on the module that is saved."""
    setattr(KEPT, f"table_{len(vars(KEPT))}", what)
    return what


def file(name, lines, end="\n"):
    path = FILES / name
    path.write_bytes(lines.encode() + end.encode())
    return str(path)


def of_file(path, key, value, key_dtype, value_dtype, default, **options):
    return kept(lookup.StaticHashTable(lookup.TextFileInitializer(path, key_dtype, key, value_dtype, value, **options), default))


WHOLE, NUMBER = lookup.TextFileIndex.WHOLE_LINE, lookup.TextFileIndex.LINE_NUMBER
LONG = "a key of more than sixteen bytes"
CALLS = [(words("one", "three", "", LONG),), (words(),), (words(b"\xff", "two", "onE", "one "),), (words(LONG + "!", LONG[:-1], "\0", "a\0b"),)]


@program(*CALLS, word=(STR, [None]))
def strings_to_numbers(word, table=table(["one", "two", "", LONG, "a\0b"], [1.5, 2.5, 3.5, 4.5, 5.5], -1.0)):
    return {"y": table.lookup(word), "n": table.size()}


@program((np.array([[1, -5], [1 << 40, 0]], np.int64),), (np.zeros((0, 3), np.int64),), x=(I64, [None, None]))
def numbers_to_strings(x, table=table([1, -5, 1 << 40], ["eins", "", "groß"], "?", I64)):
    return {"y": table.lookup(x), "same": tf.equal(table.lookup(x), "eins")}


@program((np.array([7, 8], np.int32),), x=(I32, [None]))
def narrow_numbers(x, table=table([7, 9], [70, 90], -1, I32, I32)):
    return {"y": table.lookup(x)}


@program((np.array(b"two", object),), (np.array(b"none", object),), word=(STR, []))
def of_a_scalar(word, table=table(["one", "two"], [1, 2], -1, None, I64)):
    return {"y": table.lookup(word)}


@program(*CALLS, word=(STR, [None]))
def to_doubles(word, table=table(["one", "two", "three"], [0.1, 0.2, 0.3], np.float64(0), None, F64)):
    return {"y": table.lookup(word) * 2}


@program(*CALLS, word=(STR, [None]))
def to_truth(word, table=table(["one", "three"], [True, False], False)):
    return {"y": table.lookup(word)}


@program((words("cat", "cow", "bird", "unknown", "\r"),), (words("dog", ""),), word=(STR, [None]))
def of_lines(word, table=of_file(file("lines.txt", "cat\r\ndog\nbird"), WHOLE, NUMBER, STR, I64, -1)):
    return {"y": table.lookup(word), "n": table.size()}


@program((i64(0, 1, 2, 3, -1),), x=(I64, [None]))
def lines_by_number(x, table=of_file(file("numbers.txt", " a \ncat\nx y", end=""), NUMBER, WHOLE, I64, STR, "none")):
    return {"y": table.lookup(x)}


@program((words("a", "b", "c", ""),), word=(STR, [None]))
def of_columns(word, table=of_file(file("columns.csv", "1.5,a,x\n-2e3,b\n 7 ,c,"), 1, 0, STR, F32, 0.0, delimiter=",")):
    return {"y": table.lookup(word)}


@program((words("first", "second", "third"),), word=(STR, [None]))
def of_some_lines(word, table=of_file(file("some.txt", "first\nsecond\nthird"), WHOLE, NUMBER, STR, I64, -1, vocab_size=2)):
    return {"y": table.lookup(word), "n": table.size()}


VOCABULARY = lookup.StaticVocabularyTable(lookup.TextFileInitializer(file("vocabulary.txt", "the\ncat\nsat"), STR, WHOLE, I64, NUMBER), 3)


@program((words("the", "zebra", "sat", "", "quagga"),), word=(STR, [None]))
def unknown_words_hashed(word, table=kept(VOCABULARY)):
    return {"id": table.lookup(word), "n": table.size()}


IDS = lookup.StaticVocabularyTable(lookup.KeyValueTensorInitializer(tf.constant([4, 40, 400], I64), tf.constant([0, 1, 2], I64)), 2)


@program((i64(10, 20, 99, -5),), (i64(),), x=(I64, [None]))
def numbers_as_text(x, table=kept(IDS)):
    """Numbers that are no keys are hashed as their digits."""
    return {"id": table.lookup(x)}


@program((words("a", "c", "b"), i64(10, 20, 30)), (words("c"), i64(7)), (words("d", "e"), i64(5)), word=(STR, [None]), other=(I64, [None]))
def a_default_for_each(word, other, table=table(["a", "b"], [1, 2], -1, None, I64)):
    """Of a table that never changes, TensorFlow takes the first default for all keys."""
    find = lambda default: raw.LookupTableFindV2(table_handle=table.resource_handle, keys=word, default_value=default)
    return {"y": find(other), "z": tf.where(find(tf.constant(-1, I64)) < 0, other, 0)}


@program((words("b", "a", "c"),), word=(STR, [None]))
def two_tables(word, first=table(["a", "b"], ["b", "a"], "c"), second=table(["a", "b", "c"], [1, 2, 3], 0, None, I64)):
    return {"y": second.lookup(first.lookup(word))}


LABELS = table([0, 1, 2], ["null", "one", "two"], "many", I64)


@program((3,), (0,), (1,), n=(I32, []))
def strings_go_round_a_loop(n):
    first, name = tf.constant(["start", "begin"]), tf.constant("?")
    for i in tf.range(n):
        name = tf.where(tf.equal(name, "?"), "first", "later")
        first = tf.where(tf.equal(first, "start"), tf.stack(["second", "third"]), first)
    return {"first": first, "name": name}


@program((i64(2, 0, 7), 1), (i64(1), 0), x=(I64, [None]), n=(I32, []))
def strings_of_branches(x, n):
    words, one, found = tf.constant(["yes", "no"]), tf.constant("alone"), LABELS.lookup(x)
    chosen = tf.cond(n > 0, lambda: tf.concat([words, found], 0)[1:3], lambda: tf.reverse(words, [0]))
    return {"chosen": chosen, "one": tf.switch_case(n, [lambda: one, lambda: found[0]])}


@program((i64(2, 7), 1), (i64(0), 0), x=(I64, [None]), n=(I32, []))
def in_a_branch(x, n):
    return {"y": tf.cond(n > 0, lambda: LABELS.lookup(x), lambda: tf.fill(tf.shape(x), "none"))}


@program((words("a", "bcd", ""),), (words(),), word=(STR, [None]))
def strings_mapped(word):
    return {"first": tf.map_fn(lambda e: tf.strings.substr(e, 0, 1), word), "n": tf.map_fn(tf.strings.length, word, fn_output_signature=I32)}


STEPS, WEIGHTS = table([0, 1, 2, 3], [1, 2, 3, 0], -1, I64, I64), table([0, 1, 2], [0.5, 1.5, 2.5], -1.0, I64)


@program((i64(2, 7, 0),), (i64(),), x=(I64, [None]))
def in_a_loop(x):
    return {"y": tf.map_fn(lambda e: WEIGHTS.lookup(STEPS.lookup(e)), x, fn_output_signature=F32)}


@program((np.int64(0), 5), (np.int64(9), 3), (np.int64(2), 0), x=(I64, []), n=(I32, []))
def in_branches_of_a_loop(x, n):
    total = tf.constant(0.0)
    for i in tf.range(n):
        if i % 2 == 0:
            total += WEIGHTS.lookup(x)
        else:
            x = STEPS.lookup(x)
    return {"x": x, "total": total, "many": STEPS.size()}


CHANGING = kept(lookup.experimental.MutableHashTable(STR, I64, -1))


@program(word=(STR, [None]))
def refused_changed(word):
    CHANGING.insert(word, tf.cast(tf.strings.length(word), I64))
    return {"y": CHANGING.lookup(word)}


@program(word=(STR, [None]))
def refused_changed_elsewhere(word):
    return {"y": CHANGING.lookup(word)}


def main():
    functions, answers = {}, {}
    for name, (function, specs, calls) in PROGRAMS.items():
        bound = lambda *args, function=function, names=[spec.name for spec in specs]: function(**dict(zip(names, args)))
        functions[name] = tf.function(bound, input_signature=specs)
        typed = lambda spec, value: value if spec.dtype == STR else np.asarray(value, spec.dtype.as_numpy_dtype)
        made = [{spec.name: typed(spec, value) for spec, value in zip(specs, call)} for call in calls]
        concrete = functions[name].get_concrete_function()
        if made:
            answers[name] = [called(concrete, specs, inputs) for inputs in made]
            print(name, [list(a.get("outputs", a)) for a in answers[name]])
    path = HERE / "tables"
    shutil.rmtree(path, ignore_errors=True)
    tf.saved_model.save(KEPT, str(path), signatures=functions)
    (path / "fingerprint.pb").unlink(missing_ok=True)
    write("tables", answers)


def called(function, specs, inputs):
    typed = lambda **values: function(*(tf.constant(values[spec.name], spec.dtype) for spec in specs))
    return answer(typed, inputs)


def version_1():
    """Tables that are references, tables that an import fills, and a file."""
    path = HERE / "tables_v1"
    shutil.rmtree(path, ignore_errors=True)
    with tf.Graph().as_default(), v1.Session() as session:
        word = v1.placeholder(STR, [None], "word")
        asset = tf.constant(file("v1.txt", "x\ny\nz"), name="asset")
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, asset)
        plain = raw.HashTable(key_dtype=STR, value_dtype=F32, shared_name="plain")
        lines = raw.HashTable(key_dtype=STR, value_dtype=I64, shared_name="lines")
        filled = raw.MutableHashTable(key_dtype=STR, value_dtype=I64, shared_name="filled")
        newer = raw.MutableHashTableV2(key_dtype=STR, value_dtype=I64, shared_name="newer")
        keys, values = tf.constant(["a", "b", "a"]), tf.constant([3, 4, 3], I64)
        init = tf.group(
            raw.InitializeTable(table_handle=plain, keys=tf.stack(["a", "b"]), values=tf.constant([1.0, 2.0]) * 2),
            raw.InitializeTableFromTextFile(table_handle=lines, filename=asset, key_index=-2, value_index=-1),
            raw.LookupTableImport(table_handle=filled, keys=keys, values=values),
            raw.LookupTableImportV2(table_handle=newer, keys=keys, values=values + 1),
        )
        find = lambda table, default: raw.LookupTableFind(table_handle=table, keys=word, default_value=default)
        outputs = {
            "plain": find(plain, 0.5),
            "lines": find(lines, tf.constant(-1, I64)),
            "filled": find(filled, tf.constant(-2, I64)),
            "filled_or_place": find(filled, tf.range(tf.size(word, I64))),
            "newer": raw.LookupTableFindV2(table_handle=newer, keys=word, default_value=tf.constant(-3, I64)),
            "size": raw.LookupTableSize(table_handle=lines),
        }
        session.run(init)
        infos = [{key: v1.saved_model.build_tensor_info(t) for key, t in part.items()} for part in ({"word": word}, outputs)]
        signature = v1.saved_model.build_signature_def(*infos, "tensorflow/serving/predict")
        builder = v1.saved_model.Builder(str(path))
        assets = v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS)
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, assets_collection=assets, main_op=init)
        builder.save()
        calls = [words("a", "b", "c", "y"), words(), words("z", "")]
        fetched = lambda call: dict(zip(outputs, session.run(list(outputs.values()), {word: call})))
        record = [answer(lambda call=call, **_: fetched(call), {"word": call}) for call in calls]
    write("tables_v1", {"serving_default": record})


if sys.argv[1:] != ["v1"]:
    main()
version_1()
