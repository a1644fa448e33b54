//! Records that somebody on the way has touched, against [`super`].

use super::*;
use crate::handshake::{Acceptor, Credentials, Dialer, Purpose};
use crate::secret::Secret;
use proptest::prelude::*;
use std::net::TcpListener;

/// Keys of a dialer and of an acceptor.
fn pair() -> ((Sealer, Opener), (Sealer, Opener)) {
    let credentials = Credentials { secret: Secret::random().unwrap(), wire: Mode::Encrypted };
    let (dialer, hello) = Dialer::new(&credentials, Purpose::Control).unwrap();
    let (acceptor, challenge) = Acceptor::new(&credentials, &hello, |_| true).unwrap();
    let (ours, response) = dialer.respond(&challenge).unwrap();
    (ours.keys.unwrap(), acceptor.accept(&response).unwrap().keys.unwrap())
}

fn sealed(sealer: &mut Sealer, bytes: &[u8]) -> Vec<u8> {
    let mut records = Vec::new();
    sealer.seal(bytes, &mut records).unwrap();
    records
}

fn opened(opener: &mut Opener, records: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut content = Vec::new();
    opener.open(records, &mut content).map(|()| content)
}

#[test]
fn every_changed_bit_of_a_record_is_found() {
    let ((mut sealer, _), _) = pair();
    let records = sealed(&mut sealer, b"points");
    for bit in 0..8 * records.len() {
        let ((mut sealer, _), (_, mut opener)) = pair();
        let mut records = sealed(&mut sealer, b"points");
        records[bit / 8] ^= 1 << (bit % 8);
        records.extend(sealed(&mut sealer, &[0; 70_000]));
        assert_eq!(opened(&mut opener, &records), Err(WireError::Forged), "bit {bit}");
        // For good: what follows may be as true as it likes.
        assert_eq!(opened(&mut opener, &sealed(&mut sealer, b"more")), Err(WireError::Forged));
    }
}

#[test]
fn records_open_once_in_their_order_and_on_their_connection() {
    let fresh = || {
        let ((mut sealer, mut back), (_, opener)) = pair();
        let records = [sealed(&mut sealer, b"one"), sealed(&mut sealer, b"two")];
        assert_eq!(opened(&mut back, &[]), Ok(Vec::new()));
        (records, opener, back)
    };
    let ([one, two], mut opener, _) = fresh();
    assert_eq!(opened(&mut opener, &[one.clone(), two.clone()].concat()), Ok(b"onetwo".to_vec()));
    assert_eq!(opened(&mut opener, &two), Err(WireError::Forged), "repeated");
    let ([_, two], mut opener, _) = fresh();
    assert_eq!(opened(&mut opener, &two), Err(WireError::Forged), "swapped or left out");
    let (_, mut opener, _) = fresh();
    assert_eq!(opened(&mut opener, &one), Err(WireError::Forged), "from another connection");
    let ([one, _], _, mut back) = fresh();
    assert_eq!(opened(&mut back, &one), Err(WireError::Forged), "sent back");
    let (_, mut opener, _) = fresh();
    assert_eq!(opened(&mut opener, &[0, TAG as u8]), Err(WireError::Forged), "a record of nothing");
}

#[test]
fn a_nonce_is_never_used_twice() {
    let ((mut sealer, _), (_, mut opener)) = pair();
    (sealer.next, opener.next) = (MAX_RECORDS - 1, MAX_RECORDS - 1);
    let last = sealed(&mut sealer, b"last");
    assert_eq!(sealer.seal(b"one more", &mut Vec::new()), Err(WireError::Exhausted));
    assert_eq!(opened(&mut opener, &last), Ok(b"last".to_vec()));
    assert_eq!(opened(&mut opener, &last), Err(WireError::Exhausted));
}

/// Two ends of a real connection.
fn wires(encrypted: bool) -> (Wire, Wire) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dialed = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let (ours, theirs) = pair();
    (Wire::new(dialed, encrypted.then_some(ours)), Wire::new(accepted, encrypted.then_some(theirs)))
}

#[test]
fn clones_are_one_connection_and_threads_may_write_at_once() {
    for encrypted in [false, true] {
        let (ours, mut theirs) = wires(encrypted);
        let words: Vec<[u8; 4]> = vec![*b"left", *b"rght"];
        std::thread::scope(|scope| {
            for word in &words {
                let mut handle = ours.try_clone().unwrap();
                scope.spawn(move || (0..1000).for_each(|_| handle.write_all(word).unwrap()));
            }
            let mut all = vec![0; 8000];
            theirs.read_exact(&mut all).unwrap();
            assert_eq!(all.chunks(4).filter(|word| *word == b"left").count(), 1000);
            assert_eq!(all.chunks(4).filter(|word| *word == b"rght").count(), 1000);
        });
        let mut back = theirs.try_clone().unwrap();
        back.write_all(b"answer").unwrap();
        back.shutdown(Shutdown::Both).unwrap();
        let mut answer = String::new();
        ours.try_clone().unwrap().read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
    }
}

#[test]
fn large_writes_cross_in_both_directions_at_once() {
    let (ours, theirs) = wires(true);
    let megabytes: Vec<u8> = (0..3_000_000u32).map(|k| (k * 7 + k / 251) as u8).collect();
    std::thread::scope(|scope| {
        for wire in [&ours, &theirs] {
            let (mut reading, mut writing) = (wire.try_clone().unwrap(), wire.try_clone().unwrap());
            let megabytes = &megabytes;
            scope.spawn(move || writing.write_all(megabytes).unwrap());
            scope.spawn(move || {
                let mut all = vec![0; megabytes.len()];
                reading.read_exact(&mut all).unwrap();
                assert_eq!(&all, megabytes);
            });
        }
    });
}

#[test]
fn a_connection_cut_within_a_record_is_no_end() {
    let (ours, mut theirs) = wires(true);
    let mut records = Vec::new();
    lock(&ours.records.as_ref().unwrap().sending).sealer.seal(b"torn", &mut records).unwrap();
    ours.socket().write_all(&records[..records.len() - 1]).unwrap();
    ours.shutdown(Shutdown::Both).unwrap();
    assert_eq!(theirs.read(&mut [0; 9]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn nothing_follows_a_record_that_was_sent_in_part() {
    let (mut ours, theirs) = wires(true);
    drop(theirs);
    while ours.write_all(b"until the socket breaks").is_ok() {}
    assert_eq!(ours.write(b"more").unwrap_err().kind(), ErrorKind::BrokenPipe);
}

proptest! {
    #[test]
    fn content_survives_however_it_is_cut(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 1..20),
        cut in 1usize..300,
    ) {
        let ((mut sealer, _), (_, mut opener)) = pair();
        let records: Vec<u8> = parts.iter().flat_map(|part| sealed(&mut sealer, part)).collect();
        let mut content = Vec::new();
        for piece in records.chunks(cut) {
            opener.open(piece, &mut content).unwrap();
        }
        prop_assert_eq!(content, parts.concat());
        prop_assert!(!opener.is_torn());
    }

    #[test]
    fn arbitrary_bytes_never_open(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        let (_, (_, mut opener)) = pair();
        prop_assert!(opened(&mut opener, &bytes).is_ok_and(|content| content.is_empty()) || opener.error.is_some());
    }
}
