"""The engines: each loads a subject for one batch and a number of threads, and answers a call and a look at its output.

Every engine gets what its documentation names as fastest for this use: static shapes, inputs and outputs that stay where they are,
all graph optimisations, float32. Arrays that an engine reads or writes in place start at a cache line, for every engine alike: numpy's
own start anywhere. Imports stand in the classes, so that a process pays for its own engine alone.
"""

import ctypes
import os
import pathlib

import numpy as np

ALIGN = 64


class Smc:
    """The object that smc wrote, linked into a shared library, called through ctypes."""

    name = "smc"

    @staticmethod
    def version():
        return os.environ.get("SMC_VERSION", "")

    def __init__(self, folder, batch, threads):
        facts = (folder / f"b{batch}.smc").read_text().split()
        library = ctypes.CDLL(str(folder / f"b{batch}.so"))
        self.x, self.y = arrays(folder, batch)
        # Input, output, threads; what a later layout adds behind is zero, which means the default.
        io = (ctypes.c_void_p * 8)(self.x.ctypes.data, self.y.ctypes.data, pool(threads))
        library.m_workspace_bytes.argtypes = [ctypes.c_uint32, ctypes.c_void_p]
        library.m_workspace_bytes.restype = ctypes.c_int64
        size = library.m_workspace_bytes(0, io)
        workspace = aligned((max(size, 1),), np.uint8)
        entry = getattr(library, facts[0])
        entry.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
        arguments = ctypes.c_void_p(ctypes.addressof(io)), ctypes.c_void_p(workspace.ctypes.data), ctypes.c_size_t(size)
        self.kept = library, io, workspace
        if (status := entry(*arguments)) != 0:
            raise RuntimeError(f"{facts[0]} returned status {status}")
        self.call = lambda: entry(*arguments)

    def output(self):
        return self.y


def aligned(shape, dtype=np.float32):
    """An array that starts at a cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + ALIGN, np.uint8)
    start = -memory.ctypes.data % ALIGN
    return memory[start : start + size].view(dtype).reshape(shape)


def arrays(folder, batch):
    """The subject's input and an output to be written, at cache lines."""
    x, y = np.load(folder / f"b{batch}.in.npy"), np.load(folder / f"b{batch}.out.npy")
    input, output = aligned(x.shape, x.dtype), aligned(y.shape)
    input[...] = x
    return input, output


def pool(threads):
    """The address of a pool of the runtime, none for one thread."""
    if threads == 1:
        return None
    runtime = ctypes.CDLL(os.environ["SMC_RUNTIME"])
    runtime.smc_pool_new.restype = ctypes.c_void_p
    runtime.smc_pool_new.argtypes = [ctypes.c_int64]
    return runtime.smc_pool_new(threads)


class LiteRt:
    """LiteRT's interpreter with XNNPACK, which it uses by default; inputs and outputs in place."""

    name = "litert"

    @staticmethod
    def version():
        from importlib.metadata import version

        return f"ai-edge-litert {version('ai-edge-litert')}"

    def __init__(self, folder, batch, threads):
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(model_path=str(folder / f"b{batch}.tflite"), num_threads=threads)
        self.interpreter.allocate_tensors()
        x = np.load(folder / f"b{batch}.in.npy")
        self.interpreter.set_tensor(self.interpreter.get_input_details()[0]["index"], x)
        self.call = self.interpreter.invoke

    def output(self):
        return self.interpreter.get_tensor(self.interpreter.get_output_details()[0]["index"])


class OnnxRuntime:
    """All graph optimisations, memory arena, input and output bound to memory that stays."""

    name = "onnxruntime"

    @staticmethod
    def version():
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}"

    def __init__(self, folder, batch, threads):
        import onnxruntime as ort

        ort.set_default_logger_severity(3)
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.enable_cpu_mem_arena = options.enable_mem_pattern = True
        session = ort.InferenceSession(str(folder / f"b{batch}.onnx"), options, providers=["CPUExecutionProvider"])
        # On the CPU, these are the arrays' memory.
        self.arrays = arrays(folder, batch)
        self.x, self.y = map(ort.OrtValue.ortvalue_from_numpy, self.arrays)
        binding = session.io_binding()
        binding.bind_ortvalue_input(session.get_inputs()[0].name, self.x)
        binding.bind_ortvalue_output(session.get_outputs()[0].name, self.y)
        run = ort.RunOptions()
        inner, bound = session._sess, binding._iobinding
        self.kept = session, binding
        # What InferenceSession.run_with_iobinding calls, without its own check.
        self.call = lambda: inner.run_with_iobinding(bound, run)

    def output(self):
        return self.y.numpy()


class OpenVino:
    """Latency hint, float32 (it would lower the precision by default), one request with shared memory."""

    name = "openvino"

    @staticmethod
    def version():
        from importlib.metadata import version

        return f"openvino {version('openvino')}"

    def __init__(self, folder, batch, threads):
        import openvino as ov

        settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        core = ov.Core()
        self.compiled = core.compile_model(core.read_model(str(folder / f"b{batch}.onnx")), "CPU", settings)
        self.request = self.compiled.create_infer_request()
        self.arrays = arrays(folder, batch)
        self.x, self.y = (ov.Tensor(array, shared_memory=True) for array in self.arrays)
        self.request.set_input_tensor(self.x)
        self.request.set_output_tensor(self.y)
        # What InferRequest.infer calls: no input anew, outputs not copied.
        infer, nothing = super(type(self.request), self.request).infer, {}
        self.call = lambda: infer(nothing, True, False)

    def output(self):
        return self.request.get_output_tensor().data


class TensorFlow:
    """The SavedModel's signature for one shape with its variables frozen, as a function that has been traced."""

    name = "tensorflow"
    # For a single call, freezing takes longer than it gains.
    freezes = True
    compiles = False

    @staticmethod
    def version():
        from importlib.metadata import version

        return f"tensorflow-cpu {version('tensorflow-cpu')}"

    def __init__(self, folder, batch, threads):
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import tensorflow as tf

        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:
            pass  # Set by an earlier load in this process, to the same values.
        x = np.load(folder / f"b{batch}.in.npy")
        if self.freezes:
            from build import fixed

            # A frozen function is slow to call, because it is not traced itself; one around it is not.
            self.kept = fixed(folder / "model", x)
            traced = tf.function(self.kept, input_signature=[tf.TensorSpec(x.shape, x.dtype)], jit_compile=self.compiles)
            function, given, named = traced.get_concrete_function(), [tf.constant(x)], {}
        else:
            self.kept = tf.saved_model.load(str(folder / "model"))
            function = self.kept.signatures["serving_default"]
            given, named = [], {key: tf.constant(x) for key in function.structured_input_signature[1]}
        self.result = None

        def call():
            self.result = function(*given, **named)

        self.call = call

    def output(self):
        (result,) = self.result.values() if isinstance(self.result, dict) else self.result
        return result.numpy()


class Xla(TensorFlow):
    """The same function, compiled for its one shape as a whole by TensorFlow's compiler."""

    name = "xla"
    compiles = True


class Iree:
    """Compiled for this processor; `local-sync` runs on the calling thread, `local-task` on a pool of workers."""

    name = "iree"

    @staticmethod
    def version():
        from importlib.metadata import version

        return f"iree {version('iree-base-runtime')}"

    def __init__(self, folder, batch, threads):
        import iree.runtime as rt

        if threads > 1:
            rt.flags.parse_flags(f"--task_topology_group_count={threads}")
        config = rt.Config("local-sync" if threads == 1 else "local-task")
        module = rt.load_vm_module(rt.VmModule.mmap(config.vm_instance, str(folder / f"b{batch}.vmfb")), config)
        (name,) = [n for n in module.vm_module.function_names if not n.startswith("__") and not n.endswith("$async")]
        function = module[name]
        self.x = rt.asdevicearray(config.device, np.load(folder / f"b{batch}.in.npy"))
        self.kept = config, module
        self.result = None

        def call():
            self.result = function(self.x)

        self.call = call

    def output(self):
        return self.result.to_host()


ENGINES = {engine.name: engine for engine in (Smc, LiteRt, OnnxRuntime, OpenVino, TensorFlow, Xla, Iree)}


def load(name, folder, batch, threads):
    """An engine that has loaded the subject and run it once."""
    engine = ENGINES[name](pathlib.Path(folder), batch, threads)
    engine.call()
    return engine
