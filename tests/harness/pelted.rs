//! What hosts are pelted with: bytes that a fuzzer brings, and datagrams around them.

/// Bytes that a fuzzer brings, one after the other; zeros at the end.
pub struct Bytes<'b>(pub &'b [u8]);

impl Bytes<'_> {
    pub fn next(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }
}

/// Where what a datagram carries begins in its frame: behind Ethernet, IPv4 and UDP.
pub const PAYLOAD: usize = 14 + 20 + 8;

/// A datagram of the host 9 in its frame, from this port to this address and port.
pub fn datagram(from: u16, link: [u8; 6], (to, port): ([u8; 4], u16), payload: &[u8]) -> Vec<u8> {
    let bytes = 8 + payload.len() as u16;
    let mut frame = [&link[..], &[2, 0, 0, 0, 0, 9, 8, 0, 0x45, 0]].concat();
    frame.extend((20 + bytes).to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 9]);
    frame.extend(to);
    let words = frame[14..34].chunks(2);
    let sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]))
        .sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    // No sum of its own (RFC 768).
    frame.extend([from, port, bytes, 0].map(u16::to_be_bytes).as_flattened());
    frame.extend(payload);
    frame
}
