//! One tile through each backend and instruction set, beside the ceiling: reading the tile's points once.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nlsq_engine::data::tile::{TILE_POINTS, Tile};
use nlsq_engine::expr::{Model, Names};
use nlsq_engine::kernel::blocks::{Blocks, InstructionSet};
use nlsq_engine::kernel::scalar::Scalar;
use nlsq_engine::kernel::{Backend, Costing, Program, Request};
use nlsq_engine::normal::Counts;

/// Name, expression, theta.
const MODELS: &[(&str, &str, &[f64])] = &[
    ("line", "a*t + b", &[2.0, 1.0]),
    ("decay", "a*exp(-b*t) + c", &[5.0, 3.0, 1.0]),
    ("gaussian", "a*exp(-((t - m)/s)^2/2) + c", &[5.0, 0.5, 0.1, 1.0]),
    ("two decays", "a*exp(-b*t) + c*exp(-d*t) + e0", &[5.0, 3.0, 2.0, 0.3, 1.0]),
];

fn tile() -> Tile {
    let n = TILE_POINTS as usize;
    let t: Vec<f64> = (0..n).map(|k| ((k * 7_919) % n) as f64 / n as f64).collect();
    let y = t.iter().map(|t| 5.0 * (-3.0 * t).exp() + 1.0).collect();
    Tile { index: 0, x: vec![t], y, inverse_sigma: None, counts: Counts { used: TILE_POINTS, masked: 0, nonfinite: 0 } }
}

/// Adds up both columns in as many lanes as the machine likes.
fn read(tile: &Tile) -> f64 {
    let mut lanes = [0.0; 64];
    for (t, y) in tile.x[0].chunks_exact(64).zip(tile.y.chunks_exact(64)) {
        for l in 0..64 {
            lanes[l] += t[l] + y[l];
        }
    }
    lanes.iter().sum()
}

fn kernels(criterion: &mut Criterion) {
    let tile = tile();
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
        let request = Request::linearize(theta.to_vec(), Costing::default());
        for set in InstructionSet::available() {
            let mut evaluator = Blocks::with(set).evaluator(&program);
            let id = format!("{name}, block tape, {}", set.name());
            group.bench_function(id, |bencher| bencher.iter(|| evaluator.evaluate(&request, black_box(&tile))));
        }
        let mut evaluator = Scalar.evaluator(&program);
        group.sample_size(10);
        let id = format!("{name}, scalar reference");
        group.bench_function(id, |bencher| bencher.iter(|| evaluator.evaluate(&request, black_box(&tile))));
    }
    group.finish();
}

criterion_group!(benches, kernels);
criterion_main!(benches);
