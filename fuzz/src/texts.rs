//! Texts that a person writes: expressions and job files.

use nlsq_coordinator::config::{Job, JobFlags};
use nlsq_engine::expr::{Model, Names};
use nlsq_engine::kernel::Program;

use super::scratch::Scratch;

/// Longer expressions are no other cases, only slower ones.
const MAX_EXPRESSION: usize = 2_000;

/// An expression is refused at a place inside it, or read, differentiated and made into straight-line code.
pub fn expression(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if text.len() > MAX_EXPRESSION {
        return;
    }
    let names = Names { variables: &["t".to_string(), "x".to_string()], parameters: &["e".to_string()] };
    match Model::parse(text, &names) {
        Ok(model) => {
            let free = (0..model.parameters().len()).collect();
            Program::new(model, free);
        }
        Err(error) => {
            let span = error.span();
            assert!(span.start <= span.end && span.end <= text.len(), "{error}: {span:?} is outside the text");
        }
    }
}

/// A job file is refused with a message, or read.
pub fn job_file(bytes: &[u8]) {
    let file = Scratch::new("toml", bytes);
    if let Err(error) = Job::read(Some(&file.path), &JobFlags::default()) {
        assert!(!error.to_string().is_empty());
    }
}
