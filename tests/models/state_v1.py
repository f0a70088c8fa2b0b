"""Signatures of TensorFlow 1 that assign variables of the old kind: `state_v1` is one SavedModel, `state_v1.json` holds calls of each
program in order and what TensorFlow answers. `python state_v1.py` makes both again."""

import shutil

from programs import HERE, np, numbers, tensors, tf, write

v1 = tf.compat.v1
v1.disable_eager_execution()
v1.disable_resource_variables()
raw = tf.raw_ops
SIGNATURES, CALLS = {}, {}


def add(program, name, outputs, **inputs):
    SIGNATURES[f"{program}__{name}"] = (inputs, outputs)


def calls(program, *all_of):
    CALLS[program] = all_of


def counter():
    v = v1.get_variable("counter", initializer=3.0)
    delta = v1.placeholder(tf.float32, [], "delta")
    add("counter", "get", {"y": v})
    add("counter", "read", {"y": v.value() * 2.0})
    add("counter", "up", {"y": v1.assign_add(v, 1.0)})
    add("counter", "by", {"y": v1.assign_sub(v, delta) + 10.0}, delta=delta)
    add("counter", "reset", {"y": v1.assign(v, 0.0)})
    calls("counter", ("get", {}), ("up", {}), ("by", {"delta": np.float32(0.5)}), ("read", {}), ("reset", {}), ("up", {}), ("get", {}))


def ordered():
    v = v1.get_variable("ordered", initializer=[1.0, 2.0])
    x = v1.placeholder(tf.float32, [2], "ordered_x")
    old = v + 0.0
    with tf.control_dependencies([old]):
        first = v1.assign(v, x)
    with tf.control_dependencies([first]):
        middle = v.read_value() * 100.0
        with tf.control_dependencies([middle]):
            second = v1.assign_add(v, old)
    with tf.control_dependencies([second]):
        last = v.read_value()
    add("ordered", "step", {"old": old, "middle": middle, "last": last}, x=x)
    calls("ordered", ("step", {"x": numbers(2)}), ("step", {"x": numbers(2, seed=1)}))


def rows():
    v = v1.get_variable("rows", initializer=numbers(4, 2, seed=5))
    i, x = v1.placeholder(tf.int32, [None], "rows_i"), v1.placeholder(tf.float32, [None, 2], "rows_x")
    for name in ("update", "add", "sub", "mul", "div", "min", "max"):
        add("rows", name, {"y": getattr(v1, f"scatter_{name}")(v, i, x)}, i=i, x=x)
    n, z = v1.placeholder(tf.int64, [None, 2], "rows_n"), v1.placeholder(tf.float32, [None], "rows_z")
    for name in ("Update", "Add", "Sub", "Min", "Max"):
        add("rows", f"nd_{name.lower()}", {"y": getattr(raw, f"ScatterNd{name}")(ref=v._ref(), indices=n, updates=z)}, n=n, z=z)
    some = {"i": np.array([1, 3, 1], np.int32), "x": numbers(3, 2)}
    elements = {"n": np.array([[1, 0], [3, 1]], np.int64), "z": numbers(2)}
    calls(
        "rows",
        *[(name, some) for name in ("update", "add", "sub", "mul", "div", "min", "max")],
        *[(f"nd_{name}", elements) for name in ("update", "add", "sub", "min", "max")],
        ("add", {**some, "i": np.array([0, 4, 1], np.int32)}),
    )


def limited():
    v = v1.get_variable("limited", initializer=np.int64(1))
    add("limited", "next", {"n": v.count_up_to(3), "known": raw.IsVariableInitialized(ref=v._ref())})
    calls("limited", *[("next", {})] * 4)


def resources():
    v = v1.get_variable("resource", initializer=[0.0, 1.0], use_resource=True)
    x = v1.placeholder(tf.float32, [2], "resource_x")
    before = v.read_value()
    with tf.control_dependencies([before]):
        with tf.control_dependencies([v.assign_add(x, read_value=False)]):
            after = v.read_value()
    divided = raw.ResourceScatterDiv(resource=v.handle, indices=[1, 1], updates=[2.0, 4.0])
    with tf.control_dependencies([divided]):
        quotient = v.read_value()
    add("resources", "step", {"before": before, "after": after}, x=x)
    add("resources", "divide", {"y": quotient})
    calls("resources", ("step", {"x": numbers(2)}), ("divide", {}), ("step", {"x": numbers(2, seed=3)}))


def moving_average():
    x = v1.placeholder(tf.float32, [None], "moving_x")
    mean = v1.get_variable("moving_mean", initializer=0.0)
    step = v1.get_variable("moving_step", initializer=np.int32(0))
    update = v1.assign(mean, mean * 0.9 + tf.reduce_mean(x) * 0.1)
    with tf.control_dependencies([update, v1.assign_add(step, 1)]):
        y = x - mean.read_value()
    add("moving_average", "train", {"y": y}, x=x)
    add("moving_average", "serve", {"y": x - mean, "step": step + 0}, x=x)
    calls("moving_average", ("train", {"x": numbers(4)}), ("train", {"x": numbers(3)}), ("serve", {"x": numbers(2)}))


def refused():
    x = v1.placeholder(tf.float32, [], "refused_x")
    s = v1.get_variable("snapshot", initializer=0.0)
    with tf.control_dependencies([v1.assign(s, s * 0.5 + x)]):
        add("refused", "snapshot", {"y": x - s}, x=x)
    v = v1.get_variable("racy", initializer=1.0)
    add("refused", "racy", {"a": v + 1.0, "b": v1.assign(v, 5.0)})
    w = v1.get_variable("lent", initializer=1.0)
    read = v1.identity(w)
    with tf.control_dependencies([read]):
        bump = v1.assign_add(w, 1.0)
    with tf.control_dependencies([bump]):
        add("refused", "lent", {"y": read * 1.0})


def make():
    for build in (counter, ordered, rows, limited, resources, moving_average, refused):
        build()
    path = HERE / "state_v1"
    shutil.rmtree(path, ignore_errors=True)
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(path))
        infos = lambda named: {k: v1.saved_model.build_tensor_info(v) for k, v in named.items()}
        signature = lambda inputs, outputs: v1.saved_model.build_signature_def(infos(inputs), infos(outputs), "tensorflow/serving/predict")
        builder.add_meta_graph_and_variables(session, ["serve"], {k: signature(*v) for k, v in SIGNATURES.items()})
        builder.save()
        answers = {}
        for program, sequence in CALLS.items():
            answers[program] = []
            for name, given in sequence:
                inputs, outputs = SIGNATURES[f"{program}__{name}"]
                try:
                    results = session.run(outputs, {inputs[k]: value for k, value in given.items()})
                    answer = {"outputs": tensors(results)}
                except tf.errors.OpError as error:
                    answer = {"error": error.message.splitlines()[0][:120]}
                answers[program].append({"function": name, "inputs": tensors(given), **answer})
            print(program, [a.get("outputs", a.get("error")) for a in answers[program]])
    write("state_v1", answers)


if __name__ == "__main__":
    make()
