"""Writes double.txt: functions of doubles to twice their precision, by mpmath.

Each line is a function, its operands, and the result as the nearest double and what is left of it, all as their bits.
Run it with Python and mpmath from this directory; the result depends on nothing else.
"""

import random
import struct

import mpmath as m

m.mp.prec = 2500
random.seed(1)

EDGES = [2.0**-1074, 2.0**-1022, 1e-300, 1e-20, 1e-9, 1e-5, 0.01, 0.25, 0.41, 0.5, 0.5000000001, 0.545, 0.547, 0.62, 0.7071,
         0.75, 0.7854, 0.84, 0.86, 0.99, 1 - 2.0**-53, 1.0, 1 + 2.0**-52, 1.0001, 1.41, 1.42, 1.5707963267948966, 2.0, 2.5,
         3.141592653589793, 4.0, 6.5, 12.25, 19.0, 22.0, 26.5, 100.7, 354.9, 700.1, 708.5, 709.7, 1e5, 1e9, 1e16, 1e22,
         5.319372648326541416707296656673541083813475031793921822105998164685e255, 1e300, 1.7976931348623157e308]

UNARY = {
    "exp": m.exp, "expm1": m.expm1, "log": m.log, "log1p": m.log1p, "sin": m.sin, "cos": m.cos, "tan": m.tan,
    "asin": m.asin, "acos": m.acos, "atan": m.atan, "sinh": m.sinh, "cosh": m.cosh, "tanh": m.tanh, "asinh": m.asinh,
    "acosh": m.acosh, "atanh": m.atanh, "erf": m.erf, "erfc": m.erfc,
}


def inside(name, x):
    """Whether the function has a real, finite value that is worth computing."""
    size = abs(x)
    return {
        "exp": -745 < x < 709.7, "expm1": x < 709.7, "log": x > 0, "log1p": x > -1, "asin": size <= 1, "acos": size <= 1,
        "sinh": size < 710.4, "cosh": size < 710.4, "acosh": x >= 1, "atanh": size < 1, "erfc": x < 26.5,
    }.get(name, True)


def saturated(name, x):
    """Values that need not be computed, which takes long: they round to 1 or -1."""
    return name in ("erf", "tanh", "expm1", "erfc") and abs(x) > 60 and not (name == "expm1" and x > 0)


def bits(x):
    return struct.pack(">d", x).hex()


def line(name, args, value):
    with m.workprec(2500):
        high = float(value)
        low = float(value - m.mpf(high))
    print(name, *map(bits, args), bits(high), bits(low), file=out)


with open("double.txt", "w") as out:
    points = EDGES + [-x for x in EDGES] + [random.uniform(-1, 1) for _ in range(25)]
    points += [random.uniform(-20, 20) for _ in range(25)] + [random.uniform(-700, 700) for _ in range(10)]
    points += [random.choice((-1, 1)) * 2.0 ** random.uniform(-1000, 1000) for _ in range(15)]
    for name, f in UNARY.items():
        for x in points:
            if not inside(name, x) or saturated(name, x):
                continue
            m.mp.prec = 2500 if name in ("sin", "cos", "tan") else 1300 if abs(x) < 1e-5 else 400
            line(name, [x], f(m.mpf(x)))
    m.mp.prec = 400
    for _ in range(300):
        x = 2.0 ** random.uniform(-40, 40) if random.random() < 0.6 else random.uniform(0.5, 2)
        y = random.uniform(-20, 20) if random.random() < 0.6 else random.uniform(-900, 900) / max(abs(float(m.log(x))), 1e-3)
        value = m.mpf(x) ** m.mpf(y)
        if m.mpf(2) ** -1070 < value < m.mpf(2) ** 1023:
            line("pow", [x, y], value)
    for _ in range(100):
        y, x = (random.choice((-1, 1)) * 2.0 ** random.uniform(-30, 30) for _ in range(2))
        line("atan2", [y, x], m.atan2(m.mpf(y), m.mpf(x)))
