"""Signatures of TensorFlow 1 that assign variables of the old kind: `state_v1` is one SavedModel, `state_v1.json` holds calls of each
program in order and what TensorFlow answers. `python state_v1.py` makes both again."""

import shutil

from programs import HERE, np, numbers, tensors, tf, write

v1 = tf.compat.v1
v1.disable_eager_execution()
v1.disable_resource_variables()
v1.disable_control_flow_v2()
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
    p, row = v1.placeholder(tf.int32, [], "rows_p"), v1.placeholder(tf.float32, [2], "rows_row")
    add("rows", "put", {"y": v[p].assign(row)}, p=p, row=row)
    add("rows", "span", {"y": v[::2].assign(row)}, row=row)
    some = {"i": np.array([1, 3, 1], np.int32), "x": numbers(3, 2)}
    elements = {"n": np.array([[1, 0], [3, 1]], np.int64), "z": numbers(2)}
    calls(
        "rows",
        *[(name, some) for name in ("update", "add", "sub", "mul", "div", "min", "max")],
        *[(f"nd_{name}", elements) for name in ("update", "add", "sub", "min", "max")],
        *[("put", {"p": np.int32(at), "row": numbers(2)}) for at in (2, -4, 4)],
        ("span", {"row": numbers(2, seed=1)}),
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


def branch():
    """Sides assign, give values, references and both; what waits for the branch reads behind it."""
    x, b = v1.placeholder(tf.float32, [2], "branch_x"), v1.placeholder(tf.bool, [], "branch_b")
    v = v1.get_variable("branched", initializer=[1.0, 2.0])
    w = v1.get_variable("branched_too", initializer=[5.0, 7.0])
    fixed = v1.get_variable("branched_fixed", initializer=[2.0, 3.0])

    def both():
        with tf.control_dependencies([v1.assign(v, x * fixed)]):
            with tf.control_dependencies([v1.assign_add(w, v.read_value())]):
                return v1.assign_sub(v, w.read_value()) * 10.0

    both = v1.cond(b, both, lambda: v * 2.0)
    with tf.control_dependencies([both]):
        add("branch", "both", {"y": both, "w": w.read_value()}, x=x, b=b)
    add("branch", "references", {"y": v1.cond(b, lambda: v1.assign_add(v, x), lambda: v1.assign(v, x))}, x=x, b=b)
    add("branch", "mixed", {"y": v1.cond(b, lambda: v1.assign_add(v, x), lambda: x * 2.0)}, x=x, b=b)
    read = v1.cond(b, lambda: v + x, lambda: x)
    with tf.control_dependencies([read]):
        add("branch", "behind", {"read": read, "y": v1.assign(v, x)}, x=x, b=b)
    inner = lambda: v1.cond(x[0] > 0, lambda: v1.assign_add(v, x) + 0.0, lambda: v1.scatter_update(w, [1], [9.0]) * 1.0)
    add("branch", "nested", {"y": v1.cond(b, inner, lambda: v + w)}, x=x, b=b)
    decided = v1.cond(v[0] > 3.0, lambda: v1.assign(v, x) * 1.0, lambda: v1.assign_add(v, [1.0, 1.0]) * 1.0)
    add("branch", "decided", {"y": decided}, x=x)
    flags = [{"x": numbers(2, seed=seed), "b": np.bool_(b)} for seed, b in ((1, True), (2, False), (3, True))]
    calls(
        "branch",
        *[(name, given) for name in ("both", "references", "mixed", "behind", "nested") for given in flags],
        ("nested", {"x": -np.ones(2, np.float32), "b": np.bool_(True)}),
        *[("decided", {"x": numbers(2)})] * 6,
    )


def loop():
    """Bodies of loops assign, also in branches; no iteration and one."""
    x, n = v1.placeholder(tf.float32, [], "loop_x"), v1.placeholder(tf.int32, [], "loop_n")
    v = v1.get_variable("looped", initializer=1.5)
    many = v1.get_variable("looped_times", initializer=np.int32(0))

    def step(i):
        with tf.control_dependencies([v1.assign(v, v.read_value() * 0.5 + x)]):
            return i + 1

    with tf.control_dependencies([v1.while_loop(lambda i: i < n, step, [0])]):
        add("loop", "steps", {"y": v.read_value()}, x=x, n=n)

    def sometimes(i, y):
        some = v1.cond(tf.equal(i % 2, 0), lambda: v1.assign_add(v, x) + 0.0, lambda: tf.cast(v1.assign_add(many, 1), tf.float32))
        return i + 1, y + some

    add("loop", "sometimes", {"y": v1.while_loop(lambda i, y: i < n, sometimes, [0, x], parallel_iterations=1)[1]}, x=x, n=n)
    reads = v1.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y * v + x), [0, x])[1]
    with tf.control_dependencies([reads]):
        add("loop", "reads", {"y": reads, "many": many.read_value(), "v": v1.assign(v, x)}, x=x, n=n)
    every = [(name, {"x": np.float32(1.25), "n": np.int32(n)}) for n in (0, 1, 4) for name in ("steps", "sometimes", "reads")]
    calls("loop", *every)


def accumulated():
    """What training code does: sums are applied, and begin again, in every third call."""
    x = v1.placeholder(tf.float32, [2], "accumulated_x")
    weight = v1.get_variable("accumulated_weight", initializer=[1.0, -1.0])
    total = v1.get_variable("accumulated_total", initializer=[0.0, 0.0])
    step = v1.get_variable("accumulated_step", initializer=np.int64(0))
    with tf.control_dependencies([v1.assign_add(total, x), v1.assign_add(step, 1)]):
        now = step.read_value()

    def apply():
        with tf.control_dependencies([v1.assign_sub(weight, total.read_value() * 0.1)]):
            return tf.group(v1.assign(total, tf.zeros([2])))

    with tf.control_dependencies([v1.cond(tf.equal(now % 3, 0), apply, tf.no_op)]):
        add("accumulated", "train", {"weight": weight.read_value(), "total": total.read_value(), "step": now}, x=x)
    calls("accumulated", *[("train", {"x": numbers(2, seed=seed)}) for seed in range(7)])


def only_assigned():
    """Branches in branches that give nothing, one behind another."""
    x = v1.placeholder(tf.float32, [], "only_x")
    v, n = v1.get_variable("only_assigned", initializer=1.0), v1.get_variable("only_counted", initializer=np.int32(0))

    def outer():
        inner = v1.cond(x > 1, lambda: tf.group(v1.assign(v, x)), lambda: tf.group(v1.assign_add(v, 10.0)))
        with tf.control_dependencies([inner]):
            return tf.group(v1.assign_add(n, 1))

    with tf.control_dependencies([v1.cond(x > 0, outer, tf.no_op)]):
        again = v1.cond(x > 0, lambda: tf.group(v1.assign(v, v.read_value() * 2.0)), lambda: tf.group(v1.assign_sub(n, 5)))
    with tf.control_dependencies([again]):
        add("only_assigned", "step", {"v": v.read_value(), "n": n.read_value()}, x=x)
    calls("only_assigned", *[("step", {"x": np.float32(x)}) for x in (0.5, 3, -1, 0.25)])


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
    b = v1.placeholder(tf.bool, [], "refused_b")
    u = v1.get_variable("branch_lent", initializer=1.0)
    some = v1.cond(b, lambda: v1.assign_add(u, x), lambda: x)
    with tf.control_dependencies([some]):
        bump = v1.assign_add(u, 1.0)
    with tf.control_dependencies([bump]):
        add("refused", "branch_lent", {"y": some * 1.0}, x=x, b=b)
    t = v1.get_variable("branch_racy", initializer=1.0)

    def both():
        with tf.control_dependencies([v1.assign_add(t, x)]):
            first = tf.identity(x)
        return first + v1.assign(t, x)

    add("refused", "branch_racy", {"y": v1.cond(b, both, lambda: x)}, x=x, b=b)
    r = v1.get_variable("loop_lent", initializer=1.0)

    def step(i):
        with tf.control_dependencies([v1.assign(r, r * 0.5 + x)]):
            return i + 1

    with tf.control_dependencies([v1.while_loop(lambda i: i < 3, step, [0])]):
        add("refused", "loop_lent", {"y": r.read_value()}, x=x)
    c = v1.get_variable("loop_carried", initializer=1.0)

    def hand_on(i, y):
        with tf.control_dependencies([v1.assign_add(c, y)]):
            return i + 1, c.read_value()

    add("refused", "loop_carried", {"y": v1.while_loop(lambda i, y: i < 3, hand_on, [0, x])[1]}, x=x)


def scratch():
    """Variables that no checkpoint and no initialisation knows of: each call assigns them first."""
    x, steps = v1.placeholder(tf.float32, [2], "scratch_x"), {}
    for resource in (False, True):
        v = v1.get_variable(f"scratch_{resource}", initializer=[0.0, 0.0], collections=["local_variables"], use_resource=resource)
        with tf.control_dependencies([v1.assign(v, x * 2.0)]):
            first = v.read_value() + 0.0
            known = v1.is_variable_initialized(v)
        with tf.control_dependencies([first, known]):
            with tf.control_dependencies([v1.assign_add(v, x)]):
                last = v.read_value()
        steps |= {f"first_{resource}": first, f"last_{resource}": last, f"known_{resource}": known}
    add("scratch", "step", steps, x=x)
    calls("scratch", ("step", {"x": numbers(2)}), ("step", {"x": numbers(2, seed=1)}))


def unset():
    """Variables that have a value only once a call has assigned one: they are asked for it, read, and read too early."""
    x, n = v1.placeholder(tf.float32, [2], "unset_x"), v1.placeholder(tf.int32, [], "unset_n")
    for resource in (False, True):
        v = v1.get_variable(f"unset_{resource}", initializer=[0.0, 0.0], collections=["local_variables"], use_resource=resource)
        add("unset", f"get_{resource}", {"y": v.read_value() * 2.0})
        add("unset", f"sum_{resource}", {"y": tf.identity(v1.assign_add(v, x))}, x=x)
        add("unset", f"set_{resource}", {"y": tf.identity(v1.assign(v, x))}, x=x)
        asked = v1.is_variable_initialized(v)
        add("unset", f"is_set_{resource}", {"asked": asked})
        with tf.control_dependencies([asked]):
            both = v1.cond(asked, lambda: tf.identity(v1.assign_add(v, x)), lambda: tf.identity(v1.assign(v, x * 10.0)))
        add("unset", f"either_{resource}", {"asked": asked, "y": both}, x=x)

        def added(i):
            with tf.control_dependencies([v1.assign_add(v, x)]):
                return i + 1

        add("unset", f"loop_{resource}", {"i": v1.while_loop(lambda i: i < n, added, [0])}, x=x, n=n)
    ones, calls_of = np.ones(2, np.float32), []
    for resource in (False, True):
        at = lambda name, **given: (f"{name}_{resource}", given)
        calls_of += [at("is_set"), at("get"), at("sum", x=ones), at("loop", x=ones, n=np.int32(2)), at("is_set")]
        # A reference has to have a value where a loop begins, however often that runs.
        calls_of += [at("loop", x=ones, n=np.int32(0))] if resource else []
        calls_of += [at("either", x=ones), at("is_set"), at("either", x=ones), at("loop", x=ones, n=np.int32(2)), at("get"), at("set", x=ones), at("sum", x=ones)]
    calls("unset", *calls_of)


def make(model, builders):
    """Saves what the builders add as a model, and calls of it beside it."""
    for build in builders:
        build()
    path = HERE / model
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
    write(model, answers)


if __name__ == "__main__":
    make("state_v1", (counter, ordered, rows, limited, resources, moving_average, branch, loop, accumulated, only_assigned, scratch, unset, refused))
