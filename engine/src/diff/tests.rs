//! Symbolic derivatives against dual numbers and against differences, for every function, at ordinary and awkward points.

use proptest::prelude::*;

use super::check::{self, Verdict};
use super::dual;
use crate::expr::{Model, Names, functions};

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

/// A model of x with the parameters a, b in this order.
fn model(text: &str) -> Model {
    let text = format!("{text} + 0*(a + b)");
    let variables = strings(&["x"]);
    Model::parse(&text, &Names { variables: &variables, parameters: &[] }).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Parameters in the order a, b.
fn theta(model: &Model, a: f64, b: f64) -> Vec<f64> {
    model.parameters().iter().map(|name| if name == "a" { a } else { b }).collect()
}

/// Holds the symbolic derivatives to the dual ones wherever the value is finite, to a relative 1e-11.
fn assert_agrees_with_dual(model: &Model, x: f64, a: f64, b: f64) {
    let theta = theta(model, a, b);
    let (value, slopes) = model.evaluate(&[x], &theta);
    if !value.is_finite() {
        return;
    }
    // the slope of (-3)^b along b is no real number, and whether a factor 0 hides that is left open
    let power = model.expression().contains("pow") || model.expression().contains('^');
    let undefined = power && (x < 0.0 || a < 0.0 || b < 0.0);
    let expected = dual::gradient(model.graph(), model.value(), &[x], &theta);
    for (j, (found, expected)) in slopes.iter().zip(&expected).enumerate() {
        let close = found == expected
            || found.is_nan() && (expected.is_nan() || undefined)
            || (found - expected).abs() <= 1e-11 * expected.abs() + 1e-300;
        let name = &model.parameters()[j];
        assert!(
            close,
            "d/d{name} of {} at x={x} a={a} b={b}: {found}, dual numbers say {expected}",
            model.expression()
        );
    }
}

/// Every function of the language, composed so that parameters reach each argument, alone and together.
fn every_function() -> Vec<Model> {
    let mut models = Vec::new();
    for name in functions::names() {
        let texts = match functions::find(name).unwrap().arity() {
            1 => vec![format!("{name}(a)"), format!("b*{name}(a*x) + {name}(x)"), format!("{name}(a*x + b)^2")],
            2 => vec![
                format!("{name}(a, b)"),
                format!("{name}(a*x, x)"),
                format!("{name}(x, b)*a"),
                format!("{name}(a + x, a*b)"),
            ],
            _ => vec![format!("{name}(x < a, a*x, b)"), format!("{name}(x, log(a*x), sqrt(b))")],
        };
        models.extend(texts.iter().map(|text| model(text)));
    }
    for text in ["a^b", "(a*x)^b", "a^2 + b^-3", "(a*x)^1.5", "x^a", "2^(a*x)", "e^(-a*x)", "-a/b", "x/(a*x)", "a < b"]
    {
        models.push(model(text));
    }
    models
}

#[test]
fn every_function_agrees_with_dual_numbers_at_awkward_points() {
    let awkward = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -3.0, 1e-8, 1e-40, 40.0, -40.0, 800.0, -800.0, 1e12];
    for model in every_function() {
        for x in awkward {
            for a in awkward {
                for b in awkward {
                    assert_agrees_with_dual(&model, x, a, b);
                }
            }
        }
    }
}

#[test]
fn every_function_agrees_with_differences() {
    let points: Vec<Vec<f64>> = [-2.3, -0.7, -0.2, 0.0, 0.1, 0.4, 0.9, 1.7, 3.1].iter().map(|&x| vec![x]).collect();
    let mut compared = 0;
    for model in every_function() {
        for (a, b) in [(0.3, 0.6), (-0.4, 1.2), (1.7, -0.3), (0.9, 2.5), (0.0, 0.5)] {
            let check = check::check(&model, &points, &theta(&model, a, b), &[0, 1]);
            assert!(check.passed(), "{} at a={a} b={b}: {check:#?}", model.expression());
            compared += check.parameters.iter().map(|slope| slope.compared).sum::<usize>();
        }
    }
    assert!(compared > 5000, "only {compared} comparisons");
}

proptest! {
    #[test]
    fn every_function_agrees_with_dual_numbers_anywhere(x in -50.0..50.0f64, a in -5.0..5.0f64, b in -5.0..5.0f64) {
        for model in every_function() {
            assert_agrees_with_dual(&model, x, a, b);
        }
    }
}

/// Expression, (x, a, b), value, d/da, d/db.
type Case = (&'static str, [f64; 3], f64, f64, f64);

#[test]
fn singular_points_have_the_slopes_that_are_promised() {
    let cases: &[Case] = &[
        ("x^a", [0.0, 1.5, 1.0], 0.0, 0.0, 0.0),
        ("b*x^a", [0.0, 0.5, 2.0], 0.0, 0.0, 0.0),
        ("(x*b)^a", [0.0, 0.5, 2.0], 0.0, 0.0, 0.0),
        ("(x*b)^a", [0.0, 2.0, 2.0], 0.0, 0.0, 0.0),
        ("b^a", [0.0, 1.0, 0.0], 0.0, 0.0, 1.0),
        ("b^a", [0.0, 3.0, 0.0], 0.0, 0.0, 0.0),
        ("b^a", [0.0, 0.0, 0.0], 1.0, 0.0, 0.0),
        ("a*b^2", [0.0, 3.0, -2.0], 12.0, 4.0, -12.0),
        ("(b*x)^3", [2.0, 0.0, -1.0], -8.0, 0.0, 24.0),
        ("abs(a*x)", [0.0, 2.0, 0.0], 0.0, 0.0, 0.0),
        ("abs(a)", [0.0, 0.0, 0.0], 0.0, 0.0, 0.0),
        ("sqrt(a*x)", [0.0, 2.0, 0.0], 0.0, 0.0, 0.0),
        ("sqrt((a - x)^2)", [2.0, 2.0, 0.0], 0.0, 0.0, 0.0),
        ("sqrt(a^2 - 2*a*x + x^2)", [2.0, 2.0, 0.0], 0.0, 0.0, 0.0),
        ("cbrt(b*x)", [0.0, 2.0, 1.0], 0.0, 0.0, 0.0),
        ("x*sqrt(a)", [0.0, 0.0, 0.0], 0.0, 0.0, 0.0),
        ("exp(log(a*x))", [0.0, 2.0, 0.0], 0.0, 0.0, 0.0),
        ("sinc(a*x)", [0.0, 2.0, 0.0], 1.0, 0.0, 0.0),
        ("hypot(a, b)", [0.0, 0.0, 0.0], 0.0, 0.0, 0.0),
        ("hypot(a, b)", [0.0, 3.0, -4.0], 5.0, 0.6, -0.8),
        ("atan2(a, b)", [0.0, 0.0, 0.0], 0.0, 0.0, 0.0),
        ("atan2(a, b)", [0.0, 1.0, 0.0], std::f64::consts::FRAC_PI_2, 0.0, -1.0),
        ("where(x > 0, sqrt(a*x), b)", [-1.0, 1.0, 7.0], 7.0, 0.0, 1.0),
        ("where(x > 0, log(x)*a, 0)", [0.0, 1.0, 7.0], 0.0, 0.0, 0.0),
        ("where(x > 0, a/x, b/0)", [2.0, 1.0, 7.0], 0.5, 0.5, 0.0),
        ("min(a, b)", [0.0, 1.0, 2.0], 1.0, 1.0, 0.0),
        ("max(a, b)", [0.0, 1.0, 2.0], 2.0, 0.0, 1.0),
        ("max(a, b)", [0.0, 2.0, 2.0], 2.0, 0.0, 1.0),
        ("step(x - a)*b", [1.0, 0.5, 3.0], 3.0, 0.0, 1.0),
        ("(a < x)*b", [1.0, 0.5, 3.0], 3.0, 0.0, 1.0),
        ("acos(a*x)", [0.0, 1.0, 3.0], std::f64::consts::FRAC_PI_2, 0.0, 0.0),
        ("asin(x)*a", [1.0, 2.0, 3.0], std::f64::consts::PI, std::f64::consts::FRAC_PI_2, 0.0),
        // exponentials that overflow where the value does not
        ("b/(1 + exp(-a*x))", [-1000.0, 1.0, 3.0], 0.0, 0.0, 0.0),
        ("1/(1 + b*exp(-a*x))", [-1000.0, 1.0, 3.0], 0.0, 0.0, 0.0),
        ("b*exp(-exp(-a*x))", [-1000.0, 1.0, 3.0], 0.0, 0.0, 0.0),
        ("b*exp(-a/x)", [0.0, 1.0, 3.0], 0.0, 0.0, 0.0),
        ("tanh(a*x)", [800.0, 1.0, 3.0], 1.0, 0.0, 0.0),
        ("b/cosh(a*x)", [800.0, 1.0, 3.0], 0.0, 0.0, 0.0),
    ];
    for &(text, [x, a, b], value, along_a, along_b) in cases {
        let model = model(text);
        let (found, slopes) = model.evaluate(&[x], &theta(&model, a, b));
        assert_eq!(found, value, "{text} at x={x} a={a} b={b}");
        for (name, slope) in model.parameters().iter().zip(slopes) {
            let expected = if name == "a" { along_a } else { along_b };
            assert!((slope - expected).abs() <= 4e-16 * expected.abs(), "d/d{name} of {text}: {slope}, not {expected}");
        }
    }
}

#[test]
fn honest_infinities_stay() {
    let model = model("sqrt(a)");
    assert_eq!(model.evaluate(&[1.0], &theta(&model, 0.0, 0.0)).1[0], f64::INFINITY);
}

#[test]
fn tanh_keeps_its_digits_far_out() {
    let model = model("tanh(a)");
    for a in [18.0f64, -30.0, 200.0, 350.0] {
        let slope = model.evaluate(&[0.0], &theta(&model, a, 0.0)).1[0];
        let expected = 4.0 * (-2.0 * a.abs()).exp();
        assert!((slope / expected - 1.0).abs() < 1e-12, "{a}: {slope} {expected}");
    }
}

#[test]
fn the_checker_finds_a_wrong_derivative_and_passes_over_corners() {
    let points: Vec<Vec<f64>> = (0..20).map(|i| vec![f64::from(i) / 4.0]).collect();
    // a kink or a jump at the parameters themselves, at some of the points
    for text in ["max(x, a)*b", "abs(x - a)^1.5*b", "step(x - a)*b", "where(x < a, b, a)", "sqrt(x - a)*b"] {
        let model = model(text);
        let check = check::check(&model, &points, &theta(&model, 2.0, 1.5), &[0, 1]);
        assert!(check.passed(), "{text}: {check:#?}");
        assert!(check.parameters.iter().all(|slope| slope.compared > 0), "{text}: {check:#?}");
    }
    // far from resolved by the larger steps of the ladder
    let steep = model("sin(1e7*a*x) + b");
    let check = check::check(&steep, &points, &theta(&steep, 1.0, 1.0), &[0, 1]);
    assert!(check.passed(), "{check:#?}");
    assert_eq!(check.parameters[1].verdict, Verdict::Agrees);
    // a is compared nowhere: the value jumps there
    let jump = model("step(a)*b");
    let check = check::check(&jump, &points, &theta(&jump, 0.0, 1.0), &[0]);
    assert_eq!(check.parameters[0].verdict, Verdict::Undecided);
    // exchanged derivatives are found
    let right = model("a*exp(-b*x)");
    let exchanged = vec![right.slopes()[1], right.slopes()[0]];
    let wrong = right.with_slopes(exchanged);
    let check = check::check(&wrong, &points, &[2.0, 1.5], &[0, 1]);
    assert!(check.parameters.iter().all(|slope| slope.verdict == Verdict::Disagrees), "{check:#?}");
    // so is one that is off by a part in ten thousand
    let near = model("a*x + b + 1.0001*x");
    let beside = near.graph().ids().rfind(|&id| near.graph().evaluate(&[3.0], &[0.0, 0.0])[id.index()] == 3.0003);
    let slopes = vec![beside.expect("1.0001*x is a node"), near.slopes()[1]];
    let check = check::check(&near.with_slopes(slopes), &points, &[2.0, 1.5], &[0, 1]);
    assert_eq!(check.parameters[0].verdict, Verdict::Disagrees);
    assert_eq!(check.parameters[1].verdict, Verdict::Agrees);
}

proptest! {
    #[test]
    fn any_model_agrees_with_dual_numbers(
        text in crate::expr::tests::any_expression(), x in -5.0..5.0f64, a in -5.0..5.0f64, b in -5.0..5.0f64
    ) {
        let variables = strings(&["x", "t"]);
        let model = Model::parse(&text, &Names { variables: &variables, parameters: &[] }).unwrap();
        let theta: Vec<f64> = model.parameters().iter().map(|name| if name == "a" { a } else { b }).collect();
        let (value, slopes) = model.evaluate(&[x, 0.7], &theta);
        let expected = dual::gradient(model.graph(), model.value(), &[x, 0.7], &theta);
        for (found, expected) in slopes.iter().zip(&expected) {
            // on the way to a finite value an intermediate one may have overflowed
            let scale = expected.abs().max(value.abs()).max(1e-3);
            let close = (found - expected).abs() <= 1e-7 * scale || found == expected || !found.is_finite();
            prop_assert!(!value.is_finite() || close, "{}: {}, dual numbers say {}", text, found, expected);
        }
    }
}
