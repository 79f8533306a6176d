//! A segment's frame with something else in it. Frames come as bytes that may not be
//! written, and smoltcp wants a packet in one piece, so what cannot be made anew without
//! its text is copied. That is seldom: see `normalise.rs`, and `headers.rs`.
//!
//! TCP's checksum is left as it is: smoltcp does not look at it here.
//!
//! Not here: segments without text (`build.rs`).

use smoltcp::wire::TcpSeqNumber;

use crate::frame::build::{Bare, segment_at};
#[cfg(feature = "ipv6")]
use crate::frame::headers::{TCP, segment_behind};
use crate::frame::sent::Outgoing;

/// Bytes of the longest copy: any frame that Ethernet carries without tricks.
pub(crate) const COPY: usize = 1514;

/// A segment's frame with the acknowledgement and window of `numbers`, as a copy that lasts
/// as long as `show`; the frame as it is if that is too long for a copy.
#[cold]
#[inline(never)]
pub(crate) fn with<R>(frame: &[u8], numbers: &Bare, show: impl FnOnce(&[u8]) -> R) -> R {
    let mut copy = [0; COPY];
    show(renumbered(frame, numbers, &mut copy).unwrap_or(frame))
}

fn renumbered<'c>(frame: &[u8], numbers: &Bare, copy: &'c mut [u8; COPY]) -> Option<&'c [u8]> {
    let copy = copy.get_mut(..frame.len())?;
    copy.copy_from_slice(frame);
    let tcp = copy
        .get_mut(segment_at(frame)?..)?
        .first_chunk_mut::<20>()?;
    let ([a, b, c, d], [w0, w1]) = (numbers.ack.0.to_be_bytes(), numbers.window.to_be_bytes());
    [tcp[8], tcp[9], tcp[10], tcp[11], tcp[14], tcp[15]] = [a, b, c, d, w0, w1];
    Some(copy)
}

/// A copy of a frame without the headers between IPv6's and the segment's; `None` if there
/// are none, or it is too long for a copy.
#[cfg(feature = "ipv6")]
#[cold]
pub(crate) fn without_headers<'c>(frame: &[u8], copy: &'c mut [u8; COPY]) -> Option<&'c [u8]> {
    let (head, rest) = frame.split_first_chunk::<54>()?;
    let length = usize::from(u16::from_be_bytes([head[18], head[19]]));
    let payload = rest.get(..length)?;
    let segment = payload.get(segment_behind(head[20], payload)?..)?;
    let copy = copy.get_mut(..54 + segment.len())?;
    let (front, back) = copy.split_at_mut(54);
    front.copy_from_slice(head);
    [front[18], front[19]] = (segment.len() as u16).to_be_bytes();
    front[20] = TCP;
    back.copy_from_slice(segment);
    Some(copy)
}

/// Writes another sequence number into a frame that leaves.
pub(crate) fn set_seq(frame: &mut [u8], sent: &Outgoing, seq: TcpSeqNumber) {
    if let Some(place) = frame.get_mut(sent.start + 4..sent.start + 8) {
        place.copy_from_slice(&seq.0.to_be_bytes());
    }
}

#[cfg(test)]
#[path = "patch_tests.rs"]
pub(crate) mod tests;
