"""The models of the parity test. Importing this package collects them in `spec.MODELS`."""

from . import applications, convolutions, functions, layers, legacy, networks, recurrent, version1
