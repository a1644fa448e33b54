//! Signals as a wish to stop: the pass under way is finished, the best point is kept and written.

use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::outcome::Observer;

/// What a shell reports of a process that SIGINT ended.
const KILLED_BY_SIGINT: i32 = 130;

/// The first signal that asked the fit to stop.
pub(super) struct Signals {
    received: Arc<Mutex<Option<&'static str>>>,
}

impl Signals {
    /// Listens for SIGINT, SIGTERM and SIGUSR1 from now on, for as long as the process lives. A second SIGINT ends the
    /// process at once; files of a run are written whole or not at all, so nothing written is lost.
    ///
    /// Where the system refuses to tell of signals, they do what they do to any program.
    pub(super) fn listen() -> Self {
        let received = Arc::new(Mutex::new(None));
        let told = Arc::clone(&received);
        if let Some(listener) = Listener::new() {
            // Without a thread the signals are caught and nobody hears them: then the fit goes on to its end.
            let thread = std::thread::Builder::new().name("signals".to_string());
            let _ = thread.spawn(move || listener.wait(&told));
        }
        Self { received }
    }
}

impl Observer for Signals {
    fn stop(&mut self) -> Option<String> {
        let received = *self.received.lock().unwrap_or_else(PoisonError::into_inner);
        received.map(|name| format!("{name} received"))
    }
}

/// The signals, caught from the moment that it exists.
struct Listener {
    runtime: Runtime,
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    user: Option<Signal>,
}

impl Listener {
    fn new() -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().ok()?;
        let listen = |kind| {
            let _context = runtime.enter();
            signal(kind).ok()
        };
        let interrupt = listen(SignalKind::interrupt());
        let terminate = listen(SignalKind::terminate());
        let user = listen(SignalKind::user_defined1());
        Some(Self { runtime, interrupt, terminate, user })
    }

    fn wait(self, received: &Mutex<Option<&'static str>>) {
        let Self { runtime, mut interrupt, mut terminate, mut user } = self;
        runtime.block_on(async {
            loop {
                let name = tokio::select! {
                    () = next(&mut interrupt) => "SIGINT",
                    () = next(&mut terminate) => "SIGTERM",
                    () = next(&mut user) => "SIGUSR1",
                };
                let mut first = received.lock().unwrap_or_else(PoisonError::into_inner);
                match *first {
                    None => {
                        *first = Some(name);
                        say(&format!("{name}: stopping after the pass under way; a second SIGINT ends at once"));
                    }
                    Some(_) if name == "SIGINT" => {
                        say("SIGINT again: ended at once");
                        std::process::exit(KILLED_BY_SIGINT);
                    }
                    Some(_) => {}
                }
            }
        });
    }
}

/// The next signal of a kind; never, if the system does not tell.
async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

fn say(text: &str) {
    // Nobody may be listening on stderr any more; the fit stops all the same.
    let _ = writeln!(std::io::stderr(), "{text}");
}
