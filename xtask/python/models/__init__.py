"""The models of the parity test. Importing this package collects them in `spec.MODELS`."""

from . import applications, control, convolutions, exported, frames, functions, gradients, layers, legacy, networks, probes, records, recurrent, sizes, states, text, training, version1
