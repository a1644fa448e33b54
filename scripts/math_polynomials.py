#!/usr/bin/env python3
"""The polynomials of engine/src/math: minimax fits by the exchange algorithm of Remez, rounded to f64.

    pip install mpmath==1.3.0
    scripts/math_polynomials.py

Of each polynomial the first coefficients are rounded one after the other and the rest fitted anew each time, since their rounding
errors would count most. Digits beyond the error of a fit depend on the precision that is worked in, so they need not be those of the
source. What is printed: name, the largest weighted error before and after rounding, coefficients from the lowest.
"""
from mpmath import mp, mpf

mp.dps = 40


def horner(coefficients, u):
    total = mpf(0)
    for c in reversed(coefficients):
        total = total * u + c
    return total


def alternating(errors, count):
    """The places of `count` extrema of alternating sign, the small ones left out."""
    places = []
    for i, error in enumerate(errors):
        if places and (error > 0) == (errors[places[-1]] > 0):
            if abs(error) > abs(errors[places[-1]]):
                places[-1] = i
        else:
            places.append(i)
    while len(places) > count:
        if len(places) == count + 1:
            places = places[1:] if abs(errors[places[0]]) < abs(errors[places[-1]]) else places[:-1]
        else:
            size = lambda k: max(abs(errors[places[k]]), abs(errors[places[k + 1]]))
            small = min(range(len(places) - 1), key=size)
            places = places[:small] + places[small + 2 :]
    return places


def remez(values, weights, points, count, shift):
    """c with u^shift (c[0] + c[1] u + ...) nearest to the values, and the largest weighted error."""
    last = len(points) - 1
    places = [int((1 - mp.cos(mp.pi * i / count)) / 2 * last) for i in range(count + 1)]
    best = None
    for _ in range(30):
        system, right = mp.matrix(count + 1, count + 1), mp.matrix(count + 1, 1)
        for row, i in enumerate(places):
            for j in range(count):
                system[row, j] = points[i] ** (shift + j) * weights[i]
            system[row, count] = (-1) ** row
            right[row] = values[i] * weights[i]
        solution = mp.lu_solve(system, right)
        c = [solution[j] for j in range(count)]
        errors = [w * (v - u**shift * horner(c, u)) for u, v, w in zip(points, values, weights)]
        worst = max(map(abs, errors))
        if best is None or worst < best[0]:
            best = (worst, c)
        places = alternating(errors, count + 1)
        if worst < abs(solution[count]) * mpf("1.01") or len(places) <= count:
            break
    return best


def fit(name, function, weight, low, high, count, known=(), one_by_one=3, grid=400):
    low, high = mpf(low), mpf(high)
    points = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * grid)) for i in range(grid)]
    weights = [weight(u) for u in points]
    exact = [function(u) for u in points]
    done = [mpf(c) for c in known]
    ideal = None
    while len(done) < count:
        values = [v - horner(done, u) for u, v in zip(points, exact)]
        worst, c = remez(values, weights, points, count - len(done), len(done))
        ideal = ideal or worst
        take = 1 if one_by_one > 0 else len(c)
        one_by_one -= 1
        done += [mpf(float(x)) for x in c[:take]]
    rounded = max(abs(w * (v - horner(done, u))) for u, v, w in zip(points, exact, weights))
    print(f"{name}: 2^{float(mp.log(ideal, 2)):.1f}, rounded 2^{float(mp.log(rounded, 2)):.1f}")
    for c in done:
        print("   ", repr(float(c)))


def root(function):
    """A function of z = x^2 from one of x."""
    return lambda z: function(mp.sqrt(z))


def hyperbolic():
    mp.dps = 50
    top = (mp.log(2) / 2 * mpf("1.0002")) ** 2
    fit("hyperbolic COSH", root(lambda r: (mp.cosh(r) - 1) / r**2), root(lambda r: r**2 / mp.cosh(r)), 1e-9, top, 5, [0.5])
    fit("hyperbolic SINH", root(lambda r: (mp.sinh(r) / r - 1) / r**2), root(lambda r: r**3 / mp.sinh(r)), 1e-9, top, 5)


def logarithms():
    mp.dps = 40
    top = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2 * mpf("1.0001")
    third = lambda s: (2 * mp.atanh(s) / s - 2) / s**2
    fit("logarithm ATANH", root(third), root(lambda s: s**3 / mp.atanh(s) / 2), 1e-12, top, 7, grid=200)
    fifth = lambda s: (mp.atanh(s) / s - 1 - s**2 / 3) / s**4
    fit("power ATANH", root(fifth), lambda z: z**2, 1e-8, top, 8, one_by_one=2, grid=200)
    ends = (mp.sqrt(mpf("0.5")) / 2 * mpf("0.9999"), mp.sqrt(2) * 2 * mpf("1.0001"))
    fit("power INVERSE_ROOT", lambda m: 1 / mp.cbrt(m), mp.cbrt, *ends, 5, one_by_one=0, grid=200)


def trigonometric():
    mp.dps = 50
    top = (mp.pi / 4 * mpf("1.0001")) ** 2
    fit("trigonometric SIN", root(lambda r: (mp.sin(r) / r - 1) / r**2), root(lambda r: r**3 / mp.sin(r)), 1e-9, top, 6)
    fit("trigonometric COS", root(lambda r: (mp.cos(r) - 1 + r**2 / 2) / r**4), root(lambda r: r**4 / mp.cos(r)), 1e-9, top, 6)
    mp.dps = 40
    slope = lambda x: (mp.cos(x) - mp.sin(x) / x) / x**2
    low = mpf(float(mpf(-1) / 3))
    fit("trigonometric SLOPE", root(lambda x: slope(x) - low), root(lambda x: 1 / slope(x)), 1e-8, mpf("1.6") ** 2, 9, one_by_one=6, grid=200)


def inverse():
    top = (mp.sqrt(2) - 1) ** 2 * mpf("1.0001")
    fit("inverse ATAN", root(lambda t: (mp.atan(t) / t - 1) / t**2), root(lambda t: t**3 / mp.atan(t)), 1e-9, top, 11, grid=200)
    fit("inverse ASIN", root(lambda s: (mp.asin(s) / s - 1) / s**2), root(lambda s: s**3 / mp.asin(s)), 1e-9, "0.25001", 13, grid=200)


def error_function():
    first = mpf(float(2 / mp.sqrt(mp.pi)))
    top = mpf("0.75") ** 2 * mpf("1.0001")
    fit("error_function NEAR", root(lambda x: mp.erf(x) / x - first), root(lambda x: x / mp.erf(x)), 1e-12, top, 12, one_by_one=6, grid=300)
    centre = mpf("2.5")
    place = lambda x: (mpf(x) - centre) / (mpf(x) + centre)

    def far(t):
        x = centre * (1 + t) / (1 - t)
        return mp.erfc(x) * mp.exp(x * x) * (x + centre)

    middle = mpf("1.054031820305718")
    middle = mpf(float(middle))
    fit("error_function FAR", lambda t: far(t) - middle, lambda t: 1 / far(t), place("0.7499"), place(28), 22, one_by_one=8, grid=300)


for family in (hyperbolic, logarithms, trigonometric, inverse, error_function):
    family()
