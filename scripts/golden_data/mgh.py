"""The systems of Moré, Garbow & Hillstrom (ACM TOMS 7 (1981) 17-41), solved by SciPy from 1, 10 and 100 times the start.

The residuals are those of tests/data/mgh/mgh.json, written out here a second time. The Jacobian is the complex step's
(Squire & Trapp 1998), exact to rounding, so neither solver is handicapped by differences.
"""

import json
import warnings
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

TOLERANCE = 1e-12
MOST_EVALUATIONS = 2000
SOLVERS = [(method, scale) for method in ("trf", "lm") for scale in ("jac", 1.0)]


def magnitude(z):
    """|z| that a complex step passes through."""
    return np.where(np.real(z) < 0, -z, z)


def rosenbrock(x):
    return [10 * (x[1] - x[0] ** 2), 1 - x[0]]


def powell_singular(x):
    return [x[0] + 10 * x[1], 5**0.5 * (x[2] - x[3]), (x[1] - 2 * x[2]) ** 2, 10**0.5 * (x[0] - x[3]) ** 2]


def helical_valley(x):
    turn = np.arctan(x[1] / x[0]) / (2 * np.pi) + (0.5 if x[0].real < 0 else 0.0)
    return [10 * (x[2] - 10 * turn), 10 * (np.sqrt(x[0] ** 2 + x[1] ** 2) - 1), x[2]]


def bard(x, y):
    u = np.arange(1.0, 16)
    v = 16 - u
    return y - (x[0] + u / (v * x[1] + np.minimum(u, v) * x[2]))


def gulf(x):
    t = np.arange(1, 101) / 100
    distance = magnitude(25 + (-50 * np.log(t)) ** (2 / 3) - x[1])
    power = np.zeros_like(distance)
    power[distance != 0] = np.exp(x[2] * np.log(distance[distance != 0]))
    return np.exp(-power / x[0]) - t


def osborne_2(x, y):
    t = np.arange(65) / 10
    peaks = sum(x[a] * np.exp(-((t - x[m]) ** 2) * x[w]) for a, w, m in ((1, 5, 8), (2, 6, 9), (3, 7, 10)))
    return y - (x[0] * np.exp(-t * x[4]) + peaks)


def watson(x):
    t, j = np.arange(1, 30)[:, None] / 29, np.arange(len(x))
    slope = (j[1:] * x[1:] * t ** (j[1:] - 1)).sum(axis=1)
    return np.concatenate([slope - (x * t**j).sum(axis=1) ** 2 - 1, [x[0], x[1] - x[0] ** 2 - 1]])


def penalty_2(x):
    n, a = len(x), 1e-5**0.5
    y = np.exp(np.arange(1, n + 1) / 10)
    pairs = a * (np.exp(x[1:] / 10) + np.exp(x[:-1] / 10) - (y[1:] + y[:-1]))
    last = (np.arange(n, 0, -1) * x**2).sum() - 1
    return np.concatenate([[x[0] - 0.2], pairs, a * (np.exp(x[1:] / 10) - np.exp(-0.1)), [last]])


def variably_dimensioned(x):
    s = (np.arange(1, len(x) + 1) * (x - 1)).sum()
    return np.concatenate([x - 1, [s, s**2]])


def trigonometric(x):
    n, i = len(x), np.arange(1, len(x) + 1)
    return n - np.cos(x).sum() + i * (1 - np.cos(x)) - np.sin(x)


def brown_almost_linear(x):
    return np.concatenate([x[:-1] + x.sum() - (len(x) + 1), [np.prod(x) - 1]])


def neighbours(x):
    return np.concatenate([[0], x[:-1]]), np.concatenate([x[1:], [0]])


def discrete_boundary_value(x):
    h = 1 / (len(x) + 1)
    before, after = neighbours(x)
    t = h * np.arange(1, len(x) + 1)
    return 2 * x - before - after + h**2 * (x + t + 1) ** 3 / 2


def discrete_integral(x):
    n = len(x)
    h = 1 / (n + 1)
    t = h * np.arange(1, n + 1)
    cube = (x + t + 1) ** 3
    low, high = np.cumsum(t * cube), np.cumsum(((1 - t) * cube)[::-1])[::-1]
    return x + h * ((1 - t) * low + t * (high - (1 - t) * cube)) / 2


def broyden_tridiagonal(x):
    before, after = neighbours(x)
    return (3 - 2 * x) * x - before - 2 * after + 1


def broyden_banded(x):
    n = len(x)
    near = lambda i: [j for j in range(max(0, i - 5), min(n, i + 2)) if j != i]
    return [x[i] * (2 + 5 * x[i] ** 2) + 1 - sum(x[j] * (1 + x[j]) for j in near(i)) for i in range(n)]


def linear_full_rank(x):
    rest = -2 / 50 * x.sum() - 1
    return np.concatenate([x + rest, np.full(50 - len(x), rest)])


def linear_rank_1_zeros(x):
    s = (np.arange(2, len(x)) * x[1:-1]).sum()
    i = np.arange(1, 51)
    return np.where((i == 1) | (i == 50), -1, (i - 1) * s - 1)


def chebyquad(x):
    n = len(x)
    before, now = np.ones_like(x), 2 * x - 1
    r = []
    for i in range(1, n + 1):
        r.append(now.mean() + (1 / (i * i - 1) if i % 2 == 0 else 0))
        before, now = now, 2 * (2 * x - 1) * now - before
    return r


def systems(data):
    """Residuals by the stem of a problem's name."""
    c = {key: np.array(values) for key, values in data.items()}
    t10, t13, t20 = np.arange(1, 11) / 10, np.arange(1, 14) / 10, np.arange(1, 21) / 5
    t7, t33 = (7 - np.arange(15)) / 2, 10.0 * np.arange(33)
    biggs_y = np.exp(-t13) - 5 * np.exp(-10 * t13) + 3 * np.exp(-4 * t13)
    i10, i16 = np.arange(1, 11), 45 + 5.0 * np.arange(1, 17)
    u = c["kowalik_u"]
    return {
        "Rosenbrock": rosenbrock,
        "Freudenstein-Roth": lambda x: [
            -13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1],
            -29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1],
        ],
        "Powell badly scaled": lambda x: [1e4 * x[0] * x[1] - 1, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001],
        "Brown badly scaled": lambda x: [x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2],
        "Beale": lambda x: [y - x[0] * (1 - x[1] ** (i + 1)) for i, y in enumerate((1.5, 2.25, 2.625))],
        "Jennrich-Sampson": lambda x: 2 + 2 * i10 - (np.exp(i10 * x[0]) + np.exp(i10 * x[1])),
        "Helical valley": helical_valley,
        "Bard": lambda x: bard(x, c["bard_y"]),
        "Gaussian": lambda x: x[0] * np.exp(-x[1] * (t7 - x[2]) ** 2 / 2) - c["gaussian_y"],
        "Meyer": lambda x: x[0] * np.exp(x[1] / (i16 + x[2])) - c["meyer_y"],
        "Gulf": gulf,
        "Box 3-D": lambda x: np.exp(-t10 * x[0]) - np.exp(-t10 * x[1]) - x[2] * (np.exp(-t10) - np.exp(-10 * t10)),
        "Powell singular": powell_singular,
        "Wood": lambda x: [
            10 * (x[1] - x[0] ** 2), 1 - x[0], 90**0.5 * (x[3] - x[2] ** 2), 1 - x[2],
            10**0.5 * (x[1] + x[3] - 2), (x[1] - x[3]) / 10**0.5,
        ],
        "Kowalik-Osborne": lambda x: c["kowalik_y"] - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3]),
        "Brown-Dennis": lambda x: (x[0] + t20 * x[1] - np.exp(t20)) ** 2
        + (x[2] + x[3] * np.sin(t20) - np.cos(t20)) ** 2,
        "Osborne 1": lambda x: c["osborne1_y"] - (x[0] + x[1] * np.exp(-t33 * x[3]) + x[2] * np.exp(-t33 * x[4])),
        "Biggs EXP6": lambda x: x[2] * np.exp(-t13 * x[0]) - x[3] * np.exp(-t13 * x[1])
        + x[5] * np.exp(-t13 * x[4]) - biggs_y,
        "Osborne 2": lambda x: osborne_2(x, c["osborne2_y"]),
        "Watson": watson,
        "Extended Rosenbrock": lambda x: np.concatenate([rosenbrock(pair) for pair in x.reshape(-1, 2)]),
        "Extended Powell singular": lambda x: np.concatenate([powell_singular(four) for four in x.reshape(-1, 4)]),
        "Penalty I": lambda x: np.concatenate([1e-5**0.5 * (x - 1), [(x**2).sum() - 0.25]]),
        "Penalty II": penalty_2,
        "Variably dimensioned": variably_dimensioned,
        "Trigonometric": trigonometric,
        "Brown almost-linear": brown_almost_linear,
        "Discrete boundary value": discrete_boundary_value,
        "Discrete integral": discrete_integral,
        "Broyden tridiagonal": broyden_tridiagonal,
        "Broyden banded": broyden_banded,
        "Linear full rank": linear_full_rank,
        "Linear rank 1": lambda x: np.arange(1, 51) * (np.arange(1, len(x) + 1) * x).sum() - 1,
        "Linear rank 1, zero columns and rows": linear_rank_1_zeros,
        "Chebyquad": chebyquad,
    }


def derivatives(residuals):
    """r(x) and J(x) as functions of real x."""

    def value(x):
        return np.asarray(residuals(np.asarray(x, dtype=complex))).real

    def jacobian(x):
        step = 1e-30
        columns = []
        for j in range(len(x)):
            z = np.asarray(x, dtype=complex)
            z[j] += 1j * step
            columns.append(np.asarray(residuals(z)).imag / step)
        return np.array(columns).T

    return value, jacobian


def solve(value, jacobian, start, method, scale):
    """One run of SciPy: sum of squares at the end, its status, evaluations."""
    if not np.isfinite(np.square(value(start)).sum()):
        return {"status": "not defined"}
    tolerances = dict(ftol=TOLERANCE, xtol=TOLERANCE, gtol=TOLERANCE)
    try:
        run = least_squares(
            value, start, jacobian, method=method, x_scale=scale, max_nfev=MOST_EVALUATIONS, **tolerances
        )
    except ValueError as error:
        return {"status": "failed", "why": str(error)}
    total = float(np.square(run.fun).sum())
    if not np.isfinite(total):
        return {"status": "failed", "why": "the sum of squares is not finite"}
    return {"status": int(run.status), "sum": total, "nfev": int(run.nfev), "njev": int(run.njev or 0)}


def runs(root: Path):
    """All problems from all starts by all solvers, as the file's content."""
    file = json.loads((root / "tests/data/mgh/mgh.json").read_text())
    known = systems(file["data"])
    problems = []
    for problem in file["problems"]:
        value, jacobian = derivatives(known[problem["name"].split(" n=")[0]])
        start = np.array(problem["start"])
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            total = np.square(value(start)).sum()
            assert abs(total - problem["f_start"]) <= 1e-12 * problem["f_start"], problem["name"]
            for factor in (1, 10, 100):
                entry = {"problem": problem["name"], "start": factor}
                for method, scale in SOLVERS:
                    name = f"{method} {'jac' if scale == 'jac' else 'one'}"
                    entry[name] = solve(value, jacobian, start * factor, method, scale)
                problems.append(entry)
    return {"tolerance": TOLERANCE, "max_nfev": MOST_EVALUATIONS, "runs": problems}
