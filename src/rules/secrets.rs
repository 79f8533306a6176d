//! What peers must not foresee of a host's own connections: initial sequence numbers
//! and ports.

use smoltcp::time::Instant;
use smoltcp::wire::{IpEndpoint, TcpSeqNumber};

use crate::frame::flow::Flow;
use crate::rules::keys::{HashInput, Use};

/// First of the dynamic ports (RFC 6335).
pub(crate) const FIRST_DYNAMIC_PORT: u16 = 49152;

/// The secret of one boot, and what was drawn from it.
pub(crate) struct Secrets {
    key: [u8; 16],
    /// How many ports were drawn so far.
    drawn: u64,
}

impl Secrets {
    pub(crate) fn new(secret: &[u8; 16]) -> Self {
        Secrets {
            key: *secret,
            drawn: 0,
        }
    }

    /// The initial sequence number of a connection that begins now: a clock of four
    /// microseconds plus a keyed hash of the connection (RFC 6528).
    pub(crate) fn isn(&self, flow: &Flow, now: Instant) -> TcpSeqNumber {
        let clock = now.total_micros() / 4;
        let hash = HashInput::about(Use::Isn, flow).hash(&self.key);
        TcpSeqNumber((hash as i32).wrapping_add(clock as i32))
    }

    /// A number that nobody can foresee, also who knows all those before.
    #[cfg(feature = "udp")]
    pub(crate) fn draw(&mut self) -> u64 {
        self.drawn += 1;
        let mut text = HashInput::of(Use::Draw);
        text.add(&self.drawn.to_le_bytes());
        text.hash(&self.key)
    }

    /// A flow to `remote` from a port of `local` that is not `taken`: a keyed hash of
    /// the destination and a counter (RFC 6056, algorithm 3). It tries no more than
    /// `tries` ports.
    pub(crate) fn dynamic_flow(
        &mut self,
        mut local: IpEndpoint,
        remote: IpEndpoint,
        tries: u32,
        mut taken: impl FnMut(&Flow) -> bool,
    ) -> Option<Flow> {
        let range = u32::from(u16::MAX - FIRST_DYNAMIC_PORT) + 1;
        let text = HashInput::about(
            Use::Port,
            &Flow::new(IpEndpoint { port: 0, ..local }, remote),
        );
        let start = text.hash(&self.key) as u32;
        let mut flows = (0..range.min(tries)).map(|_| {
            self.drawn += 1;
            let offset = start.wrapping_add(self.drawn as u32) % range;
            local.port = FIRST_DYNAMIC_PORT + offset as u16;
            Flow::new(local, remote)
        });
        flows.find(|flow| !taken(flow))
    }
}
