"""Programs whose data decide how large a tensor is: filters, detections, ragged batches, windows."""

import functools

import numpy as np
import tensorflow as tf

from .programs import BOOL, F32, I32, I64, ints, numbers, program, weights

sizes = functools.partial(program, prefix="sizes")


# Suppression has no kernel for doubles: such programs are judged by TensorFlow's own results.
def bound(**bounds):
    return tuple(part for name, most in bounds.items() for part in ("--bound", f"{name}={most}"))


def boxes(n, seed=0):
    rng = np.random.default_rng([seed, n])
    low = rng.uniform(0, 0.7, (n, 2))
    return np.concatenate([low, low + rng.uniform(0.1, 0.3, (n, 2))], 1).astype(np.float32)


@sizes((numbers(5, 3),), (-np.abs(numbers(4, 3)),), (numbers(1, 3),), (numbers(0, 3),), x=(F32, [None, 3]))
def relevant_rows(x):
    """The rows with a score above zero, where they were, and how many."""
    score = tf.linalg.matvec(x, tf.constant([1.0, -0.5, 0.25]))
    kept = tf.boolean_mask(x, score > 0)
    return {"rows": tf.nn.relu(kept @ weights(3, 2)), "places": tf.where(score > 0)[:, 0], "count": tf.shape(kept)[0]}


@sizes((numbers(2, 4), ints(2, 4, high=2)), (numbers(1, 4), np.zeros((1, 4), np.int32)), (numbers(0, 4), ints(0, 4)), x=(F32, [None, 4]), mask=(I32, [None, 4]))
def masked_mean(x, mask):
    """Elements chosen from a batch: their mean, deviation and extremes."""
    values = tf.boolean_mask(x, tf.cast(mask, BOOL))
    n = tf.cast(tf.size(values), F32)
    mean = tf.math.divide_no_nan(tf.reduce_sum(values), n)
    return {"mean": mean, "spread": tf.math.divide_no_nan(tf.reduce_sum(tf.square(values - mean)), n), "values": values, "where": tf.where(mask)}


@sizes((ints(8, high=5),), (ints(1),), (ints(0),), ids=(I32, [None]))
def unique_embeddings(ids):
    """Rows of a table are computed once for each id that occurs, and spread again."""
    found, places = tf.unique(ids)
    rows = tf.tanh(tf.gather(weights(6, 3), found))
    return {"rows": tf.gather(rows, places), "found": found}


@sizes((ints(9, high=4),), (ints(1),), (ints(0),), labels=(I32, [None]))
def label_counts(labels):
    found, places, counts = tf.unique_with_counts(labels)
    share = tf.cast(counts, F32) / tf.cast(tf.size(labels), F32)
    return {"found": found, "counts": counts, "share": share, "all": tf.reduce_sum(counts), "places": places}


@sizes(*[(boxes(n, seed=n), np.random.default_rng(n).uniform(0, 1, n).astype(np.float32)) for n in (8, 1, 0, 20)], finer=False, boxes=(F32, [None, 4]), scores=(F32, [None]))
def detections(boxes, scores):
    """Non-maximum suppression with a threshold, then the boxes and scores that are left."""
    kept = tf.image.non_max_suppression(boxes, scores, 6, iou_threshold=0.4, score_threshold=0.2)
    return {"boxes": tf.gather(boxes, kept), "scores": tf.gather(scores, kept), "n": tf.size(kept)}


@sizes(*[(boxes(n, seed=n), np.random.default_rng(n).uniform(0, 1, n).astype(np.float32)) for n in (8, 1, 5)], finer=False, boxes=(F32, [None, 4]), scores=(F32, [None]))
def padded_detections(boxes, scores):
    kept, valid = tf.image.non_max_suppression_padded(boxes, scores, 5, iou_threshold=0.5, pad_to_max_output_size=True)
    return {"kept": kept, "valid": valid}


@sizes(*[(boxes(n, seed=n), np.random.default_rng(n).uniform(0, 1, n).astype(np.float32)) for n in (8, 1)], finer=False, boxes=(F32, [None, 4]), scores=(F32, [None]))
def soft_detections(boxes, scores):
    kept, soft = tf.image.non_max_suppression_with_scores(boxes, scores, 5, iou_threshold=0.5, score_threshold=0.1, soft_nms_sigma=0.3)
    return {"boxes": tf.gather(boxes, kept), "soft": soft}


@sizes((boxes(6), numbers(6, 3)), (boxes(1), numbers(1, 3)), (boxes(0), numbers(0, 3)), finer=False, boxes=(F32, [None, 4]), logits=(F32, [None, 3]))
def detections_by_class(boxes, logits):
    """Suppression for each class by itself, joined and sorted."""
    p = tf.nn.softmax(logits)
    kept = [tf.image.non_max_suppression(boxes, p[:, c], 3, 0.5, 0.3) for c in range(3)]
    all_kept = tf.concat(kept, 0)
    classes = tf.concat([tf.fill(tf.shape(k), c) for c, k in enumerate(kept)], 0)
    return {"boxes": tf.gather(boxes, all_kept), "classes": classes, "best": tf.concat([tf.gather(p[:, c], k) for c, k in enumerate(kept)], 0)}


def anchors(batch, n):
    return np.stack([boxes(n, seed=i) for i in range(batch)])[:, :, None]


@sizes(*[(anchors(b, n), np.random.default_rng(n).uniform(0, 1, (b, n, 3)).astype(np.float32)) for b, n in ((2, 30), (1, 1), (3, 0))], finer=False, boxes=(F32, [None, None, 1, 4]), scores=(F32, [None, None, 3]))
def combined_detections(boxes, scores):
    """Suppression for each class of each image, and the best of all classes, as the last layer of a detector has it."""
    found = tf.image.combined_non_max_suppression(boxes, scores, 5, 8, iou_threshold=0.5, score_threshold=0.2, clip_boxes=False)
    return {"boxes": found.nmsed_boxes, "scores": found.nmsed_scores, "classes": found.nmsed_classes, "valid": found.valid_detections}


@sizes((numbers(6, 2), ints(6, high=3)), (numbers(1, 2), ints(1, high=3)), (numbers(0, 2), ints(0)), x=(F32, [None, 2]), kind=(I32, [None]))
def experts_by_kind(x, kind):
    """Each row goes to the network of its kind; the results are put back in order."""
    parts = tf.dynamic_partition(x, kind, 3)
    places = tf.dynamic_partition(tf.range(tf.shape(x)[0]), kind, 3)
    done = [tf.nn.relu(part @ weights(2, 4, seed=i)) for i, part in enumerate(parts)]
    return {"y": tf.dynamic_stitch(places, done), "loads": tf.stack([tf.shape(part)[0] for part in parts])}


@sizes(*[(np.int32(n),) for n in (0, 1, 5)], arguments=bound(n=6), n=(I32, []))
def position_codes(n):
    """Sines and cosines for as many positions as are asked for."""
    angle = tf.cast(tf.range(n), F32)[:, None] / tf.constant([1.0, 10.0, 100.0])[None]
    return {"codes": tf.concat([tf.sin(angle), tf.cos(angle)], 1), "causal": tf.linalg.band_part(tf.ones([n, n]), -1, 0)}


@sizes(*[(numbers(2, 5), np.int32(a), np.int32(b)) for a, b in ((0, 5), (1, 3), (4, 4), (3, 1))], (numbers(0, 5), np.int32(1), np.int32(3)), x=(F32, [None, 5]), start=(I32, []), end=(I32, []))
def window_of_columns(x, start, end):
    window = x[:, start:end]
    return {"window": window, "sum": tf.reduce_sum(window, 1), "width": tf.shape(window)[1], "reverse": window[:, ::-1]}


@sizes(*[(numbers(6, 2), np.int32(a), np.int32(n)) for a, n in ((0, 6), (2, 3), (5, 0))], x=(F32, [None, 2]), begin=(I32, []), size=(I32, []))
def slice_of_rows(x, begin, size):
    part = tf.slice(x, [begin, 0], [size, 2])
    return {"part": part, "norm": tf.norm(part, axis=1)}


@sizes(*[(numbers(2, 3), np.int32(n)) for n in (3, 5, 8)], (numbers(0, 3), np.int32(4)), arguments=bound(length=8, PadV2=5), x=(F32, [None, 3]), length=(I32, []))
def pad_to_length(x, length):
    """Sequences padded to a length, with a mask of what is real."""
    padded = tf.pad(x, [[0, 0], [0, length - 3]], constant_values=-1.0)
    return {"padded": padded, "mask": tf.range(length) < 3, "length": tf.shape(padded)[1]}


@sizes(*[(numbers(2, 3), np.int32(n)) for n in (1, 4, 0)], arguments=bound(n=4), x=(F32, [2, 3]), n=(I32, []))
def tile_beams(x, n):
    """Every row once for each beam, flat and by an axis of its own."""
    tiled = tf.tile(x[:, None], [1, n, 1])
    return {"tiled": tiled, "flat": tf.reshape(tiled, [-1, 3]), "scores": tf.zeros([2, n])}


@sizes((numbers(3, 2), np.int32([2, 0, 3])), (numbers(1, 2), np.int32([1])), (numbers(3, 2), np.int32([0, 0, 0])), arguments=bound(SequenceMask_Range=3), x=(F32, [None, 2]), times=(I32, [None]))
def expand_by_duration(x, times):
    """Phonemes are repeated by their durations, as a speech model's length regulator does."""
    long = tf.repeat(x, times, axis=0)
    return {"long": long, "n": tf.shape(long)[0], "place": tf.cast(tf.range(tf.shape(long)[0]), F32)[:, None] * long}


@sizes(*[(numbers(12), np.int32(n)) for n in (1, 3, 4, 12)], arguments=bound(n=12, Reshape=12), x=(F32, [12]), n=(I32, []))
def reshape_to_rows(x, n):
    rows = tf.reshape(x, tf.stack([n, 12 // n]))
    return {"sums": tf.reduce_sum(rows, 1), "rows": rows, "transposed": tf.transpose(rows)}


@sizes((numbers(2, 4, 3), np.int32([4, 1])), (numbers(2, 4, 3), np.int32([2, 0])), (numbers(0, 4, 3), np.int32([])), x=(F32, [None, 4, 3]), lengths=(I32, [None]))
def mean_of_sequences(x, lengths):
    """`sequence_mask` to the width of the batch; the real elements flat."""
    mask = tf.sequence_mask(lengths, tf.shape(x)[1])
    m = tf.cast(mask, F32)[..., None]
    mean = tf.math.divide_no_nan(tf.reduce_sum(x * m, 1), tf.reduce_sum(m, 1))
    return {"mean": mean, "flat": tf.boolean_mask(x, mask)}


@sizes((np.int32([3, 1, 0]),), (np.int32([5]),), (np.int32([0, 0]),), arguments=bound(SequenceMask_Range=6), lengths=(I32, [None]))
def mask_to_longest(lengths):
    mask = tf.sequence_mask(lengths, dtype=F32)
    return {"mask": mask, "share": tf.reduce_sum(mask, 1)}


@sizes((ints(4, high=5), np.int32(5)), (ints(4, high=5), np.int32(2)), (ints(0), np.int32(3)), arguments=bound(depth=6), ids=(I32, [None]), depth=(I32, []))
def one_hot_of_depth(ids, depth):
    hot = tf.one_hot(ids, depth)
    return {"hot": hot, "counts": tf.reduce_sum(hot, 0), "inverse": tf.one_hot(ids, depth, on_value=0, off_value=1, axis=0)}


@sizes((numbers(9),), (-np.abs(numbers(4)),), (numbers(0),), signal=(F32, [None]))
def sign_changes(signal):
    """Where a signal crosses zero, the distances between these places and their mean."""
    crossed = tf.where(signal[1:] * signal[:-1] < 0)[:, 0]
    gaps = crossed[1:] - crossed[:-1]
    return {"crossed": crossed, "gaps": gaps, "mean": tf.math.divide_no_nan(tf.cast(tf.reduce_sum(gaps), F32), tf.cast(tf.size(gaps), F32))}


@sizes((numbers(7), np.int32(3)), (numbers(7), np.int32(0)), (numbers(7), np.int32(7)), x=(F32, [None]), k=(I32, []))
def best_k(x, k):
    values, places = tf.math.top_k(x, k)
    return {"values": values, "places": places, "probabilities": tf.nn.softmax(values), "others": tf.sort(tf.gather(x, places))}


@sizes((numbers(6, 3), np.int32([0, 0, 2, 2, 2, 3])), (numbers(1, 3), np.int32([0])), (numbers(3, 3), np.int32([1, 1, 1])), arguments=bound(SegmentSum=5), x=(F32, [None, 3]), bag=(I32, [None]))
def bags_of_rows(x, bag):
    """Sums and means of bags that follow one another, and attention within each."""
    total = tf.math.segment_sum(x, bag)
    n = tf.shape(total)[0]
    weight = tf.exp(x[:, 0])
    share = weight / tf.gather(tf.math.unsorted_segment_sum(weight, bag, n), bag)
    return {"sum": total, "mean": tf.math.segment_mean(x, bag), "attended": tf.math.unsorted_segment_sum(share[:, None] * x, bag, n)}


@sizes((numbers(5, 2), np.float32(0.0)), (numbers(5, 2), np.float32(9)), (numbers(0, 2), np.float32(0)), x=(F32, [None, 2]), limit=(F32, []))
def two_filters(x, limit):
    """A filter of what another one has left, and both joined."""
    first = tf.boolean_mask(x, x[:, 0] > limit)
    second = tf.boolean_mask(first, first[:, 1] > limit)
    return {"first": first, "second": second, "joined": tf.concat([first, second * 10.0], 0), "gram": tf.matmul(second, first, transpose_b=True)}


@sizes((ints(4, 4, high=2),), (np.zeros((4, 4), np.int32),), (np.ones((4, 4), np.int32),), grid=(I32, [4, 4]))
def points_of_grid(grid):
    """Coordinates of occupied cells, their centre and distances, sorted by the first."""
    points = tf.cast(tf.where(grid > 0), F32)
    n = tf.cast(tf.shape(points)[0], F32)
    centre = tf.math.divide_no_nan(tf.reduce_sum(points, 0), n)
    d = tf.norm(points - centre, axis=1)
    return {"points": points, "d": d, "far": tf.gather(points, tf.argsort(d, direction="DESCENDING", stable=True))}


@sizes((numbers(6), ints(6, high=4)), (numbers(1), ints(1)), (numbers(0), ints(0)), x=(F32, [None]), key=(I32, [None]))
def group_by_key(x, key):
    """Sums by key, keys in order of appearance; elements of the commonest key."""
    found, place, counts = tf.unique_with_counts(key)
    sums = tf.math.unsorted_segment_sum(x, place, tf.size(found))
    return {"keys": found, "means": sums / tf.cast(counts, F32), "sums": sums}


@sizes((ints(5, high=3), ints(4, high=9)), (ints(1), ints(0)), (ints(0), ints(3)), a=(I32, [None]), b=(I32, [None]))
def set_operations(a, b):
    """What is in both, in one only, and in either."""
    either = tf.unique(tf.concat([a, b], 0))[0]
    both = tf.boolean_mask(a, tf.reduce_any(a[:, None] == b[None], 1))
    only, places = tf.raw_ops.ListDiff(x=a, y=b, out_idx=I32)
    return {"either": either, "both": both, "only": only, "places": places}


@sizes(*[(np.float32(a), np.float32(b), np.int32(n)) for a, b, n in ((0, 1, 5), (2, -1, 3), (1, 1, 1))], arguments=bound(n=6, linspace_range=6, linspace_Reshape=6), a=(F32, []), b=(F32, []), n=(I32, []))
def grid_of_points(a, b, n):
    """`linspace` and `meshgrid` by a number of points."""
    line = tf.linspace(a, b, n)
    x, y = tf.meshgrid(line, line)
    return {"line": line, "field": tf.sin(x) * y, "filled": tf.fill([n, 2], a)}


@sizes((numbers(4, 3), np.int32(2)), (numbers(4, 3), np.int32(4)), (numbers(4, 3), np.int32(0)), x=(F32, [None, 3]), n=(I32, []))
def head_and_tail(x, n):
    """The first rows and the rest are treated apart and joined again."""
    head, tail = x[:n], x[n:]
    return {"y": tf.concat([tail * 2.0, head], 0), "sum": tf.reduce_sum(head, 0) - tf.reduce_sum(tail, 0), "n": tf.shape(tail)[0]}


@sizes((numbers(8), np.int32(2)), (numbers(3), np.int32(3)), (numbers(0), np.int32(1)), x=(F32, [None]), width=(I32, []), arguments=bound(width=4, Pad=6, Reshape=8))
def chunks_of_width(x, width):
    """A signal is padded to whole chunks, and each gives its mean."""
    n = tf.shape(x)[0]
    chunks = (n + width - 1) // width
    rows = tf.reshape(tf.pad(x, [[0, chunks * width - n]]), [chunks, width])
    return {"means": tf.reduce_mean(rows, 1), "chunks": chunks}


def elements(*rows):
    """Rows of indices and whole numbers as values, of a sparse tensor."""
    return np.array(rows, np.int64).reshape(-1, 2), np.arange(len(rows), dtype=np.int64) % 5


@sizes(
    (*elements([0, 0], [0, 2], [3, 1], [1, 0]), np.array([5, 3], np.int64)), (*elements([0, 0]), np.array([1, 1], np.int64)), (*elements(), np.array([3, 4], np.int64)),
    arguments=bound(SparseFillEmptyRows_SparseFillEmptyRows=8, embedding_lookup=8, shape=8), at=(I64, [None, 2]), ids=(I64, [None]), shape=(I64, [2]),
)  # fmt: skip
def bags_of_words(at, ids, shape):
    """The mean of the rows of a table that the elements of a sparse row name; one row has the default."""
    ids = tf.SparseTensor(at, ids, shape)
    return tf.nn.safe_embedding_lookup_sparse([weights(5, 3)], ids, combiner="mean", default_id=0)


@sizes((numbers(6, 2),), (numbers(6, 2, seed=1),), x=(F32, [6, 2]))
def parts_of_unequal_lengths(x):
    """A list of parts that constants say, each treated by itself, one replaced, and joined again."""
    array = tf.TensorArray(F32, size=3, infer_shape=False).split(x, [1, 3, 2])
    sums = tf.stack([tf.reduce_sum(array.read(n)) for n in range(3)])
    array = array.write(1, x[:2] * 2.0)
    return {"joined": array.concat(), "sums": sums, "size": array.size()}


@sizes((numbers(6, 2), ints(3, low=2, high=3)), (numbers(5, 2), np.array([0, 5, 0], np.int32)), (numbers(0, 2), np.zeros(3, np.int32)), x=(F32, [None, 2]), lengths=(I32, [3]))
def parts_of_given_lengths(x, lengths):
    """The lengths of parts are data: each part is scaled by its greatest element."""
    array = tf.TensorArray(F32, size=3, infer_shape=False).split(x, lengths)
    scaled = tf.TensorArray(F32, size=3, infer_shape=False)
    for n in range(3):
        part = array.read(n)
        scaled = scaled.write(n, part / (1.0 + tf.reduce_sum(tf.abs(part))))
    return {"joined": scaled.concat(), "first": array.read(0)}


@sizes((numbers(4),), (-np.ones(4, np.float32),), x=(F32, [4]))
def rows_filtered_in_a_branch(x):
    """Only one branch of a loop's body finds how large the element is."""
    array = tf.TensorArray(F32, 4, infer_shape=False, element_shape=[None])
    for n in tf.range(4):
        if x[n] > 0:
            array = array.write(n, tf.boolean_mask(x, x > x[n]))
        else:
            array = array.write(n, x[:1])
    return {"joined": array.concat()}


@sizes((numbers(3, 5),), (numbers(1, 5),), (np.ones((2, 5), np.float32),), (-np.ones((2, 5), np.float32),), x=(F32, [None, 5]))
def rows_filtered_in_a_loop(x):
    """Each iteration adds as many elements as data say."""
    array = tf.TensorArray(F32, size=tf.shape(x)[0], infer_shape=False, element_shape=[None])
    for n in tf.range(tf.shape(x)[0]):
        array = array.write(n, tf.boolean_mask(x[n], x[n] > 0))
    return {"joined": array.concat(), "size": array.size()}


@sizes((boxes(8).reshape(2, 4, 4), numbers(2, 4)), (boxes(12).reshape(3, 4, 4), numbers(3, 4)), finer=False, boxes=(F32, [None, 4, 4]), scores=(F32, [None, 4]))
def detections_of_each_image(boxes, scores):
    """Suppression image by image, the boxes of all behind each other, and of which image each is."""
    n = tf.shape(boxes)[0]
    kept, images = (tf.TensorArray(dtype, size=n, infer_shape=False, element_shape=shape) for dtype, shape in ((F32, [None, 4]), (I32, [None])))
    for i in tf.range(n):
        places = tf.image.non_max_suppression(boxes[i], scores[i], 3, iou_threshold=0.3, score_threshold=-0.5)
        kept, images = kept.write(i, tf.gather(boxes[i], places)), images.write(i, tf.fill([tf.size(places)], i))
    return {"boxes": kept.concat(), "images": images.concat()}


@sizes((numbers(4, 3), np.bool_(True)), (numbers(4, 3), np.bool_(False)), x=(F32, [4, 3]), flag=(BOOL, []))
def unequal_lists_of_branches(x, flag):
    """Branches give lists of as many elements, of other lengths."""
    empty = tf.TensorArray(F32, size=2, infer_shape=False, element_shape=[None, 3])
    a = tf.cond(flag, lambda: empty.split(x, [1, 3]).flow, lambda: empty.split(x[:3], [2, 1]).flow)
    array = tf.TensorArray(F32, flow=a, infer_shape=False)
    return {"joined": array.concat(), "sum": tf.reduce_sum(array.read(0), 0)}


@sizes((numbers(5, 2), numbers(5)), x=(F32, [5, 2]), w=(F32, [5]))
def gradient_of_unequal_parts(x, w):
    """Differentiation through parts and what joins them."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        array = tf.TensorArray(F32, size=2, infer_shape=False, element_shape=[None, 2]).split(x, [2, 3])
        scaled = tf.TensorArray(F32, size=2, infer_shape=False, element_shape=[None, 2])
        scaled = scaled.write(0, tf.sin(array.read(0))).write(1, tf.square(array.read(1)))
        loss = tf.reduce_sum(scaled.concat() * w[:, None])
    return {"gradient": tape.gradient(loss, x), "loss": loss}


ROWS = (numbers(6, 2),), (numbers(1, 2),), (numbers(0, 2),), (-np.abs(numbers(3, 2)),), (np.abs(numbers(3, 2)),)


@sizes(*ROWS, x=(F32, [None, 2]))
def rows_until_one_is_negative(x):
    """A loop that ends by data fills an array from its front."""
    array = tf.TensorArray(F32, size=0, dynamic_size=True, element_shape=[2])
    for n in tf.range(tf.shape(x)[0]):
        if tf.reduce_sum(x[n]) < 0:
            break
        array = array.write(n, x[n] * 2.0)
    return {"rows": array.stack(), "size": array.size()}


@sizes(*ROWS, x=(F32, [None, 2]))
def rows_pushed_in_a_branch(x):
    """A branch in a loop adds an element behind the last one."""
    array = tf.TensorArray(F32, size=0, dynamic_size=True, element_shape=[2])
    for n in tf.range(tf.shape(x)[0]):
        if tf.reduce_sum(x[n]) > 0:
            array = array.write(array.size(), x[n] + tf.cast(array.size(), F32))
    rows = array.stack()
    return {"rows": rows, "last": tf.reduce_sum(rows[-1:]), "size": array.size()}


@sizes((numbers(4),), (-np.ones(3, np.float32),), x=(F32, [None]))
def mapped_to_what_is_found(x):
    """Data decide how large the elements of a map are, all alike."""
    return {"y": tf.map_fn(lambda e: e * tf.boolean_mask(x, x > 0), x)}


@sizes((numbers(4), np.int32(3)), (numbers(4), np.int32(0)), (numbers(4), np.int32(5)), arguments=bound(n=5), x=(F32, [4]), n=(I32, []))
def arrays_of_given_length(x, n):
    """The length of an array is data, and so is how often the loop runs that fills it."""
    array = tf.TensorArray(F32, n, element_shape=[4])
    for k in tf.range(n):
        array = array.write(k, x * tf.cast(k + 1, F32))
    return {"rows": array.stack(), "size": array.size()}


@sizes((numbers(6),), x=(F32, [6]))
def unequal_parts_from_the_end(x):
    """Parts of a list are taken from its end and pushed to another one."""
    parts = tf.raw_ops.TensorListSplit(tensor=x, element_shape=tf.constant([-1]), lengths=tf.constant([1, 2, 3], I64))
    other = tf.raw_ops.EmptyTensorList(element_shape=tf.constant([-1]), max_num_elements=-1, element_dtype=F32)
    for _ in range(3):
        parts, part = tf.raw_ops.TensorListPopBack(input_handle=parts, element_shape=tf.constant([-1]), element_dtype=F32)
        other = tf.raw_ops.TensorListPushBack(input_handle=other, tensor=part * 2.0)
    joined, lengths = tf.raw_ops.TensorListConcatV2(input_handle=other, element_shape=tf.constant([-1]), leading_dims=tf.constant([], I64), element_dtype=F32)
    return {"joined": joined, "lengths": lengths, "left": tf.raw_ops.TensorListLength(input_handle=parts)}
