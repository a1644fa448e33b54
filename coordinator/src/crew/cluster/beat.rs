//! Signs of life for agents, from a thread of their own: a coordinator that thinks must not look dead.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nlsq_worker::protocol::Command;
use tokio::sync::mpsc::UnboundedSender;

use crate::crew::membership::AgentId;

/// Who is to hear of us, until the beat is dropped.
pub(super) struct Beat {
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    agents: BTreeMap<AgentId, UnboundedSender<Command>>,
    over: bool,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Beat {
    pub(super) fn start(interval: Duration) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let beat = move || {
            while !lock(&shared).over {
                for commands in lock(&shared).agents.values() {
                    // If the connection is gone, an event says so.
                    let _ = commands.send(Command::Beat);
                }
                std::thread::park_timeout(interval);
            }
        };
        let thread = std::thread::Builder::new().name("beat".to_string()).spawn(beat)?;
        Ok(Self { state, thread: Some(thread) })
    }

    pub(super) fn add(&self, agent: AgentId, commands: UnboundedSender<Command>) {
        lock(&self.state).agents.insert(agent, commands);
    }

    pub(super) fn remove(&self, agent: AgentId) {
        lock(&self.state).agents.remove(&agent);
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        {
            let mut state = lock(&self.state);
            state.over = true;
            state.agents.clear();
        }
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic in it was printed when it happened.
            let _ = thread.join();
        }
    }
}
