//! stdout: results and nothing else.

use std::io::{self, Write as _};

use super::Failure;

/// Prints a result. A reader that went away is no failure of the program.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::BrokenPipe),
        Err(error) => Err(Failure::Files(format!("cannot write to stdout: {error}"))),
    }
}
