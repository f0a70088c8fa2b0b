"""Decision forests that YDF trains here: `forests` is one SavedModel whose signatures they are, `forests.json` holds calls of each and
what TensorFlow answers by YDF's operator; `forests_v1` is one of TensorFlow 1. `python forests.py` makes all of it again. It takes
the pinned TensorFlow with, besides, what `requirements-forests.txt` names, installed without dependencies.

A signature of a forest gives its predictions, `NAME_leaves` the leaf that each tree leads to. Numbers are missing here and there (NaN),
and so are categories (-1); others are no category that was seen in training.
"""

import pathlib
import shutil
import sys
import tempfile

from programs import HERE, answer, write

import numpy as np
import tensorflow as tf
import ydf
from ydf_tf import api, tf_op

ROWS, CALLED = 400, 24
ydf.verbose(0)
TASK = ydf.Task


def columns():
    """What the forests learn from, and what they learn."""
    rng = np.random.default_rng(5)
    data = {f"x{n}": rng.normal(size=ROWS).round(3).astype(np.float32) for n in range(4)}
    data["b"] = rng.integers(0, 2, ROWS).astype(bool)
    data["c"] = rng.integers(1, 12, ROWS)
    data["group"] = rng.integers(0, 20, ROWS)
    data["treated"] = rng.integers(0, 2, ROWS)
    y = data["x0"] * 2 + np.sin(3 * data["x1"]) + data["b"] * 1.5 + (data["c"] % 3) * 0.8 - data["x2"] * data["x3"]
    for n in range(3):
        data[f"x{n}"] = np.where(rng.random(ROWS) < 0.1, np.nan, data[f"x{n}"]).astype(np.float32)
    labels = {
        "number": y.astype(np.float32),
        "two": (y > np.median(y)).astype(int),
        "three": np.digitize(y, np.quantile(y, [0.3, 0.7])),
        "count": np.floor(np.abs(y)).astype(np.float32),
        "rank": np.digitize(y, np.quantile(y, [0.3, 0.7])).astype(np.float32),
    }
    return data, labels


NUMBERS = [(f"x{n}", ydf.Semantic.NUMERICAL) for n in range(4)]
ALL = [*NUMBERS, ("b", ydf.Semantic.BOOLEAN), ydf.Column("c", ydf.Semantic.CATEGORICAL, is_already_integerized=True)]
OBLIQUE = {"split_axis": "SPARSE_OBLIQUE"}
FORESTS = {}


def forest(name, learner, label, features=ALL, **options):
    FORESTS[name] = (learner, label, features, options)


def boosted(name, label, features=ALL, task=TASK.CLASSIFICATION, **options):
    forest(f"boosted_{name}", ydf.GradientBoostedTreesLearner, label, features, task=task, num_trees=6, max_depth=4, **options)


def random(name, label, task=TASK.CLASSIFICATION, trees=9, depth=6, **options):
    forest(f"random_{name}", ydf.RandomForestLearner, label, task=task, num_trees=trees, max_depth=depth, **options)


boosted("two", "two")
boosted("focal", "two", loss="BINARY_FOCAL_LOSS")
boosted("logit", "two", apply_link_function=False)
boosted("three", "three")
boosted("three_logits", "three", apply_link_function=False)
boosted("number", "number", task=TASK.REGRESSION)
boosted("absolute", "number", NUMBERS, TASK.REGRESSION, loss="MEAN_AVERAGE_ERROR")
boosted("poisson", "count", NUMBERS, TASK.REGRESSION, loss="POISSON")
boosted("ranking", "rank", NUMBERS, TASK.RANKING, ranking_group="group")
boosted("ranking_entropy", "rank", NUMBERS, TASK.RANKING, ranking_group="group", loss="XE_NDCG_MART")
boosted("oblique", "number", NUMBERS, TASK.REGRESSION, **OBLIQUE)
boosted("bins", "number", NUMBERS, TASK.REGRESSION, discretize_numerical_columns=True, num_discretized_numerical_bins=16)
random("votes", "three")
random("shares", "two", winner_take_all=False)
random("shares_of_three", "three", winner_take_all=False)
random("number", "number", TASK.REGRESSION, depth=8)
# Nodes that say yes of what is missing in one place and no in another.
random("local", "number", TASK.REGRESSION, depth=5, missing_value_policy="LOCAL_IMPUTATION")
random("random_local", "three", depth=5, missing_value_policy="RANDOM_LOCAL_IMPUTATION")
forest("cart", ydf.CartLearner, "three", task=TASK.CLASSIFICATION, max_depth=5)
forest("isolation", ydf.IsolationForestLearner, None, NUMBERS, num_trees=9, subsample_count=64)


@tf.autograph.experimental.do_not_convert
def outputs(builder, of_model=api._InferenceArgsBuilder._get_dense_output_dim):
    """How many outputs a model has. The wrapper knows no anomalies; its operator does."""
    return 1 if builder._header.task == 6 else of_model(builder)


api._InferenceArgsBuilder._get_dense_output_dim = outputs


def trained(name, folder):
    learner, label, features, options = FORESTS[name]
    data, labels = columns()
    if label is not None:
        data["y"] = labels[label]
        options = {"label": "y", **options}
    model = learner(features=features, **options).train(data)
    path = str(folder / name)
    model.save(path, advanced_options=ydf.ModelIOOptions(file_prefix=f"{name}_"))
    return path, model


def called(model):
    """Rows of the features of a model, as its operator takes them."""
    data, _ = columns()
    rows = {}
    for feature in model.input_features():
        values = data[feature.name][:CALLED]
        if feature.semantic == ydf.Semantic.CATEGORICAL:
            values = values.astype(np.int32)
            values[:5] = [-1, 0, 50, -7, 11]
        else:
            values = values.astype(np.float32)
        if feature.semantic == ydf.Semantic.BOOLEAN:
            # By numbers between 0 and 1, the engines of YDF differ.
            values[5] = np.nan
        rows[feature.name] = values
    return rows


def main():
    module, functions, answers = tf.Module(), {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name in FORESTS:
            path, trained_model = trained(name, pathlib.Path(folder))
            rows = called(trained_model)
            specs = {key: tf.TensorSpec([None], values.dtype, key) for key, values in rows.items()}
            for leaves in (False, True):
                if leaves and name not in ("boosted_three", "random_votes"):
                    continue
                signature = f"{name}_leaves" if leaves else name
                # An operator that gives leaves runs by another engine.
                model = tf_op.ModelV2(path, verbose=False, output_types=["LEAVES"] if leaves else [], file_prefix=f"{name}_")
                setattr(module, signature, model)

                @tf.autograph.experimental.do_not_convert
                def call(model=model, leaves=leaves, **features):
                    return {"y": model.apply_get_leaves(features) if leaves else model.apply(features).dense_predictions}

                function = tf.function(call).get_concrete_function(**specs)
                few = {key: values[:1] for key, values in rows.items()}
                none = {key: values[:0] for key, values in rows.items()}
                made = [answer(function, inputs) for inputs in (rows, few, none)]
                print(signature, [made_one.get("error") for made_one in made])
                functions[signature], answers[signature] = function, made
        shutil.rmtree(HERE / "forests", ignore_errors=True)
        tf.saved_model.save(module, str(HERE / "forests"), signatures=functions)
    (HERE / "forests" / "fingerprint.pb").unlink(missing_ok=True)
    write("forests", answers)


def version_1():
    """A forest that an identifier names, in a graph of TensorFlow 1."""
    v1, path = tf.compat.v1, HERE / "forests_v1"
    shutil.rmtree(path, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder, tf.Graph().as_default(), v1.Session() as session:
        learner, label, features, options = FORESTS["boosted_number"]
        data, labels = columns()
        trained_model = learner(label="y", features=NUMBERS, **options).train({**data, "y": labels[label]})
        trained_model.save(folder, advanced_options=ydf.ModelIOOptions(file_prefix=""))
        rows = called(trained_model)
        inputs = {key: v1.placeholder(values.dtype, [None], key) for key, values in rows.items()}
        for file in pathlib.Path(folder).iterdir():
            asset = tf.constant(str(file), name=f"asset_{file.name.split('.')[0].replace('-', '_')}")
            v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, asset)
        done = next(t for t in v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS) if t.op.name == "asset_done")
        model = tf_op.Model(folder, tf.strings.regex_replace(done, "done$", ""), verbose=False)
        outputs = {"y": model.apply(inputs).dense_predictions}
        infos = [{key: v1.saved_model.build_tensor_info(t) for key, t in part.items()} for part in (inputs, outputs)]
        signature = v1.saved_model.build_signature_def(*infos, "tensorflow/serving/predict")
        builder = v1.saved_model.Builder(str(path))
        assets = v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS)
        session.run(model.init_op())
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature}, assets_collection=assets, main_op=model.init_op(), strip_default_attrs=True
        )
        builder.save()
    function = tf.saved_model.load(str(path)).signatures["serving_default"]
    few = {key: values[:1] for key, values in rows.items()}
    write("forests_v1", {"serving_default": [answer(function, rows), answer(function, few)]})


if sys.argv[1:] != ["v1"]:
    main()
version_1()
