//! A list of slots. Its links are in the slots (`slots.rs`), so it takes two
//! numbers and no memory.

/// A doubly linked list of slots; numbers counted from one, zero is the end.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) head: u32,
    pub(crate) tail: u32,
}

impl List {
    pub(crate) const EMPTY: List = List { head: 0, tail: 0 };

    pub(crate) fn is_empty(&self) -> bool {
        self.head == 0
    }

    pub(crate) fn first(&self) -> Option<u32> {
        self.head.checked_sub(1)
    }
}
