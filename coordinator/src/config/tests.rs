//! Jobs from files and flags.

use clap::{Args as _, Command, FromArgMatches as _};

use super::*;

fn flags(words: &[&str]) -> JobFlags {
    let command = JobFlags::augment_args(Command::new("fit").no_binary_name(true));
    JobFlags::from_arg_matches(&command.try_get_matches_from(words).unwrap()).unwrap()
}

const FLAGS: [&str; 10] = ["--data", "d.csv", "--x", "t", "--y", "y", "--model", "a*exp(-b*t)", "--p0", "a=1,b=2"];

/// A job from flags alone.
pub(crate) fn job() -> Job {
    Job::read(None, &flags(&FLAGS)).unwrap()
}

fn with(more: &[&str]) -> Result<Job, String> {
    Job::read(None, &flags(&[&FLAGS, more].concat())).map_err(|error| error.to_string())
}

/// A job file in a directory of its own.
fn from_file(text: &str, words: &[&str]) -> Result<Job, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("decay.toml");
    std::fs::write(&path, text).unwrap();
    let relative = |message: String| message.replace(&format!("{}/", dir.path().display()), "");
    Job::read(Some(&path), &flags(words)).map_err(|error| {
        relative(match error.help() {
            Some(help) => format!("{error} | {help}"),
            None => error.to_string(),
        })
    })
}

const FILE: &str = r#"
[model]
expression = "a*exp(-b*t) + c"

[data]
files = ["run42/*.parquet"]
x = ["t"]
y = "counts"
sigma = "err"

[parameters]
a = { start = 1.0, min = 0.0 }
b = { start = 0.1, min = 0.0, max = 10.0 }
c = { value = 0.5, fixed = true }

[fit]
method = "hybrid"
loss = "soft_l1"
loss_scale = 2
xtol = 1e-9
max_passes = 100

[cluster]
workers = "4..8"
listen = "0.0.0.0:7440"

[output]
dir = "runs/run42"
"#;

#[test]
fn a_job_file_says_all() {
    let job = from_file(FILE, &[]).unwrap();
    assert_eq!(job.name, "decay");
    assert_eq!(job.data.files, ["run42/*.parquet"]);
    assert_eq!((job.data.y.as_str(), job.data.sigma.as_deref()), ("counts", Some("err")));
    let names: Vec<&str> = job.parameters.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!((job.parameters[1].min, job.parameters[1].max), (0.0, 10.0));
    assert_eq!((job.parameters[2].start, job.parameters[2].fixed), (Start::Given(0.5), true));
    assert_eq!(job.fit.options.costing.loss, Loss { kind: LossKind::SoftL1, scale: 2.0 });
    let minimizer = &job.fit.options.minimizer;
    assert_eq!((minimizer.xtol, minimizer.ftol, minimizer.max_passes), (1e-9, 1e-10, 100));
    assert_eq!(job.cluster.workers, Some((4, 8)));
    assert!(job.output.dir.unwrap().ends_with("runs/run42"));
    assert!(job.data.base.is_absolute());
}

#[test]
fn flags_win() {
    let words = ["--xtol", "0", "--weights", "w", "--p0", "a=-3", "--bounds", "b=:5", "--fix", "a=2", "--workers", "2"];
    let job = from_file(FILE, &words).unwrap();
    assert_eq!(job.fit.options.minimizer.xtol, 0.0);
    assert_eq!((job.data.sigma, job.data.weights.as_deref()), (None, Some("w")));
    assert_eq!((job.parameters[0].start, job.parameters[0].fixed), (Start::Given(2.0), true));
    assert_eq!((job.parameters[1].min, job.parameters[1].max), (f64::NEG_INFINITY, 5.0));
    assert_eq!(job.cluster.workers, Some((2, 2)));
}

#[test]
fn defaults_are_those_of_the_table() {
    let job = job();
    assert_eq!(job.fit.options.minimizer, nlsq_engine::minimize::Options::default());
    assert_eq!(job.fit.options.costing.loss, Loss::default());
    assert_eq!(job.fit.tile_points, nlsq_engine::data::tile::TILE_POINTS);
    assert_eq!(job.output, OutputSettings { dir: None, overwrite: false, progress: ProgressMode::Auto, json: false });
    assert_eq!(job.name, "fit");
}

#[test]
fn values_may_begin_with_a_hyphen() {
    let words =
        ["--data", "d.csv", "--x", "t", "--y", "-y", "--model", "-a*t", "--p0", "a=-1", "--bounds", "a=-5:-0.5"];
    let job = Job::read(None, &flags(&words)).unwrap();
    assert_eq!((job.model.expression.as_str(), job.data.y.as_str()), ("-a*t", "-y"));
    assert_eq!((job.parameters[0].min, job.parameters[0].max), (-5.0, -0.5));
}

/// What is said of the file with `to` in the place of `from`.
fn refused(from: &str, to: &str) -> String {
    assert!(FILE.contains(from));
    from_file(&FILE.replacen(from, to, 1), &[]).unwrap_err()
}

fn line_of(text: &str) -> usize {
    FILE.lines().position(|line| line.contains(text)).unwrap() + 1
}

fn expect(from: &str, to: &str, message: &str) {
    let found = refused(from, to);
    assert_eq!(found, format!("decay.toml, line {}: {message}", line_of(from)), "{to}");
}

#[test]
fn faults_of_keys_and_values_name_their_line() {
    expect("xtol =", "xtoll =", "unknown key \"xtoll\" in [fit] | did you mean \"xtol\"?");
    expect("[cluster]", "[clusters]", "unknown key \"clusters\" | did you mean \"cluster\"?");
    expect("sigma = \"err\"", "loss = \"err\"", "unknown key \"loss\" in [data] | \"loss\" belongs into [fit]");
    expect("expression =", "model =", "unknown key \"model\" in [model] | the key of --model is \"expression\"");
    expect(
        "xtol = 1e-9",
        "xtol = \"small\"",
        "fit.xtol: expected a finite number, 0 or above, found the text \"small\"",
    );
    expect(
        "max_passes = 100",
        "max_passes = 0",
        "fit.max_passes: expected a whole number, 1 or above, found the whole number 0",
    );
    expect(
        "workers = \"4..8\"",
        "workers = \"8..4\"",
        "cluster.workers: expected N or MIN..MAX with 1 <= MIN <= MAX, found the text \"8..4\"",
    );
    expect(
        "loss = \"soft_l1\"",
        "loss = \"l1\"",
        "fit.loss: expected one of linear, soft_l1, huber, cauchy, arctan, tukey, found the text \"l1\"",
    );
    expect("x = [\"t\"]", "x = []", "data.x: expected a list of columns, found an empty list");
    expect("a = { start = 1.0,", "a = { star = 1.0,", "unknown key \"parameters.a.star\" | did you mean \"start\"?");
    expect(
        "a = { start = 1.0,",
        "a = { start = nan,",
        "parameters.a.start: expected a finite number or \"auto\", found the number nan",
    );
}

#[test]
fn faults_between_keys_name_their_line() {
    expect(
        "b = { start = 0.1, min = 0.0",
        "b = { start = 0.1, min = 20.0",
        "parameter \"b\": the bounds are reversed: min = 20 is above max = 10",
    );
    expect(
        "c = { value = 0.5, fixed = true }",
        "cc = { value = 0.5, fixed = true }",
        "the model has no parameter \"cc\" | it has c, a, b",
    );
    expect(
        "c = { value = 0.5, fixed = true }",
        "c = { value = 0.5 }",
        "parameters.c.value: it is for fixed parameters; expected start, or fixed = true beside it",
    );
    expect(
        "method = \"hybrid\"",
        "method = \"lm\"",
        "method lm takes no loss but linear, found loss soft_l1; expected method hybrid or trf",
    );
    expect(
        "listen = \"0.0.0.0:7440\"",
        "listen = \"7440\"",
        "--listen (cluster.listen): expected HOST:PORT, found \"7440\"",
    );
    assert!(refused("c = {", "c = [").starts_with(&format!("decay.toml, line {}: ", line_of("c = {"))));
    assert!(
        refused("sigma = \"err\"", "sigma = \"err\"\nweights = \"w\"")
            .contains("data.sigma and data.weights exclude each other")
    );
}

fn with_phases(method: &str, keys: &str) -> Result<Job, String> {
    let file = FILE.replace("[cluster]", &format!("[fit.hybrid]\n{keys}\n\n[cluster]"));
    from_file(
        &file.replace("method = \"hybrid\"\nloss = \"soft_l1\"\nloss_scale = 2", &format!("method = \"{method}\"")),
        &[],
    )
}

#[test]
fn the_phases_of_a_fit_have_a_table_of_their_own() {
    use nlsq_engine::hybrid::{Companion, Normalization, Options, Preset, WarmUpRule, warm_up};
    let plain = with_phases("hybrid", "preset = \"default\"").unwrap().fit.options;
    let expected = |preset: Preset| {
        let mut options = Options { minimizer: plain.minimizer.clone(), ..Options::default() };
        preset.apply(&mut options);
        options
    };
    assert_eq!(plain, expected(Preset::Default), "the defaults of the table are those of the engine");
    for (name, preset) in Preset::NAMES {
        let options = with_phases("hybrid", &format!("preset = \"{name}\"")).unwrap().fit.options;
        assert_eq!(options, expected(preset), "{name}");
    }
    let keys = "preset = \"defense_strict\"\nmax_step = 0.75\nwarm_up = \"always\"\nwarm_up_method = \"adam\"\n\
        line_search = \"backtracking\"\nnormalization = \"columns\"\nsecond_descent = \"never\"\ndescent = \"dogleg\"\n\
        trust_region_initial = 2\nregularization = 1e-3\nmax_refine_passes = 30\nmin_iterations = 4\n\
        max_iterations = 6\nlbfgs_history = 3\ncost_guard = false\nlearning_rate = 0.5\nplateau_threshold = 0";
    let options = with_phases("hybrid", keys).unwrap().fit.options;
    let warming = &options.warming;
    assert_eq!((warming.max_step, warming.warm_start_threshold), (0.75, 0.01), "a key wins over the preset");
    assert_eq!((options.warm_up, warming.descent), (WarmUpRule::Always, warm_up::Descent::Adam));
    assert_eq!((options.normalization, options.companion), (Normalization::Columns, Companion::Never));
    assert_eq!((options.minimizer.first_radius, options.minimizer.regularization), (Some(2.0), 1e-3));
    assert_eq!((options.max_refine_passes, warming.min_iterations, warming.max_iterations), (Some(30), 4, 6));
    assert_eq!((warming.history, warming.cost_guard, warming.learning_rate, warming.plateau), (3, false, 0.5, 0.0));
    assert_eq!(warming.line_search, warm_up::LineSearch::Backtracking);
    assert_eq!(options.minimizer.descent, nlsq_engine::minimize::Descent::Dogleg);
}

#[test]
fn faults_of_phases_say_what_and_where() {
    let expect = |method: &str, keys: &str, fragment: &str| {
        let message = with_phases(method, keys).unwrap_err();
        assert!(message.contains(fragment), "{keys}: {message}");
    };
    expect("hybrid", "max_stepp = 1", "unknown key \"max_stepp\" in [fit.hybrid] | did you mean \"max_step\"?");
    expect("hybrid", "xtol = 1", "\"xtol\" belongs into [fit]");
    expect("hybrid", "max_step = 0", "fit.hybrid.max_step: expected a finite number above 0");
    expect("hybrid", "preset = \"fast\"", "fit.hybrid.preset: expected one of default, aggressive");
    expect(
        "trf",
        "warm_up = \"always\"",
        "fit.hybrid.warm_up is for methods hybrid and global, which have phases; found method trf",
    );
    let message = from_file(&FILE.replace("[cluster]", "[hybrid]"), &[]).unwrap_err();
    assert!(message.contains("unknown key \"hybrid\" | write [fit.hybrid]"), "{message}");
    let trf = with_phases("trf", "descent = \"dogleg\"\nregularization = 0.5").unwrap();
    assert_eq!(trf.fit.options.minimizer.regularization, 0.5);
}

#[test]
fn faults_of_flags_name_the_flag() {
    let expect = |words: &[&str], fragment: &str| {
        let message = with(words).unwrap_err();
        assert!(message.contains(fragment), "{words:?}: {message}");
    };
    expect(&["--xtol", "-1"], "--xtol: expected a finite number, 0 or above, found \"-1\"");
    expect(&["--tile-points", "1000"], "--tile-points: expected a multiple of 2048");
    expect(&["--device", "cuda"], "this build has no CUDA device support");
    expect(&["--builtin", "linear"], "exclude each other");
    expect(&["--sigma", "s", "--weights", "w"], "exclude each other");
    expect(&["--absolute-sigma"], "expected --sigma or --weights");
    expect(&["--method", "lm", "--bounds", "a=0:1"], "method lm takes no bounds, found bounds of \"a\"");
    expect(&["--method", "lm", "--loss", "huber"], "method lm takes no loss but linear");
    expect(&["--listen", "127.0.0.1:0"], "needs --workers");
    expect(&["--token-file", "t", "--workers", "2"], "expected --listen beside it");
    expect(&["--rendezvous", "r"], "needs --workers");
    expect(&["--rendezvous", "r", "--workers", "2", "--token-file", "t"], "expected one of them");
    expect(&["--placement", "scattered"], "expected --workers beside it");
    expect(&["--heartbeat", "2"], "expected --workers beside it");
    expect(&["--workers", "2", "--heartbeat", "8"], "expected at least twice as long");
    expect(&["--memory", "lots"], "--memory: expected a size in bytes, such as 8GiB");
    expect(&["--wire", "encrypted"], "expected --workers beside it");
    expect(&["--workers", "2", "--wire", "scrambled"], "expected one of plain, encrypted");
    expect(&["--x", "t"], "the variable \"t\" is given twice");
    expect(&["--sigma", "--mask"], "--sigma: expected a value, found the flag --mask");
    expect(&["--csv", "sep"], "sep");
    expect(&["--data", "job.toml"], "is a job file");
}

#[test]
fn lm_is_lawful_with_fixed_parameters_and_open_bounds() {
    let job = with(&["--method", "lm", "--bounds", "b=0:9", "--fix", "b=3"]).unwrap();
    assert_eq!(job.fit.options.minimizer.method, Method::Lm);
}

#[test]
fn a_builtin_model_brings_bounds_and_estimates() {
    let words = ["--data", "d.csv", "--x", "t", "--y", "y", "--builtin", "gaussian", "--p0", "auto"];
    let job = Job::read(None, &flags(&words)).unwrap();
    assert_eq!(job.name, "gaussian");
    assert!(job.parameters.iter().all(|p| p.start == Start::Auto));
    assert!(job.parameters.iter().any(|p| p.min.is_finite()), "a width is above 0");
    let lm = Job::read(None, &flags(&[&words[..], &["--method", "lm"]].concat())).unwrap();
    assert!(lm.parameters.iter().all(|p| p.min == f64::NEG_INFINITY));
    let error = Job::read(None, &flags(&[&FLAGS[..8], &["--p0", "auto"]].concat())).unwrap_err();
    assert!(error.to_string().contains("only built-in models estimate starts"));
}

#[test]
fn a_job_reads_back_from_what_it_writes() {
    let round_trip = |job: Job| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(format!("{}.toml", job.name));
        std::fs::write(&path, job.to_toml()).unwrap();
        let mut back = Job::read(Some(&path), &JobFlags::default()).unwrap();
        back.model.valued = job.model.valued.clone();
        assert_eq!(back, job, "{}", job.to_toml());
    };
    round_trip(job());
    round_trip(from_file(FILE, &[]).unwrap());
    round_trip(with_phases("hybrid", "preset = \"conservative\"\nmax_refine_passes = 9\nwarm_up = \"never\"").unwrap());
    round_trip(with_phases("trf", "descent = \"dogleg\"\ntrust_region_initial = 0.25").unwrap());
    round_trip(from_file(FILE, &["--csv", "sep=;,comment=#,header=no", "--threads", "3", "--p0", "a=1e-300"]).unwrap());
    round_trip(
        with(&["--sigma", "s", "--absolute-sigma", "--token-file", "secret", "--workers", "3", "--listen", "[::1]:0"])
            .unwrap(),
    );
    round_trip(with(&["--workers", "1..3", "--rendezvous", "here", "--listen", "127.0.0.1:0"]).unwrap());
    let builtin = ["--data", "d.csv", "--x", "t='a \"b\"'", "--y", "log(y)", "--builtin", "gaussian", "--p0", "auto"];
    round_trip(Job::read(None, &flags(&builtin)).unwrap());
    let open = [&builtin[..], &["--bounds", "sigma=:9"]].concat();
    if let Ok(job) = Job::read(None, &flags(&open)) {
        round_trip(job);
    }
}

#[test]
fn files_of_flags_start_from_the_current_directory() {
    let job = from_file(FILE, &["--data", "here.csv", "--out", "there"]).unwrap();
    let current = std::env::current_dir().unwrap();
    assert_eq!(job.data.files, [current.join("here.csv").to_str().unwrap()]);
    assert_eq!(job.output.dir.unwrap(), current.join("there"));
}
