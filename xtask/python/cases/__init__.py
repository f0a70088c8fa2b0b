"""The specifications of the recorded cases, by family of operators. Importing this package collects them in `spec.CASES`."""

from . import array, backprop, band, borders, contract, ctc, elementwise, fake_quant, filter, former, gradient, image, index, narrow, nn, norm_gradient, passing, pool_gradient, ragged, random, raw, records, recurrent, reduce, regex, scatter, segment, sparse, sparse_more, split, text, unicode, window
