//! What each built-in model is: formula, parameters with bounds, source.

/// Stands for the variable in a formula; no name of the language can contain it.
pub(super) const VARIABLE: &str = "@";

/// The smallest width, rate or time: it stands for "positive", and its square is still far from underflow.
const POSITIVE: f64 = 1e-100;
const FREE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
const NOT_NEGATIVE: (f64, f64) = (0.0, f64::INFINITY);
const ABOVE_ZERO: (f64, f64) = (POSITIVE, f64::INFINITY);

/// A parameter of a built-in model.
#[derive(Clone, Debug, PartialEq)]
pub struct BuiltinParameter {
    /// Its name in the formula.
    pub name: String,
    /// What it means, in a line.
    pub meaning: String,
    /// Default lower bound; `-inf` if there is none.
    pub min: f64,
    /// Default upper bound; `+inf` if there is none.
    pub max: f64,
}

impl BuiltinParameter {
    /// A value brought inside the bounds; 1, or what is nearest to it inside, for one that is not finite.
    pub(super) fn admit(&self, value: f64) -> f64 {
        let value = if value.is_finite() { value } else { 1.0 };
        value.clamp(self.min, self.max)
    }
}

/// The models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Linear,
    Polynomial(usize),
    ExponentialDecay,
    DoubleExponential,
    Growth,
    Gaussian,
    Lorentzian,
    PseudoVoigt,
    Sigmoid,
    PowerLaw,
    StretchedExponential,
    DampedSine,
}

const HANDBOOK: &str = "NIST/SEMATECH e-Handbook of Statistical Methods, section 4.6";

impl Kind {
    /// All but the polynomials, which are a family.
    pub(super) const FIXED: [Kind; 11] = [
        Kind::Linear,
        Kind::ExponentialDecay,
        Kind::DoubleExponential,
        Kind::Growth,
        Kind::Gaussian,
        Kind::Lorentzian,
        Kind::PseudoVoigt,
        Kind::Sigmoid,
        Kind::PowerLaw,
        Kind::StretchedExponential,
        Kind::DampedSine,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Linear => "linear",
            Kind::Polynomial(_) => "polynomial",
            Kind::ExponentialDecay => "exponential_decay",
            Kind::DoubleExponential => "double_exponential",
            Kind::Growth => "growth",
            Kind::Gaussian => "gaussian",
            Kind::Lorentzian => "lorentzian",
            Kind::PseudoVoigt => "pseudo_voigt",
            Kind::Sigmoid => "sigmoid",
            Kind::PowerLaw => "power_law",
            Kind::StretchedExponential => "stretched_exponential",
            Kind::DampedSine => "damped_sine",
        }
    }

    /// The formula, with [`VARIABLE`] for the variable. Polynomials in Horner's form.
    pub(super) fn formula(self) -> String {
        match self {
            Kind::Linear => "a*@ + b".to_owned(),
            Kind::Polynomial(degree) => {
                let inner = (0..degree).fold(String::new(), |text, k| text + &format!("c{k} + @*("));
                let text = format!("{inner}c{degree}{}", ")".repeat(degree));
                // no parentheses around the last coefficient alone
                text.replace(&format!("(c{degree})"), &format!("c{degree}"))
            }
            Kind::ExponentialDecay => "a*exp(-b*@) + c".to_owned(),
            Kind::DoubleExponential => "a1*exp(-b1*@) + a2*exp(-b2*@) + c".to_owned(),
            Kind::Growth => "a*exp(b*@) + c".to_owned(),
            Kind::Gaussian => "a*exp(-((@ - mu)/sigma)^2/2) + c".to_owned(),
            Kind::Lorentzian => "a/(1 + ((@ - x0)/w)^2) + c".to_owned(),
            Kind::PseudoVoigt => "a*(eta/(1 + ((@ - x0)/w)^2) + (1 - eta)*exp(-log(2)*((@ - x0)/w)^2)) + c".to_owned(),
            Kind::Sigmoid => "L/(1 + exp(-k*(@ - x0))) + b".to_owned(),
            Kind::PowerLaw => "a*@^b".to_owned(),
            Kind::StretchedExponential => "a*exp(-(@/tau)^beta) + c".to_owned(),
            Kind::DampedSine => "a*exp(-g*@)*sin(w*@ + phi) + c".to_owned(),
        }
    }

    pub(super) fn description(self) -> &'static str {
        match self {
            Kind::Linear => "a straight line",
            Kind::Polynomial(_) => "a polynomial of degree 0 to 20",
            Kind::ExponentialDecay => "an exponential that falls to an offset",
            Kind::DoubleExponential => "two exponentials that fall to an offset",
            Kind::Growth => "an exponential that grows from an offset",
            Kind::Gaussian => "a Gaussian peak or dip on an offset",
            Kind::Lorentzian => "a Lorentzian peak or dip on an offset",
            Kind::PseudoVoigt => "a mixture of Lorentzian and Gaussian of one width, close to a Voigt profile",
            Kind::Sigmoid => "a logistic step between two levels",
            Kind::PowerLaw => "a power of a positive variable",
            Kind::StretchedExponential => {
                "a relaxation with a spread of rates (Kohlrausch), for a variable that is not negative"
            }
            Kind::DampedSine => "an oscillation that dies away to an offset",
        }
    }

    pub(super) fn source(self) -> &'static str {
        match self {
            Kind::Linear => "NIST/SEMATECH e-Handbook of Statistical Methods, section 4.1.4.1; NIST StRD: Norris",
            Kind::Polynomial(_) => {
                "NIST/SEMATECH e-Handbook of Statistical Methods, section 4.6.4; NIST StRD: Wampler, Filip"
            }
            Kind::ExponentialDecay => {
                "R. Jacquelin, Regressions et equations integrales (2009); NIST StRD: Chwirut, Misra1a"
            }
            Kind::DoubleExponential => "C. Lanczos, Applied Analysis (1956), section IV-23; NIST StRD: Lanczos",
            Kind::Growth => HANDBOOK,
            Kind::Gaussian => "NIST StRD: Gauss1, Gauss2, Gauss3 (sums of such peaks)",
            Kind::Lorentzian => {
                "NIST Digital Library of Mathematical Functions, section 7.19 (the Voigt profile's limit)"
            }
            Kind::PseudoVoigt => "G. K. Wertheim et al., Rev. Sci. Instrum. 45 (1974) 1369",
            Kind::Sigmoid => "NIST/SEMATECH e-Handbook of Statistical Methods, section 4.6; NIST StRD: Rat42",
            Kind::PowerLaw => "NIST StRD: DanWood",
            Kind::StretchedExponential => "R. Kohlrausch, Ann. Phys. 167 (1854) 179; G. Williams, D. C. Watts (1970)",
            Kind::DampedSine => "NIST/SEMATECH e-Handbook of Statistical Methods, section 1.4.2.5 (sinusoidal models)",
        }
    }

    pub(super) fn parameters(self) -> Vec<BuiltinParameter> {
        if let Kind::Polynomial(degree) = self {
            return (0..=degree).map(|k| parameter(&format!("c{k}"), &format!("coefficient of x^{k}"), FREE)).collect();
        }
        let amplitude = ("a", "height, negative for a dip", FREE);
        let offset = ("c", "level far away", FREE);
        let center = ("x0", "center", FREE);
        let half_width = ("w", "half width at half height", ABOVE_ZERO);
        let list: &[(&str, &str, (f64, f64))] = match self {
            Kind::Polynomial(_) => &[],
            Kind::Linear => &[("a", "slope", FREE), ("b", "value at 0", FREE)],
            Kind::ExponentialDecay => &[
                ("a", "height above the offset at 0", FREE),
                ("b", "rate, 1/time constant", NOT_NEGATIVE),
                ("c", "level reached at last", FREE),
            ],
            Kind::DoubleExponential => &[
                ("a1", "height of the faster part at 0", FREE),
                ("b1", "rate of the faster part", NOT_NEGATIVE),
                ("a2", "height of the slower part at 0", FREE),
                ("b2", "rate of the slower part", NOT_NEGATIVE),
                ("c", "level reached at last", FREE),
            ],
            Kind::Growth => &[
                ("a", "height above the offset at 0", FREE),
                ("b", "rate", NOT_NEGATIVE),
                ("c", "level it starts from", FREE),
            ],
            Kind::Gaussian => &[amplitude, ("mu", "center", FREE), ("sigma", "standard deviation", ABOVE_ZERO), offset],
            Kind::Lorentzian => &[amplitude, center, half_width, offset],
            Kind::PseudoVoigt => {
                &[amplitude, ("eta", "share of the Lorentzian", (0.0, 1.0)), center, half_width, offset]
            }
            Kind::Sigmoid => &[
                ("L", "height of the step, negative for a falling one", FREE),
                ("k", "steepness", ABOVE_ZERO),
                ("x0", "middle of the step", FREE),
                ("b", "level on the left", FREE),
            ],
            Kind::PowerLaw => &[("a", "value at 1", FREE), ("b", "exponent", FREE)],
            Kind::StretchedExponential => &[
                ("a", "height above the offset at 0", FREE),
                ("tau", "time constant", ABOVE_ZERO),
                ("beta", "stretching exponent, 1 for a plain exponential", (0.01, 10.0)),
                ("c", "level reached at last", FREE),
            ],
            Kind::DampedSine => &[
                ("a", "amplitude at 0", FREE),
                ("g", "damping rate", NOT_NEGATIVE),
                ("w", "angular frequency", NOT_NEGATIVE),
                ("phi", "phase at 0, in radians", FREE),
                ("c", "level it oscillates about", FREE),
            ],
        };
        list.iter().map(|(name, meaning, bounds)| parameter(name, meaning, *bounds)).collect()
    }
}

fn parameter(name: &str, meaning: &str, (min, max): (f64, f64)) -> BuiltinParameter {
    BuiltinParameter { name: name.to_owned(), meaning: meaning.to_owned(), min, max }
}

/// Our name for what others call by another.
pub(super) fn other_name(name: &str) -> Option<&'static str> {
    Some(match name.to_lowercase().as_str() {
        "line" | "affine" => "linear",
        "quadratic" | "parabola" => "polynomial(2)",
        "cubic" => "polynomial(3)",
        "constant" => "polynomial(0)",
        "poly" => "polynomial(n)",
        "exponential" | "exp" | "decay" | "exp_decay" => "exponential_decay",
        "biexponential" | "double_exp" => "double_exponential",
        "exponential_growth" => "growth",
        "normal" | "gauss" => "gaussian",
        "cauchy" => "lorentzian",
        "voigt" => "pseudo_voigt",
        "logistic" => "sigmoid",
        "power" => "power_law",
        "kww" | "kohlrausch" => "stretched_exponential",
        "sine" | "damped_oscillation" => "damped_sine",
        _ => return None,
    })
}
