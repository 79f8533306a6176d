//! Tests of the core that need neither threads nor a heap, as a list: `cargo test`
//! runs them on a host, and an image of `boards/proof` on a board.
//!
//! Not here: properties with random cases. They need a host.

/// Every test: what it claims, and the function, which panics if that is wrong.
#[cfg(all(feature = "on-target", not(loom)))]
pub fn all() -> impl Iterator<Item = (&'static str, fn())> {
    [
        crate::task::waker::tests::ALL,
        crate::task::tasks_tests::ALL,
        crate::table::flows::tests::ALL,
        crate::table::deadlines::tests::ALL,
        crate::lab::wire::small_tests::ALL,
    ]
    .into_iter()
    .flatten()
    .copied()
}
