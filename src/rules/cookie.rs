//! SYN cookies (RFC 4987, 3.6). A flood of SYNs from addresses that do not
//! exist must not hold slots, so above the limit of half-open connections a SYN
//! is answered and forgotten: our sequence number in the answer is a keyed hash
//! of the connection, the peer's sequence number, the minute and a class of
//! MSS. When the acknowledgement of that number comes, the peer has proved that
//! it is there. Then its SYN is made again from the acknowledgement and
//! replayed into a fresh slot, which draws the same number, so the rest fits.
//!
//! Connections that did get a slot begin with such a number too. So the oldest
//! half-open one can be put out when a proven peer needs its slot, and can still
//! come back.
//!
//! A burst of honest peers is served best in its order and with all its options,
//! so its SYNs wait in line (`syn_queue.rs`) as long as handshakes get on. Once one
//! does not, because it was not answered in a quarter of a second or was reset, for
//! half a minute every SYN that finds no place is answered by a cookie whose window
//! is shut, those in line included; and whoever acknowledges one takes the place of
//! the oldest peer that has not, or waits in line for one, and then its window is
//! opened. So what does not answer holds nothing that somebody who answers needs,
//! however seldom or often it comes.
//!
//! The window is shut because a cookie is a promise: a peer that finds the places
//! taken would otherwise send, be ignored and repeat itself ever more seldom, while
//! one that may not send yet waits for a word from us. A firewall's SYN proxy does
//! the same. When the line is full, no more is promised: SYNs are dropped, and their
//! senders try again.
//!
//! What is lost by a cookie: window scale, SACK and timestamps, and the MSS is
//! one of four. And a peer that waits for us to speak, and whose
//! acknowledgement is lost, waits until it sends something.
//!
//! A segment that the network held back looks like the acknowledgement of a cookie
//! too. So what such a segment carries is not taken: a peer that is there sends it
//! again, and has seldom sent any, because its window was shut; one that is not
//! answers ours with a reset. And the last few connections that are over are
//! remembered, and what looks like more of them is dropped.
//!
//! A wrong acknowledgement costs at most seventeen short hashes, and only while
//! cookies are about. It is answered by a reset as ever, but not while handshakes are
//! doubted: a peer that was put out half-open, and whose first segment was lost,
//! acknowledges with a later sequence number than the one that would prove it.

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::TcpSeqNumber;

use crate::frame::demux::Segment;
use crate::frame::flow::Flow;
use crate::rules::keys::{HashInput, Use};
use crate::time::after;

/// What a cookie remembers of an MSS: the largest of these that it is not
/// below. A smaller MSS than the first becomes the first.
const CLASSES: [u16; 4] = [216, 536, 1220, 1440];

/// A cookie is good in the minute it was made in and in the next.
const MINUTE: Duration = Duration::from_secs(60);

/// An honest peer has finished its handshake by then.
pub(crate) const ROUND_TRIP: Duration = Duration::from_millis(250);

/// How long handshakes are doubted after the last that did not get on. Longer
/// than a half-open connection lasts, which is a sign as long as it does.
const DOUBT: Duration = Duration::from_secs(30);

/// How many connections that are over are remembered while cookies are about.
const OVER: usize = if cfg!(feature = "cookies") { 16 } else { 1 };

/// What an acknowledgement without a flow proves.
pub(crate) enum Proof {
    Nothing,
    /// That its sender has been here; its connection is over.
    Over,
    /// That its sender is there.
    Of(Cookie),
}

/// A SYN that was answered and forgotten, as its cookie tells of it.
pub(crate) struct Cookie {
    pub(crate) irs: TcpSeqNumber,
    pub(crate) isn: TcpSeqNumber,
    pub(crate) mss: u16,
}

/// Makes cookies and knows them again.
pub(crate) struct Cookies {
    key: [u8; 16],
    /// Somebody may hold one until then.
    until: Instant,
    /// A handshake did not get on lately: others are doubted until then.
    doubt_until: Instant,
    /// The last connections that are over, by a hash of their flow.
    over: [u32; OVER],
    next_over: u8,
}

impl Cookies {
    pub(crate) fn new(secret: &[u8; 16]) -> Self {
        Cookies {
            key: *secret,
            until: Instant::ZERO,
            doubt_until: Instant::ZERO,
            over: [0; OVER],
            next_over: 0,
        }
    }

    /// A connection is over. A copy of its first segment that the network held
    /// back must not begin it again, byte for byte.
    pub(crate) fn over(&mut self, flow: &Flow, now: Instant) {
        if now <= self.until {
            let (mark, at) = (self.mark(flow), usize::from(self.next_over));
            if let Some(place) = self.over.get_mut(at) {
                *place = mark;
            }
            self.next_over = if at + 1 < OVER { at as u8 + 1 } else { 0 };
        }
    }

    fn is_over(&self, flow: &Flow) -> bool {
        self.over.contains(&self.mark(flow))
    }

    /// Never zero, which is nobody.
    fn mark(&self, flow: &Flow) -> u32 {
        about(flow, TcpSeqNumber(0)).hash(&self.key) as u32 | 1
    }

    /// The number that answers a SYN.
    pub(crate) fn isn(&self, syn: &Segment, mss: u16, now: Instant) -> TcpSeqNumber {
        self.cookie(about(&syn.flow, syn.seq), minute(now), class(mss))
    }

    /// What a segment without a flow proves.
    pub(crate) fn prove(&self, segment: &Segment, now: Instant) -> Proof {
        match self.find(segment, now) {
            None => Proof::Nothing,
            Some(_) if self.is_over(&segment.flow) => Proof::Over,
            Some(cookie) => Proof::Of(cookie),
        }
    }

    /// Whether a handshake did not get on lately.
    pub(crate) fn doubts(&self, now: Instant) -> bool {
        now < self.doubt_until
    }

    /// The SYN whose cookie a segment acknowledges. A peer that may not send yet
    /// asks whether it may by a segment that is empty and one too early.
    fn find(&self, segment: &Segment, now: Instant) -> Option<Cookie> {
        if now > self.until {
            return None;
        }
        let isn = TcpSeqNumber(segment.ack.0.wrapping_sub(1));
        let asks = segment.payload == 0 && !segment.fin;
        (0..=i32::from(asks)).find_map(|early| {
            let irs = TcpSeqNumber(segment.seq.0.wrapping_sub(1).wrapping_add(early));
            let mss = self.mss(&segment.flow, irs, isn, now)?;
            Some(Cookie { irs, isn, mss })
        })
    }

    /// The MSS of the SYN to which `isn` was the answer, if it ever was.
    fn mss(&self, flow: &Flow, irs: TcpSeqNumber, isn: TcpSeqNumber, now: Instant) -> Option<u16> {
        let text = about(flow, irs);
        for minute in [minute(now), minute(now).wrapping_sub(1)] {
            for (class, mss) in CLASSES.iter().enumerate() {
                if self.cookie(text, minute, class as u8) == isn {
                    return Some(*mss);
                }
            }
        }
        None
    }

    /// A handshake was reset or given up.
    pub(crate) fn doubt(&mut self, now: Instant) {
        self.doubt_until = after(now, DOUBT);
    }

    /// A connection was forgotten that may come back.
    pub(crate) fn given(&mut self, now: Instant) {
        self.until = after(now, MINUTE * 2);
    }

    fn cookie(&self, mut text: HashInput, minute: u32, class: u8) -> TcpSeqNumber {
        text.add(&minute.to_le_bytes());
        text.add(&[class]);
        TcpSeqNumber(text.hash(&self.key) as i32)
    }
}

fn about(flow: &Flow, seq: TcpSeqNumber) -> HashInput {
    let mut text = HashInput::about(Use::Cookie, flow);
    text.add(&seq.0.to_le_bytes());
    text
}

fn minute(now: Instant) -> u32 {
    (now.total_micros() as u64 / MINUTE.total_micros()) as u32
}

fn class(mss: u16) -> u8 {
    let reached = CLASSES.iter().skip(1).filter(|&&class| class <= mss);
    reached.count() as u8
}
