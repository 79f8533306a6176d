//! IPv6 extension headers in front of TCP. Some networks and hosts put options, a routing
//! header that has been used up, or the header of a fragment that is whole before a
//! segment; what is behind them is as good as any. smoltcp looks at some of them and not at
//! others, and resets what it finds, so they are taken out before it sees the segment
//! (`patch.rs`).
//!
//! The rule (RFC 8200, 4): headers are read in their order; one that may not be skipped, or
//! lies about its length, ends it. What an option or a router would have to be answered
//! about is not: it is dropped.
//!
//! Not here: fragments that are not whole.

const HOP_BY_HOP: u8 = 0;
pub(crate) const TCP: u8 = 6;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

/// More headers than anybody sends (RFC 8504, 5.3: a limit is a host's right).
const MOST: usize = 8;

/// Where in the payload of an IPv6 packet, whose next header is `next`, its segment begins,
/// if there are headers in front of it and all may be skipped.
#[cold]
pub(crate) fn segment_behind(mut next: u8, payload: &[u8]) -> Option<usize> {
    let mut at = 0;
    for number in 0..MOST {
        let rest = payload.get(at..)?;
        let (header, mut length) = match *rest {
            [header, words, ..] => (header, usize::from(words) * 8 + 8),
            _ => return None,
        };
        match next {
            TCP => return (at > 0).then_some(at),
            // RFC 8200, 4.1: hop-by-hop options only "immediately after an IPv6 header".
            HOP_BY_HOP if number == 0 => options(rest.get(2..length)?)?,
            DESTINATION => options(rest.get(2..length)?)?,
            // RFC 8200, 4.4: "If Segments Left is zero, the node must ignore the Routing
            // header".
            ROUTING if rest.get(3) == Some(&0) => (),
            // RFC 8200, 4.5: offset and M zero: "a fully reassembled packet".
            FRAGMENT if matches!(rest, [_, _, 0, low, ..] if low & !6 == 0) => length = 8,
            _ => return None,
        }
        at += length;
        next = header;
    }
    None
}

/// Whether all of these options may be skipped (RFC 8200, 4.2: "00 - skip over this
/// option").
fn options(mut bytes: &[u8]) -> Option<()> {
    loop {
        match *bytes {
            [] => return Some(()),
            [0, ..] => bytes = bytes.get(1..)?,
            [kind, length, ..] if kind >> 6 == 0 => {
                bytes = bytes.get(2 + usize::from(length)..)?;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
