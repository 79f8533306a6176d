//! What the contenders have in common: the client, an in-memory Ethernet link,
//! and virtual time. A contender is a [`host::Host`] and may be in a program of
//! its own, see [`remote`].

pub mod client;
pub mod host;
pub mod link;
pub mod plan;
pub mod remote;
pub mod sockets;
pub mod world;

use smoltcp::wire::{IpAddress, IpCidr};

/// Bytes of a request.
pub const REQUEST: usize = 64;

/// Bytes a program moves at a time in bulk.
pub const CHUNK: usize = 1024;

pub fn address(number: u8) -> IpCidr {
    IpCidr::new(IpAddress::v4(10, 0, 0, number), 24)
}

/// The middle of the values, or between the two in the middle. Not a number of
/// none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => (sorted[count / 2 - 1] + sorted[count / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert!(median(&[]).is_nan());
    }
}
