//! Functions that do nothing but be called when something happens, so that it is
//! seen from outside.

use std::hint::black_box;

macro_rules! marks {
    ($($(#[$doc:meta])* $name:ident $number:literal)*) => {
        $($(#[$doc])*
        #[inline(never)]
        pub fn $name() {
            black_box($number);
        })*

        /// Where they lie.
        pub fn print() {
            $(println!("{} {:x}", stringify!($name), $name as *const () as usize);)*
        }
    };
}

marks! {
    /// The device gives a SYN.
    syn_given 1
    /// A task has its connection.
    accepted 2
    /// The device gives bytes.
    bytes_given 3
    /// A task has them.
    bytes_read 4
}
