//! Start values of each built-in model from a sample.
//!
//! Every model but the polynomials is an offset and one or two shapes times amplitudes: the shapes' own parameters come from
//! a grid, the rest from linear least squares ([`separable`]). Shapes are written relative to the range of x, so that none
//! overflows; the amplitude is brought back to x = 0 at the end.

use super::catalogue::Kind;
use super::separable::{self, Best, MAX_SHAPES, Sample, search};
use crate::math;

/// Points of the grid searches; more are averaged.
const POINTS: usize = 400;
/// Points for models that oscillate; more are thinned out.
const OSCILLATING_POINTS: usize = 512;
/// Points for the search over two rates, which has many candidates.
const RATE_PAIR_POINTS: usize = 100;

/// One value for each parameter of the model; it may be outside the bounds or not finite where the sample says nothing.
pub(super) fn start(kind: Kind, x: &[f64], y: &[f64]) -> Vec<f64> {
    let all = Sample::new(x, y);
    let sample = all.averaged(POINTS);
    match kind {
        Kind::Linear => {
            let line = separable::polynomial(&all, 1);
            vec![line[1], line[0]]
        }
        Kind::Polynomial(degree) => separable::polynomial(&all, degree),
        Kind::ExponentialDecay => exponential(&sample, -1.0),
        Kind::Growth => exponential(&sample, 1.0),
        Kind::DoubleExponential => double_exponential(&all.averaged(RATE_PAIR_POINTS)),
        Kind::Gaussian => gaussian(&sample),
        Kind::Lorentzian => lorentzian(&sample),
        Kind::PseudoVoigt => pseudo_voigt(&sample),
        Kind::Sigmoid => sigmoid(&sample),
        Kind::PowerLaw => power_law(&sample),
        Kind::StretchedExponential => stretched_exponential(&sample),
        Kind::DampedSine => damped_sine(&all.thinned(OSCILLATING_POINTS)),
    }
}

/// `count` values from `low` to `high` in equal ratios.
fn geometric(low: f64, high: f64, count: usize) -> impl Iterator<Item = f64> + Clone {
    let step = math::log(high / low) / (count.max(2) - 1) as f64;
    (0..count).map(move |k| low * math::exp(step * k as f64))
}

/// An amplitude and an offset: shape and constant 1, in the order in which least squares prefers them (constant first).
fn with_offset(shape: f64) -> [f64; MAX_SHAPES] {
    [1.0, shape, 0.0]
}

/// Rates from a tenth of a decay over the whole range to one decay between neighbours.
fn rates(sample: &Sample, count: usize) -> impl Iterator<Item = f64> + Clone {
    geometric(0.1 / sample.span(), 2.0 * sample.x.len().max(2) as f64 / sample.span(), count)
}

/// `a exp(sign b x) + c`: the shape is 1 at the end where it is largest.
fn exponential(sample: &Sample, sign: f64) -> Vec<f64> {
    let end = if sign < 0.0 { sample.first() } else { sample.last() };
    let shape = |x: f64, b: f64| math::exp(sign * b * (x - end));
    let found = search(sample, rates(sample, 60).map(|b| [b]), |x, [b]| with_offset(shape(x, b)));
    let Some(Best { q: [b], c, .. }) = found else { return vec![1.0, 1.0, sample.mean()] };
    vec![c[1] * math::exp(-sign * b * end), b, c[0]]
}

/// `a1 exp(-b1 x) + a2 exp(-b2 x) + c` with b1 at least twice b2.
fn double_exponential(sample: &Sample) -> Vec<f64> {
    let first = sample.first();
    let slow = rates(sample, 30);
    let pairs = slow.clone().flat_map(|b2| slow.clone().filter(move |&b1| b1 >= 2.0 * b2).map(move |b1| [b1, b2]));
    let found = search(sample, pairs, |x, [b1, b2]| [1.0, math::exp(-b1 * (x - first)), math::exp(-b2 * (x - first))]);
    let Some(Best { q: [b1, b2], c, .. }) = found else { return vec![1.0, 2.0, 1.0, 1.0, sample.mean()] };
    vec![c[1] * math::exp(b1 * first), b1, c[2] * math::exp(b2 * first), b2, c[0]]
}

/// Centers and widths of peaks: widths from the distance of neighbours to the whole range, centers half a width apart.
fn centers_and_widths(sample: &Sample) -> impl Iterator<Item = [f64; 2]> {
    let (first, span) = (sample.first(), sample.span());
    let widths = geometric(span / sample.x.len().max(2) as f64, span, 16);
    widths.flat_map(move |width| {
        let count = (2.0 * span / width) as usize + 1;
        (0..=count).map(move |k| [first + span * k as f64 / count as f64, width])
    })
}

fn gaussian(sample: &Sample) -> Vec<f64> {
    let found = search(sample, centers_and_widths(sample), |x, [mu, sigma]| {
        let u = (x - mu) / sigma;
        with_offset(math::exp(-0.5 * u * u))
    });
    let Some(Best { q: [mu, sigma], c, .. }) = found else { return vec![1.0, 0.0, 1.0, sample.mean()] };
    vec![c[1], mu, sigma, c[0]]
}

fn lorentzian(sample: &Sample) -> Vec<f64> {
    let found = search(sample, centers_and_widths(sample), |x, [x0, w]| {
        let u = (x - x0) / w;
        with_offset(1.0 / (1.0 + u * u))
    });
    let Some(Best { q: [x0, w], c, .. }) = found else { return vec![1.0, 0.0, 1.0, sample.mean()] };
    vec![c[1], x0, w, c[0]]
}

/// The Lorentzian and the Gaussian share center and width; their amplitudes `a eta` and `a (1 - eta)` are both linear.
fn pseudo_voigt(sample: &Sample) -> Vec<f64> {
    let found = search(sample, centers_and_widths(sample), |x, [x0, w]| {
        let u = (x - x0) / w;
        [1.0, 1.0 / (1.0 + u * u), math::exp(-std::f64::consts::LN_2 * u * u)]
    });
    let Some(Best { q: [x0, w], c, .. }) = found else { return vec![1.0, 0.5, 0.0, 1.0, sample.mean()] };
    let a = c[1] + c[2];
    let eta = (c[1] / a).clamp(0.0, 1.0);
    vec![a, if eta.is_nan() { 0.5 } else { eta }, x0, w, c[0]]
}

/// Steps as wide as peaks may be.
fn sigmoid(sample: &Sample) -> Vec<f64> {
    let found = search(sample, centers_and_widths(sample), |x, [x0, width]| {
        with_offset(1.0 / (1.0 + math::exp(-(x - x0) / width)))
    });
    let Some(Best { q: [x0, width], c, .. }) = found else { return vec![1.0, 1.0, 0.0, sample.mean()] };
    vec![c[1], 1.0 / width, x0, c[0]]
}

/// Only positive x say something. The shape is 1 at their geometric middle.
fn power_law(sample: &Sample) -> Vec<f64> {
    let from = sample.x.partition_point(|&x| x <= 0.0);
    let logs: Vec<f64> = sample.x[from..].iter().map(|&x| math::log(x)).collect();
    let middle = logs.iter().map(|log| log / logs.len() as f64).sum::<f64>();
    let positive = Sample { x: logs, y: sample.y[from..].to_vec() };
    let exponents = (-120..=120).map(|k| [f64::from(k) / 20.0]);
    let found = search(&positive, exponents, |log, [b]| [math::exp(b * (log - middle)), 0.0, 0.0]);
    match found {
        Some(Best { q: [b], c, .. }) if positive.x.len() > 1 => vec![c[0] * math::exp(-b * middle), b],
        _ => vec![sample.mean(), 0.0],
    }
}

/// `a exp(-(x/tau)^beta) + c`; negative x count as 0.
fn stretched_exponential(sample: &Sample) -> Vec<f64> {
    let far = sample.last().max(sample.span());
    let times = geometric(far / (2.0 * sample.x.len().max(2) as f64), 10.0 * far, 40);
    let exponents = [0.25, 0.4, 0.6, 0.8, 1.0, 1.3, 1.7, 2.2, 3.0];
    let candidates = times.flat_map(|tau| exponents.map(|beta| [tau, beta]));
    let found = search(sample, candidates, |x, [tau, beta]| with_offset(math::exp(-math::pow(x.max(0.0) / tau, beta))));
    let Some(Best { q: [tau, beta], c, .. }) = found else { return vec![1.0, 1.0, 1.0, sample.mean()] };
    vec![c[1], tau, beta, c[0]]
}

/// `a exp(-g x) sin(w x + phi) + c`: sine and cosine are both linear. Frequencies up to one half turn between neighbours, a
/// quarter turn over the range apart.
fn damped_sine(sample: &Sample) -> Vec<f64> {
    use std::f64::consts::PI;
    let (first, span, n) = (sample.first(), sample.span(), sample.x.len());
    let frequencies = (1..=2 * n.max(2)).map(move |k| 0.5 * PI * k as f64 / span);
    let dampings = [0.0, 0.7, 2.0, 5.0, 12.0, 30.0].map(|turns| turns / span);
    let candidates = frequencies.flat_map(|w| dampings.map(|g| [g, w]));
    let found = search(sample, candidates, |x, [g, w]| {
        let (from_start, envelope) = (w * (x - first), math::exp(-g * (x - first)));
        [1.0, envelope * math::sin(from_start), envelope * math::cos(from_start)]
    });
    let Some(Best { q: [g, w], c, .. }) = found else { return vec![1.0, 0.0, 1.0, 0.0, sample.mean()] };
    let amplitude = math::hypot(c[1], c[2]) * math::exp(g * first);
    let turns = (math::atan2(c[2], c[1]) - w * first) / (2.0 * PI);
    vec![amplitude, g, w, 2.0 * PI * (turns - turns.round()), c[0]]
}
