//! See `nlsq_fuzz::TARGETS`. It names its function alone, so that it is linked with no other's code, which the fuzzer would
//! look through after each input.
#![no_main]

libfuzzer_sys::fuzz_target!(init: nlsq_fuzz::ignore_guarded_panics(), |bytes: &[u8]| nlsq_fuzz::checkpoints::checkpoint(bytes));
