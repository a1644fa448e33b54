//! Files for readers that want one.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// A file with this content, gone when it is dropped.
pub struct Scratch {
    /// Where it is.
    pub path: PathBuf,
}

impl Scratch {
    /// In memory where the system has a place for that.
    pub fn new(extension: &str, bytes: &[u8]) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let memory = PathBuf::from("/dev/shm");
        let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let (process, next) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = folder.join(format!("nlsq-fuzz-{process}-{next}.{extension}"));
        std::fs::write(&path, bytes).expect("there is room for a small file");
        Self { path }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A file that is left over is small and in a folder for such.
        let _ = std::fs::remove_file(&self.path);
    }
}
