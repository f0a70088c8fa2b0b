"""How a parity model is declared: a builder, the routes by which it is saved, and what its inputs hold."""

import dataclasses
import itertools
import os
import typing

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np


@dataclasses.dataclass
class Model:
    """`build` returns what the route saves. The model is called once for each of `calls`, in this order: a signature and its inputs by
    name. Without any, every signature is called with drawn inputs, once for each of `batches`: `feeds` gives the range of an input whose
    name contains the key; `free` is the size of the unknown dimensions beyond the first.

    `arguments` are further ones of `smc run`. `state`: the calls pass on the variables. `finer`: the outputs in double precision tell how
    near is near enough; without it TensorFlow's own do, where there is no graph of constants or a rounding decides what is computed.
    `refused`: what smc says instead of an answer, by signature."""

    name: str
    route: str
    build: typing.Callable
    file: str
    feeds: dict = dataclasses.field(default_factory=dict)
    free: int = 6
    batches: tuple = (1, 3, 17)
    calls: tuple = ()
    arguments: tuple = ()
    state: bool = False
    finer: bool = True
    refused: dict = dataclasses.field(default_factory=dict)


MODELS: list[Model] = []
FROZEN = itertools.count()


def model(name, *routes, **options):
    """Declare a model, saved by each of the routes; `options` are the fields of `Model`:

    - `saved_model`: `tf.saved_model.save(keras_model, path)`
    - `export`: `keras_model.export(path)`
    - `legacy`: `tf_keras_model.save(path, save_format="tf")`
    - `frozen`: variables turned into constants, one signature, written by the TF1 builder
    - `module`: the builder returns a `tf.Module` and its signatures
    - `tf1`: the builder writes the SavedModel itself, from a TF1 session
    - `simple_save`, `builder`, `frozen_graph`: the builder adds to a TF1 graph and returns its signatures, each with the inputs and the
      outputs by name; the graph is saved by `simple_save`, by the TF1 builder, or by the TF1 builder with its variables as constants
    """

    def declare(build):
        given = dict(options)
        file = given.pop("file", None) or build.__code__.co_filename
        MODELS.extend(Model(name, route, build, file, **given) for route in routes)
        return build

    return declare


def randomise(keras_model, seed=7):
    """Give biases and batch-norm statistics values that matter; fresh ones are zeros and ones, which hide mistakes."""
    rng = np.random.default_rng(seed)
    for weight in keras_model.weights:
        # A vocabulary has no name.
        kind = (getattr(weight, "path", None) or getattr(weight, "name", "")).split("/")[-1].split(":")[0]
        if kind in ("gamma", "moving_variance", "variance", "scale"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape).astype(np.float32))
        elif kind in ("beta", "bias", "moving_mean", "mean"):
            weight.assign(rng.normal(0, 0.2, weight.shape).astype(np.float32))
    return keras_model


def freeze(function):
    """A concrete function's graph with its variables as constants and its calls inlined; branches and loops stay functions."""
    from tensorflow.python.framework import convert_to_constants as convert

    # As frames, loops could not be evaluated node by node.
    data = convert._FunctionConverterDataInEager(func=function, lower_control_flow=False, aggressive_inlining=False)
    graph, converted = convert._replace_variables_by_constants(converter_data=data)
    rename_functions(graph)
    return convert._construct_concrete_function(function, graph, converted)


def rename_functions(graph):
    """Give a graph's functions names that no other graph's have: TensorFlow keeps them as long as the process lives, and freezing calls
    the bodies of many loops alike."""
    number = next(FROZEN)
    names = {function.signature.name: f"frozen_{number}_{function.signature.name}" for function in graph.library.function}
    for function in graph.library.function:
        function.signature.name = names[function.signature.name]
    for node in [*graph.node, *(node for function in graph.library.function for node in function.node_def)]:
        for attr in node.attr.values():
            for called in [attr.func, *attr.list.func] if attr.WhichOneof("value") in ("func", "list") else []:
                if called.name in names:
                    called.name = names[called.name]


def save_frozen(keras_model, path):
    import tensorflow as tf

    specs = [tf.TensorSpec(i.shape, i.dtype, name=i.name) for i in keras_model.inputs]
    frozen = freeze(tf.function(lambda *inputs: keras_model(list(inputs), training=False)).get_concrete_function(*specs))
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(frozen.graph.as_graph_def(), name="")
        info = tf.compat.v1.saved_model.utils.build_tensor_info
        tensors = graph.get_tensor_by_name
        signature = tf.compat.v1.saved_model.signature_def_utils.build_signature_def(
            {t.op.name: info(tensors(t.name)) for t in frozen.inputs},
            {f"output_{i}": info(tensors(t.name)) for i, t in enumerate(frozen.outputs)},
            "tensorflow/serving/predict",
        )
        builder = tf.compat.v1.saved_model.Builder(path)
        with tf.compat.v1.Session(graph=graph) as session:
            builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()


def save_graph(entry, path):
    """Build a TF1 graph whose loops and branches are frames, and save it by the route."""
    import tensorflow as tf

    v1 = tf.compat.v1
    v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
            v1.set_random_seed(3)
            signatures = entry.build()
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            if entry.route == "simple_save":
                ((inputs, outputs),) = signatures.values()
                return v1.saved_model.simple_save(session, path, inputs, outputs)
            if entry.route == "builder":
                return write_graph(session, path, signatures)
            names = [tensor.op.name for _, outputs in signatures.values() for tensor in outputs.values()]
            frozen = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), names)
        with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
            v1.import_graph_def(frozen, name="")
            again = lambda tensors: {key: graph.get_tensor_by_name(tensor.name) for key, tensor in tensors.items()}
            write_graph(session, path, {name: (again(inputs), again(outputs)) for name, (inputs, outputs) in signatures.items()})
    finally:
        v1.enable_control_flow_v2()


def write_graph(session, path, signatures):
    """A session's graph and variables, by the TF1 builder."""
    import tensorflow as tf

    saved_model = tf.compat.v1.saved_model
    info = lambda tensors: {key: saved_model.build_tensor_info(tensor) for key, tensor in tensors.items()}
    define = lambda inputs, outputs: saved_model.build_signature_def(info(inputs), info(outputs), "tensorflow/serving/predict")
    builder = saved_model.Builder(path)
    builder.add_meta_graph_and_variables(session, ["serve"], {name: define(*ends) for name, ends in signatures.items()}, strip_default_attrs=True)
    builder.save()


GRAPH_ROUTES = ("simple_save", "builder", "frozen_graph")


def save(entry, path):
    """Build the model and write its SavedModel."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(11)
    if entry.route == "tf1":
        return entry.build(path)
    if entry.route in GRAPH_ROUTES:
        return save_graph(entry, path)
    built = entry.build()
    if entry.route == "module":
        return tf.saved_model.save(built[0], path, signatures=built[1])
    randomise(built)
    if entry.route == "saved_model":
        return tf.saved_model.save(built, path)
    if entry.route == "export":
        return built.export(path, verbose=False)
    if entry.route == "legacy":
        return built.save(path, save_format="tf")
    return save_frozen(built, path)
