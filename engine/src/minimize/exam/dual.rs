//! Forward dual numbers, enough for the exam problems.

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::math;

/// The most parameters of an exam problem.
pub(crate) const MOST: usize = 12;

/// A value with its derivatives with respect to the parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dual {
    pub(crate) value: f64,
    pub(crate) slope: [f64; MOST],
}

pub(crate) fn constant(value: f64) -> Dual {
    Dual { value, slope: [0.0; MOST] }
}

pub(crate) fn variables(theta: &[f64]) -> Vec<Dual> {
    let variable = |j: usize| {
        let mut dual = constant(theta[j]);
        dual.slope[j] = 1.0;
        dual
    };
    (0..theta.len()).map(variable).collect()
}

impl Dual {
    /// f(self), given f and f' there.
    fn chain(self, value: f64, derivative: f64) -> Dual {
        Dual { value, slope: self.slope.map(|s| if s == 0.0 { 0.0 } else { s * derivative }) }
    }

    pub(crate) fn exp(self) -> Dual {
        let e = math::exp(self.value);
        self.chain(e, e)
    }

    pub(crate) fn ln(self) -> Dual {
        self.chain(math::log(self.value), 1.0 / self.value)
    }

    pub(crate) fn sin(self) -> Dual {
        self.chain(math::sin(self.value), math::cos(self.value))
    }

    pub(crate) fn cos(self) -> Dual {
        self.chain(math::cos(self.value), -math::sin(self.value))
    }

    pub(crate) fn atan(self) -> Dual {
        self.chain(math::atan(self.value), 1.0 / (1.0 + self.value * self.value))
    }

    pub(crate) fn sqrt(self) -> Dual {
        let root = math::sqrt(self.value);
        self.chain(root, 0.5 / root)
    }

    pub(crate) fn abs(self) -> Dual {
        if self.value < 0.0 { -self } else { self }
    }

    pub(crate) fn squared(self) -> Dual {
        self * self
    }

    /// self^exponent for self > 0.
    pub(crate) fn pow(self, exponent: impl Into<Dual>) -> Dual {
        let exponent = exponent.into();
        if exponent.slope == [0.0; MOST] {
            let n = exponent.value;
            return self.chain(math::pow(self.value, n), n * math::pow(self.value, n - 1.0));
        }
        (exponent * self.ln()).exp()
    }
}

impl From<f64> for Dual {
    fn from(value: f64) -> Self {
        constant(value)
    }
}

impl Neg for Dual {
    type Output = Dual;
    fn neg(self) -> Dual {
        self.chain(-self.value, -1.0)
    }
}

impl<T: Into<Dual>> Add<T> for Dual {
    type Output = Dual;
    fn add(mut self, other: T) -> Dual {
        let other = other.into();
        self.value += other.value;
        (0..MOST).for_each(|j| self.slope[j] += other.slope[j]);
        self
    }
}

impl<T: Into<Dual>> Sub<T> for Dual {
    type Output = Dual;
    fn sub(self, other: T) -> Dual {
        self + -other.into()
    }
}

impl<T: Into<Dual>> Mul<T> for Dual {
    type Output = Dual;
    #[expect(clippy::suspicious_arithmetic_impl, reason = "the product rule adds")]
    fn mul(mut self, other: T) -> Dual {
        let other = other.into();
        (0..MOST).for_each(|j| self.slope[j] = self.slope[j] * other.value + self.value * other.slope[j]);
        self.value *= other.value;
        self
    }
}

impl<T: Into<Dual>> Div<T> for Dual {
    type Output = Dual;
    #[expect(clippy::suspicious_arithmetic_impl, reason = "the quotient rule multiplies and subtracts")]
    fn div(mut self, other: T) -> Dual {
        let other = other.into();
        let quotient = self.value / other.value;
        (0..MOST).for_each(|j| self.slope[j] = (self.slope[j] - quotient * other.slope[j]) / other.value);
        self.value = quotient;
        self
    }
}

impl Add<Dual> for f64 {
    type Output = Dual;
    fn add(self, other: Dual) -> Dual {
        other + self
    }
}

impl Sub<Dual> for f64 {
    type Output = Dual;
    fn sub(self, other: Dual) -> Dual {
        constant(self) - other
    }
}

impl Mul<Dual> for f64 {
    type Output = Dual;
    fn mul(self, other: Dual) -> Dual {
        other * self
    }
}

impl Div<Dual> for f64 {
    type Output = Dual;
    fn div(self, other: Dual) -> Dual {
        constant(self) / other
    }
}

impl std::iter::Sum for Dual {
    fn sum<I: Iterator<Item = Dual>>(terms: I) -> Dual {
        terms.fold(constant(0.0), |sum, term| sum + term)
    }
}
