//! What travels on a connection that has been proved: the bytes themselves, or records that nobody else can read or change.
//!
//! A record is its length (u16, big-endian), then ChaCha20-Poly1305 over at most 65,519 bytes, under the keys of the
//! [handshake](crate::handshake). Its number is its nonce and is not sent: both sides count. So a record that was changed,
//! left out, repeated, swapped with another or taken from another connection does not open, and nothing that follows it is
//! looked at. Each direction has its own key. A connection that is cut between two records looks like one that was closed;
//! whether all was said is for those who speak to know (timely says goodbye, a control connection is for life).
//!
//! [`Sealer`] and [`Opener`] hold the bytes; [`Wire`] is a blocking socket with or without them.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use snow::StatelessTransportState;

/// How bytes travel. The greater is the safer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// As they are, once both sides have proved that they know the secret.
    Plain,
    /// In records.
    Encrypted,
}

impl Mode {
    /// What people call them.
    pub const NAMES: [(&'static str, Mode); 2] = [("plain", Mode::Plain), ("encrypted", Mode::Encrypted)];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Encrypted => "encrypted",
        }
    }
}

/// Bytes of a record's length.
const PREFIX: usize = 2;
/// Bytes of a record's proof.
pub(crate) const TAG: usize = 16;
/// Most bytes in a record.
const MAX_CONTENT: usize = u16::MAX as usize - TAG;
/// A connection ends after so many records: a nonce is never used twice. At 65,519 bytes each that is 18 EB.
const MAX_RECORDS: u64 = 1 << 48;
/// Bytes read, and bytes sealed, in one go.
const TURN: usize = 4 * MAX_CONTENT;

/// Why a connection is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum WireError {
    #[error("a record was not sealed by the peer, or not in this place")]
    Forged,
    #[error("the connection has carried {MAX_RECORDS} records: a new one is needed")]
    Exhausted,
}

impl From<WireError> for io::Error {
    fn from(error: WireError) -> Self {
        io::Error::new(ErrorKind::InvalidData, error)
    }
}

/// Both ends of one side's keys.
pub(crate) fn keys(transport: StatelessTransportState, sealed: u64, opened: u64) -> (Sealer, Opener) {
    let keys = Arc::new(transport);
    let opener = Opener { keys: Arc::clone(&keys), next: opened, arrived: Vec::new(), error: None };
    (Sealer { keys, next: sealed }, opener)
}

/// Puts bytes into records.
pub struct Sealer {
    keys: Arc<StatelessTransportState>,
    next: u64,
}

impl Sealer {
    /// Appends the records that hold `bytes`.
    pub fn seal(&mut self, bytes: &[u8], records: &mut Vec<u8>) -> Result<(), WireError> {
        for content in bytes.chunks(MAX_CONTENT) {
            if self.next >= MAX_RECORDS {
                return Err(WireError::Exhausted);
            }
            let start = records.len();
            let length = content.len() + TAG;
            records.resize(start + PREFIX + length, 0);
            let prefix = u16::try_from(length).expect("content and tag fit a record");
            records[start..start + PREFIX].copy_from_slice(&prefix.to_be_bytes());
            let sealed = self.keys.write_message(self.next, content, &mut records[start + PREFIX..]);
            sealed.expect("the record has room for its content");
            self.next += 1;
        }
        Ok(())
    }
}

/// Takes bytes out of records.
pub struct Opener {
    keys: Arc<StatelessTransportState>,
    next: u64,
    /// The beginning of a record that has not arrived whole.
    arrived: Vec<u8>,
    /// Once given, for good.
    error: Option<WireError>,
}

impl Opener {
    /// Takes what has arrived, and appends the content of the records that are whole.
    pub fn open(&mut self, arrived: &[u8], content: &mut Vec<u8>) -> Result<(), WireError> {
        if self.error.is_none() {
            self.arrived.extend_from_slice(arrived);
            self.error = self.open_whole(content).err();
        }
        self.error.map_or(Ok(()), Err)
    }

    fn open_whole(&mut self, content: &mut Vec<u8>) -> Result<(), WireError> {
        let mut at = 0;
        while let Some((prefix, rest)) = self.arrived[at..].split_first_chunk::<PREFIX>() {
            let length = usize::from(u16::from_be_bytes(*prefix));
            // Nobody seals nothing: such a record could only keep us busy.
            if length <= TAG {
                return Err(WireError::Forged);
            }
            let Some(record) = rest.get(..length) else { break };
            if self.next >= MAX_RECORDS {
                return Err(WireError::Exhausted);
            }
            let start = content.len();
            content.resize(start + length - TAG, 0);
            if self.keys.read_message(self.next, record, &mut content[start..]).is_err() {
                content.truncate(start);
                return Err(WireError::Forged);
            }
            self.next += 1;
            at += PREFIX + length;
        }
        self.arrived.drain(..at);
        Ok(())
    }

    /// Whether a record has arrived in part.
    pub fn is_torn(&self) -> bool {
        !self.arrived.is_empty()
    }
}

struct Sending {
    sealer: Sealer,
    records: Vec<u8>,
    /// A record was sent in part: nothing that follows it could be opened.
    broken: bool,
}

struct Receiving {
    opener: Opener,
    buffer: Vec<u8>,
    content: Vec<u8>,
    /// Bytes of `content` that were handed out.
    given: usize,
}

#[derive(Clone)]
struct Records {
    sending: Arc<Mutex<Sending>>,
    receiving: Arc<Mutex<Receiving>>,
}

/// A blocking socket whose peer has been proved. Clones are one connection: they share its records.
pub struct Wire {
    socket: TcpStream,
    records: Option<Records>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({:?}, {})", self.socket, self.mode().name())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these mutexes hold is valid after every statement, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wire {
    /// A socket as a handshake has left it.
    pub fn new(socket: TcpStream, keys: Option<(Sealer, Opener)>) -> Self {
        let records = keys.map(|(sealer, opener)| Records {
            sending: Arc::new(Mutex::new(Sending { sealer, records: Vec::new(), broken: false })),
            receiving: Arc::new(Mutex::new(Receiving { opener, buffer: Vec::new(), content: Vec::new(), given: 0 })),
        });
        Self { socket, records }
    }

    /// How its bytes travel.
    pub fn mode(&self) -> Mode {
        if self.records.is_some() { Mode::Encrypted } else { Mode::Plain }
    }

    /// Another handle of the same connection.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.try_clone()?, records: self.records.clone() })
    }

    /// The socket, for its addresses, timeouts and end; what is read from it or written to it directly breaks the records.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Our own address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Ends the connection: reads and writes that wait return.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }
}

impl Read for Wire {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match &self.records {
            None => self.socket.read(out),
            Some(records) => lock(&records.receiving).read(&mut self.socket, out),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.records {
            None => self.socket.write(bytes),
            Some(records) => lock(&records.sending).write(&mut self.socket, bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

impl Receiving {
    fn read(&mut self, socket: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
        while self.given == self.content.len() {
            self.content.clear();
            self.given = 0;
            self.buffer.resize(TURN, 0);
            // A time that has run out loses nothing: what arrived before it is kept.
            let n = socket.read(&mut self.buffer)?;
            if n == 0 {
                let torn = || io::Error::new(ErrorKind::UnexpectedEof, "the connection ended within a record");
                return if self.opener.is_torn() { Err(torn()) } else { Ok(0) };
            }
            if let Err(error) = self.opener.open(&self.buffer[..n], &mut self.content) {
                self.content.clear();
                return Err(error.into());
            }
        }
        let n = out.len().min(self.content.len() - self.given);
        out[..n].copy_from_slice(&self.content[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

impl Sending {
    fn write(&mut self, socket: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
        if self.broken {
            return Err(io::Error::new(ErrorKind::BrokenPipe, "an earlier record was sent in part"));
        }
        let n = bytes.len().min(TURN);
        self.records.clear();
        // Until the records are out, they are out in part.
        self.broken = true;
        self.sealer.seal(&bytes[..n], &mut self.records)?;
        socket.write_all(&self.records)?;
        self.broken = false;
        Ok(n)
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
