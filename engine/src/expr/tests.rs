//! The language as a whole: precedence, names, errors, printing.

use super::*;

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

fn model(text: &str) -> Result<Model, ParseError> {
    Model::parse(text, &Names { variables: &names(&["x", "t"]), parameters: &[] })
}

/// The value of an expression without parameters at x = 2, t = 3.
fn value(text: &str) -> f64 {
    let model = model(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    model.evaluate(&[2.0, 3.0], &vec![0.0; model.parameters().len()]).0
}

#[test]
fn precedence_is_that_of_mathematics() {
    for (text, expected) in [
        ("-2^2", -4.0),
        ("(-2)^2", 4.0),
        ("2^-1", 0.5),
        ("2^3^2", 512.0),
        ("2**3**2", 512.0),
        ("2^-2^2", 0.0625),
        ("10-4-3", 3.0),
        ("24/4/3", 2.0),
        ("2+3*4", 14.0),
        ("-x*t", -6.0),
        ("x < t", 1.0),
        ("x + 1 < t", 0.0),
        ("not x < t", 0.0),
        ("not x > t and t == 3", 1.0),
        ("x > t or t > x and 0", 0.0),
        ("1 or 0 and 0", 1.0),
        ("where(x < t, 7, 8)", 7.0),
        ("u = x/4; v = u + 1; u*v", 0.75),
        ("let u = 2;\n u*x;", 4.0),
        ("+x - +t", -1.0),
        ("min(x, t) + max(x, t)*10", 32.0),
        ("pow(x, t)", 8.0),
        ("sinc(0)", 1.0),
        ("e^0*pi", std::f64::consts::PI),
        ("1e-3*.5*2.", 1e-3),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn gaussian_costs_three_operations_more_for_its_derivatives() {
    let text = "a*exp(-((x - mu)/w)^2/2) + c";
    let model = model(text).unwrap();
    assert_eq!(model.parameters(), ["a", "mu", "w", "c"]);
    let slopes = model.graph().needed_for(model.slopes());
    let own = model.graph().needed_for(&[model.value()]);
    let extra = slopes.iter().zip(&own).filter(|(slope, own)| **slope && !**own).count();
    assert_eq!(extra, 4, "{:#?}", model.graph().nodes());
}
