#!/usr/bin/env python3
"""Values of the elementary functions to 40 digits, by mpmath: what the tests' reference is proved against.

    pip install mpmath==1.3.0
    scripts/math_reference.py > engine/src/math/tests/reference.txt

A line is: function, argument or arguments, mantissa from 1 to 2, power of two. Arguments are f64, so every digit counts.
"""
import math
import random

from mpmath import mp, mpf

mp.dps = 400  # 1.8e308 modulo pi/2 needs 308 digits before the first that counts


def sinc(x):
    return mp.sin(x) / x


def sinc_slope(x):
    return (mp.cos(x) - mp.sin(x) / x) / x


def expm1(x):
    return mp.exp(x) - 1


def log1p(x):
    return mp.log(1 + x)


def cbrt(x):
    return mp.sign(x) * mp.cbrt(abs(x))


def log2(x):
    return mp.log(x) / mp.log(2)


def wave(draw):
    return [draw(-4, 4) for _ in range(8)] + [draw(-1e5, 1e5) for _ in range(4)] + [2.0**-20, 11.0, 355.0]


def main():
    draws = random.Random(1)
    draw = draws.uniform

    def size(low, high):
        return math.exp(draw(math.log(low), math.log(high)))

    # beyond 2^35 only the functions themselves are compared, not the reference
    far = [size(1e7, 1e300) for _ in range(12)] + [6381956970095103.0 * 2.0**797, 1.7976931348623157e308, 2.0**60]
    moderate = [draw(-3, 3) for _ in range(6)]
    tiny = [size(1e-280, 1e-3) for _ in range(4)]
    positive = [size(1e-300, 1e300) for _ in range(8)] + [draw(0.5, 2) for _ in range(8)] + [1 + 2.0**-40]
    unit = [draw(-1, 1) for _ in range(10)] + [0.5, 1 - 2.0**-40, 2.0**-40 - 1] + tiny
    unary = {
        "exp": (mp.exp, [draw(-700, 700) for _ in range(10)] + moderate + tiny),
        "expm1": (expm1, [draw(-30, 700) for _ in range(8)] + moderate + tiny),
        "log": (mp.log, positive),
        "log1p": (log1p, positive + [draw(-1, 1) for _ in range(8)] + tiny),
        "log2": (log2, positive),
        "log10": (mp.log10, positive),
        "cbrt": (cbrt, [-3.0, 2.0, 10.0] + positive),
        "sin": (mp.sin, wave(draw) + tiny + far),
        "cos": (mp.cos, wave(draw) + tiny + far),
        "tan": (mp.tan, wave(draw) + tiny + far),
        "sinc": (sinc, wave(draw) + tiny[:1] + far),
        "sinc_slope": (sinc_slope, wave(draw) + [1e-5, 1e-3, 0.01]),
        "asin": (mp.asin, unit),
        "acos": (mp.acos, unit),
        "atan": (mp.atan, moderate + tiny + [size(1, 1e16) for _ in range(8)] + [1.0]),
        "sinh": (mp.sinh, [draw(-700, 700) for _ in range(6)] + moderate + tiny),
        "cosh": (mp.cosh, [draw(-700, 700) for _ in range(6)] + moderate + tiny),
        "tanh": (mp.tanh, [draw(-18, 18) for _ in range(6)] + moderate + tiny),
        "erf": (mp.erf, [draw(-5.9, 5.9) for _ in range(8)] + moderate + tiny),
        "erfc": (mp.erfc, [draw(-5, 26) for _ in range(16)] + moderate + [0.75, 2.0, 26.5] + tiny),
    }
    binary = {
        "pow": (lambda x, y: x**y, [(x, 600 / math.log(x) * draw(-1, 1)) for x in positive]),
        "atan2": (mp.atan2, [(draw(-3, 3), draw(-3, 3)) for _ in range(12)]),
        "hypot": (lambda x, y: mp.sqrt(x * x + y * y), [(draw(-3, 3), draw(-3, 3)) for _ in range(8)]),
    }
    for name, (function, arguments) in unary.items():
        for x in arguments:
            line(name, [x], function(mpf(x)))
    for name, (function, arguments) in binary.items():
        for x, y in arguments:
            line(name, [x, y], function(mpf(x), mpf(y)))


def line(name, arguments, value):
    mantissa, power = mp.frexp(value)  # from 1/2 to 1
    digits = mp.nstr(2 * mantissa, 40, strip_zeros=False)
    print(name, *map(repr, arguments), digits, power - 1)


main()
