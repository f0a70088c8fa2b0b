"""Fits the polynomials of the elementary functions and prints them, by mpmath.

Each is the minimax polynomial of its degree in an interval (Remez' exchange in 50 digits), where the error is weighted
so that it counts against the result of the function that uses it. The coefficients are then rounded to double.
"""

import struct

import mpmath as m
from mpmath import mpf

m.mp.dps = 50


def remez(f, weight, a, b, degree, rounds=8):
    """The coefficients, that of the constant first, and the greatest weighted error."""
    a, b, count = mpf(a), mpf(b), degree + 2
    chebyshev = lambda n: [(a + b) / 2 + (b - a) / 2 * m.cos(m.pi * (n - i) / n) for i in range(n + 1)]
    points, grid = chebyshev(count - 1), chebyshev(1200)
    values, weights = [f(x) for x in grid], [weight(x) for x in grid]
    best = None
    for _ in range(rounds):
        # The polynomial whose errors at the points have equal size and alternating signs.
        rows, right = m.matrix(count, count), m.matrix(count, 1)
        for i, x in enumerate(points):
            for j in range(degree + 1):
                rows[i, j] = x**j
            rows[i, degree + 1] = (-1) ** i / weight(x)
            right[i] = f(x)
        c = list(m.lu_solve(rows, right))[: degree + 1]
        errors = [w * (m.polyval(c[::-1], x) - y) for x, y, w in zip(grid, values, weights)]
        worst = max(map(abs, errors))
        if best is None or worst < best[1]:
            best = c, worst
        # The greatest error of each sign's run is the next point.
        peaks = []
        for i, e in enumerate(errors):
            if not peaks or (e > 0) != (errors[peaks[-1]] > 0):
                peaks.append(i)
            elif abs(e) > abs(errors[peaks[-1]]):
                peaks[-1] = i
        while len(peaks) > count:
            peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
        if len(peaks) < count:
            break
        points = [grid[i] for i in peaks]
    return best


def show(name, single, double):
    for kind, fit in (("single", single), ("double", double)):
        if fit:
            c, error = remez(*fit)
            digits = [float("%.9e" % float(x)) if kind == "single" else float(x) for x in c]
            print(name, kind, "2^%.1f" % float(m.log(error, 2)), *map(repr, digits), sep="\n    ")


def shortest(x):
    """The fewest digits that name the f32 next to a number; 0 where only rounding made it another."""
    x = struct.unpack("f", struct.pack("f", x if abs(x) > 1e-36 else 0.0))[0]
    texts = ("%.*e" % (digits, x) for digits in range(10))
    return repr(float(next(text for text in texts if struct.pack("f", float(text)) == struct.pack("f", x))))


def cells(name, f, weight, intervals, degree):
    """Tables of the coefficients of polynomials, that of the constant first. An interval is its place in the table, where
    the polynomial's argument is 0, and where it is used."""
    tables, worst = [["0.0"] * 16 for _ in range(degree + 1)], 0
    for place, middle, a, b in intervals:
        if middle == a == f(mpf(0)) == 0:
            # An odd function next to 0: the polynomial has no constant.
            g = near(mpf("1e-12"), lambda u: m.diff(f, 0), lambda u: f(u) / u)
            c, error = remez(g, lambda u: 1 / g(u), a, b, degree - 1, 5)
            c.insert(0, mpf(0))
        else:
            c, error = remez(lambda u: f(middle + u), lambda u: weight(middle + u), a - middle, b - middle, degree, 5)
        worst = max(worst, error)
        for table, coefficient in zip(tables, c):
            table[place] = shortest(float(coefficient))
    print(name, "2^%.1f" % float(m.log(worst, 2)), *("[" + ", ".join(t) + "]," for t in tables), sep="\n    ")


def near(limit, series, direct):
    """A function whose formula cancels near 0, where a series takes over."""
    return lambda x: series(x) if abs(x) < limit else direct(x)


def odd(f, first, second):
    """`(f(x)/x - 1) / x^2` in `x^2`."""
    direct = lambda z: (f(m.sqrt(z)) / m.sqrt(z) - 1) / z
    return near(mpf("1e-16"), lambda z: first + second * z, direct)


def odd_weight(f):
    return lambda z: z * (m.sqrt(z) / f(m.sqrt(z)) if z > 0 else 1) + mpf("1e-22")


third, fifth = mpf(1) / 3, mpf(1) / 5

half = m.log(2) / 2 * mpf("1.01")
q = near(mpf("1e-12"), lambda r: mpf(1) / 2 + r / 6 + r * r / 24, lambda r: (m.expm1(r) - r) / r**2)
exp_weight = lambda r: r * r / m.exp(r) + mpf("1e-25")
show("EXP", (q, exp_weight, -half, half, 4), (q, exp_weight, -half, half, 10))
sixteenth = m.log(2) / 32 * mpf("1.001")
show("EXP_OF_SIXTEENTHS", (q, exp_weight, -sixteenth, sixteenth, 1), None)
print("SIXTEENTHS", *(shortest(float(mpf(2) ** (mpf(i) / 16))) for i in range(16)))
expm1_weight = lambda r: abs(r) + mpf("1e-25")
show("EXPM1", (q, expm1_weight, -half, half, 5), (q, expm1_weight, -half, half, 10))

direct = lambda f: (m.log1p(f) - f + f * f / 2) / f**3
log_f = near(mpf("1e-10"), lambda f: third - f / 4 + f * f / 5, direct)
log_weight = lambda f: f * f * (f / m.log1p(f) if f else 1) + mpf("1e-14")
show("LOG_F", (log_f, log_weight, m.sqrt(0.5) - 1, m.sqrt(2) - 1, 8), None)
greatest = ((m.sqrt(2) - 1) / (m.sqrt(2) + 1)) ** 2
direct = lambda z: (m.log((1 + m.sqrt(z)) / (1 - m.sqrt(z))) / m.sqrt(z) - 2) / z
log_s = near(mpf("1e-14"), lambda z: 2 * third + 2 * fifth * z, direct)
show("LOG_S", None, (log_s, lambda z: z / 2 + mpf("1e-20"), 0, greatest, 7))
tail = near(mpf("1e-12"), lambda z: 2 * fifth + 2 * z / 7, lambda z: (log_s(z) - 2 * third) / z)
show("LOG_TAIL", None, (tail, lambda z: z * z / 2 + mpf("1e-25"), 0, greatest, 7))

tanh = near(mpf("1e-12"), lambda r: 2 - 2 * r + 4 * third * r * r, lambda r: -m.expm1(-2 * r) / r)
show("TANH", (tanh, lambda r: 1 / tanh(r), -half / 2, half / 2, 5), None)


def binary(start, end):
    """Cells of a quarter of a power of two of `x + start` for x up to `end`: the place of each by its bits, and its ends."""
    found = []
    for exponent in range(-1, 4):
        for quarter in range(4, 8):
            a, b = mpf(2) ** exponent * quarter / 4 - start, mpf(2) ** exponent * (quarter + 1) / 4 - start
            if b > 0 and a < end:
                found.append(((4 * (exponent + 127) + quarter - 4) % 16, a, max(a, mpf(0)), min(b, end)))
    return found


intervals, middles = [], ["0.0"] * 16
for place, _, a, b in binary(mpf("0.625"), mpf("9.2")):
    middle = m.nint((a + b) * 16) / 32 if a else mpf(0)
    intervals.append((place, middle, a, b))
    middles[place] = shortest(float(middle))
print("TANH_MIDDLES", "[" + ", ".join(middles) + "],", sep="\n    ")
cells("TANH_CELLS", m.tanh, lambda x: 1 / m.tanh(x), intervals, 5)
sinh, limit = odd(m.sinh, third / 2, third * fifth / 8), mpf("2.25")
show("SINH", (sinh, odd_weight(m.sinh), 0, limit, 4), (sinh, odd_weight(m.sinh), 0, limit, 8))



def single(x):
    """The nearest f32 of normal size."""
    return to_multiple(x, mpf(2) ** (m.floor(m.log(abs(x), 2)) - 23)) if x else mpf(0)


def to_multiple(x, unit):
    return m.nint(x / unit) * unit


def table(name, entries):
    print(name, "[" + ", ".join(shortest(float(x)) for x in entries) + "],", sep="\n    ")


# The cells of the logarithm: the upper half of them belongs to the binade before.
ends = lambda i: (1 + mpf(i) / 16, 1 + mpf(i + 1) / 16) if i < 8 else (mpf(i + 16) / 32, mpf(i + 17) / 32)
inverses = [mpf(1) if i in (0, 15) else m.nint(64 / sum(ends(i))) / 32 for i in range(16)]
rests = [x * inverse - 1 for i, inverse in enumerate(inverses) for x in ends(i)]
logs = [-m.log(inverse) + (m.log(2) if i > 7 else 0) for i, inverse in enumerate(inverses)]
highs = [to_multiple(x, mpf(2) ** -16) for x in logs]
table("INVERSES of log", inverses)
table("LOGS of log", highs)
table("LOGS_LOW of log", [x - high for x, high in zip(logs, highs)])
tail = near(mpf("1e-10"), lambda r: r * third - mpf(1) / 2, lambda r: (m.log1p(r) - r) / r**2)
log_weight = lambda r: abs(r) * (r / m.log1p(r) if r else 1) + mpf("1e-14")
show("LOG_OF_REST", (tail, log_weight, min(rests), max(rests), 3), None)

# Each ratio is the one with which r is exact and least at the ends of its cell.
start, ratios = 0x3F318000, [45, 43, 42, 40, 38, 37, 36, 34, 33, 32, 31, 29, 27, 26, 25, 24]
number = lambda bits: mpf(struct.unpack("f", struct.pack("I", bits))[0])
ends = lambda i: (number(start + (i << 19)), number(start + (i + 1 << 19) - 1))
for i, ratio in enumerate(ratios):
    # A float below 1 has 24 bits behind the point, one above has 23.
    bits = 5 - next(n for n in range(6) if ratio >> n & 1)
    assert all(abs(x * ratio / 32 - 1) <= mpf(2) ** ((0 if x < 1 else 1) - bits) for x in ends(i))
logs = [-m.log(mpf(ratio) / 32, 2) for ratio in ratios]
highs = [to_multiple(x, mpf(2) ** -16) for x in logs]
table("INVERSES", [mpf(ratio) / 32 for ratio in ratios])
table("LOGS", highs)
table("LOGS_LOW", [x - high for x, high in zip(logs, highs)])
direct = lambda r: 2 * (m.log1p(r) - r + r * r / 2) / r**3
tail = near(mpf("1e-10"), lambda r: 2 * third - r / 2 + 2 * r * r / 5, direct)
limit = mpf("0.0412")
show("LOG_OF_CELL", (tail, lambda r: abs(r**3) + mpf("1e-12"), -limit, limit, 4), None)
table("LOG2_E_LOW", [1 / m.log(2) - single(1 / m.log(2))])
limit = mpf("1.01") / 32
exp2 = near(mpf("1e-12"), lambda f: m.log(2) + m.log(2) ** 2 * f / 2, lambda f: (mpf(2) ** f - 1) / f)
show("EXP2_OF_SIXTEENTHS", (exp2, lambda f: abs(f) + mpf("1e-12"), -limit, limit, 2), None)
table("SIXTEENTHS_LOW", [mpf(2) ** (mpf(i) / 16) - single(mpf(2) ** (mpf(i) / 16)) for i in range(16)])

parts = []
with m.workdps(120):
    for n in range(8):
        # What is whole for all numbers of a size; then 23 bits, 24 bits and two floats.
        inverse, unit = 1 / (2 * m.pi), mpf(2) ** (-2 - 16 * n)
        rest, found = inverse - to_multiple(inverse, mpf(2) ** (22 - 16 * n)), []
        for rounded in [lambda x: to_multiple(x, unit), lambda x: to_multiple(x, unit / 2**24), single, single]:
            found.append(rounded(rest))
            rest -= found[-1]
        parts.append([x * 2**48 for x in found])
for part in zip(*parts):
    table("PARTS", part)
table("TURN_LOW", [2 * m.pi - single(2 * m.pi)])

eighth = (m.pi / 4 * mpf("1.001")) ** 2
sin = odd(m.sin, -third / 2, third * fifth / 8)
show("SIN", (sin, odd_weight(m.sin), 0, eighth, 2), (sin, odd_weight(m.sin), 0, eighth, 5))
direct = lambda z: (m.cos(m.sqrt(z)) - 1 + z / 2) / z**2
cos = near(mpf("1e-14"), lambda z: mpf(1) / 24 - z / 720, direct)
cos_weight = lambda z: z * z / m.cos(m.sqrt(z)) + mpf("1e-25")
show("COS", (cos, cos_weight, 0, eighth, 2), (cos, cos_weight, 0, eighth, 5))

asin = odd(m.asin, third / 2, mpf(3) / 40)
show("ASIN", (asin, odd_weight(m.asin), 0, mpf("0.25"), 4), (asin, odd_weight(m.asin), 0, mpf("0.25"), 12))
atan, limit = odd(m.atan, -third, fifth), mpf("0.5465") ** 2
show("ATAN", (atan, odd_weight(m.atan), 0, limit, 6), (atan, odd_weight(m.atan), 0, limit, 14))

slope, limit = 2 / m.sqrt(m.pi), mpf("0.85") ** 2
direct = lambda z: m.erf(m.sqrt(z)) / m.sqrt(z) - 1
erf = near(mpf("1e-16"), lambda z: slope - 1 - slope * third * z, direct)
erf_weight = lambda z: m.sqrt(z) / m.erf(m.sqrt(z)) if z > 0 else 1 / slope
show("ERF", (erf, erf_weight, 0, limit, 5), (erf, erf_weight, 0, limit, 11))
show("LOG_ERFC", (lambda x: m.log(m.erfc(x)), lambda x: m.erfc(x) / m.erf(x), mpf("0.85"), 4, 7), None)

width = mpf(17) / 64
uniform = [(i, i * width, (i - mpf(1) / 2) * width, (i + mpf(1) / 2) * width) for i in range(16)]
cells("ERF_CELLS", m.erf, lambda x: 1 / abs(m.erf(x)) if abs(x) > width / 2 else 1 / (abs(x) + mpf("1e-9")), uniform, 5)
scaled = lambda x: m.exp(x * x) * m.erfc(x)
cells("ERFC_CELLS", scaled, lambda x: 1 / scaled(x), binary(mpf("0.75"), mpf("10.15")), 5)


def scaled_erfc(middle, greatest, degree):
    x = lambda t: middle * (1 + t) / (1 - t)
    f = lambda t: (1 + 2 * x(t)) * m.exp(x(t) ** 2) * m.erfc(x(t))
    t = lambda x: (x - middle) / (x + middle)
    return f, lambda t: 1 / f(t), t(mpf("0.45")), t(mpf(greatest)), degree


show("ERFC", scaled_erfc(mpf(2), "10.3", 9), scaled_erfc(mpf("3.5"), "27.5", 21))
