//! Directions of the parameter space in words: those that the data do not determine, and the one they determine least.

/// A parameter takes part in a null direction (unit length, scaled coordinates) from this component on. Eigenvectors are
/// good to about 1e-16 divided by the gap to the next eigenvalue, which leaves room for gaps down to 1e-11.
pub(super) const NULL_PART: f64 = 1e-5;

/// Another basis of the same null space with as many zeros as elimination finds: one direction per group of parameters
/// that cannot be told apart. Each direction has unit length, its largest component positive.
pub(super) fn reduce(mut basis: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    for i in 0..basis.len() {
        // the largest component not yet eliminated
        let (mut row, mut column) = (i, 0);
        for r in i..basis.len() {
            for c in 0..basis[r].len() {
                if basis[r][c].abs() > basis[row][column].abs() {
                    (row, column) = (r, c);
                }
            }
        }
        basis.swap(i, row);
        let pivot = basis[i].clone();
        for (r, vector) in basis.iter_mut().enumerate() {
            if r != i {
                let factor = vector[column] / pivot[column];
                vector.iter_mut().zip(&pivot).for_each(|(v, p)| *v -= factor * p);
                vector[column] = 0.0;
            }
        }
    }
    for vector in &mut basis {
        let largest = vector.iter().fold(0.0_f64, |m, v| if v.abs() > m.abs() { *v } else { m });
        let length = crate::linalg::norm(vector) * largest.signum();
        vector.iter_mut().for_each(|v| *v /= length);
    }
    basis
}

/// A null direction in words. It is given in scaled coordinates; what is said is about the parameters themselves.
pub(super) fn describe(null: &[f64], lengths: &[f64], names: &[&str]) -> String {
    let part: Vec<usize> = (0..null.len()).filter(|&a| null[a].abs() > NULL_PART).collect();
    match part[..] {
        [] => "the data do not determine all parameters".into(),
        [a] => format!("{} is not determined: it has no influence on the model at the solution", names[a]),
        [a, b] => {
            // what is orthogonal to (null_a, null_b) in scaled coordinates u = |J_j| theta_j
            let (first, second) = (null[b] * lengths[a], -null[a] * lengths[b]);
            let sign = first.signum();
            let sum = combination(&[(sign * first, names[a]), (sign * second, names[b])]);
            format!("{} and {} are not determined separately: only {sum} is", names[a], names[b])
        }
        _ => {
            let terms: Vec<(f64, &str)> = part.iter().map(|&a| (null[a] / lengths[a], names[a])).collect();
            let list: Vec<&str> = part.iter().map(|&a| names[a]).collect();
            format!(
                "{} are not determined separately: the model does not change along the direction {}",
                list.join(", "),
                combination(&terms)
            )
        }
    }
}

/// `0.71 a - 0.71 b`, coefficients scaled to unit length.
pub fn combination(terms: &[(f64, &str)]) -> String {
    let length = crate::linalg::norm(&terms.iter().map(|(c, _)| *c).collect::<Vec<_>>());
    let mut text = String::new();
    for (i, (coefficient, name)) in terms.iter().enumerate() {
        let c = coefficient / length;
        let sign = match (i, c < 0.0) {
            (0, false) => "",
            (0, true) => "-",
            (_, false) => " + ",
            (_, true) => " - ",
        };
        let size = if c.abs() < 0.01 { format!("{:.1e}", c.abs()) } else { format!("{:.2}", c.abs()) };
        text.push_str(&format!("{sign}{size} {name}"));
    }
    text
}
