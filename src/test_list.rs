//! Tests as a list: on a host they are tests, on a board an image runs them
//! (`lab::on_target`).

/// Tests that run in both places.
macro_rules! tests {
    ($($(#[$meta:meta])* fn $name:ident() $body:block)*) => {
        $($(#[$meta])* #[cfg_attr(test, test)] fn $name() $body)*

        /// All of them, with their names.
        #[cfg(feature = "on-target")]
        pub(crate) const ALL: &[(&str, fn())] = &[$((stringify!($name), $name)),*];
    };
}
pub(crate) use tests;
