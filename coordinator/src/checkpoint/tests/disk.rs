//! A disk in memory that fails on demand: at a given call, for good (the process is killed) or once (it is full), and that forgets
//! on a power cut what was not synced.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::super::files::Files;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Nothing,
    /// At this call and at every later one; a write at this call gets half way.
    KilledAt(usize),
    /// At this call, if it writes: half of it fits.
    FullAt(usize),
}

#[derive(Clone, Debug, Default)]
struct Node {
    content: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Debug)]
struct World {
    nodes: Vec<Node>,
    names: BTreeMap<PathBuf, usize>,
    /// As far as folders were synced.
    synced_names: BTreeMap<PathBuf, usize>,
    fault: Fault,
    calls: usize,
}

/// The disk.
#[derive(Clone, Debug)]
pub(super) struct FaultyDisk(Arc<Mutex<World>>);

impl FaultyDisk {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(World {
            nodes: Vec::new(),
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            fault: Fault::Nothing,
            calls: 0,
        })))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// From now on this goes wrong; calls are counted from 0 again.
    pub(super) fn arm(&self, fault: Fault) {
        let mut world = self.world();
        (world.fault, world.calls) = (fault, 0);
    }

    /// Calls since it was armed.
    pub(super) fn calls(&self) -> usize {
        self.world().calls
    }

    /// What the next process finds: all that was written, or after a power cut what was synced.
    pub(super) fn afterwards(&self, power_cut: bool) -> Self {
        let world = self.world();
        let names = if power_cut { &world.synced_names } else { &world.names };
        let content = |node: &Node| if power_cut { node.synced.clone() } else { node.content.clone() };
        let nodes = world.nodes.iter().map(|node| Node { content: content(node), synced: content(node) }).collect();
        let (names, synced_names) = (names.clone(), names.clone());
        Self(Arc::new(Mutex::new(World { nodes, names, synced_names, fault: Fault::Nothing, calls: 0 })))
    }

    pub(super) fn all_names(&self) -> Vec<PathBuf> {
        self.world().names.keys().cloned().collect()
    }

    /// Begins a call: how much of a write happens, or that nothing does.
    fn call(&self) -> (MutexGuard<'_, World>, Call) {
        let mut world = self.world();
        let number = world.calls;
        world.calls += 1;
        let outcome = match world.fault {
            Fault::KilledAt(at) if number == at => Call::Half("killed"),
            Fault::KilledAt(at) if number > at => Call::Not,
            Fault::FullAt(at) if number == at => Call::Half("no space left on device"),
            _ => Call::Whole,
        };
        (world, outcome)
    }

    fn plain<T>(&self, act: impl FnOnce(&mut World) -> io::Result<T>) -> io::Result<T> {
        match self.call() {
            (mut world, Call::Whole) => act(&mut world),
            // a disk that is full has room for what writes nothing
            (mut world, Call::Half("no space left on device")) => act(&mut world),
            _ => Err(io::Error::other("killed")),
        }
    }
}

enum Call {
    Whole,
    Half(&'static str),
    Not,
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Files for FaultyDisk {
    fn make_folder(&self, _folder: &Path) -> io::Result<()> {
        self.plain(|_| Ok(()))
    }

    fn create(&self, path: &Path) -> io::Result<()> {
        self.plain(|world| {
            world.nodes.push(Node::default());
            let node = world.nodes.len() - 1;
            world.names.insert(path.to_path_buf(), node);
            Ok(())
        })
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let (mut world, call) = self.call();
        let node = *world.names.get(path).ok_or_else(missing)?;
        let (written, outcome) = match call {
            Call::Whole => (bytes, Ok(())),
            Call::Half(why) => (&bytes[..bytes.len() / 2], Err(io::Error::other(why))),
            Call::Not => (&bytes[..0], Err(io::Error::other("killed"))),
        };
        world.nodes[node].content.extend_from_slice(written);
        outcome
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.plain(|world| {
            let node = *world.names.get(path).ok_or_else(missing)?;
            world.nodes[node].synced = world.nodes[node].content.clone();
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.plain(|world| {
            let node = world.names.remove(from).ok_or_else(missing)?;
            world.names.insert(to.to_path_buf(), node);
            Ok(())
        })
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.plain(|world| {
            world.synced_names.retain(|path, _| path.parent() != Some(folder));
            let now: Vec<_> = world.names.iter().filter(|(path, _)| path.parent() == Some(folder)).collect();
            let now: Vec<(PathBuf, usize)> = now.into_iter().map(|(path, node)| (path.clone(), *node)).collect();
            world.synced_names.extend(now);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.plain(|world| world.names.remove(path).map(drop).ok_or_else(missing))
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.plain(|world| {
            let inside = world.names.keys().filter(|path| path.parent() == Some(folder));
            Ok(inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
        })
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.plain(|world| world.names.get(path).map(|&node| world.nodes[node].content.clone()).ok_or_else(missing))
    }
}
