//! Fits of models that are linear in most of their parameters: y = sum_k c_k phi_k(x; q).
//!
//! For each q of a list the best c is a linear least squares problem of two or three unknowns; the q with the smallest sum of
//! squares wins (variable projection, G. H. Golub and V. Pereyra, SIAM J. Numer. Anal. 10 (1973) 413, on a grid). A grid fine
//! enough to have a point in the basin of the best fit needs no luck, and a few thousand small sums are soon done.

/// Most unknowns of the linear part.
pub(super) const MAX_SHAPES: usize = 3;

/// A column whose length falls below this part of itself when the earlier ones are taken out depends on them.
const DEPENDENT: f64 = 1e-9;

/// Finite points in the order of x.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) x: Vec<f64>,
    pub(super) y: Vec<f64>,
}

impl Sample {
    /// Sorts the finite points.
    pub(super) fn new(x: &[f64], y: &[f64]) -> Self {
        let mut points: Vec<(f64, f64)> = x.iter().copied().zip(y.iter().copied()).collect();
        points.retain(|(x, y)| x.is_finite() && y.is_finite());
        points.sort_by(|p, q| p.0.total_cmp(&q.0).then(p.1.total_cmp(&q.1)));
        Self { x: points.iter().map(|p| p.0).collect(), y: points.iter().map(|p| p.1).collect() }
    }

    /// At most `count` points, each the mean of neighbours: less noise, and less to do.
    pub(super) fn averaged(&self, count: usize) -> Self {
        if self.x.len() <= count {
            return self.clone();
        }
        let mean = |values: &[f64], k: usize| {
            let run = &values[k * values.len() / count..(k + 1) * values.len() / count];
            run.iter().map(|value| value / run.len() as f64).sum()
        };
        Self { x: (0..count).map(|k| mean(&self.x, k)).collect(), y: (0..count).map(|k| mean(&self.y, k)).collect() }
    }

    /// At most `count` of the points: what oscillates must not be averaged.
    pub(super) fn thinned(&self, count: usize) -> Self {
        if self.x.len() <= count {
            return self.clone();
        }
        let pick = |values: &[f64]| (0..count).map(|k| values[k * values.len() / count]).collect();
        Self { x: pick(&self.x), y: pick(&self.y) }
    }

    /// Smallest x; 0 without points.
    pub(super) fn first(&self) -> f64 {
        self.x.first().copied().unwrap_or(0.0)
    }

    /// Largest x; 0 without points.
    pub(super) fn last(&self) -> f64 {
        self.x.last().copied().unwrap_or(0.0)
    }

    /// Length of the range of x, 1 where it has none.
    pub(super) fn span(&self) -> f64 {
        let span = self.last() - self.first();
        if span > 0.0 && span.is_finite() { span } else { 1.0 }
    }

    /// Mean of y, 0 without points.
    pub(super) fn mean(&self) -> f64 {
        self.y.iter().map(|y| y / self.y.len() as f64).sum()
    }
}

/// The best of many candidates: its q, its c, its sum of squares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Best<const Q: usize> {
    pub(super) q: [f64; Q],
    pub(super) c: [f64; MAX_SHAPES],
    sum_of_squares: f64,
}

/// Goes through the candidates and keeps the best, the first of equals.
///
/// `shapes(x, q)` gives the functions that are added up, those not in use 0; candidates that are nowhere finite lose.
pub(super) fn search<const Q: usize>(
    sample: &Sample,
    candidates: impl IntoIterator<Item = [f64; Q]>,
    shapes: impl Fn(f64, [f64; Q]) -> [f64; MAX_SHAPES],
) -> Option<Best<Q>> {
    let mut rows = vec![[0.0; MAX_SHAPES]; sample.x.len()];
    let mut best: Option<Best<Q>> = None;
    for q in candidates {
        for (row, &x) in rows.iter_mut().zip(&sample.x) {
            *row = shapes(x, q);
        }
        let c = least_squares(&rows, &sample.y);
        let residual = |(row, y): (&[f64; MAX_SHAPES], &f64)| y - (row[0] * c[0] + row[1] * c[1] + row[2] * c[2]);
        let sum_of_squares: f64 = rows.iter().zip(&sample.y).map(residual).map(|r| r * r).sum();
        let finite = sum_of_squares.is_finite() && c.iter().chain(&q).all(|value| value.is_finite());
        if finite && best.is_none_or(|known| sum_of_squares < known.sum_of_squares) {
            best = Some(Best { q, c, sum_of_squares });
        }
    }
    best
}

/// Minimises |rows c - y| by modified Gram-Schmidt; a column that depends on earlier ones gets c = 0.
fn least_squares(rows: &[[f64; MAX_SHAPES]], y: &[f64]) -> [f64; MAX_SHAPES] {
    let mut basis: [Vec<f64>; MAX_SHAPES] = std::array::from_fn(|k| rows.iter().map(|row| row[k]).collect());
    let mut triangle = [[0.0; MAX_SHAPES]; MAX_SHAPES];
    let mut projection = [0.0; MAX_SHAPES];
    let mut rest = y.to_vec();
    for k in 0..MAX_SHAPES {
        let length = norm(&basis[k]);
        let (earlier, later) = basis.split_at_mut(k);
        let column = &mut later[0];
        for (j, unit) in earlier.iter().enumerate() {
            triangle[j][k] = dot(unit, column);
            take_out(column, unit, triangle[j][k]);
        }
        let remaining = norm(column);
        if remaining.is_nan() || remaining <= DEPENDENT * length {
            column.fill(0.0);
            continue;
        }
        column.iter_mut().for_each(|value| *value /= remaining);
        triangle[k][k] = remaining;
        projection[k] = dot(column, &rest);
        take_out(&mut rest, column, projection[k]);
    }
    let mut c = [0.0; MAX_SHAPES];
    for k in (0..MAX_SHAPES).rev().filter(|&k| triangle[k][k] > 0.0) {
        let known: f64 = (k + 1..MAX_SHAPES).map(|j| triangle[k][j] * c[j]).sum();
        c[k] = (projection[k] - known) / triangle[k][k];
    }
    c
}

/// Coefficients of the polynomial of least squares in powers of x, by orthogonal polynomials over the sample (G. E. Forsythe,
/// J. SIAM 5 (1957) 74) in a variable scaled to [-1, 1]. Degrees that the sample cannot determine get 0.
pub(super) fn polynomial(sample: &Sample, degree: usize) -> Vec<f64> {
    let (middle, half) = (0.5 * (sample.first() + sample.last()), 0.5 * sample.span());
    let t: Vec<f64> = sample.x.iter().map(|x| (x - middle) / half).collect();
    let mut rest = sample.y.clone();
    let mut sum = vec![0.0; degree + 1];
    // values on the sample and coefficients in t of the last two orthogonal polynomials
    let mut previous = (vec![0.0; t.len()], vec![0.0; degree + 1]);
    let mut current = (vec![1.0; t.len()], vec![0.0; degree + 1]);
    current.1[0] = 1.0;
    let mut previous_square = 1.0;
    for k in 0..=degree {
        let square = dot(&current.0, &current.0);
        if square.is_nan() || square <= DEPENDENT * DEPENDENT * previous_square {
            break;
        }
        let along = dot(&current.0, &rest) / square;
        take_out(&mut rest, &current.0, along);
        (0..=k).for_each(|j| sum[j] += along * current.1[j]);
        let weighted: f64 = current.0.iter().zip(&t).map(|(p, t)| p * p * t).sum();
        let (alpha, beta) = (weighted / square, if k == 0 { 0.0 } else { square / previous_square });
        let values = (0..t.len()).map(|i| (t[i] - alpha) * current.0[i] - beta * previous.0[i]).collect();
        let shifted = |j: usize| if j == 0 { 0.0 } else { current.1[j - 1] };
        let coefficients = (0..=degree).map(|j| shifted(j) - alpha * current.1[j] - beta * previous.1[j]).collect();
        previous = std::mem::replace(&mut current, (values, coefficients));
        previous_square = square;
    }
    in_powers_of_x(&sum, middle, half)
}

/// Horner's scheme on polynomials: sum of s_k ((x - middle)/half)^k in powers of x.
fn in_powers_of_x(scaled: &[f64], middle: f64, half: f64) -> Vec<f64> {
    let mut powers = vec![0.0; scaled.len()];
    for &s in scaled.iter().rev() {
        for j in (0..powers.len()).rev() {
            let lower = if j == 0 { 0.0 } else { powers[j - 1] };
            powers[j] = (lower - middle * powers[j]) / half;
        }
        powers[0] += s;
    }
    powers
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    crate::math::sqrt(dot(a, a))
}

/// `a -= along * unit`.
fn take_out(a: &mut [f64], unit: &[f64], along: f64) {
    a.iter_mut().zip(unit).for_each(|(a, unit)| *a -= along * unit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_are_found_exactly() {
        let x: Vec<f64> = (0..30).map(|i| 3.0 + f64::from(i) / 7.0).collect();
        let y: Vec<f64> = x.iter().map(|x| 1.0 - 2.0 * x + 0.5 * x * x * x).collect();
        let found = polynomial(&Sample::new(&x, &y), 3);
        for (found, expected) in found.iter().zip([1.0, -2.0, 0.0, 0.5]) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
        // two points determine two coefficients
        let found = polynomial(&Sample::new(&[1.0, 2.0], &[3.0, 5.0]), 4);
        assert!((found[0] - 1.0).abs() < 1e-12 && (found[1] - 2.0).abs() < 1e-12, "{found:?}");
        assert_eq!(polynomial(&Sample::new(&[], &[]), 2), [0.0; 3]);
    }

    #[test]
    fn dependent_columns_get_nothing() {
        let rows = [[1.0, 2.0, 1.0], [1.0, 2.0, 2.0], [1.0, 2.0, 3.0]];
        let c = least_squares(&rows, &[1.0, 3.0, 5.0]);
        assert_eq!(c[1], 0.0);
        assert!((c[0] + 1.0).abs() < 1e-12 && (c[2] - 2.0).abs() < 1e-12, "{c:?}");
    }
}
