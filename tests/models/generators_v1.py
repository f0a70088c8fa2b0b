"""Operators with a seed in loops and branches of TensorFlow 1, each with a generator of its own: `generators_v1` and `generators_v1.json`, as
`state.py` makes others. `python generators_v1.py` makes both again."""

import shutil

from programs import HERE, F32, I32, np, tensor, tensors, tf, write

v1 = tf.compat.v1
v1.disable_control_flow_v2()
v1.disable_eager_execution()
PATH = HERE / "generators_v1"


def walk(n):
    """Both loops have nodes of one name."""
    return v1.while_loop(lambda i, x: i < n, lambda i, x: (i + 1, x + v1.random_uniform([2], seed=4)), [0, tf.zeros([2])])[1]


def behind_inner(n):
    """Draws behind an inner branch, in the outer one."""
    inner = v1.cond(n > 4, lambda: tf.cast(n, F32), lambda: 0.5)
    with tf.control_dependencies([inner]):
        return inner + v1.random_uniform([2], seed=7)


def save():
    with tf.Graph().as_default(), v1.Session() as session:
        n = v1.placeholder(I32, [], "n")
        outputs = {
            "first": walk(n), "second": walk(n), "alone": v1.random_uniform([3], seed=1, dtype=F32), "shuffled": v1.random_shuffle(tf.range(7), seed=6),
            "inner": v1.cond(n > 2, lambda: behind_inner(n), lambda: tf.zeros([2])),
            "branch": v1.cond(n > 2, lambda: v1.random_normal([2], seed=9), lambda: v1.random_uniform([2], seed=9)),
        }  # fmt: skip
        info = v1.saved_model.utils.build_tensor_info
        signature = v1.saved_model.signature_def_utils.build_signature_def({"n": info(n)}, {k: info(v) for k, v in outputs.items()}, "tensorflow/serving/predict")
        shutil.rmtree(PATH, ignore_errors=True)
        builder = v1.saved_model.Builder(str(PATH))
        builder.add_meta_graph_and_variables(session, ["serve"], {"bodies__draw": signature})
        builder.save()
        return {k: v.name for k, v in outputs.items()}


def calls(names):
    with v1.Session(graph=tf.Graph()) as session:
        v1.saved_model.load(session, ["serve"], str(PATH))
        for n in (3, 1, 0, 5, 3):
            outputs = session.run(names, {"n:0": n})
            yield {"function": "draw", "inputs": {"n": tensor(np.int32(n))}, "outputs": tensors(outputs)}


write("generators_v1", {"bodies": list(calls(save()))})
