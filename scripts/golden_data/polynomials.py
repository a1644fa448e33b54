"""Polynomials on [0, 1] in powers of x: the higher the degree, the nearer the columns of J are to each other."""

import mpmath
import numpy

POINTS = 200
NOISE = 1e-3


def problems():
    """Least-squares solutions in 80 digits, with the condition number of J in columns of length 1."""
    mpmath.mp.dps = 80
    random = numpy.random.default_rng(20_261_121)
    return {"noise": NOISE, "problems": [problem(degree, random) for degree in (3, 5, 7, 9, 10, 11, 12, 13)]}


def problem(degree, random):
    x = numpy.round(numpy.linspace(0, 1, POINTS), 6)
    y = numpy.round(sum(x**j for j in range(degree + 1)) + NOISE * random.standard_normal(POINTS), 6)
    order = degree + 1
    # numbers as written, to the last decimal: the nearest f64 is what everybody fits
    rows = [[mpmath.mpf(float(v)) ** j for j in range(order)] for v in x]
    square, right = mpmath.matrix(order, order), mpmath.matrix(order, 1)
    for row, value in zip(rows, y):
        for j in range(order):
            right[j] += row[j] * mpmath.mpf(float(value))
            for k in range(order):
                square[j, k] += row[j] * row[k]
    theta = mpmath.lu_solve(square, right)
    residuals = [sum(row[j] * theta[j] for j in range(order)) - mpmath.mpf(float(v)) for row, v in zip(rows, y)]
    rss = sum(r * r for r in residuals)
    inverse = square**-1
    errors = [mpmath.sqrt(inverse[j, j] * rss / (POINTS - order)) for j in range(order)]
    columns = numpy.vander(x, order, increasing=True)
    lengths = numpy.linalg.norm(columns, axis=0)
    found = numpy.linalg.lstsq(columns / lengths, y, rcond=1e-16)[0] / lengths
    digits = min(float(-mpmath.log10(abs((mpmath.mpf(float(v)) - t) / t))) for v, t in zip(found, theta))
    return {
        "degree": degree,
        "condition": float(f"{numpy.linalg.cond(columns / lengths):.4g}"),
        "theta": [mpmath.nstr(v, 20) for v in theta],
        "stderr": [mpmath.nstr(v, 20) for v in errors],
        "lstsq_digits": round(digits, 1),
        "x": x.tolist(),
        "y": y.tolist(),
    }
