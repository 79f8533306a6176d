//! What a frame of ours says about its flow, read on its way out.
//!
//! Not here: frames on their way in (`demux.rs`).

use smoltcp::wire::TcpSeqNumber;

use crate::frame::checksum;
use crate::frame::demux::{ACK, FIN, PSH, RST, SYN};

/// What a frame of ours, on its way out, says about its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// It opens the connection.
    pub syn: bool,
    /// It closes our direction.
    pub fin: bool,
    /// It resets the connection.
    pub rst: bool,
    /// It carries the last byte there is to send.
    pub psh: bool,
    /// Bytes of payload.
    pub payload: usize,
    /// What it acknowledges, if it does.
    pub ack: Option<TcpSeqNumber>,
    /// Its sequence number.
    pub seq: TcpSeqNumber,
    /// The window it offers, as it stands in the header.
    pub window: u16,
    /// Where its header begins in the frame.
    pub start: usize,
    /// What its addresses add to its checksum.
    pub pseudo: usize,
}

/// Reads a frame that this host sends; `None` if it is not TCP. smoltcp writes
/// neither IP options nor extension headers, so everything has its place.
#[inline]
pub(crate) fn outgoing(frame: &[u8]) -> Option<Outgoing> {
    if let Some(head) = frame.first_chunk::<54>()
        && [head[12], head[13], head[14], head[23]] == [0x08, 0x00, 0x45, 6]
    {
        let pseudo = checksum::pseudo(head[26..].first_chunk::<8>()?);
        return outgoing_tcp(frame.len(), head.last_chunk()?, 34, pseudo);
    }
    #[cfg(feature = "ipv6")]
    if let Some(head) = frame.first_chunk::<74>()
        && [head[12], head[13], head[20]] == [0x86, 0xdd, 6]
    {
        let pseudo = checksum::pseudo(head[22..].first_chunk::<32>()?);
        return outgoing_tcp(frame.len(), head.last_chunk()?, 54, pseudo);
    }
    None
}

#[inline]
fn outgoing_tcp(bytes: usize, tcp: &[u8; 20], start: usize, pseudo: usize) -> Option<Outgoing> {
    let number = |a, b, c, d| TcpSeqNumber(i32::from_be_bytes([a, b, c, d]));
    let flags = tcp[13];
    Some(Outgoing {
        syn: flags & SYN != 0,
        fin: flags & FIN != 0,
        rst: flags & RST != 0,
        psh: flags & PSH != 0,
        payload: bytes.checked_sub(start + usize::from(tcp[12] >> 4) * 4)?,
        ack: match flags & ACK {
            0 => None,
            _ => Some(number(tcp[8], tcp[9], tcp[10], tcp[11])),
        },
        seq: number(tcp[4], tcp[5], tcp[6], tcp[7]),
        window: u16::from_be_bytes([tcp[14], tcp[15]]),
        start,
        pseudo,
    })
}
