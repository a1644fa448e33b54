//! An agent's part in one generation, from the first connection to the last thread.

use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use tracing::warn;

use super::{Happening, MESH_LIMIT, panicked};
use crate::fault::{Fault, Moment};
use crate::generation::{self, Member};
use crate::mesh::{self, Seat};
use crate::pool::Pool;
use crate::session::Event;

/// What it takes to be a member.
pub(super) struct Part {
    pub(super) seat: Seat,
    pub(super) listener: TcpListener,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) fault: Option<Fault>,
}

impl Part {
    /// Takes part, on a thread of its own; says when it is over.
    pub(super) fn start(self, pool: Result<(Arc<Pool>, u64), String>, sender: Sender<Happening>) {
        let number = self.seat.generation.number();
        let over = sender.clone();
        let take_part = move || {
            let taken = catch_unwind(AssertUnwindSafe(|| self.take_part(pool)));
            let cause = taken.unwrap_or_else(|_| Err(panicked("the generation was"))).err();
            // Fails only when the agent has ended.
            let _ = sender.send(Happening::Session(Event::Over { generation: number, cause }));
        };
        if let Err(error) = std::thread::Builder::new().name(format!("generation-{number}")).spawn(take_part) {
            let cause = Some(format!("no thread for the generation: {error}"));
            let _ = over.send(Happening::Session(Event::Over { generation: number, cause }));
        }
    }

    fn take_part(self, pool: Result<(Arc<Pool>, u64), String>) -> Result<(), String> {
        let (pool, tiles) = pool?;
        let Self { seat, listener, addresses, fault } = self;
        if let Some(fault) = &fault {
            fault.strike(Moment::Dial);
        }
        let deadline = Instant::now() + MESH_LIMIT;
        let wires = mesh::connect(&seat, &listener, &addresses, deadline).map_err(with_source);
        for text in seat.strangers.news() {
            warn!("{text}");
        }
        drop(listener);
        let member = Member { index: seat.index, wires: wires?, tiles, compute: pool, driver: None };
        generation::start(Arc::clone(&seat.generation), member).map_err(with_source)?.join()
    }
}

/// An error with its source, in one line.
fn with_source(error: impl std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
