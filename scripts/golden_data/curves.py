"""Three hundred curve fits with answers good to 1e-10: ten models under every loss, with and without bounds and sigma.

The answer is the lowest end of SciPy's trf from several starts, polished by Newton's method on the gradient in 80-bit
floating point (complex steps for the Jacobian, differences of the gradient for the Hessian), on the free side of the
active set. A problem whose answer is not sharp (a multiplier near 0, a residual on the corner of huber's loss, a
Hessian that is nearly singular) is drawn anew.
"""

import itertools
import warnings

import numpy as np
from scipy.optimize import least_squares

from .models import MODELS, decimals, draw

LOSSES = ["linear", "soft_l1", "huber", "cauchy", "arctan"]
BOUNDS = ["none", "loose", "active"]
WEIGHTINGS = ["none", "column", "absolute"]
EXACT = np.longdouble
EPSILON = np.finfo(float).eps
# an answer is drawn anew if moving a parameter by its standard error off its bound would change the cost by less, relative
# to s^2, than this, or if a residual is so near the corner of huber's loss
SHARP = 0.05
CORNER = 1e-7


def rho(loss, z):
    """rho, rho', rho'' as SciPy defines them."""
    if loss == "linear":
        return z, np.ones_like(z), np.zeros_like(z)
    if loss == "soft_l1":
        t = 1 + z
        return 2 * z / (np.sqrt(t) + 1), t**-0.5, -0.5 * t**-1.5
    if loss == "huber":
        out = np.maximum(z, 1)
        far = z > 1
        return np.where(far, 2 * np.sqrt(out) - 1, z), np.where(far, out**-0.5, 1), np.where(far, -0.5 * out**-1.5, 0)
    if loss == "cauchy":
        return np.log1p(z), 1 / (1 + z), -1 / (1 + z) ** 2
    t = 1 + z * z
    return np.arctan(z), 1 / t, -2 * z / t**2


class Fit:
    """One problem: residuals, cost and derivatives in the precision of their argument."""

    def __init__(self, model, data, loss, scale):
        self.model, self.data, self.loss, self.scale = model, data, loss, scale

    def residuals(self, theta):
        theta = np.asarray(theta)
        kind = EXACT if theta.dtype == EXACT else float
        sigma = 1 if self.data.sigma is None else self.data.sigma.astype(kind)
        return (self.model.value(self.data.x.astype(kind), *theta) - self.data.y.astype(kind)) / sigma

    def jacobian(self, theta):
        theta = np.asarray(theta)
        complex_kind = np.clongdouble if theta.dtype == EXACT else complex
        sigma = 1 if self.data.sigma is None else self.data.sigma
        columns = []
        for j in range(len(theta)):
            step = abs(theta[j]) * theta.dtype.type(1e-40) or theta.dtype.type(1e-40)
            z = theta.astype(complex_kind)
            z[j] += 1j * step
            columns.append(self.model.value(self.data.x.astype(theta.dtype), *z).imag / step / sigma)
        return np.array(columns).T

    def cost(self, theta):
        return self.scale**2 * rho(self.loss, (self.residuals(theta) / self.scale) ** 2)[0].sum() / 2

    def gradient(self, theta):
        r = self.residuals(theta)
        return self.jacobian(theta).T @ (rho(self.loss, (r / self.scale) ** 2)[1] * r)

    def weighted_jacobian(self, theta):
        """J with the loss's weights: rows times sqrt(rho' + 2 z rho''), floored."""
        z = (self.residuals(theta) / self.scale) ** 2
        _, first, second = rho(self.loss, z)
        return self.jacobian(theta) * np.sqrt(np.maximum(first + 2 * z * second, EPSILON))[:, None]

    def hessian(self, theta, step):
        """Central differences of the gradient; `step` for each parameter."""
        rows = []
        for j in range(len(theta)):
            shift = np.zeros_like(theta)
            shift[j] = step[j]
            rows.append((self.gradient(theta + shift) - self.gradient(theta - shift)) / (2 * step[j]))
        h = np.array(rows)
        return (h + h.T) / 2

    def scipy(self, start, bounds, tolerance=1e-15, most=1000):
        """A run of trf; None where it meets a value that is not finite, which ends it."""
        low, high = bounds
        # SciPy wants the start inside, not on a bound
        inside = np.nextafter(np.clip(start, low, high), np.where(start <= low, np.inf, start))
        inside = np.where(inside >= high, np.nextafter(high, -np.inf), inside)
        tolerances = dict(ftol=tolerance, xtol=tolerance, gtol=tolerance, max_nfev=most)
        try:
            return least_squares(
                self.residuals, inside, self.jacobian, bounds=bounds, method="trf", x_scale="jac", loss=self.loss,
                f_scale=self.scale, **tolerances,
            )
        except (ValueError, np.linalg.LinAlgError):
            return None


def scaled_inverse(j):
    """(J'J)^-1 and the condition of J with columns of length 1."""
    lengths = np.sqrt((j**2).sum(axis=0))
    unit = (j / lengths).astype(float)
    s = np.linalg.svd(unit, compute_uv=False)
    inverse = np.linalg.inv(np.linalg.qr(unit, mode="r"))
    lengths = lengths.astype(float)
    return inverse @ inverse.T / np.outer(lengths, lengths), s[0] / s[-1]


class NotSharp(Exception):
    """The answer of a problem cannot be known to the digits asked for."""


def polish(fit, theta, bounds, free):
    """Newton's method on the gradient, over the free side of the active set. In 80 bits."""
    theta = theta.astype(EXACT)
    inverse, _ = scaled_inverse(fit.weighted_jacobian(theta)[:, free])
    unit = np.sqrt(np.diag(inverse) * float(2 * fit.cost(theta)) / len(fit.data.x))
    step = np.zeros(len(theta), EXACT)
    step[:] = np.abs(theta) * 1e-6
    step[free] = unit * 1e-4
    for _ in range(50):
        g = fit.gradient(theta)[free]
        h = fit.hessian(theta, step)[np.ix_(free, free)] * np.outer(unit, unit)
        values = np.linalg.eigvalsh(h.astype(float))
        if values[0] <= 1e-8 * values[-1]:
            raise NotSharp("the Hessian is nearly singular")
        move = -np.linalg.solve(h.astype(float), (g * unit).astype(float)) * unit
        theta[free] += move
        if np.abs(move / unit).max() < 1e-15:
            return theta
    raise NotSharp("Newton does not settle")


def mirrored(model, theta):
    """The other parameters of the same curve."""
    return np.array([sign * theta[j] for j, sign in model.image])


def solve(fit, start, truth, bounds, rng):
    """The lowest end from several starts, polished; and the side each parameter is held at."""
    low, high = bounds
    starts = [start, truth] + [truth * rng.uniform(0.8, 1.25, len(truth)) for _ in range(5)]
    starts += [mirrored(fit.model, s) for s in starts] if fit.model.image else []
    ends = [end for end in (fit.scipy(np.clip(s, low, high), bounds) for s in starts) if end is not None]
    if not ends:
        raise NotSharp("no start leads anywhere")
    # the first of equals: that of the truth's own image
    lowest = min(end.cost for end in ends)
    best = next(end for end in ends if end.cost <= lowest * (1 + 1e-9))
    theta = best.x.copy()
    g = fit.gradient(theta)
    inverse, _ = scaled_inverse(fit.weighted_jacobian(theta))
    unit = np.sqrt(np.diag(inverse) * 2 * best.cost / len(fit.data.x))
    sides = np.array([None] * len(theta), dtype=object)
    sides[(theta - low < 1e-5 * unit) & (g > 0)] = "min"
    sides[(high - theta < 1e-5 * unit) & (g < 0)] = "max"
    theta = np.where(sides == "min", low, np.where(sides == "max", high, theta))
    free = np.flatnonzero(sides == None)  # noqa: E711, elementwise
    exact = polish(fit, theta, bounds, free)
    if fit.cost(exact) > best.cost * (1 + 1e-12):
        raise NotSharp("the polish went uphill")
    if not ((low <= exact) & (exact <= high)).all():
        raise NotSharp("the polish left the bounds")
    pull = np.abs(fit.gradient(exact).astype(float) * unit) / (2 * best.cost / len(fit.data.x))
    near = np.minimum(exact - low, high - exact)[free] < 1e-3 * unit[free]
    if near.any() or (pull[sides != None] < SHARP).any():  # noqa: E711
        raise NotSharp("a bound that hardly holds")
    if fit.loss == "huber" and (np.abs(np.abs(fit.residuals(exact) / fit.scale) - 1) < CORNER).any():
        raise NotSharp("a residual on the corner")
    return exact, sides


def known(fit, theta, sides, absolute):
    """Covariance over all parameters, by our definition, and the condition number."""
    free = np.flatnonzero(sides == None)  # noqa: E711
    inverse, condition = scaled_inverse(fit.weighted_jacobian(theta)[:, free])
    variance = 1.0 if absolute else float(2 * fit.cost(theta)) / (len(fit.data.x) - len(theta))
    covariance = np.zeros((len(theta), len(theta)))
    covariance[np.ix_(free, free)] = variance * inverse
    return covariance, condition


def choose_bounds(kind, fit, data, rng):
    """None; far ones; or some that the unbounded answer violates by one to four standard errors."""
    p = len(data.truth)
    low, high = np.full(p, -np.inf), np.full(p, np.inf)
    if kind == "none":
        return low, high
    span = np.abs(data.truth) * rng.uniform(5, 20, p) + np.abs(data.start - data.truth) * 2
    for j in range(p):
        if rng.random() < 0.7:
            low[j] = data.truth[j] - span[j]
        if rng.random() < 0.7:
            high[j] = data.truth[j] + span[j]
    if kind == "active":
        # the same curve with other parameters would get around a bound: it is left outside
        for j in fit.model.apart:
            middle = (data.truth[j] + mirrored(fit.model, data.truth)[j]) / 2
            if data.truth[j] > middle:
                low[j] = max(low[j], middle)
            else:
                high[j] = min(high[j], middle)
        theta, sides = solve(fit, data.start, data.truth, (np.full(p, -np.inf), np.full(p, np.inf)), rng)
        covariance, _ = known(fit, theta, sides, False)
        error = np.sqrt(np.diag(covariance))
        for j in rng.choice(p, 1 if p < 4 else rng.integers(1, 3), replace=False):
            shift = float(error[j] * rng.uniform(1, 4))
            if rng.random() < 0.5:
                low[j] = float(theta[j]) + shift
            else:
                high[j] = float(theta[j]) - shift
    return decimals(low, 7), decimals(high, 7)


def finite(values):
    return [float(v) if np.isfinite(v) else None for v in values]


def problem(number, model, loss, kind, weighting, units, n, far):
    """The first sharp problem of this kind."""
    for attempt in itertools.count():
        rng = np.random.default_rng([number, attempt])
        data = draw(model, rng, n, units, weighting, loss != "linear", far)
        scale = 1.0 if loss == "linear" else float(decimals(data.noise * rng.uniform(1.0, 3.0), 3)[0])
        fit = Fit(model, data, loss, scale)
        try:
            bounds = choose_bounds(kind, fit, data, rng)
            data.start = np.clip(data.start, *bounds)
            theta, sides = solve(fit, data.start, data.truth, bounds, rng)
        except NotSharp as reason:
            print(f"{number} {model.name} {loss} {kind}: drawn anew: {reason}")
            continue
        if (kind == "active") != (sides != None).any():  # noqa: E711
            continue
        covariance, condition = known(fit, theta, sides, weighting == "absolute")
        run = fit.scipy(data.start, bounds, tolerance=1e-10)
        return {
            "id": number, "model": model.name, "expression": model.text, "names": list(model.parameters), "image": model.image,
            "loss": loss, "loss_scale": scale, "bounds": kind, "weighting": weighting, "units": list(units),
            "start": finite(data.start), "min": finite(bounds[0]), "max": finite(bounds[1]),
            "theta": [float(v) for v in theta], "at_bound": list(sides), "cost": float(fit.cost(theta)),
            "covariance": [float(f"{covariance[j, k]:.12e}") for j in range(len(theta)) for k in range(j + 1)],
            "condition": float(f"{condition:.4g}"),
            "scipy": None if run is None else {"cost": float(run.cost), "status": int(run.status), "nfev": int(run.nfev)},
            "x": list(data.x), "y": list(data.y), "sigma": None if data.sigma is None else list(data.sigma),
        }


def problems():
    """All problems, as the file's content."""
    found = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for m, l, k in itertools.product(range(len(MODELS)), range(len(LOSSES)), range(6)):
            number = len(found)
            rng = np.random.default_rng([7, number])
            units = (1.0, 1.0) if k < 2 else tuple(float(10.0 ** rng.integers(-6, 7)) for _ in range(2))
            n = int(rng.integers(40, 81)) if number % 30 != 17 else int(rng.choice([400, 1000, 2000]))
            weighting = WEIGHTINGS[(k + l + m) % 3] if k < 3 else WEIGHTINGS[(k + l + m + 1) % 3]
            found.append(problem(number, MODELS[m], LOSSES[l], BOUNDS[k % 3], weighting, units, n, k % 2 == 1))
    return {"problems": found}
