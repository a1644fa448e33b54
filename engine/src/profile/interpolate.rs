//! Cubic Hermite interpolation between two points of a profile.

use super::reached::Reached;

/// Halvings of an interval: to the last bit.
const HALVINGS: u32 = 60;

/// The cubic through two values with two slopes, at fraction `u` of an interval of this width.
fn hermite(u: f64, width: f64, values: [f64; 2], slopes: [f64; 2]) -> f64 {
    let v = 1.0 - u;
    let bend = u * v * width * (v * slopes[0] - u * slopes[1]);
    v * v * (1.0 + 2.0 * u) * values[0] + u * u * (1.0 + 2.0 * v) * values[1] + bend
}

/// The distance between two points at which the cost is `cost`, which lies between theirs: by halving, for the cubic through
/// costs and slopes. (The cost is smooth also at the minimum, and at one on a bound, where tau is not.)
pub(super) fn where_cost_is(cost: f64, below: &Reached, above: &Reached) -> f64 {
    let width = above.distance - below.distance;
    // relative to the cost of the first: differences keep their digits
    let (values, slopes) = ([0.0, above.cost - below.cost], [below.slope, above.slope]);
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if hermite(middle, width, values, slopes) < cost - below.cost { low = middle } else { high = middle }
    }
    below.distance + width * low
}

/// theta at a distance between two points.
pub(super) fn theta_at(distance: f64, below: &Reached, above: &Reached) -> Vec<f64> {
    let width = above.distance - below.distance;
    let u = (distance - below.distance) / width;
    let coordinate =
        |k: usize| hermite(u, width, [below.theta[k], above.theta[k]], [below.tangent[k], above.tangent[k]]);
    (0..below.theta.len()).map(coordinate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cubic_is_met_exactly() {
        let f = |x: f64| 1.0 + x * (2.0 + x * (-3.0 + x));
        let slope = |x: f64| 2.0 + x * (-6.0 + 3.0 * x);
        for u in [0.0, 0.2, 0.5, 0.9, 1.0] {
            let x = 0.5 + 2.0 * u;
            let found = hermite(u, 2.0, [f(0.5), f(2.5)], [slope(0.5), slope(2.5)]);
            assert!((found - f(x)).abs() < 1e-14, "{u}: {found} {}", f(x));
        }
    }
}
