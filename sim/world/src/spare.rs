//! Memory of frames: what one has left is the next one's. A world makes a frame for every
//! copy that a link or a switch makes of it, and most are short.

use std::cell::RefCell;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// So much of it is kept.
const MOST: usize = 256;

/// What most frames need.
const SHORT: usize = 128;

/// Memory for a frame, empty.
#[inline]
fn take(len: usize) -> Vec<u8> {
    let spare = SPARE.with_borrow_mut(Vec::pop);
    spare.unwrap_or_else(|| Vec::with_capacity(len.max(SHORT)))
}

/// A frame of zeros.
#[inline]
pub(super) fn zeros(len: usize) -> Vec<u8> {
    let mut frame = take(len);
    frame.resize(len, 0);
    frame
}

/// A copy of a frame.
#[inline]
pub(super) fn copy(frame: &[u8]) -> Vec<u8> {
    let mut copy = take(frame.len());
    copy.extend_from_slice(frame);
    copy
}

/// A frame that nobody needs any more.
#[inline]
pub(super) fn give(mut frame: Vec<u8>) {
    frame.clear();
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < MOST {
            spare.push(frame);
        }
    });
}
