//! What strangers may put on a connection: handshakes, records, frames, messages.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};

use nlsq_worker::fused::Fused;
use nlsq_worker::generation::Generation;
use nlsq_worker::handshake::{
    Acceptor, Agreed, CHALLENGE, Credentials, Dialer, HELLO, HandshakeError, Purpose, RESPONSE, RunId,
};
use nlsq_worker::protocol::codec::{Inbox, JOINING, MAX_FRAME, decode, encode};
use nlsq_worker::protocol::{Command, Response};
use nlsq_worker::secret::Secret;
use nlsq_worker::wire::{Mode, Wire};
use serde::Serialize;
use serde::de::DeserializeOwned;

const RUN: RunId = RunId([1; 16]);
const DATA: Purpose = Purpose::Data { run: RUN, generation: 2, from: 1, to: 0 };

fn credentials() -> Credentials {
    let secret = Secret::from_hex(&"5a".repeat(32)).expect("64 hexadecimal digits");
    Credentials { secret, wire: Mode::Encrypted }
}

/// The next bytes of the input, zeros once it is used up.
fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (part, rest) = bytes.split_at(bytes.len().min(N));
    *bytes = rest;
    let mut all = [0; N];
    all[..part.len()].copy_from_slice(part);
    all
}

fn change<const N: usize>(message: &mut [u8; N], bytes: &mut &[u8]) -> bool {
    let mask: [u8; N] = take(bytes);
    message.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    mask.iter().any(|mask| *mask != 0)
}

/// Bytes of a stranger, taken for the first message of a dialer: never proved.
pub fn handshake_acceptor(mut bytes: &[u8]) {
    let hello: [u8; HELLO] = take(&mut bytes);
    let refused = Acceptor::new(&credentials(), &hello, |_| true).map(|_| ());
    assert!(matches!(refused, Err(HandshakeError::Foreign | HandshakeError::Unproven)), "{refused:?}");
}

/// Bytes of a stranger, taken for the answer of an acceptor: never proved.
pub fn handshake_dialer(mut bytes: &[u8]) {
    let (dialer, _) = Dialer::new(&credentials(), DATA).expect("the system gives random numbers");
    let challenge: [u8; CHALLENGE] = take(&mut bytes);
    let refused = dialer.respond(&challenge).map(|_| ());
    assert!(matches!(refused, Err(HandshakeError::Unproven)), "{refused:?}");
}

/// A true handshake with the input laid over its messages: proved if and only if nothing was changed.
pub fn handshake_changed(mut bytes: &[u8]) {
    let mut changed = false;
    let proved = shake(|message| {
        changed |= match message {
            Message::Hello(hello) => change(hello, &mut bytes),
            Message::Challenge(challenge) => change(challenge, &mut bytes),
            Message::Response(response) => change(response, &mut bytes),
        }
    });
    assert_eq!(proved.is_err(), changed);
}

enum Message<'a> {
    Hello(&'a mut [u8; HELLO]),
    Challenge(&'a mut [u8; CHALLENGE]),
    Response(&'a mut [u8; RESPONSE]),
}

fn shake(mut on_the_way: impl FnMut(Message<'_>)) -> Result<(Agreed, Agreed), HandshakeError> {
    let (dialer, mut hello) = Dialer::new(&credentials(), DATA)?;
    on_the_way(Message::Hello(&mut hello));
    let (acceptor, mut challenge) = Acceptor::new(&credentials(), &hello, |purpose| purpose == DATA)?;
    on_the_way(Message::Challenge(&mut challenge));
    let (dialed, mut response) = dialer.respond(&challenge)?;
    on_the_way(Message::Response(&mut response));
    Ok((dialed, acceptor.accept(&response)?))
}

/// True records with the input laid over them, in pieces: what opens is a beginning of what was sealed.
pub fn records(bytes: &[u8]) {
    let Some((piece, mask)) = bytes.split_first() else { return };
    let (dialed, accepted) = shake(|_| ()).expect("nothing was changed");
    let (Some((mut sealer, _)), Some((_, mut opener))) = (dialed.keys, accepted.keys) else {
        unreachable!("the credentials insist on encryption")
    };
    let said: Vec<Vec<u8>> = (1..=4).map(|k| vec![k; 11 * usize::from(k)]).collect();
    let mut records = Vec::new();
    for part in &said {
        sealer.seal(part, &mut records).expect("few records");
    }
    let whole = records.len();
    records.resize(whole.max(mask.len()), 0);
    records.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    let mut content = Vec::new();
    let opened = records.chunks(usize::from(*piece).max(1)).try_for_each(|part| opener.open(part, &mut content));
    let said = said.concat();
    assert!(said.starts_with(&content), "something opened that was not sealed");
    let same = records.len() == whole && mask.iter().all(|mask| *mask == 0);
    assert_eq!(same, opened.is_ok() && content == said && !opener.is_torn());
}

/// Bytes of a member on a data connection, plain: only whole frames come through, and a goodbye at the end.
pub fn data_stream(bytes: &[u8]) {
    static LISTENER: OnceLock<TcpListener> = OnceLock::new();
    let listener = LISTENER.get_or_init(|| TcpListener::bind("127.0.0.1:0").expect("a port is free"));
    let address = listener.local_addr().expect("it is bound");
    let mut peer = TcpStream::connect(address).expect("it listens");
    let (socket, _) = listener.accept().expect("one has connected");
    let mut fused = Fused::new(Wire::new(socket, None), Arc::new(Generation::new(RUN, 1)), 1);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Fails when the stream gave up early.
            let _ = peer.write_all(bytes);
            let _ = peer.shutdown(Shutdown::Write);
        });
        let mut seen = Vec::new();
        fused.read_to_end(&mut seen).expect("it turns every fault into an end");
        // Closed unread, it frees the writer.
        drop(fused);
        assert_whole_frames(&seen);
    });
}

fn assert_whole_frames(mut seen: &[u8]) {
    let mut last = usize::MAX;
    while !seen.is_empty() {
        let (header, rest) = seen.split_at(48);
        last = u64::from_be_bytes(header[32..40].try_into().expect("eight bytes")) as usize;
        seen = &rest[last..];
    }
    assert_eq!(last, 0, "the last frame is a goodbye");
}

/// A message is refused, or read; what was read is written as bytes that give the same message again.
fn message<T: DeserializeOwned + Serialize>(bytes: &[u8]) {
    let Ok(first) = decode::<T>(bytes) else { return };
    let frame = encode(&first).expect("it came from fewer bytes than the limit");
    let mut inbox = Inbox::default();
    inbox.arrived().extend_from_slice(&frame);
    let second: T = inbox.next(MAX_FRAME).expect("our own frame is good").expect("and whole");
    assert!(inbox.is_empty());
    assert_eq!(encode(&second).expect("as before"), frame);
}

/// A command of a coordinator.
pub fn command(bytes: &[u8]) {
    message::<Command>(bytes);
}

/// A response of an agent.
pub fn response(bytes: &[u8]) {
    message::<Response>(bytes);
}

/// Frames in pieces: the first byte is the size of a piece.
pub fn frames(bytes: &[u8]) {
    let Some((piece, rest)) = bytes.split_first() else { return };
    let mut inbox = Inbox::default();
    for part in rest.chunks(usize::from(*piece).max(1)) {
        inbox.arrived().extend_from_slice(part);
        loop {
            match inbox.next::<Response>(JOINING) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}
