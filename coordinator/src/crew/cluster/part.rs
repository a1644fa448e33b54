//! The coordinator's own part of a generation: it takes part in the graph and owns no points.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use nlsq_engine::kernel::Request;
use nlsq_operators::{Compute, Passes, Reply, driver};
use nlsq_worker::agent::MESH_LIMIT;
use nlsq_worker::generation::{self, Generation, Member};
use nlsq_worker::handshake::RunId;
use nlsq_worker::mesh::{self, Seat};

use super::Happening;

/// The coordinator takes part in the graph and owns no points.
struct NoTiles;

impl Compute for NoTiles {
    fn evaluate(&self, _request: Request, reply: Reply) {
        reply.send(Vec::new());
    }
}

/// A generation as the coordinator holds it.
pub(super) struct Part {
    generation: Arc<Generation>,
    /// Open until the members are connected.
    pub(super) listener: Option<TcpListener>,
    /// Once it is up.
    pub(super) passes: Option<Passes>,
}

impl Part {
    /// For generation `number`, with a data port that is open already.
    pub(super) fn new(mesh: RunId, number: u64, listener: TcpListener) -> Self {
        Self { generation: Arc::new(Generation::new(mesh, number)), listener: Some(listener), passes: None }
    }

    pub(super) fn number(&self) -> u64 {
        self.generation.number()
    }

    pub(super) fn generation(&self) -> Arc<Generation> {
        Arc::clone(&self.generation)
    }

    pub(super) fn abort(&mut self, cause: &str) {
        self.generation.abort(cause);
        self.passes = None;
    }

    /// Connects to all members on a thread of its own, which then waits for the end.
    pub(super) fn connect(
        &mut self,
        seat: Seat,
        addresses: Vec<SocketAddr>,
        tiles: u64,
        sender: Sender<Happening>,
    ) -> std::io::Result<()> {
        let Some(listener) = self.listener.take() else { return Ok(()) };
        let number = self.number();
        let run = move || {
            let ended = take_part(&seat, &listener, &addresses, tiles, &sender);
            // Fails only when the run is over.
            let _ = sender.send(Happening::Down(number, ended.err()));
        };
        std::thread::Builder::new().name(format!("generation-{number}")).spawn(run)?;
        Ok(())
    }

    /// Lets the dataflow come to its end, and waits for that.
    pub(super) fn finish(mut self, happenings: &Receiver<Happening>, limit: Duration) -> Result<(), String> {
        // A generation ends when nobody can ask it any more.
        let up = self.passes.take().is_some();
        let deadline = Instant::now() + limit;
        let ended = loop {
            if !up {
                break Ok(());
            }
            match happenings.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Happening::Down(number, cause)) if number == self.number() => break cause.map_or(Ok(()), Err),
                Ok(_) => {}
                Err(_) => break Err("some workers did not end the dataflow in time".to_string()),
            }
        };
        // Nothing that is over minds.
        self.generation.abort("the run is over");
        ended
    }
}

fn take_part(
    seat: &Seat,
    listener: &TcpListener,
    addresses: &[SocketAddr],
    tiles: u64,
    sender: &Sender<Happening>,
) -> Result<(), String> {
    let number = seat.generation.number();
    let deadline = Instant::now() + MESH_LIMIT;
    let wires = mesh::connect(seat, listener, addresses, deadline).map_err(with_source)?;
    let roots = sender.clone();
    let (passes, driver) = driver(move |pass, partial| {
        // Fails only when the run is over.
        let _ = roots.send(Happening::Root { generation: number, pass, partial: Box::new(partial) });
    });
    let member = Member { index: 0, wires, tiles, compute: Arc::new(NoTiles), driver: Some(driver) };
    let running = generation::start(Arc::clone(&seat.generation), member).map_err(with_source)?;
    // If the run is over, the passes are dropped here and the dataflow ends.
    let _ = sender.send(Happening::Up(number, passes));
    running.join()
}

/// An error with its source, in one line.
fn with_source(error: impl std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
