"""Ten models with truths, starts and data: what golden_data/curves.py fits.

A model is written twice, as the text our parser reads and as a function for numpy, in the units x = y = 1. In other units
a parameter is multiplied by sy^u * sx^v; `powers` holds (u, v).
"""

from dataclasses import dataclass
from typing import Callable

import numpy as np


@dataclass(frozen=True)
class Model:
    name: str
    text: str
    parameters: tuple
    value: Callable
    truth: tuple
    # how far a start may be: a factor exp(N(0, s)) for a positive s, an addition N(0, -s) for a negative one
    spread: tuple
    powers: tuple
    span: tuple
    amplitude: float
    # parameters that give the same curve: (index, sign) for each; and those that tell the two apart
    image: tuple | None
    apart: tuple


def power(base, exponent):
    """base^exponent for base > 0, complex exponents included."""
    return np.exp(exponent * np.log(base))


def model(name, text, value, span, amplitude, image=None, apart=(), **parameters):
    """`parameters`: name = (truth, spread, power of sy, power of sx), in the order of the text."""
    columns = list(zip(*parameters.values()))
    powers = tuple(zip(columns[2], columns[3]))
    return Model(name, text, tuple(parameters), value, columns[0], columns[1], powers, span, amplitude, image, apart)


MODELS = [
    model(
        "decay", "a*exp(-b*x)+c", lambda x, a, b, c: a * np.exp(-b * x) + c, (0.0, 5.0), 2.0,
        a=(2.0, 0.5, 1, 0), b=(0.8, 0.5, 0, -1), c=(0.5, 0.5, 1, 0),
    ),
    model(
        "gaussian", "a*exp(-0.5*((x-m)/w)^2)+c",
        lambda x, a, m, w, c: a * np.exp(-0.5 * ((x - m) / w) ** 2) + c, (0.0, 10.0), 3.0,
        image=((0, 1), (1, 1), (2, -1), (3, 1)), apart=(2,),
        a=(3.0, 0.4, 1, 0), m=(4.3, -0.7, 0, 1), w=(1.2, 0.3, 0, 1), c=(0.7, 0.4, 1, 0),
    ),
    model(
        "lorentzian", "a/(1+((x-m)/w)^2)+c", lambda x, a, m, w, c: a / (1 + ((x - m) / w) ** 2) + c, (0.0, 10.0), 3.0,
        image=((0, 1), (1, 1), (2, -1), (3, 1)), apart=(2,),
        a=(3.0, 0.4, 1, 0), m=(5.6, -0.6, 0, 1), w=(0.9, 0.3, 0, 1), c=(0.2, 0.4, 1, 0),
    ),
    model(
        "sigmoid", "h/(1+exp(-k*(x-m)))+c", lambda x, h, k, m, c: h / (1 + np.exp(-k * (x - m))) + c, (0.0, 10.0), 4.0,
        h=(4.0, 0.3, 1, 0), k=(1.3, 0.4, 0, -1), m=(5.2, -0.8, 0, 1), c=(-1.0, -0.5, 1, 0),
    ),
    model(
        "power law", "a*x^b", lambda x, a, b: a * power(x, b), (0.2, 8.0), 2.5,
        a=(1.4, 0.4, 1, 0), b=(0.7, 0.3, 0, 0),
    ),
    model(
        "two exponentials", "a*exp(-b*x)+c*exp(-d*x)",
        lambda x, a, b, c, d: a * np.exp(-b * x) + c * np.exp(-d * x), (0.0, 8.0), 0.1,
        image=((2, 1), (3, 1), (0, 1), (1, 1)), apart=(1, 3),
        a=(3.0, 0.3, 1, 0), b=(1.0, 0.3, 0, -1), c=(1.5, 0.3, 1, 0), d=(0.55, 0.3, 0, -1),
    ),
    model(
        "damped sine with drift", "a*exp(-g*x)*sin(w*x+p)+c+d*x",
        lambda x, a, g, w, p, c, d: a * np.exp(-g * x) * np.sin(w * x + p) + c + d * x, (0.0, 10.0), 2.5,
        a=(2.5, 0.3, 1, 0), g=(0.2, 0.4, 0, -1), w=(2.1, -0.06, 0, -1), p=(0.6, -0.3, 0, 0), c=(1.0, 0.4, 1, 0),
        d=(0.15, 0.5, 1, -1),
    ),
    model(
        "saturation", "v*x/(k+x)", lambda x, v, k: v * x / (k + x), (0.1, 9.0), 2.0,
        v=(2.4, 0.5, 1, 0), k=(1.1, 0.6, 0, 1),
    ),
    model(
        "stretched exponential", "o+b*exp(-2*(x/t)^g)",
        lambda x, o, b, t, g: o + b * np.exp(-2 * power(x / t, g)), (0.05, 6.0), 0.4,
        o=(1.0, 0.05, 1, 0), b=(0.35, 0.4, 1, 0), t=(1.8, 0.5, 0, 1), g=(0.9, 0.25, 0, 0),
    ),
    model(
        "rational", "(a+b*x)/(1+c*x+d*x^2)", lambda x, a, b, c, d: (a + b * x) / (1 + c * x + d * x**2), (0.0, 6.0), 2.0,
        a=(1.0, 0.3, 1, 0), b=(1.5, 0.4, 1, -1), c=(0.3, 0.4, 0, -1), d=(0.2, 0.4, 0, -2),
    ),
]


def decimals(values, digits):
    """Rounded to so many significant digits: what is written is what is fitted."""
    return np.array([float(f"{v:.{digits - 1}e}") for v in np.atleast_1d(values)])


@dataclass
class Data:
    x: np.ndarray
    y: np.ndarray
    sigma: np.ndarray | None
    truth: np.ndarray
    start: np.ndarray
    # of a residual without outliers
    noise: float


def in_units(model, values, sx, sy):
    scaled = np.array([v * sy**u * sx**w for v, (u, w) in zip(values, model.powers)])
    if model.name == "power law":
        scaled[0] *= sx ** -values[1]
    return scaled


def draw_start(model, rng, far):
    """A start: its error grows by half for every second problem."""
    pull = rng.standard_normal(len(model.truth)) * (1.5 if far else 0.75)
    pull = np.clip(pull, -2.0, 2.0)
    pairs = zip(model.truth, model.spread, pull)
    return [truth * np.exp(s * z) if s > 0 else truth - s * z for truth, s, z in pairs]


def draw(model, rng, n, units, weighting, outliers, far):
    """Data around the model's truth, with noise of 1 to 4 hundredths of the amplitude."""
    sx, sy = units
    low, high = model.span
    x = np.sort(rng.uniform(low, high, n)) if n % 2 else np.linspace(low, high, n)
    noise = rng.uniform(0.01, 0.04) * model.amplitude
    spread = noise * (np.ones(n) if weighting == "none" else rng.uniform(0.5, 2.0, n))
    error = spread * rng.standard_normal(n)
    if outliers:
        wild = rng.choice(n, max(2, n // 12), replace=False)
        error[wild] += spread[wild] * rng.uniform(6, 25, len(wild)) * rng.choice([-1, 1], len(wild))
    y = model.value(x, *model.truth) + error
    sigma = None if weighting == "none" else decimals(spread * sy, 3)
    return Data(
        x=decimals(x * sx, 5),
        y=decimals(y * sy, 6),
        sigma=sigma,
        truth=in_units(model, model.truth, sx, sy),
        start=decimals(in_units(model, draw_start(model, rng, far), sx, sy), 4),
        noise=noise * sy if sigma is None else 1.0,
    )
