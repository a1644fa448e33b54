//! The suite that every backend must pass: the bits of the scalar reference, for every operation, loss, weighting and size.

use super::blocks::{Blocks, InstructionSet};
use super::scalar::Scalar;
use super::{Answer, Backend, Costing, Curvature, Precision, Program, Question, Request, Solver};
use crate::data::numbers::{Numbers, Weights};
use crate::data::tile::Tile;
use crate::expr::{Model, Names};
use crate::linalg::Triangle;
use crate::loss::{Loss, LossKind};
use crate::normal::{Counts, NormalEquations, Sums};

/// Every function and operator, in models whose values are finite for t in (0, 1) and u in (-1, 1).
const MODELS: &[&str] = &[
    "a*exp(-b*t) + c",
    "a*t + b*u - c/(1 + t)",
    "a*log(t + 1.5) + b*log1p(t) + c*log2(t + 2) + log10(t + a)",
    "a*sin(b*t) + c*cos(b*u) + tan(t)",
    "a*sinc(b*u) + sinc(c*t*1e-5)",
    "a*erf(b*u) + c*erfc(t)",
    "a*tanh(b*u) + sinh(c*u) + cosh(t)",
    "a*asin(u) + b*acos(u) + c*atan(t) + atan2(u, t + a)",
    "a*sqrt(t) + b*cbrt(u) + c*hypot(t, u)",
    "a*t^b + c*u^3 + t^-2*1e-3 + 2^(b*t)",
    "a*expm1(b*t) + c*abs(u) + sign(u) + step(u)",
    "where(u > 0 and t < 0.7, a*t, b*u) + where(not (u >= 0.1 or t == 0.5), c, 0)",
    "min(a*t, b*u) + max(c, t) + where(t != 0.25, a, where(u <= 0, b, c))",
    "w = t/b; a*exp(-w^2) + c*w",
    "sqrt(a*t) + b*hypot(c*u, t)",
    "c + 0*t",
    "t",
    "a + b + c + 0*u",
    "where(t > 0.5, u, t)*a + b*where(c > 0, t, 1/0)",
];

/// Numbers without pattern in (0, 1), the same in every run.
fn numbers(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    (0..n).map(|_| next()).collect()
}

fn tile(n: usize, weighted: bool) -> Tile {
    let u = numbers(n, 2).into_iter().map(|v| 2.0 * v - 1.0).collect::<Vec<_>>().into();
    Tile {
        index: 0,
        x: vec![numbers(n, 1).into(), u],
        y: numbers(n, 3).into(),
        inverse_sigma: weighted.then(|| numbers(n, 4).into_iter().map(|v| 0.5 + v).collect::<Vec<_>>().into()),
        counts: Counts { used: n as u64, masked: 0, nonfinite: 0 },
    }
}

fn model(expression: &str) -> Model {
    let variables = ["t".to_string(), "u".to_string()];
    Model::parse(expression, &Names { variables: &variables, parameters: &[] }).unwrap()
}

/// Bits, with all NaN alike: their payload is not part of the promise.
fn bits(sums: &Sums) -> Vec<u64> {
    let triangles = sums.triangles.iter().flat_map(Triangle::entries);
    sums.hi.iter().chain(triangles).map(|v| if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() }).collect()
}

fn check(backend: &dyn Backend, expression: &str, loss: Loss, n: usize, weighted: bool) {
    let model = model(expression);
    let p = model.parameters().len();
    // The last parameter is fixed where there are several: its derivative must not be asked for.
    let free: Vec<usize> = (0..if p > 1 { p - 1 } else { p }).collect();
    let program = Program::new(model, free);
    let tile = tile(n, weighted);
    let theta: Vec<f64> = [1.3, 0.7, 2.1][..p].to_vec();
    let candidates: Vec<Vec<f64>> = [1.0, 0.9, 1.1].iter().map(|s| theta.iter().map(|v| v * s).collect()).collect();
    let mut reference = Scalar.evaluator(&program);
    let mut tested = backend.evaluator(&program);
    let what = format!("{} on {expression}, {loss:?}, n = {n}, weighted: {weighted}", backend.name());
    let questions = [
        Question::Linearize(vec![theta.clone()]),
        Question::Linearize(candidates.clone()),
        Question::Costs(candidates),
        Question::Scores(theta.clone()),
        Question::Magnitudes { theta, octave: 0 },
    ];
    // Twice: nothing of the first call may show in the second.
    let plain = Costing { loss, ..Costing::default() };
    let costings = [
        plain,
        Costing { precision: Precision::F32, ..plain },
        Costing { curvature: Curvature::Majorant, solver: Solver::Tsqr, ..plain },
        Costing { curvature: Curvature::Excess, ..plain },
    ];
    for (question, costing) in [0, 1].iter().flat_map(|_| &questions).flat_map(|q| costings.map(|c| (q, c))) {
        let request = Request { question: question.clone(), costing };
        let (expected, found) = (reference.evaluate(&request, &tile), tested.evaluate(&request, &tile));
        assert_eq!(found.hi.len(), request.width(program.n_free()), "{question:?}");
        assert_eq!(bits(&found), bits(&expected), "{question:?} under {costing:?}: {what}");
        assert_eq!(found.counts, tile.counts);
    }
}

fn suite(backend: &dyn Backend) {
    let huber = Loss { kind: LossKind::Huber, scale: 0.8 };
    for expression in MODELS {
        check(backend, expression, Loss::default(), 2_600, false);
        check(backend, expression, Loss::default(), 1_100, true);
        check(backend, expression, huber, 700, true);
    }
    for (_, kind) in LossKind::NAMES {
        check(backend, MODELS[0], Loss { kind, scale: 0.6 }, 3_000, true);
    }
    for n in [0, 1, 31, 32, 33, 511, 512, 513, 2_047, 2_048, 2_049, 4_096, 10_000] {
        check(backend, MODELS[0], Loss::default(), n, false);
        check(backend, MODELS[0], huber, n, true);
    }
}

#[test]
fn the_block_tape_has_the_bits_of_the_reference_on_every_instruction_set() {
    for set in InstructionSet::available() {
        suite(&Blocks::with(set));
    }
}

/// Where there is no native code this is the block tape once more.
#[test]
fn native_code_has_the_bits_of_the_reference() {
    suite(&Blocks::new());
}

/// Sines of numbers beyond 2^21 are computed one by one, here in some blocks and not in others.
#[test]
fn points_that_native_code_does_not_serve_have_the_bits_of_the_reference() {
    for expression in ["a*sin(1e7*t^8) + c*cos(b*u)", "a*tan(1e30*u) + b*t", "a*sinc(3e6*t) + b*atan2(u*1e-300, t*c)"] {
        check(&Blocks::new(), expression, Loss::default(), 2_600, true);
        check(&Blocks::new(), expression, Loss { kind: LossKind::Huber, scale: 0.8 }, 700, false);
    }
}

/// The same tile with every column in 8 bytes.
fn widened(tile: &Tile) -> Tile {
    let wide = |numbers: &Numbers| Numbers::F64(numbers.iter().collect());
    let weights =
        |weights: &Weights| Weights::Inverse(Numbers::F64((0..weights.len()).map(|i| weights.at(i)).collect()));
    Tile {
        x: tile.x.iter().map(wide).collect(),
        y: wide(&tile.y),
        inverse_sigma: tile.inverse_sigma.as_ref().map(weights),
        ..tile.clone()
    }
}

#[test]
fn columns_of_four_bytes_give_the_bits_of_the_same_values_in_eight() {
    let single = |seed: u64| -> Vec<f32> { numbers(2_600, seed).iter().map(|&v| v as f32).collect() };
    let weightings = [
        None,
        Some(Weights::Inverse(Numbers::F32(single(4)))),
        Some(Weights::Sigma(single(5))),
        Some(Weights::Square(single(6))),
    ];
    for inverse_sigma in weightings {
        let counts = Counts { used: 2_600, ..Counts::default() };
        let x = vec![Numbers::F32(single(1)), Numbers::F32(single(2))];
        let tile = Tile { index: 0, x, y: Numbers::F32(single(3)), inverse_sigma, counts };
        assert!(tile.bytes() <= 4 * 4 * 2_600);
        let loss = Loss { kind: LossKind::Cauchy, scale: 0.5 };
        for (text, precision) in
            [(MODELS[0], Precision::F64), ("t", Precision::F64), (MODELS[9], Precision::F32), ("t*u*a", Precision::F32)]
        {
            let model = model(text);
            let theta = [1.3, 0.7, 2.1][..model.parameters().len()].to_vec();
            let program = Program::new(model, (0..theta.len()).collect());
            let request = Request::linearize(theta, Costing { loss, precision, ..Costing::default() });
            for backend in [&Blocks::new() as &dyn Backend, &Scalar] {
                let mut evaluator = backend.evaluator(&program);
                let (narrow, wide) =
                    (evaluator.evaluate(&request, &tile), evaluator.evaluate(&request, &widened(&tile)));
                assert_eq!(bits(&narrow), bits(&wide), "{text} by {}", backend.name());
            }
        }
    }
}

#[test]
fn single_precision_is_that_and_no_less() {
    let tile = tile(5_000, true);
    for expression in MODELS {
        let program = Program::new(model(expression), (0..model(expression).parameters().len()).collect());
        let theta = [1.3, 0.7, 2.1][..program.n_free()].to_vec();
        let mut evaluator = Blocks::new().evaluator(&program);
        let mut normal = |precision| {
            let request = Request::linearize(theta.clone(), Costing { precision, ..Costing::default() });
            NormalEquations::from_sums(program.n_free(), &evaluator.evaluate(&request, &tile))
        };
        let (single, double) = (normal(Precision::F32), normal(Precision::F64));
        let far = |a: f64, b: f64| (a - b).abs() / b.abs();
        assert!(far(single.cost, double.cost) < 1e-5, "{expression}: {} {}", single.cost, double.cost);
        // "t" and the like are exact in either
        let same = single.cost == double.cost && single.jtr == double.jtr;
        assert!(!same || program.n_free() == 0 || expression.len() < 8, "{expression}: nothing was rounded");
    }
}

#[test]
fn the_models_of_the_suite_use_every_operation() {
    use crate::expr::graph::Node;
    use crate::expr::ops::{Binary, Unary};
    let nodes: Vec<Node> = MODELS.iter().flat_map(|text| model(text).graph().nodes().to_vec()).collect();
    for op in Unary::ALL {
        assert!(nodes.iter().any(|node| matches!(node, Node::Unary(found, _) if found == op)), "{op:?}");
    }
    for op in Binary::ALL {
        assert!(nodes.iter().any(|node| matches!(node, Node::Binary(found, ..) if found == op)), "{op:?}");
    }
}

#[test]
fn cost_and_normal_equations_agree_with_their_definition() {
    // Three points by hand: f = a + b t, r = (f - y) w.
    let model = model("a + b*t");
    let tile = Tile {
        index: 0,
        x: vec![vec![0.0, 1.0, 2.0].into(), vec![0.0; 3].into()],
        y: vec![1.0, 1.0, 0.0].into(),
        inverse_sigma: Some(vec![1.0, 0.5, 2.0].into()),
        counts: Counts { used: 3, masked: 0, nonfinite: 0 },
    };
    let program = Program::new(model, vec![0, 1]);
    let request = Request::linearize(vec![2.0, 1.0], Costing::default());
    let normal = NormalEquations::from_sums(2, &Blocks::new().evaluator(&program).evaluate(&request, &tile));
    // r = [1, 1, 8]; J = [[1, 0], [0.5, 0.5], [2, 4]]
    assert_eq!(normal.jtj, [5.25, 8.25, 16.25]);
    assert_eq!(normal.jtr, [17.5, 32.5]);
    assert_eq!((normal.cost, normal.rss, normal.lag), (33.0, 66.0, 1.0 + 8.0));
}

#[test]
fn the_gradient_under_a_loss_is_the_derivative_of_the_cost() {
    for (name, kind) in LossKind::NAMES {
        let program = Program::new(model(MODELS[0]), vec![0, 1, 2]);
        let costing = Costing { loss: Loss { kind, scale: 0.3 }, ..Costing::default() };
        let tile = tile(500, true);
        let theta = [1.3, 0.7, 0.4];
        let mut evaluator = Blocks::new().evaluator(&program);
        let here = Request::linearize(theta.to_vec(), costing);
        let gradient = NormalEquations::from_sums(3, &evaluator.evaluate(&here, &tile)).jtr;
        for j in 0..3 {
            let h = 1e-5;
            let moved = |by: f64| theta.iter().enumerate().map(|(k, v)| v + if k == j { by } else { 0.0 }).collect();
            let costs = evaluator.evaluate(&Request::costs(vec![moved(h), moved(-h)], costing), &tile).hi;
            let difference = (costs[0] - costs[2]) / (2.0 * h);
            assert!(
                (difference - gradient[j]).abs() < 1e-6 * gradient[j].abs().max(1.0),
                "{name}: {difference} {gradient:?}"
            );
        }
    }
}

#[test]
fn the_triangle_of_a_tile_is_the_root_of_its_normal_equations() {
    let program = Program::new(model(MODELS[0]), vec![0, 1, 2]);
    let tile = tile(3_000, true);
    let loss = Loss { kind: LossKind::Cauchy, scale: 0.3 };
    for curvature in [Curvature::Exact, Curvature::Majorant, Curvature::Excess] {
        let costing = Costing { loss, curvature, solver: Solver::Tsqr, ..Costing::default() };
        let request = Request::linearize(vec![1.3, 0.7, 0.4], costing);
        let sums = Blocks::new().evaluator(&program).evaluate(&request, &tile);
        let Answer::Linearized(normal) = request.answer(3, &sums) else { panic!("not an answer to the request") };
        let triangle = normal[0].triangle.as_ref().expect("it was asked for");
        for j in 0..3 {
            for k in j..3 {
                let square: f64 = (0..3).map(|i| triangle.get(i, j) * triangle.get(i, k)).sum();
                assert!((square / normal[0].entry(j, k) - 1.0).abs() < 1e-12, "{square} {}", normal[0].entry(j, k));
            }
        }
    }
}
