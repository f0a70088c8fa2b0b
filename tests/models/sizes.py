"""Programs with sizes that data decide: `sizes` is one SavedModel whose signatures they are, `sizes.json` holds the bounds that each needs, calls of
each and what TensorFlow answers. `python sizes.py` makes both again."""

import programs
from programs import BOOL, F16, F32, F64, I32, I64, ints, make, np, numbers, tf

raw = tf.raw_ops
I8 = tf.int8
NAN, INF = np.float32("nan"), np.float32("inf")
BOUNDS = {}


def program(*calls, bounds=None, **specs):
    """A function of the inputs `specs`, each a type and a shape, calls of it, and the bounds of its sizes."""

    def add(function):
        BOUNDS[function.__name__] = bounds or {}
        return programs.program(*calls, **specs)(function)

    return add


def f32(*values):
    return np.array(values, np.float32)


def i32(*values):
    return np.array(values, np.int32)


def i64(*values):
    return np.array(values, np.int64)


def bools(*values):
    return np.array(values, bool)


VECTORS = [(numbers(n, seed=n),) for n in (0, 1, 2, 7)] + [(f32(-1, -2, -3),), (f32(1, 2, 3),), (f32(0.0, -0.0, NAN, 1, -1),)]


# What holds.


@program(*VECTORS, x=(F32, [None]))
def where_positive(x):
    return {"y": tf.where(x > 0)}


@program(*VECTORS, x=(F32, [None]))
def where_not_zero(x):
    return {"y": raw.Where(condition=x)}


@program(*[(ints(*s, low=0, high=2, seed=1),) for s in ((0, 3), (2, 0), (2, 3), (4, 5), (1, 1))], x=(I32, [None, None]))
def where_of_matrix(x):
    return {"y": raw.Where(condition=x), "flat": tf.where(tf.reshape(x, [-1]))}


@program((bools(*[[[True, False], [False, True]]] * 3),), (np.zeros((3, 2, 2), bool),), (np.ones((3, 2, 2), bool),), x=(BOOL, [3, 2, 2]))
def where_of_rank_3(x):
    return {"y": tf.where(x)}


@program(*[(numbers(n, 3), m) for n, m in ((0, bools()), (3, bools(0, 1, 1)), (3, bools(0, 0, 0)), (3, bools(1, 1, 1)))], x=(F32, [None, 3]), m=(BOOL, [None]))
def mask_rows(x, m):
    return {"y": tf.boolean_mask(x, m)}


@program((numbers(2, 3), bools([0, 1, 1], [1, 0, 0])), (numbers(2, 3), np.zeros((2, 3), bool)), x=(F32, [None, 3]), m=(BOOL, [None, 3]))
def mask_elements(x, m):
    return {"y": tf.boolean_mask(x, m), "sum": tf.reduce_sum(tf.boolean_mask(x, m))}


@program((numbers(2, 3), bools(0, 1, 1)), (numbers(0, 3), bools(0, 0, 1)), x=(F32, [None, 3]), m=(BOOL, [3]))
def mask_columns(x, m):
    return {"y": tf.boolean_mask(x, m, axis=1)}


@program(*VECTORS, x=(F32, [None]))
def what_follows_a_mask(x):
    y = tf.boolean_mask(x, x > 0)
    z = tf.boolean_mask(tf.exp(x), x > 0)
    n = tf.shape(y)[0]
    pairs = y[:, None] * z[None, :]
    return {"sum": y + z, "softmax": tf.nn.softmax(y), "pairs": pairs, "count": n, "matrix": tf.linalg.matmul(pairs, pairs), "padded": tf.pad(y, [[1, 2]])}


@program((f32(1, -1, 2), f32(3, 4, -5)), (f32(1, -1, 2), f32(-3, 4, -5)), (f32(1, 1, 2), f32(-3, -4, -5)), (f32(1, 1, 2), f32(-3, 4, 5)), x=(F32, [None]), z=(F32, [None]))
def masks_that_meet(x, z):
    return {"y": tf.boolean_mask(x, x > 0) + tf.boolean_mask(z, z > 0)}


@program((f32(1, -1, 2), f32(3, 4, -5)), (f32(1, -1, -2), f32(-3, 4, -5)), (f32(-1, -1), f32(-3, -4)), x=(F32, [None]), z=(F32, [None]))
def masks_that_join(x, z):
    a, b = tf.boolean_mask(x, x > 0), tf.boolean_mask(z, z > 0)
    return {"y": tf.concat([a, b], 0), "twice": tf.boolean_mask(a, a > 1), "dot": tf.reduce_sum(a[:, None] * b[None], [0, 1])}


@program((numbers(3, 4), f32(1, 0, 2, 0)), (numbers(3, 4), f32(0, 0, 0, 0)), x=(F32, [None, 4]), w=(F32, [4]))
def columns_of_data(x, w):
    kept = tf.boolean_mask(x, w != 0, axis=1)
    weights = tf.boolean_mask(w, w != 0)
    return {"y": tf.linalg.matvec(kept, weights), "kept": kept, "wide": tf.concat([x, kept], 1)}


# Counts.


@program(*[(np.int32(n),) for n in (0, 1, 5, 8, -1)], bounds={"n": 8}, n=(I32, []))
def range_to(n):
    return {"y": tf.range(n), "filled": tf.fill([n, 2], 1.5)}


@program(*[(np.int64(a), np.int64(b), np.int64(d)) for a, b, d in ((0, 5, 1), (-3, 4, 2), (5, -5, -3), (2, 2, 1), (3, 1, 1), (0, 5, 0), (7, 7, -1))], bounds={"Range": 16}, a=(I64, []), b=(I64, []), d=(I64, []))
def range_of_all(a, b, d):
    return {"y": raw.Range(start=a, limit=b, delta=d)}


@program(*[(np.float32(a), np.float32(b), np.float32(d)) for a, b, d in ((0, 1, 0.25), (1, -1, -0.5), (0, 0, 1), (0, 1, -1), (0.5, 3.2, 0.7))], bounds={"Range": 16}, a=(F32, []), b=(F32, []), d=(F32, []))
def range_of_floats(a, b, d):
    return {"y": raw.Range(start=a, limit=b, delta=d)}


@program(*[(numbers(6), i32(*s)) for s in ((2, 3), (6, 1), (3, 2), (4, 2))], bounds={"s": 6, "s_2": 6}, x=(F32, [6]), s=(I32, [2]))
def reshape_to(x, s):
    return {"y": tf.reshape(x, s) * 2}


@program(*[(numbers(6), np.int32(n)) for n in (1, 2, 3, 6, 4, 0)], bounds={"n": 6}, x=(F32, [6]), n=(I32, []))
def reshape_rows(x, n):
    return {"y": tf.reshape(x, tf.stack([n, -1]))}


@program(*[(numbers(2, 3), i32(*m)) for m in ((1, 1), (2, 3), (0, 2), (3, 0), (-1, 1))], bounds={"m": 3, "m_2": 3}, x=(F32, [2, None]), m=(I32, [2]))
def tile_by(x, m):
    return {"y": tf.tile(x, m)}


@program(*[(numbers(2, 3), i32(*p).reshape(2, 2)) for p in ((0, 1, 2, 0), (0, 0, 0, 0), (3, 1, 0, 2), (0, -1, 0, 0))], bounds={f"p{n}": 3 for n in ("", "_2", "_3", "_4")}, x=(F32, [None, 3]), p=(I32, [2, 2]))
def pad_by(x, p):
    return {"y": tf.pad(x, p), "valued": tf.pad(x, p, constant_values=7.0)}


@program(*[(numbers(2, 3), np.int32(n)) for n in (3, 5, 8, 2)], bounds={"Pad": 5}, x=(F32, [None, 3]), n=(I32, []))
def pad_beside_constants(x, n):
    return {"y": tf.pad(x, [[0, 0], [0, n - 3]])}


@program(*[(numbers(1, 3), i32(*s)) for s in ((2, 3), (1, 3), (4, 3), (2, 4))], bounds={"s": 4, "s_2": 4}, x=(F32, [1, 3]), s=(I32, [2]))
def broadcast_by(x, s):
    return {"y": tf.broadcast_to(x, s)}


@program(*[(ints(4, low=-1, high=4), np.int32(d)) for d in (0, 1, 3, 5, -2)], bounds={"d": 5}, x=(I32, [None]), d=(I32, []))
def one_hot_of(x, d):
    return {"y": tf.one_hot(x, d), "first": tf.one_hot(x, d, axis=0, on_value=3, off_value=-1)}


@program(*[(i32(*n),) for n in ((1, 3, 0), (), (0, 0), (4,), (2, 2))], bounds={"SequenceMask_Range": 4}, n=(I32, [None]))
def sequence_mask(n):
    return {"y": tf.sequence_mask(n)}


@program(*[(numbers(2, 3), i32(*n)) for n in ((1, 2), (0, 0), (3, 0), (0, 1))], bounds={"SequenceMask_Range": 3}, x=(F32, [2, None]), n=(I32, [2]))
def repeat_by(x, n):
    return {"y": tf.repeat(x, n, axis=0)}


@program(*[(numbers(2, 5), np.int32(k)) for k in (0, 1, 3, 5, 6, -1)], x=(F32, [2, None]), k=(I32, []))
def top_of(x, k):
    values, indices = tf.math.top_k(x, k)
    return {"values": values, "indices": indices, "sum": tf.reduce_sum(values, 1)}


@program(*[(numbers(4, 2), i32(2, 0, 2, -1), np.int32(n)) for n in (3, 5, 2, 0)], bounds={"n": 5}, x=(F32, [None, 2]), i=(I32, [None]), n=(I32, []))
def segments_of_number(x, i, n):
    return {"y": tf.math.unsorted_segment_sum(x, i, n), "max": tf.math.unsorted_segment_max(x, i, n)}


@program(*[(i32(0, 2, 2, 5), np.int32(n)) for n in (0, 3, 6)], bounds={"n": 6}, x=(I32, [None]), n=(I32, []))
def count_bins(x, n):
    return {"y": raw.Bincount(arr=x, size=n, weights=tf.constant([], F32)), "dense": raw.DenseBincount(input=x, size=n, weights=tf.constant([], F32), binary_output=True)}


@program(*[(i32(0, 3, 1).reshape(3, 1), numbers(3, 2), np.int32(n)) for n in (4, 6, 3)], bounds={"n": 6}, i=(I32, [None, 1]), x=(F32, [None, 2]), n=(I32, []))
def scatter_into(i, x, n):
    return {"y": tf.scatter_nd(i, x, tf.stack([n, 2]))}


@program(*[(np.int32(n),) for n in (0, 3, 7)], bounds={"n": 8}, n=(I32, []))
def random_of_size(n):
    return {"y": tf.random.stateless_uniform([n, 2], [1, 2])}


@program(*[(np.float32(a), np.float32(b), np.int32(n)) for a, b, n in ((0, 1, 5), (1, -1, 2), (3, 4, 1), (0, 1, 0))], bounds={"n": 6}, a=(F32, []), b=(F32, []), n=(I32, []))
def spaced(a, b, n):
    return {"y": raw.LinSpace(start=a, stop=b, num=n), "mirrored": tf.pad(raw.LinSpace(start=a, stop=b, num=n), [[1, 0]], "SYMMETRIC")}


# Slices.


@program(*[(numbers(5, 3), i32(*b), i32(*s)) for b, s in (((0, 0), (5, 3)), ((1, 2), (3, 1)), ((2, 0), (0, 3)), ((4, 1), (-1, -1)), ((5, 3), (-1, 0)), ((3, 0), (3, 3)), ((-1, 0), (1, 1)), ((0, 0), (2, -2)))], x=(F32, [None, 3]), b=(I32, [2]), s=(I32, [2]))
def slice_by(x, b, s):
    return {"y": tf.slice(x, b, s)}


@program(*[(numbers(6), np.int32(b), np.int32(e)) for b, e in ((0, 6), (2, 4), (4, 2), (-2, 6), (-100, 100), (1, -1), (6, 6), (7, 9), (-3, -1))], x=(F32, [None]), b=(I32, []), e=(I32, []))
def span_of(x, b, e):
    return {"y": x[b:e], "tail": x[b:], "head": x[:e], "steps": x[b:e:2], "back": x[e:b:-1], "from": x[b::-2]}


@program(*[(numbers(4, 5), np.int32(b)) for b in (0, 2, 4, -1, 9)], x=(F32, [None, 5]), b=(I32, []))
def corner_of(x, b):
    return {"y": x[b:, :b], "new": x[None, ..., b:]}


@program(*[(numbers(6), i32(*s)) for s in ((1, 2, 3), (0, 0, 6), (6, 0, 0), (2, 2, 3), (-1, 3, 4), (1, -1, 2))], x=(F32, [None]), s=(I32, [3]))
def split_by(x, s):
    a, b, c = tf.split(x, s, num=3)
    return {"a": a, "b": b + 1, "c": c}


# Bounds that follow from what the values are computed by.


@program(
    *[(np.int32(n), np.uint8(u), numbers(4, seed=u)) for n, u in ((0, 0), (3, 7), (-7, 255), (9, 100), (-1, 1), (2**31 - 1, 50), (-(2**31), 2))],
    n=(I32, []), u=(tf.uint8, []), x=(F32, [4]),
)  # fmt: skip
def bounded_by_values(n, u, x):
    counts = {
        "rest": tf.math.floormod(n, 4),
        "rest_below_zero": -tf.math.floormod(n, -4),
        "truncated": tf.abs(tf.truncatemod(n, 5)),
        "clipped": tf.clip_by_value(n, 0, 5),
        "least": tf.maximum(tf.minimum(n, 3), 0),
        "sign": tf.sign(n) + 1,
        "byte": tf.cast(u, I32),
        "part_of_byte": tf.cast(u, I32) // 50,
        "flag": tf.cast(n > 2, I32),
        "place": tf.argmax(x, output_type=I32),
        "bits": tf.bitwise.bitwise_and(n, 6),
        "count": tf.math.count_nonzero(x > 0, dtype=I32) * 2,
        "chosen": tf.where(n > 2, 1, 4),
    }
    parts = {name: tf.range(count) for name, count in counts.items()}
    return {**parts, "steps": tf.range(-2, tf.math.floormod(n, 5), 2), "filled": tf.fill([tf.math.floormod(n, 3), 2], 1.5)}


@program(*[(np.int32(n), x) for n in (3, 0) for x in f32(1, -1)], bounds={"n": 5}, n=(I32, []), x=(F32, []))
def size_that_nothing_needs(n, x):
    """The size is found and has a bound, and its sum is counted for nothing."""
    return {"y": tf.cond(tf.cast(tf.reduce_sum(tf.range(n)) * 0, F32) + x > 0, lambda: x, lambda: x * 3)}


@program(*[(np.int32(n), x) for n in (3, 100) for x in f32(1, -1)], n=(I32, []), x=(F32, []))
def lent_for_nothing(n, x):
    """Branches and loops are lent a tensor of any size, and what they compute of it is dropped: nothing has to bound it."""
    r = tf.cast(tf.range(n), F32)

    def drops(y):
        tf.reduce_sum(r)
        return y

    def nested():
        return tf.cond(x > 2, lambda: drops(x * 4), lambda: drops(x * 5))

    def body(i, y):
        return i + 1, tf.cond(y > 3, lambda: drops(y), lambda: drops(y * 2))

    return {
        "branch": tf.cond(x > 0, lambda: drops(x * 2), lambda: x * 3),
        "nested": tf.cond(x > 0, nested, lambda: drops(x)),
        "case": tf.switch_case(n % 3, [lambda: drops(x), lambda: x + 1, lambda: drops(x * 7)]),
        "loop": tf.while_loop(lambda i, y: i < 3, body, [0, x])[1],
        "data_loop": tf.while_loop(lambda i, y: y < 10, body, [0, tf.abs(x)], maximum_iterations=5)[1],
    }


# Within branches and loops.


@program(*[(numbers(5, seed=3), np.int32(s)) for s in (-1, 1)], x=(F32, [None]), s=(I32, []))
def size_in_a_branch(x, s):
    return {"y": tf.cond(s > 0, lambda: tf.reduce_sum(tf.boolean_mask(x, x > 0)), lambda: tf.reduce_sum(x))}


@program(*[(numbers(3, 4, seed=3),), (numbers(0, 4),)], x=(F32, [None, 4]))
def size_in_a_loop(x):
    return {"y": tf.map_fn(lambda row: tf.reduce_sum(tf.boolean_mask(row, row > 0)), x)}


@program((numbers(4, seed=5),), (f32(-1, -2),), x=(F32, [None]))
def loop_over_what_holds(x):
    y = tf.boolean_mask(x, x > 0)
    total = tf.while_loop(lambda i, s: i < tf.shape(y)[0], lambda i, s: (i + 1, s * 0.5 + y[i]), [0, 0.0])[1]
    return {"y": total, "scan": tf.scan(lambda a, b: a * 0.5 + b, y)}


# Boxes.

BOXES = f32([0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, -0.1, 1, 0.9], [0, 10, 1, 11], [0, 10.1, 1, 11.1], [0, 100, 1, 101])
SCORES = f32(0.9, 0.75, 0.6, 0.95, 0.5, 0.3)
NO_BOXES = np.zeros((0, 4), np.float32)
FLIPPED = BOXES[:, [2, 1, 0, 3]]


def boxes(n, seed=0):
    at = np.random.default_rng(seed).uniform(0, 3, (n, 2))
    size = np.random.default_rng(seed + 1).uniform(0.2, 1.5, (n, 2))
    return np.concatenate([at, at + size], 1).astype(np.float32)


NMS = [
    (BOXES, SCORES, np.int32(3), np.float32(0.5)),
    (BOXES, SCORES, np.int32(30), np.float32(0.5)),
    (BOXES, SCORES, np.int32(2), np.float32(0.5)),
    (BOXES, SCORES, np.int32(0), np.float32(0.5)),
    (BOXES, SCORES, np.int32(6), np.float32(0)),
    (BOXES, SCORES, np.int32(6), np.float32(1)),
    (FLIPPED, SCORES, np.int32(6), np.float32(0.5)),
    (BOXES, f32(0.5, 0.5, 0.5, 0.5, 0.5, 0.5), np.int32(6), np.float32(0.5)),
    (BOXES, f32(0.5, NAN, 0.7, NAN, 0.5, -INF), np.int32(6), np.float32(0.5)),
    (BOXES, f32(INF, INF, 0.0, -0.0, 0.0, -1), np.int32(6), np.float32(0.5)),
    (BOXES * 0, SCORES, np.int32(6), np.float32(0.5)),
    (NO_BOXES, f32(), np.int32(3), np.float32(0.5)),
    (boxes(1), SCORES[:1], np.int32(3), np.float32(0.5)),
    (boxes(40), numbers(40), np.int32(20), np.float32(0.3)),
    (boxes(40, 7), np.round(numbers(40, seed=3)), np.int32(40), np.float32(0.1)),
    (BOXES, SCORES, np.int32(-1), np.float32(0.5)),
    (BOXES, SCORES, np.int32(3), np.float32(1.5)),
    (BOXES, SCORES[:5], np.int32(3), np.float32(0.5)),
]
NMS_SPECS = dict(b=(F32, [None, 4]), s=(F32, [None]), n=(I32, []), t=(F32, []))


@program(*[call[:3] for call in NMS], **{k: v for k, v in NMS_SPECS.items() if k != "t"})
def nms_v1(b, s, n):
    return {"y": raw.NonMaxSuppression(boxes=b, scores=s, max_output_size=n, iou_threshold=0.4)}


@program(*NMS, **NMS_SPECS)
def nms_v2(b, s, n, t):
    return {"y": raw.NonMaxSuppressionV2(boxes=b, scores=s, max_output_size=n, iou_threshold=t)}


@program(*NMS, **NMS_SPECS)
def nms_v3(b, s, n, t):
    y = raw.NonMaxSuppressionV3(boxes=b, scores=s, max_output_size=n, iou_threshold=t, score_threshold=0.4)
    return {"y": y, "boxes": tf.gather(b, y), "scores": tf.gather(s, y)}


@program(*[(b, s) for b, s, n, t in NMS[:15] if n == 6 or len(s) in (0, 1, 40)], b=(F32, [None, 4]), s=(F32, [None]))
def nms_v4(b, s):
    y, count = raw.NonMaxSuppressionV4(boxes=b, scores=s, max_output_size=5, iou_threshold=0.5, score_threshold=-1.0)
    padded, valid = raw.NonMaxSuppressionV4(boxes=b, scores=s, max_output_size=5, iou_threshold=0.5, score_threshold=0.2, pad_to_max_output_size=True)
    return {"y": y, "count": count, "padded": padded, "valid": valid}


@program(*NMS, **NMS_SPECS)
def nms_v5(b, s, n, t):
    y, scores, count = raw.NonMaxSuppressionV5(boxes=b, scores=s, max_output_size=n, iou_threshold=t, score_threshold=0.01, soft_nms_sigma=0.0)
    return {"y": y, "scores": scores, "count": count}


@program(*[(b, s) for b, s, n, t in NMS[:15] if n == 6 or len(s) in (0, 1, 40)], b=(F32, [None, 4]), s=(F32, [None]))
def nms_soft(b, s):
    y, scores, count = raw.NonMaxSuppressionV5(boxes=b, scores=s, max_output_size=8, iou_threshold=0.8, score_threshold=0.05, soft_nms_sigma=0.5)
    _, padded, valid = raw.NonMaxSuppressionV5(boxes=b, scores=s, max_output_size=8, iou_threshold=1.0, score_threshold=0.1, soft_nms_sigma=0.3, pad_to_max_output_size=True)
    return {"y": y, "scores": scores, "count": count, "padded": padded, "valid": valid}


@program(*[(np.abs(numbers(n, n, seed=n)), numbers(n, seed=n), np.int32(m)) for n, m in ((0, 2), (1, 1), (6, 4), (6, 9))], o=(F32, [None, None]), s=(F32, [None]), n=(I32, []))
def nms_with_overlaps(o, s, n):
    return {"y": raw.NonMaxSuppressionWithOverlaps(overlaps=o, scores=s, max_output_size=n, overlap_threshold=0.5, score_threshold=-0.5)}


# What differs.


@program((f32(1, 2, 1, 3, 2, 1),), (f32(),), (f32(5),), (f32(0.0, -0.0, NAN, NAN, 1, -0.0),), (numbers(9),), x=(F32, [None]))
def unique(x):
    y, idx = tf.unique(x)
    z, at, count = tf.unique_with_counts(x)
    return {"y": y, "idx": idx, "z": z, "at": at, "count": count, "back": tf.gather(y, idx)}


@program((ints(12, low=0, high=4),), (ints(0),), x=(I32, [None]))
def unique_of_ints(x):
    y, idx, count = tf.unique_with_counts(x, out_idx=I64)
    return {"y": y, "idx": idx, "count": count, "sum": tf.math.unsorted_segment_sum(x, idx, tf.shape(y)[0])}


@program(*[(ints(*s, low=0, high=2, seed=4),) for s in ((5, 2), (0, 2), (3, 0), (1, 3), (6, 1))], x=(I32, [None, None]))
def unique_rows(x):
    y, idx, count = raw.UniqueWithCountsV2(x=x, axis=[0])
    columns, places = raw.UniqueV2(x=x, axis=[-1])
    return {"y": y, "idx": idx, "count": count, "columns": columns, "places": places}


@program(*[(i32(*x), i32(*y)) for x, y in (((1, 2, 3, 4, 2), (2, 3)), ((), (1,)), ((1, 1), ()), ((1, 2), (2, 1)))], x=(I32, [None]), y=(I32, [None]))
def list_diff(x, y):
    out, idx = raw.ListDiff(x=x, y=y)
    return {"y": out, "idx": idx}


@program((f32(0.0, NAN, 1, -0.0), f32(-0.0, NAN)), x=(F32, [None]), y=(F32, [None]))
def list_diff_of_floats(x, y):
    out, idx = raw.ListDiff(x=x, y=y, out_idx=I64)
    return {"y": out, "idx": idx}


# Partitions and segments.


@program(*[(numbers(n, 2, seed=n), i32(*p)) for n, p in ((5, (0, 2, 1, 0, 2)), (0, ()), (3, (1, 1, 1)), (2, (0, 3)), (2, (-1, 0)))], x=(F32, [None, 2]), p=(I32, [None]))
def partition(x, p):
    a, b, c = tf.dynamic_partition(x, p, 3)
    return {"a": a, "b": b * 2, "sum": tf.reduce_sum(c, 0), "count": tf.shape(c)[0], "joined": tf.concat([c, a], 0)}


@program(*[(numbers(n, 2, seed=n), i32(*p)) for n, p in ((5, (0, 1, 1, 0, 1)), (0, ()), (2, (1, 1)))], x=(F32, [None, 2]), p=(I32, [None]))
def partition_and_stitch(x, p):
    parts = tf.dynamic_partition(x, p, 2)
    places = tf.dynamic_partition(tf.range(tf.shape(x)[0]), p, 2)
    mixed = [tf.nn.softmax(parts[0], axis=0), tf.cumsum(parts[1])]
    return {"y": tf.dynamic_stitch(places, mixed)}


@program(*[(i32(*a), i32(*b), numbers(len(a), 2), numbers(len(b), 2, seed=1)) for a, b in (((0, 2), (1, 3)), ((), ()), ((0, 0), (5,)), ((1,), (1,)), ((-1,), (0,)))],
         bounds={"DynamicStitch": 8, "ParallelDynamicStitch": 8}, a=(I32, [None]), b=(I32, [None]), x=(F32, [None, 2]), y=(F32, [None, 2]))  # fmt: skip
def stitch(a, b, x, y):
    return {"y": tf.dynamic_stitch([a, b], [x, y])}


@program(*[(numbers(n, 2, seed=n), i32(*p)) for n, p in ((5, (0, 0, 1, 3, 3)), (0, ()), (3, (0, 0, 0)), (2, (2, 4)), (3, (0, 2, 1)), (1, (-1,)))], bounds={"SegmentMax": 6}, x=(F32, [None, 2]), i=(I32, [None]))
def segments(x, i):
    return {"sum": tf.math.segment_sum(x, i), "mean": tf.math.segment_mean(x, i), "max": tf.math.segment_max(x, i), "min": tf.math.segment_min(x, i), "prod": tf.math.segment_prod(x, i)}


@program(*[(numbers(4, 2), i32(*r), i32(*p)) for r, p in (((0, 1, 3), (0, 0, 2)), ((), ()), ((3, 3), (1, 1)), ((4,), (0,)))], bounds={"SparseSegmentMean": 5}, x=(F32, [4, 2]), r=(I32, [None]), i=(I32, [None]))
def sparse_segments(x, r, i):
    return {"sum": tf.sparse.segment_sum(x, r, i), "mean": tf.sparse.segment_mean(x, r, i), "sqrt": tf.sparse.segment_sqrt_n(x, r, i)}


def call_of(*x):
    return (np.array(x, np.float32),)


@program(call_of(1, 2, 3), call_of(1, -1, -1), call_of(1, 2, -1), x=(F32, [3]))
def meets_an_extent_in_a_loop(x):
    """As many as there are, or one; else an error."""
    return {"y": tf.while_loop(lambda i, a: i < 2, lambda i, a: (i + 1, a + tf.boolean_mask(x, x > 0)), [0, x])[1]}


@program(call_of(2, 3, 4), call_of(-1, -2, -3), call_of(2, 0.5, 1), x=(F32, [3]))
def meet_in_a_loop(x):
    def body(i, a):
        return i + 1, a + tf.tensordot(tf.boolean_mask(x, x > 0), tf.boolean_mask(x + a, x > 1), 1)

    return {"y": tf.while_loop(lambda i, a: i < 2, body, [0, 0.0])[1]}


# What is refused.


@program(x=(F32, [None]))
def refused_shrinks_in_a_loop(x):
    shapes = [tf.TensorShape([]), tf.TensorShape([None])]
    return {"y": tf.while_loop(lambda i, a: i < 2, lambda i, a: (i + 1, tf.boolean_mask(a, a > 1)), [0, x], shape_invariants=shapes)[1]}


@program(x=(F32, [3]))
def refused_elements_of_a_list(x):
    return {"y": tf.map_fn(lambda e: tf.boolean_mask(x, x > 0)[None], x)}


@program(n=(I32, []))
def refused_no_bound(n):
    return {"y": tf.range(n)}


@program(x=(F32, []), n=(I32, []))
def refused_no_bounds(x, n):
    return {"y": tf.linspace(0.0, x, n), "z": tf.cond(x > 0, lambda: tf.reduce_sum(tf.range(n * 2)), lambda: 0)}


@program(x=(F32, [None]), s=(I32, []))
def refused_leaves_a_branch(x, s):
    return {"y": tf.cond(s > 0, lambda: tf.boolean_mask(x, x > 0), lambda: x)}


if __name__ == "__main__":
    make("sizes", entry=lambda name, calls: {"bounds": BOUNDS[name], "calls": calls})
