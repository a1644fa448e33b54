//! See `nlsq_fuzz::TARGETS`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: nlsq_fuzz::ignore_guarded_panics(), |bytes: &[u8]| nlsq_fuzz::target("arrow")(bytes));
