//! What the fuzz targets do with their bytes: plain functions, so that a test runs the corpora without a fuzzer.

pub mod checkpoints;
pub mod readers;
mod scratch;
pub mod texts;
pub mod wire;

/// A target: what it does with bytes.
pub type Target = fn(&[u8]);

/// Every target, by the name of its program in fuzz_targets/ and of its folder in corpus/.
pub const TARGETS: &[(&str, Target)] = &[
    ("handshake_acceptor", wire::handshake_acceptor),
    ("handshake_dialer", wire::handshake_dialer),
    ("handshake_changed", wire::handshake_changed),
    ("records", wire::records),
    ("data_stream", wire::data_stream),
    ("frames", wire::frames),
    ("command", wire::command),
    ("response", wire::response),
    ("checkpoint", checkpoints::checkpoint),
    ("expression", texts::expression),
    ("job_file", texts::job_file),
    ("csv", readers::csv),
    ("csv_gz", readers::csv_gz),
    ("npy", readers::npy),
    ("npz", readers::npz),
    ("parquet", readers::parquet),
    ("arrow", readers::arrow),
    ("hdf5", readers::hdf5),
];

/// A panic that the program itself turns into an error is no find: the fuzzer's hook must not hear of it.
pub fn ignore_guarded_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !nlsq_engine::data::guard::is_guarded() {
            report(panic);
        }
    }));
}
