//! A socket that turns a dead peer into a clean end of stream.
//!
//! Timely's communication threads panic on any read or write error, and the panic takes the process's other threads along.
//! This stream never lets them see one: it releases only whole frames; when the peer is gone it aborts the generation and
//! then reads as timely's own goodbye (a frame of length 0 followed by the end), and writes vanish. Nothing false reaches
//! the dataflow, because an aborted generation is never stepped again.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use timely::communication::allocator::zero_copy::stream::Stream;

use crate::generation::Generation;
use crate::wire::Wire;

/// Bytes of timely's frame header: six big-endian u64, the fifth of which is the length of what follows.
const HEADER: usize = 48;
const LENGTH_AT: std::ops::Range<usize> = 32..40;
/// A longer frame is not one of ours. The normal equations of 5,000 parameters take 200 MB.
const MAX_FRAME: usize = 1 << 30;
const READ_BYTES: usize = 1 << 16;

/// One end of the connection to a peer of the generation.
pub struct Fused {
    wire: Wire,
    generation: Arc<Generation>,
    peer: usize,
    received: Vec<u8>,
    /// Of `received`: handed out already, and complete.
    given: usize,
    complete: usize,
    goodbye: bool,
    ended: bool,
}

impl Fused {
    /// The end of `wire` at this process; `peer` is the index of the member at the other.
    pub fn new(wire: Wire, generation: Arc<Generation>, peer: usize) -> Self {
        Self { wire, generation, peer, received: Vec::new(), given: 0, complete: 0, goodbye: false, ended: false }
    }

    /// Marks the frames that have arrived whole.
    fn scan(&mut self) -> io::Result<()> {
        while self.received.len() - self.complete >= HEADER {
            let header = &self.received[self.complete..self.complete + HEADER];
            let length = u64::from_be_bytes(header[LENGTH_AT].try_into().expect("a range of eight bytes"));
            let length = usize::try_from(length).ok().filter(|&length| length <= MAX_FRAME);
            let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "frame too long"))?;
            if self.received.len() - self.complete < HEADER + length {
                break;
            }
            self.complete += HEADER + length;
            self.goodbye = length == 0;
        }
        Ok(())
    }

    /// Drops what has arrived in part and says goodbye in the peer's name.
    fn lose(&mut self, why: &str) {
        self.generation.abort(format!("lost peer {}: {why}", self.peer));
        self.received.clear();
        self.received.resize(HEADER, 0);
        self.given = 0;
        self.complete = HEADER;
        self.goodbye = true;
    }

    fn give(&mut self, out: &mut [u8]) -> usize {
        let n = out.len().min(self.complete - self.given);
        out[..n].copy_from_slice(&self.received[self.given..self.given + n]);
        self.given += n;
        if self.given == self.complete {
            self.received.drain(..self.given);
            self.given = 0;
            self.complete = 0;
            self.ended = self.goodbye;
        }
        n
    }
}

impl Read for Fused {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.given < self.complete {
                return Ok(self.give(out));
            }
            if self.ended {
                return Ok(0);
            }
            let before = self.received.len();
            self.received.resize(before + READ_BYTES, 0);
            let read = self.wire.read(&mut self.received[before..]);
            self.received.truncate(before + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => self.lose("connection closed"),
                Ok(_) => {
                    if let Err(error) = self.scan() {
                        self.lose(&error.to_string());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.lose(&error.to_string()),
            }
        }
    }
}

impl Write for Fused {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.generation.is_aborted() {
            return Ok(bytes.len());
        }
        match self.wire.write(bytes) {
            Ok(n) if n > 0 => Ok(n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            failed => {
                let why = failed.err().map_or_else(|| "connection closed".to_string(), |error| error.to_string());
                self.generation.abort(format!("lost peer {}: {why}", self.peer));
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Fused {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self::new(self.wire.try_clone()?, Arc::clone(&self.generation), self.peer))
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.wire.socket().set_nonblocking(nonblocking)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        // Fails when the peer was first; that is the same end.
        let _ = self.wire.shutdown(how);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::{Credentials, Purpose, RunId, accept, dial};
    use crate::secret::Secret;
    use crate::wire::Mode;
    use std::net::{TcpListener, TcpStream};

    const MODES: [Mode; 2] = [Mode::Plain, Mode::Encrypted];

    fn pair(wire: Mode) -> (Wire, Fused) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut dialed = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        let credentials = Credentials { secret: Secret::random().unwrap(), wire };
        let ends = std::thread::scope(|scope| {
            let dialing = scope.spawn(|| dial(&mut dialed, &credentials, Purpose::Control).unwrap());
            let accepting = accept(&mut accepted, &credentials, |_| true, || ()).unwrap();
            (dialing.join().unwrap().keys, accepting.keys)
        });
        let generation = Generation::new(RunId::random().unwrap(), 1);
        (Wire::new(dialed, ends.0), Fused::new(Wire::new(accepted, ends.1), Arc::new(generation), 3))
    }

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![7u8; HEADER];
        bytes[LENGTH_AT].copy_from_slice(&(payload.len() as u64).to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn a_torn_frame_is_dropped_and_reads_as_a_goodbye() {
        for mode in MODES {
            let (mut peer, mut fused) = pair(mode);
            let whole = frame(b"whole");
            peer.write_all(&whole).unwrap();
            peer.write_all(&frame(b"torn in the middle")[..HEADER + 4]).unwrap();
            drop(peer);
            let mut all = Vec::new();
            fused.read_to_end(&mut all).unwrap();
            assert_eq!(all[..whole.len()], whole);
            assert_eq!(all[whole.len()..], [0u8; HEADER]);
            assert!(fused.generation.is_aborted());
            assert_eq!(fused.generation.cause().unwrap(), "lost peer 3: connection closed");
        }
    }

    #[test]
    fn a_goodbye_ends_the_stream_without_an_abort() {
        for mode in MODES {
            let (mut peer, mut fused) = pair(mode);
            peer.write_all(&frame(b"")).unwrap();
            let mut all = Vec::new();
            fused.read_to_end(&mut all).unwrap();
            assert_eq!(all.len(), HEADER);
            assert!(!fused.generation.is_aborted());
        }
    }

    #[test]
    fn an_impossible_length_aborts() {
        for mode in MODES {
            let (mut peer, mut fused) = pair(mode);
            let mut bytes = frame(b"");
            bytes[LENGTH_AT].copy_from_slice(&u64::MAX.to_be_bytes());
            peer.write_all(&bytes).unwrap();
            let mut all = Vec::new();
            fused.read_to_end(&mut all).unwrap();
            assert_eq!(fused.generation.cause().unwrap(), "lost peer 3: frame too long");
        }
    }

    #[test]
    fn a_record_from_elsewhere_aborts_and_nothing_of_it_is_seen() {
        let (mut peer, mut fused) = pair(Mode::Encrypted);
        let whole = frame(b"whole");
        peer.write_all(&whole).unwrap();
        // Somebody on the way puts in bytes of his own.
        peer.socket().write_all(&[0, 32]).unwrap();
        peer.socket().write_all(&[9; 32]).unwrap();
        peer.write_all(&frame(b"what follows")).unwrap();
        let mut all = Vec::new();
        fused.read_to_end(&mut all).unwrap();
        assert!(all == [0u8; HEADER] || all == [&whole[..], &[0; HEADER]].concat(), "{all:?}");
        let cause = fused.generation.cause().unwrap();
        assert_eq!(cause, "lost peer 3: a record was not sealed by the peer, or not in this place");
    }

    #[test]
    fn reading_and_writing_handles_are_one_connection() {
        for mode in MODES {
            let (peer, fused) = pair(mode);
            let (mut reading, mut writing) = (fused.try_clone().unwrap(), fused.try_clone().unwrap());
            writing.write_all(b"said").unwrap();
            let mut said = [0; 4];
            peer.try_clone().unwrap().read_exact(&mut said).unwrap();
            assert_eq!(&said, b"said");
            peer.try_clone().unwrap().write_all(&frame(b"")).unwrap();
            reading.read_to_end(&mut Vec::new()).unwrap();
            fused.shutdown(Shutdown::Both).unwrap();
            assert!(!fused.generation.is_aborted());
        }
    }

    #[test]
    fn writes_vanish_after_an_abort() {
        for mode in MODES {
            let (peer, mut fused) = pair(mode);
            fused.generation.abort("test");
            assert_eq!(fused.write(b"nobody reads this").unwrap(), 17);
            drop(peer);
        }
    }
}
