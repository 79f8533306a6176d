//! The two directions gone separate ways, each with its share of the
//! connection.

use core::ops::{Deref, DerefMut};

use crate::socket::{ReadHalf, WriteHalf};

macro_rules! owned {
    ($(#[$doc:meta])* $name:ident, $half:ident, |$this:ident| $before:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<'a>(pub(crate) $half<'a>);

        impl<'a> Deref for $name<'a> {
            type Target = $half<'a>;
            fn deref(&self) -> &$half<'a> {
                &self.0
            }
        }

        impl<'a> DerefMut for $name<'a> {
            fn deref_mut(&mut self) -> &mut $half<'a> {
                &mut self.0
            }
        }

        impl Drop for $name<'_> {
            fn drop(&mut self) {
                let $this = &mut self.0;
                $before;
                self.0.handle.release();
            }
        }
    };
}

owned! {
    /// A [`ReadHalf`] that can move to another task. When both halves are
    /// dropped the stream closes in the background.
    OwnedReadHalf, ReadHalf, |half| half.give_back()
}
owned! {
    /// A [`WriteHalf`] that can move to another task. Dropping it sends a FIN;
    /// when both halves are dropped the stream closes in the background.
    OwnedWriteHalf, WriteHalf, |half| half.shutdown()
}
