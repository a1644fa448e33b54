//! The opcode table: every operation of the model language and of its derivatives, with its meaning on scalars.
//!
//! This is the only definition. Constant folding, the scalar reference and the block interpreter call [`Unary::apply`] and
//! [`Binary::apply`]; emitters print them. Truth values are 1.0 and 0.0; anything but 0.0 counts as true.

use crate::math;

macro_rules! opcodes {
    ($(#[$meta:meta])* $kind:ident ($($arg:ident),+) { $($(#[$doc:meta])* $op:ident $name:literal => $value:expr;)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum $kind { $($(#[$doc])* $op),+ }

        impl $kind {
            /// Every operation, in table order.
            pub const ALL: &'static [$kind] = &[$($kind::$op),+];

            /// The name in the model language, or the operator's symbol.
            pub const fn name(self) -> &'static str {
                match self { $($kind::$op => $name),+ }
            }

            /// The meaning on scalars.
            #[inline(always)]
            pub fn apply(self, $($arg: f64),+) -> f64 {
                match self { $($kind::$op => $value),+ }
            }

            /// The meaning over a block of points: `out[i] = apply(a[i], ..)`. One loop for each operation, so that the
            /// compiler sees a plain loop to vectorise; inlined into callers compiled for the instruction set at hand.
            #[inline(always)]
            #[allow(non_camel_case_types)]
            pub fn map<$($arg: Source),+>(self, out: &mut [f64], $($arg: $arg),+) {
                let operands = ($($arg,)+);
                match self { $($kind::$op => $kind::$op.sweep(out, operands)),+ }
            }

            #[inline(always)]
            #[allow(non_camel_case_types)]
            fn sweep<$($arg: Source),+>(self, out: &mut [f64], ($($arg,)+): ($($arg,)+)) {
                $($arg.check(out.len());)+
                for (i, out) in out.iter_mut().enumerate() {
                    *out = self.apply($($arg.at(i)),+);
                }
            }
        }
    };
}

/// An operand over a block of points.
pub trait Source: Copy {
    /// Panics unless there is a value for each of `n` points; lets the compiler drop the checks inside the loop.
    fn check(&self, n: usize);

    /// The value at point i.
    fn at(&self, i: usize) -> f64;
}

/// One value for each point.
impl Source for &[f64] {
    #[inline(always)]
    fn check(&self, n: usize) {
        assert!(self.len() >= n, "an operand covers its block");
    }

    #[inline(always)]
    fn at(&self, i: usize) -> f64 {
        self[i]
    }
}

/// The same value for all points.
impl Source for f64 {
    #[inline(always)]
    fn check(&self, _n: usize) {}

    #[inline(always)]
    fn at(&self, _i: usize) -> f64 {
        *self
    }
}

fn truth(condition: bool) -> f64 {
    if condition { 1.0 } else { 0.0 }
}

opcodes! {
    /// Operations of one argument.
    Unary(x) {
        Neg "-" => -x;
        Not "not" => truth(x == 0.0);
        Abs "abs" => x.abs();
        /// -1, 0 or 1; NaN stays NaN.
        Sign "sign" => if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { x * 0.0 };
        /// 1 for x >= 0, else 0; NaN stays NaN.
        Step "step" => if x >= 0.0 { 1.0 } else if x < 0.0 { 0.0 } else { x };
        Sqrt "sqrt" => math::sqrt(x);
        Cbrt "cbrt" => math::cbrt(x);
        Exp "exp" => math::exp(x);
        Expm1 "expm1" => math::expm1(x);
        Log "log" => math::log(x);
        Log1p "log1p" => math::log1p(x);
        Log2 "log2" => math::log2(x);
        Log10 "log10" => math::log10(x);
        Sin "sin" => math::sin(x);
        Cos "cos" => math::cos(x);
        Tan "tan" => math::tan(x);
        Asin "asin" => math::asin(x);
        Acos "acos" => math::acos(x);
        Atan "atan" => math::atan(x);
        Sinh "sinh" => math::sinh(x);
        Cosh "cosh" => math::cosh(x);
        Tanh "tanh" => math::tanh(x);
        Erf "erf" => math::erf(x);
        Erfc "erfc" => math::erfc(x);
        Sinc "sinc" => math::sinc(x);
        /// Derivative of sinc; made by differentiation, not part of the language.
        SincSlope "sinc_slope" => math::sinc_slope(x);
    }
}

opcodes! {
    /// Operations of two arguments.
    Binary(a, b) {
        Add "+" => a + b;
        Sub "-" => a - b;
        Mul "*" => a * b;
        Div "/" => a / b;
        /// `a^b` as in IEEE 754 `pow`: `x^0 = 1`, `0^b = 0` for b > 0, NaN for a negative base with a fractional exponent.
        Pow "^" => math::pow(a, b);
        /// The smaller; NaN if either is NaN.
        Min "min" => if a < b || a.is_nan() { a } else { b };
        /// The larger; NaN if either is NaN.
        Max "max" => if a > b || a.is_nan() { a } else { b };
        Hypot "hypot" => math::hypot(a, b);
        Atan2 "atan2" => math::atan2(a, b);
        /// `a*b`, but exactly 0 where `a` is 0, whatever `b`: the chain rule `u' g'(u)` where g' is infinite and u' is 0.
        /// Made by differentiation, not part of the language.
        MulZero "mul_zero" => if a == 0.0 { 0.0 } else { a * b };
        Lt "<" => truth(a < b);
        Le "<=" => truth(a <= b);
        Gt ">" => truth(a > b);
        Ge ">=" => truth(a >= b);
        Eq "==" => truth(a == b);
        Ne "!=" => truth(a != b);
        And "and" => truth(a != 0.0 && b != 0.0);
        Or "or" => truth(a != 0.0 || b != 0.0);
    }
}
