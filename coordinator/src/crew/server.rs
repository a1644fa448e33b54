//! The control port: accepts agents, proves them, and carries messages. It decides nothing.
//!
//! It runs on a thread of its own, so that a connection is noticed whatever the coordinator is doing. Each connection is
//! one task: handshake under a time limit, then frames in both directions until either side closes.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use nlsq_worker::handshake::{Acceptor, CHALLENGE, HELLO, HandshakeError, Purpose, RESPONSE};
use nlsq_worker::protocol::codec::{self, FrameError, PREFIX};
use nlsq_worker::protocol::{Command, Response};
use nlsq_worker::secret::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::debug;

/// A peer that has not proved itself by then is dropped.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);
/// Connections that may be in their handshake at once; more wait in the kernel's queue.
const MAX_HANDSHAKES: usize = 64;

/// Names a control connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionId(pub(super) u64);

/// What happens on the control port.
#[derive(Debug)]
pub(super) enum Event {
    /// An agent has proved itself.
    Connected { id: ConnectionId, address: SocketAddr, local: IpAddr, commands: mpsc::UnboundedSender<Command> },
    /// Somebody tried to join with another secret.
    WrongSecret { address: SocketAddr },
    /// It says something.
    Said { id: ConnectionId, response: Response },
    /// Its connection is gone.
    Closed { id: ConnectionId, cause: String },
}

/// The running server; dropping it closes every connection.
pub(super) struct Server {
    address: SocketAddr,
    /// Whether whoever joins now is sent home.
    full: Arc<AtomicBool>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `address`; events go to `events`.
    pub(super) fn start(address: SocketAddr, secret: Secret, events: Sender<Event>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let full = Arc::new(AtomicBool::new(false));
        let handle = Arc::clone(&full);
        let thread = std::thread::Builder::new().name("control".to_string()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    // Either the sender says stop or it is gone: the end all the same.
                    _ = stopped => {}
                    error = listen(listener, secret, events, handle) => debug!(?error, "the control port is closed"),
                }
            });
        })?;
        Ok(Self { address, full, stop: Some(stop), thread: Some(thread) })
    }

    /// From now on agents that join are told to leave.
    pub(super) fn close_to_joiners(&self) {
        self.full.store(true, Ordering::SeqCst);
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it was printed when it happened.
            let _ = thread.join();
        }
    }
}

async fn listen(
    listener: std::net::TcpListener,
    secret: Secret,
    events: Sender<Event>,
    full: Arc<AtomicBool>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    let next = AtomicU64::new(1);
    loop {
        let permit = Arc::clone(&handshakes).acquire_owned().await.expect("the semaphore is never closed");
        let (mut socket, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a connection that broke before it was accepted: wait rather than spin.
                debug!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let id = ConnectionId(next.fetch_add(1, Ordering::Relaxed));
        let (secret, events, full) = (secret.clone(), events.clone(), Arc::clone(&full));
        tokio::spawn(async move {
            let proved = tokio::time::timeout(HANDSHAKE_LIMIT, prove(&mut socket, &secret)).await;
            drop(permit);
            match proved {
                Ok(Ok(_)) if full.load(Ordering::SeqCst) => turn_away(socket).await,
                Ok(Ok(_)) => connection(socket, id, address, events).await,
                Ok(Err(HandshakeError::Unproven)) => {
                    // Fails only when the coordinator no longer listens.
                    let _ = events.send(Event::WrongSecret { address });
                }
                other => debug!(%address, ?other, "a stranger knocked"),
            }
        });
    }
}

/// Tells a late agent why it is not needed.
async fn turn_away(mut socket: TcpStream) {
    let reason = Some("the run has all its workers already".to_string());
    if let Ok(frame) = codec::encode(&Command::Leave { reason }) {
        // If it is gone, so much the better.
        let _ = socket.write_all(&frame).await;
    }
}

async fn prove(socket: &mut TcpStream, secret: &Secret) -> Result<Purpose, HandshakeError> {
    socket.set_nodelay(true)?;
    let mut hello = [0; HELLO];
    socket.read_exact(&mut hello).await?;
    let acceptor = Acceptor::new(&hello)?;
    if acceptor.claimed() != Purpose::Control {
        return Err(HandshakeError::Unexpected(acceptor.claimed()));
    }
    let challenge: [u8; CHALLENGE] = acceptor.challenge(secret);
    socket.write_all(&challenge).await?;
    let mut response = [0; RESPONSE];
    socket.read_exact(&mut response).await?;
    acceptor.accept(secret, &response)
}

/// Carries frames both ways until either side closes. Sends fail only when the coordinator no longer listens.
async fn connection(socket: TcpStream, id: ConnectionId, address: SocketAddr, events: Sender<Event>) {
    let Ok(local) = socket.local_addr() else { return };
    let (reader, writer) = socket.into_split();
    let (commands, queue) = mpsc::unbounded_channel();
    if events.send(Event::Connected { id, address, local: local.ip(), commands }).is_err() {
        return;
    }
    let cause = tokio::select! {
        read = read_frames(reader, id, &events) => match read {
            Ok(()) => "connection closed".to_string(),
            Err(error) => error.to_string(),
        },
        written = write_frames(writer, queue) => match written {
            Ok(()) => "told to leave".to_string(),
            Err(error) => error.to_string(),
        },
    };
    let _ = events.send(Event::Closed { id, cause });
}

async fn read_frames(mut reader: OwnedReadHalf, id: ConnectionId, events: &Sender<Event>) -> Result<(), FrameError> {
    loop {
        let mut prefix = [0; PREFIX];
        match reader.read_exact(&mut prefix).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let mut bytes = vec![0; codec::length(prefix)?];
        reader.read_exact(&mut bytes).await?;
        let response = codec::decode(&bytes)?;
        if events.send(Event::Said { id, response }).is_err() {
            return Ok(());
        }
    }
}

async fn write_frames(
    mut writer: OwnedWriteHalf,
    mut queue: mpsc::UnboundedReceiver<Command>,
) -> Result<(), FrameError> {
    while let Some(command) = queue.recv().await {
        writer.write_all(&codec::encode(&command)?).await?;
    }
    Ok(())
}
