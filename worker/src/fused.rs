//! A socket that turns a dead peer into a clean end of stream.
//!
//! Timely's communication threads panic on any read or write error, and the panic takes the process's other threads along.
//! This stream never lets them see one: it releases only whole frames; when the peer is gone it aborts the generation and
//! then reads as timely's own goodbye (a frame of length 0 followed by the end), and writes vanish. Nothing false reaches
//! the dataflow, because an aborted generation is never stepped again.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use timely::communication::allocator::zero_copy::stream::Stream;

use crate::generation::Generation;

/// Bytes of timely's frame header: six big-endian u64, the fifth of which is the length of what follows.
const HEADER: usize = 48;
const LENGTH_AT: std::ops::Range<usize> = 32..40;
/// A longer frame is not one of ours. The normal equations of 5,000 parameters take 200 MB.
const MAX_FRAME: usize = 1 << 30;
const READ_BYTES: usize = 1 << 16;

/// One end of the connection to a peer of the generation.
pub(crate) struct Fused {
    socket: TcpStream,
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
    pub(crate) fn new(socket: TcpStream, generation: Arc<Generation>, peer: usize) -> Self {
        Self { socket, generation, peer, received: Vec::new(), given: 0, complete: 0, goodbye: false, ended: false }
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
            let read = self.socket.read(&mut self.received[before..]);
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
        match self.socket.write(bytes) {
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
        Ok(Self::new(self.socket.try_clone()?, Arc::clone(&self.generation), self.peer))
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        // Fails when the peer was first; that is the same end.
        let _ = self.socket.shutdown(how);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn pair() -> (TcpStream, Fused) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        (peer, Fused::new(socket, Arc::new(Generation::new(1)), 3))
    }

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![7u8; HEADER];
        bytes[LENGTH_AT].copy_from_slice(&(payload.len() as u64).to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn a_torn_frame_is_dropped_and_reads_as_a_goodbye() {
        let (mut peer, mut fused) = pair();
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

    #[test]
    fn a_goodbye_ends_the_stream_without_an_abort() {
        let (mut peer, mut fused) = pair();
        peer.write_all(&frame(b"")).unwrap();
        let mut all = Vec::new();
        fused.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), HEADER);
        assert!(!fused.generation.is_aborted());
    }

    #[test]
    fn an_impossible_length_aborts() {
        let (mut peer, mut fused) = pair();
        let mut bytes = frame(b"");
        bytes[LENGTH_AT].copy_from_slice(&u64::MAX.to_be_bytes());
        peer.write_all(&bytes).unwrap();
        let mut all = Vec::new();
        fused.read_to_end(&mut all).unwrap();
        assert_eq!(fused.generation.cause().unwrap(), "lost peer 3: frame too long");
    }

    #[test]
    fn writes_vanish_after_an_abort() {
        let (peer, mut fused) = pair();
        fused.generation.abort("test");
        assert_eq!(fused.write(b"nobody reads this").unwrap(), 17);
        drop(peer);
    }
}
