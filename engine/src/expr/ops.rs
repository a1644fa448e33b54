//! The opcode table: every operation of the model language and of its derivatives, with its meaning on scalars.
//!
//! This is the only definition. Constant folding, the scalar reference and the block interpreter call [`Unary::apply`] and
//! [`Binary::apply`]; emitters print them. It is written once for f64 and f32. Truth values are 1.0 and 0.0; anything but 0.0 counts as true.

use crate::real::Real;

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
            pub fn apply<T: Real>(self, $($arg: T),+) -> T {
                match self { $($kind::$op => $value),+ }
            }

            /// The meaning over a block of points: `out[i] = apply(a[i], ..)`. One loop for each operation, so that the
            /// compiler sees a plain loop to vectorise; inlined into callers compiled for the instruction set at hand.
            #[inline(always)]
            #[allow(non_camel_case_types)]
            pub fn map<T: Real, $($arg: Source<T>),+>(self, out: &mut [T], $($arg: $arg),+) {
                let operands = ($($arg,)+);
                match self { $($kind::$op => $kind::$op.sweep(out, operands)),+ }
            }

            #[inline(always)]
            #[allow(non_camel_case_types)]
            fn sweep<T: Real, $($arg: Source<T>),+>(self, out: &mut [T], ($($arg,)+): ($($arg,)+)) {
                $(let $arg = $arg.cut(out.len());)+
                for (i, out) in out.iter_mut().enumerate() {
                    *out = self.apply($($arg.at(i)),+);
                }
            }
        }
    };
}

/// An operand over a block of points.
pub trait Source<T>: Copy {
    /// The values of the first `n` points; panics if there are fewer. A length that is known to be `n` lets the compiler drop
    /// the checks inside the loop, and with them the points that it would do one by one.
    fn cut(self, n: usize) -> Self;

    /// The value at point i.
    fn at(&self, i: usize) -> T;
}

/// One value for each point.
impl<T: Real> Source<T> for &[T] {
    #[inline(always)]
    fn cut(self, n: usize) -> Self {
        &self[..n]
    }

    #[inline(always)]
    fn at(&self, i: usize) -> T {
        self[i]
    }
}

/// The same value for all points.
impl<T: Real> Source<T> for T {
    #[inline(always)]
    fn cut(self, _n: usize) -> Self {
        self
    }

    #[inline(always)]
    fn at(&self, _i: usize) -> T {
        *self
    }
}

#[inline(always)]
fn truth<T: Real>(condition: bool) -> T {
    if condition { T::ONE } else { T::ZERO }
}

opcodes! {
    /// Operations of one argument.
    Unary(x) {
        Neg "-" => -x;
        Not "not" => truth(x == T::ZERO);
        Abs "abs" => x.abs();
        /// -1, 0 or 1; NaN stays NaN.
        Sign "sign" => if x > T::ZERO { T::ONE } else if x < T::ZERO { -T::ONE } else { x * T::ZERO };
        /// 1 for x >= 0, else 0; NaN stays NaN.
        Step "step" => if x >= T::ZERO { T::ONE } else if x < T::ZERO { T::ZERO } else { x };
        Sqrt "sqrt" => x.sqrt();
        Cbrt "cbrt" => x.cbrt();
        Exp "exp" => x.exp();
        Expm1 "expm1" => x.expm1();
        Log "log" => x.log();
        Log1p "log1p" => x.log1p();
        Log2 "log2" => x.log2();
        Log10 "log10" => x.log10();
        Sin "sin" => x.sin();
        Cos "cos" => x.cos();
        Tan "tan" => x.tan();
        Asin "asin" => x.asin();
        Acos "acos" => x.acos();
        Atan "atan" => x.atan();
        Sinh "sinh" => x.sinh();
        Cosh "cosh" => x.cosh();
        Tanh "tanh" => x.tanh();
        Erf "erf" => x.erf();
        Erfc "erfc" => x.erfc();
        Sinc "sinc" => x.sinc();
        /// Derivative of sinc; made by differentiation, not part of the language.
        SincSlope "sinc_slope" => x.sinc_slope();
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
        Pow "^" => a.pow(b);
        /// The smaller; NaN if either is NaN.
        Min "min" => if a < b || a.is_nan() { a } else { b };
        /// The larger; NaN if either is NaN.
        Max "max" => if a > b || a.is_nan() { a } else { b };
        Hypot "hypot" => a.hypot(b);
        Atan2 "atan2" => a.atan2(b);
        /// `a*b`, but exactly 0 where `a` is 0, whatever `b`: the chain rule `u' g'(u)` where g' is infinite and u' is 0.
        /// Made by differentiation, not part of the language.
        MulZero "mul_zero" => if a == T::ZERO { T::ZERO } else { a * b };
        Lt "<" => truth(a < b);
        Le "<=" => truth(a <= b);
        Gt ">" => truth(a > b);
        Ge ">=" => truth(a >= b);
        Eq "==" => truth(a == b);
        Ne "!=" => truth(a != b);
        And "and" => truth(a != T::ZERO && b != T::ZERO);
        Or "or" => truth(a != T::ZERO || b != T::ZERO);
    }
}
