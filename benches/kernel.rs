//! One tile through each backend and instruction set, beside the ceiling: reading the tile's points once.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nlsq_engine::data::numbers::Numbers;
use nlsq_engine::data::tile::{TILE_POINTS, Tile};
use nlsq_engine::expr::{Model, Names};
use nlsq_engine::kernel::blocks::{Blocks, InstructionSet};
use nlsq_engine::kernel::scalar::Scalar;
use nlsq_engine::kernel::{Backend, Costing, Precision, Program, Request};
use nlsq_engine::normal::Counts;

/// Name, expression, theta.
const MODELS: &[(&str, &str, &[f64])] = &[
    ("line", "a*t + b", &[2.0, 1.0]),
    ("decay", "a*exp(-b*t) + c", &[5.0, 3.0, 1.0]),
    ("gaussian", "a*exp(-((t - m)/s)^2/2) + c", &[5.0, 0.5, 0.1, 1.0]),
    ("two decays", "a*exp(-b*t) + c*exp(-d*t) + e0", &[5.0, 3.0, 2.0, 0.3, 1.0]),
    (
        "three peaks",
        "a*exp(-((t - m)/s)^2) + b*exp(-((t - n)/u)^2) + c*exp(-((t - o)/v)^2) + d",
        &[5.0, 0.2, 0.1, 3.0, 0.5, 0.1, 4.0, 0.8, 0.1, 1.0],
    ),
    ("waves", "a*sin(w*t) + b*cos(w*t) + c", &[1.0, 6.0, 2.0, 0.5]),
];

fn tile(width: fn(Vec<f64>) -> Numbers) -> Tile {
    let n = TILE_POINTS as usize;
    let t: Vec<f64> = (0..n).map(|k| ((k * 7_919) % n) as f64 / n as f64).collect();
    let y = t.iter().map(|t| 5.0 * (-3.0 * t).exp() + 1.0).collect();
    let counts = Counts { used: TILE_POINTS, masked: 0, nonfinite: 0 };
    Tile { index: 0, x: vec![width(t)], y: width(y), inverse_sigma: None, counts }
}

fn single(values: Vec<f64>) -> Numbers {
    Numbers::F32(values.into_iter().map(|v| v as f32).collect())
}

/// Adds up both columns in as many lanes as the machine likes.
fn read(tile: &Tile) -> f64 {
    let mut lanes = [0.0; 64];
    let (Numbers::F64(t), Numbers::F64(y)) = (&tile.x[0], &tile.y) else { return f64::NAN };
    for (t, y) in t.chunks_exact(64).zip(y.chunks_exact(64)) {
        for l in 0..64 {
            lanes[l] += t[l] + y[l];
        }
    }
    lanes.iter().sum()
}

fn kernels(criterion: &mut Criterion) {
    let (tile, small) = (tile(Numbers::F64), tile(single));
    let mut group = criterion.benchmark_group("kernel");
    group.throughput(Throughput::Elements(TILE_POINTS));
    group.bench_function("read (ceiling)", |bencher| bencher.iter(|| read(black_box(&tile))));
    let variables = ["t".to_string()];
    for (name, expression, theta) in MODELS {
        let parameters = [];
        let names = Names { variables: &variables, parameters: &parameters };
        let model = Model::parse(expression, &names).expect("a lawful model");
        let free = (0..theta.len()).collect();
        let program = Program::new(model, free);
        let request = |precision| Request::linearize(theta.to_vec(), Costing { precision, ..Costing::default() });
        let tapes = InstructionSet::available().map(|set| (format!("block tape, {}", set.name()), Blocks::with(set)));
        let best = Blocks::new();
        for (backend, blocks) in std::iter::once((best.name(), best)).chain(tapes) {
            let mut evaluator = blocks.evaluator(&program);
            for (precision, request) in Precision::NAMES.map(|(name, precision)| (name, request(precision))) {
                for (columns, tile) in [("f64", &tile), ("f32", &small)] {
                    let id = format!("{name}, {backend}, {precision} of {columns} columns");
                    group.bench_function(id, |bencher| bencher.iter(|| evaluator.evaluate(&request, black_box(tile))));
                }
            }
        }
        let request = request(Precision::F64);
        let mut evaluator = Scalar.evaluator(&program);
        group.sample_size(10);
        let id = format!("{name}, scalar reference");
        group.bench_function(id, |bencher| bencher.iter(|| evaluator.evaluate(&request, black_box(&tile))));
    }
    group.finish();
}

criterion_group!(benches, kernels);
criterion_main!(benches);
