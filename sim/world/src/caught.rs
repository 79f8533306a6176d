//! Panics as values. A panic in a run is a finding like any other: what was said
//! and where goes into the outcome and not to the terminal.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether this thread is inside [`caught`].
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `f` and gives what it gives.
///
/// # Errors
/// What its panic said, and where.
pub(super) fn caught<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |panic| match INSIDE.get() {
            true => SAID.set(panic.to_string().replace('\n', " ")),
            false => others(panic),
        }));
    });
    let outer = INSIDE.replace(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    INSIDE.set(outer);
    result.map_err(|_| SAID.take())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_line_with_its_place() {
        assert_eq!(caught(|| 7), Ok(7));
        let said = caught(|| panic!("a swan {}", "sinks")).unwrap_err();
        assert!(said.contains("caught.rs"), "{said}");
        assert!(said.ends_with("a swan sinks"), "{said}");
    }
}
