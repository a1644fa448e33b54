//! Strangers, replays and forgeries against [`super`].

use super::*;

const RUN: RunId = RunId([7; 16]);
const DATA: Purpose = Purpose::Data { run: RUN, generation: 7, from: 2, to: 0 };

fn credentials(wire: Mode) -> Credentials {
    Credentials { secret: Secret::random().unwrap(), wire }
}

fn any(_: Purpose) -> bool {
    true
}

/// Both sides of a handshake in which `change` may tamper with each message on its way.
fn shake(
    dialer: &Credentials,
    acceptor: &Credentials,
    purpose: Purpose,
    mut change: impl FnMut(usize, &mut [u8]),
) -> Result<(Agreed, Agreed), HandshakeError> {
    let (dialing, mut hello) = Dialer::new(dialer, purpose)?;
    change(0, &mut hello);
    let (accepting, mut challenge) = Acceptor::new(acceptor, &hello, any)?;
    change(1, &mut challenge);
    let (ours, mut response) = dialing.respond(&challenge)?;
    change(2, &mut response);
    Ok((ours, accepting.accept(&response)?))
}

#[test]
fn both_sides_prove_themselves_and_take_the_safer_mode() {
    for purpose in [Purpose::Control, DATA] {
        for (dials, accepts) in
            [(Mode::Plain, Mode::Plain), (Mode::Plain, Mode::Encrypted), (Mode::Encrypted, Mode::Plain)]
        {
            let dialer = credentials(dials);
            let acceptor = Credentials { wire: accepts, ..dialer.clone() };
            let (a, b) = shake(&dialer, &acceptor, purpose, |_, _| ()).unwrap();
            assert_eq!((a.purpose, b.purpose), (purpose, purpose));
            assert_eq!((a.mode(), b.mode()), (dials.max(accepts), dials.max(accepts)));
        }
    }
}

#[test]
fn a_stranger_is_found_out_on_either_side() {
    let (ours, theirs) = (credentials(Mode::Plain), credentials(Mode::Plain));
    let (_, hello) = Dialer::new(&theirs, DATA).unwrap();
    assert!(matches!(Acceptor::new(&ours, &hello, any), Err(HandshakeError::Unproven)));

    // One that knows a hello and not the secret cannot answer it either.
    let (dialer, hello) = Dialer::new(&ours, DATA).unwrap();
    let (_, other) = Dialer::new(&theirs, DATA).unwrap();
    let (_, challenge) = Acceptor::new(&theirs, &other, any).unwrap();
    assert!(matches!(dialer.respond(&challenge), Err(HandshakeError::Unproven)));
    assert!(matches!(Acceptor::new(&theirs, &hello, any), Err(HandshakeError::Unproven)));
}

#[test]
fn every_changed_bit_of_every_message_is_found() {
    let ours = credentials(Mode::Plain);
    for (message, length) in [HELLO, CHALLENGE, RESPONSE].into_iter().enumerate() {
        for bit in 0..8 * length {
            let changed = shake(&ours, &ours, DATA, |number, bytes| {
                if number == message {
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
            });
            let error = changed.expect_err("a changed message is refused");
            let found = matches!(error, HandshakeError::Unproven | HandshakeError::Foreign);
            assert!(found, "message {message}, bit {bit}: {error}");
        }
    }
}

#[test]
fn nobody_on_the_way_can_make_a_connection_plain() {
    let (strict, lax) = (credentials(Mode::Encrypted), Mode::Plain);
    let lax = Credentials { wire: lax, ..strict.clone() };
    // The dialer's wish is part of its proof.
    let stripped = shake(&strict, &lax, DATA, |number, bytes| {
        if number == 0 {
            assert_eq!(std::mem::replace(&mut bytes[PROLOGUE - 1], 0), 1);
        }
    });
    assert!(matches!(stripped, Err(HandshakeError::Unproven)));
    // An acceptor that answers plain to a dialer that insists is refused even with a good proof.
    let (dialer, hello) = Dialer::new(&strict, DATA).unwrap();
    let (prologue, message) = hello.split_at(PROLOGUE);
    let mut careless = noise(&lax, prologue, |builder| builder.build_responder()).unwrap();
    careless.read_message(message, &mut []).unwrap();
    let mut challenge = [0; CHALLENGE];
    careless.write_message(&[Mode::Plain.encode()], &mut challenge).unwrap();
    assert!(matches!(dialer.respond(&challenge), Err(HandshakeError::Unproven)));
}

#[test]
fn a_recorded_conversation_is_worth_nothing() {
    let ours = credentials(Mode::Encrypted);
    let (dialer, hello) = Dialer::new(&ours, DATA).unwrap();
    let (acceptor, challenge) = Acceptor::new(&ours, &hello, any).unwrap();
    let (_, response) = dialer.respond(&challenge).unwrap();
    acceptor.accept(&response).unwrap();
    // Played to the acceptor again, which has a fresh key by now.
    let (again, fresh) = Acceptor::new(&ours, &hello, any).unwrap();
    assert_ne!(challenge, fresh);
    assert!(matches!(again.accept(&response), Err(HandshakeError::Unproven)));
    // Played to another dialer.
    let (other, _) = Dialer::new(&ours, DATA).unwrap();
    assert!(matches!(other.respond(&challenge), Err(HandshakeError::Unproven)));
    // A dialer's own message sent back to it.
    let (reflected, hello) = Dialer::new(&ours, DATA).unwrap();
    let mut mirror = [0; CHALLENGE];
    mirror[..48].copy_from_slice(&hello[PROLOGUE..]);
    assert!(matches!(reflected.respond(&mirror), Err(HandshakeError::Unproven)));
}

#[test]
fn a_proof_is_for_one_run_one_generation_and_two_members() {
    let ours = credentials(Mode::Plain);
    let elsewhere = [
        Purpose::Control,
        Purpose::Data { run: RunId([8; 16]), generation: 7, from: 2, to: 0 },
        Purpose::Data { run: RUN, generation: 8, from: 2, to: 0 },
        Purpose::Data { run: RUN, generation: 7, from: 1, to: 0 },
        Purpose::Data { run: RUN, generation: 7, from: 2, to: 1 },
    ];
    for other in elsewhere {
        // Somebody on the way writes another purpose over it.
        let moved = shake(&ours, &ours, DATA, |number, bytes| {
            if number == 0 {
                bytes[MAGIC.len()..][..PURPOSE].copy_from_slice(&other.encode());
            }
        });
        assert!(matches!(moved, Err(HandshakeError::Unproven)), "{other:?}");
        // One who knows the secret comes for something else.
        let (_, hello) = Dialer::new(&ours, other).unwrap();
        let refused = Acceptor::new(&ours, &hello, |purpose| purpose == DATA);
        assert!(matches!(refused, Err(HandshakeError::Unexpected(purpose)) if purpose == other));
    }
}

#[test]
fn other_protocols_are_foreign() {
    let ours = credentials(Mode::Plain);
    let (_, hello) = Dialer::new(&ours, Purpose::Control).unwrap();
    for (at, byte) in [(0, b'G'), (7, 1), (8, 2), (9, 1), (PROLOGUE - 1, 2)] {
        let mut other = hello;
        other[at] = byte;
        assert!(matches!(Acceptor::new(&ours, &other, any), Err(HandshakeError::Foreign)), "byte {at}");
    }
}

#[test]
fn nothing_private_is_shown() {
    let ours = credentials(Mode::Encrypted);
    let (agreed, _) = shake(&ours, &ours, Purpose::Control, |_, _| ()).unwrap();
    assert_eq!(format!("{agreed:?}"), "Agreed { purpose: Control, mode: Encrypted }");
    assert_eq!(format!("{ours:?}"), "Credentials { secret: Secret(..), wire: Encrypted }");
}
