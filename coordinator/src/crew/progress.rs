//! Progress of loading, from many threads to one observer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::outcome::Observer;

/// How often the observer is told.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Runs `work` on another thread while this one tells the observer how far it is. When the observer wants to stop, `stop`
/// is set for `work` to see; the reason comes back with the result.
pub(super) fn watched<T: Send>(
    total: u64,
    observer: &mut dyn Observer,
    work: impl FnOnce(&(dyn Fn(u64) + Sync), &AtomicBool) -> T + Send,
) -> (T, Option<String>) {
    let done = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let mut reason = None;
    std::thread::scope(|scope| {
        let (finished, wait) = channel::<()>();
        let worker = scope.spawn(|| {
            let _finished = finished; // dropped at the end, also by a panic
            let tell = |points| {
                done.fetch_max(points, Ordering::Relaxed);
            };
            work(&tell, &stop)
        });
        while wait.recv_timeout(TELL_EVERY) == Err(RecvTimeoutError::Timeout) {
            if reason.is_none() {
                reason = observer.stop();
                stop.store(reason.is_some(), Ordering::Relaxed);
            }
            let points = done.load(Ordering::Relaxed);
            // That all are read is said once, by the fit.
            if points < total {
                observer.loading(points, total);
            }
        }
        match worker.join() {
            Ok(result) => (result, reason),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
