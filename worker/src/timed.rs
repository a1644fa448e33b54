//! A socket during its handshake: all its reads and writes together end by a deadline, or when they are given up.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Longest wait of one read or write before the clock is looked at again.
const TURN: Duration = Duration::from_millis(100);
/// Shortest: a socket takes no timeout of zero.
const LEAST: Duration = Duration::from_millis(1);

/// A time limit for each read would let a peer that sends a byte an hour go on for ever.
pub(crate) struct Timed<'a> {
    pub(crate) socket: TcpStream,
    pub(crate) deadline: Instant,
    pub(crate) given_up: &'a (dyn Fn() -> bool + Sync),
}

impl Timed<'_> {
    /// How long the next call may take; an error when the time is up.
    fn turn(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || (self.given_up)() {
            return Err(io::Error::new(ErrorKind::TimedOut, "no answer in time"));
        }
        Ok(left.min(TURN).max(LEAST))
    }

    /// Without timeouts and delays, for what follows.
    pub(crate) fn ready(self) -> io::Result<TcpStream> {
        self.socket.set_read_timeout(None)?;
        self.socket.set_write_timeout(None)?;
        self.socket.set_nodelay(true)?;
        Ok(self.socket)
    }
}

/// Whether a call came back only because its turn was over.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

impl Read for Timed<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            self.socket.set_read_timeout(Some(self.turn()?))?;
            match self.socket.read(out) {
                Err(error) if is_timeout(&error) => {}
                done => return done,
            }
        }
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            self.socket.set_write_timeout(Some(self.turn()?))?;
            match self.socket.write(bytes) {
                Err(error) if is_timeout(&error) => {}
                done => return done,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
