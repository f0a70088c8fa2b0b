"""The engines that train: each loads a step for its batch and a number of threads, and answers a call, which is one step and a look
at its loss, and `reset`, after which the variables are as they were saved.

Every engine gets what is fastest for this use: static shapes, inputs and targets that stay, float32, frozen layers as constants.
`output` gives the losses of the first steps. Imports stand in the classes.
"""

import ctypes
import math
import pathlib

import numpy as np

from engines import LiteRt, Smc, TensorFlow, aligned, pool


class Trainer:
    """A step of training. Who inherits sets `step`, which gives the loss."""

    def begin(self, losses):
        """Takes the first steps, and is as before them."""
        self.reset()
        self.losses = np.array([self.step() for _ in range(losses)], np.float32)
        self.reset()
        self.call = self.step

    def output(self):
        return self.losses


def data(folder, batch):
    """Inputs and targets, at cache lines."""
    given = [np.load(folder / f"b{batch}.{name}.npy") for name in ("in", "target")]
    kept = [aligned(array.shape, array.dtype) for array in given]
    for to, array in zip(kept, given):
        to[...] = array
    return kept


class SmcTrainer(Trainer):
    """The entry `train_step` of the object, with its state, in a shared library."""

    name, version = Smc.name, Smc.version

    def __init__(self, folder, batch, threads):
        library = ctypes.CDLL(str(folder / f"b{batch}.so"))
        library.step_loss.restype = ctypes.c_float
        library.step_begin.argtypes = [ctypes.c_void_p] * 3
        self.kept = library, data(folder, batch)
        x, y = self.kept[1]
        self.checked(library.step_begin(x.ctypes.data, y.ctypes.data, pool(threads)))
        self.checked(library.step_run())
        self.reset = library.step_reset
        run, loss = library.step_run, library.step_loss

        def step():
            run()
            return loss()

        self.step = step

    def checked(self, status):
        if status != 0:
            raise RuntimeError(f"status {status}")


class TensorFlowTrainer(Trainer):
    """A function of the Keras model, gradient tape and TensorFlow's operator for Adam, traced for its shapes."""

    name, version, compiles = TensorFlow.name, TensorFlow.version, False

    def __init__(self, folder, batch, threads):
        import keras
        import tensorflow as tf

        from training import parts

        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:
            pass  # Set by an earlier load in this process, to the same values.
        x, y = data(folder, batch)
        model = keras.models.load_model(folder / "model.keras")
        forward, learned = parts(model, x)
        learned = [v.value for v in learned]
        slots = [(tf.Variable(tf.zeros(v.shape)), tf.Variable(tf.zeros(v.shape))) for v in learned]
        powers = tf.Variable(0.9), tf.Variable(0.999)
        loss_of = keras.losses.SparseCategoricalCrossentropy()

        @tf.function(input_signature=[tf.TensorSpec(a.shape, a.dtype) for a in (x, y)], jit_compile=self.compiles)
        def step(x, y):
            with tf.GradientTape() as tape:
                loss = loss_of(y, forward(x))
            for value, (m, v), gradient in zip(learned, slots, tape.gradient(loss, learned)):
                tf.raw_ops.ResourceApplyAdam(
                    var=value.handle, m=m.handle, v=v.handle, beta1_power=powers[0], beta2_power=powers[1],
                    lr=0.001, beta1=0.9, beta2=0.999, epsilon=1e-7, grad=gradient,
                )
            powers[0].assign(powers[0] * 0.9)
            powers[1].assign(powers[1] * 0.999)
            return loss

        every = [*learned, *powers, *(slot for pair in slots for slot in pair)]
        begun = [v.numpy() for v in every]
        traced, given = step.get_concrete_function(), (tf.constant(x), tf.constant(y))
        self.kept = model, slots
        self.step = lambda: traced(*given).numpy()
        self.reset = lambda: [v.assign(value) for v, value in zip(every, begun)]


class XlaTrainer(TensorFlowTrainer):
    """The same function, compiled as a whole by TensorFlow's compiler."""

    name, compiles = "xla", True


class LiteRtTrainer(Trainer):
    """A signature that trains, in LiteRT's interpreter with resource variables."""

    name, version = LiteRt.name, LiteRt.version

    def __init__(self, folder, batch, threads):
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(model_path=str(folder / f"b{batch}.tflite"), num_threads=threads)
        train, reset = (self.interpreter.get_signature_runner(name) for name in ("train", "reset"))
        x, y = data(folder, batch)
        self.step = lambda: float(train(x=x, y=y)["loss"])
        self.reset = reset


class PyTorch(Trainer):
    """The same network by hand in PyTorch, with the same weights; compiled where the version can."""

    name = "pytorch"

    @staticmethod
    def version():
        import torch

        return f"PyTorch {torch.__version__}" + ("" if hasattr(torch, "compile") else " (which has no torch.compile)")

    def __init__(self, folder, batch, threads):
        import torch

        import torch_steps

        torch.set_num_threads(threads)
        x, y = (torch.from_numpy(array) for array in data(folder, batch))
        with np.load(folder / "weights.npz") as weights:
            forward, learned, x = torch_steps.network(folder.name, dict(weights), x)
        begun = [p.detach().clone() for p in learned]
        loss_of = torch.nn.functional.cross_entropy

        def loss_at(x, y):
            return loss_of(forward(x), y)

        if hasattr(torch, "compile"):
            loss_at = torch.compile(loss_at)

        def step():
            self.adam.zero_grad(set_to_none=True)
            loss = loss_at(x, y)
            loss.backward()
            # PyTorch adds epsilon to a root that is larger by this than Keras'.
            self.power *= 0.999
            self.adam.param_groups[0]["eps"] = 1e-7 / math.sqrt(1.0 - self.power)
            self.adam.step()
            return loss.item()

        def reset():
            with torch.no_grad():
                for parameter, value in zip(learned, begun):
                    parameter.copy_(value)
            self.adam, self.power = torch.optim.Adam(learned, lr=0.001), 1.0

        self.step, self.reset = step, reset


TRAINERS = {trainer.name: trainer for trainer in (SmcTrainer, LiteRtTrainer, TensorFlowTrainer, XlaTrainer, PyTorch)}


def load(name, folder, batch, threads):
    """An engine that has loaded the step and taken it a few times."""
    folder = pathlib.Path(folder)
    trainer = TRAINERS[name](folder, batch, threads)
    trainer.begin(len(np.load(folder / f"b{batch}.out.npy")))
    return trainer
