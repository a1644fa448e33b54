//! A fence around decoders: some panic on damaged files instead of returning an error.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside [`guarded`]: a panic here will be told as an error, and a panic hook should keep quiet.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

/// Runs `decode`; a panic in it becomes its message. What `decode` has changed by then must not be used any more.
pub fn guarded<T>(decode: impl FnOnce() -> T) -> Result<T, String> {
    let outer = GUARDED.replace(true);
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    GUARDED.set(outer);
    decoded.map_err(|panic| text(panic.as_ref()))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a decoder gave up without a word").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message_and_the_fence_comes_down() {
        assert_eq!(guarded(|| 3), Ok(3));
        assert_eq!(
            guarded(|| -> u8 { panic!("offset {} beyond the buffer", 7) }),
            Err("offset 7 beyond the buffer".into())
        );
        assert!(!is_guarded());
        assert_eq!(guarded(|| (guarded(|| ()), is_guarded())), Ok((Ok(()), true)));
    }
}
