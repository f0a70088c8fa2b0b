"""How programs are declared that are one function and calls of it, and what is drawn for them."""

import inspect

import numpy as np
import tensorflow as tf

from .spec import model

F32, F64, I32, I64, BOOL = tf.float32, tf.float64, tf.int32, tf.int64, tf.bool
HELD = {}


def numbers(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng([seed, *shape]).normal(size=shape).round(3).astype(dtype)


def ints(*shape, low=0, high=6, seed=0, dtype=np.int32):
    return np.random.default_rng([seed, *shape]).integers(low, high, shape).astype(dtype)


def weights(*shape, seed=3):
    """A variable of the program that is being traced, the same one each time it is asked for."""
    key = (seed, *shape)
    if key not in HELD:
        with tf.init_scope():
            HELD[key] = tf.Variable(np.random.default_rng(key).normal(0, 0.4, shape).astype(np.float32))
    return HELD[key]


def program(*calls, prefix, routes=("module",), finer=True, arguments=(), **specs):
    """A function of the inputs `specs`, each a type and a shape, and calls of it: the values of the inputs. By the routes of TF1 it adds
    to a graph."""

    def add(function):
        named = tuple(("serving_default", dict(zip(specs, map(np.asarray, call), strict=True))) for call in calls)

        def trace():
            HELD.clear()
            signature = [tf.TensorSpec(shape, dtype, name) for name, (dtype, shape) in specs.items()]
            traced, module = tf.function(function, input_signature=signature), tf.Module()
            traced.get_concrete_function()
            module.held = list(HELD.values())
            return module, traced

        def graph():
            inputs = {name: tf.compat.v1.placeholder(dtype, shape, name) for name, (dtype, shape) in specs.items()}
            return {"serving_default": (inputs, {name: tf.identity(value) for name, value in function(**inputs).items()})}

        common = dict(calls=named, finer=finer, arguments=arguments, file=inspect.getsourcefile(function))
        for route in routes:
            model(f"{prefix}_{function.__name__}", route, **common)(trace if route == "module" else graph)
        return function

    return add
