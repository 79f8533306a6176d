//! What a stranger receives: which bytes have come, how many it has read, which window
//! it offers, and when it acknowledges.
//!
//! Numbers count bytes from the first one. Bytes themselves are not kept: whoever knows
//! the stream compares them when they come.

use smoltcp::time::{Duration, Instant};

/// How late a late acknowledgement is.
const LATE: Duration = Duration::from_millis(200);

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Receiving {
    /// All before this have come.
    pub(super) rcv: u64,
    /// What came out of order.
    ranges: Vec<(u64, u64)>,
    /// One past the last byte, if that is known.
    fin: Option<u64>,
    /// How many the program has read, and by when.
    read: u64,
    read_at: Instant,
    /// Bytes a second that it reads; 0 is no limit.
    rate: u64,
    /// It does not read at all now.
    pub(super) holds: bool,
    buffer: u64,
    mss: u64,
    pub(super) shift: u8,
    /// The window's edge, and the farthest that was offered.
    edge: u64,
    pub(super) offered: u64,
    /// It offers each byte at once.
    pub(super) silly: bool,
    /// It acknowledges late.
    pub(super) delays: bool,
    /// An acknowledgement is due now, or then.
    pub(super) due: bool,
    due_at: Option<Instant>,
    /// How often it was late.
    pub(super) late: u64,
}

impl Receiving {
    pub(super) fn new(buffer: u64, rate: u64, mss: u64, now: Instant) -> Receiving {
        Receiving {
            rcv: 0,
            ranges: Vec::new(),
            fin: None,
            read: 0,
            read_at: now,
            rate,
            holds: false,
            buffer,
            mss,
            shift: 0,
            edge: buffer,
            offered: 0,
            silly: false,
            delays: false,
            due: false,
            due_at: None,
            late: 0,
        }
    }

    /// Whether all has come, the end too.
    pub(super) fn is_over(&self) -> bool {
        self.fin == Some(self.rcv)
    }

    /// Whether the program has read all that came.
    pub(super) fn is_read(&self) -> bool {
        self.read == self.rcv
    }

    /// How many bytes the program has read.
    pub(super) fn has_read(&self) -> u64 {
        self.read
    }

    /// The number to acknowledge.
    pub(super) fn ack(&self) -> u64 {
        self.rcv + u64::from(self.is_over())
    }

    /// What came out of order, for SACK.
    pub(super) fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    /// Text from `at` to before `end` came, and perhaps the FIN behind it. True if
    /// something is new.
    pub(super) fn text(&mut self, at: i64, end: i64, fin: bool, now: Instant) -> bool {
        let before = self.ack();
        let rcv = self.rcv as i64;
        let (start, stop) = (at.max(rcv), end.min(self.offered.max(self.edge) as i64));
        if stop > start {
            self.ranges.push((start as u64, stop as u64));
            self.ranges.sort_unstable();
            let mut merged: Vec<(u64, u64)> = Vec::new();
            for &(from, to) in &self.ranges {
                match merged.last_mut() {
                    Some((_, last)) if from <= *last => *last = to.max(*last),
                    _ => merged.push((from, to)),
                }
            }
            self.ranges = merged;
        }
        while let Some(&(from, to)) = self.ranges.first()
            && from <= self.rcv
        {
            self.rcv = self.rcv.max(to);
            self.ranges.remove(0);
        }
        if fin && end >= 0 && end <= stop.max(rcv) {
            self.fin = Some(end as u64);
        }
        let news = self.ack() > before;
        let in_order = news && at == rcv && end <= stop && !fin && self.ranges.is_empty();
        match in_order && self.delays && self.due_at.is_none() {
            true => self.due_at = Some(now + LATE),
            false => self.due = true,
        }
        news
    }

    /// The program reads, as time passes.
    pub(super) fn read(&mut self, now: Instant) {
        if self.holds {
            self.read_at = now;
        } else if self.rate == 0 {
            self.read = self.rcv;
        } else {
            let passed = (now - self.read_at).total_micros();
            let could = passed.saturating_mul(self.rate) / 1_000_000;
            let takes = could.min(self.rcv - self.read);
            self.read += takes;
            self.read_at = match self.read == self.rcv {
                true => now,
                false => self.read_at + Duration::from_micros(takes * 1_000_000 / self.rate),
            };
        }
        if self.worth() <= (self.read + self.buffer).saturating_sub(self.edge) {
            // The peer waits for this if it could send little before.
            self.due |= self.silly || self.edge < self.rcv + 2 * self.worth();
            self.edge = self.read + self.buffer;
        }
        if self.due_at.is_some_and(|at| now >= at) {
            self.late += 1;
            self.due = true;
        }
    }

    /// From how many bytes on a window is worth being offered (RFC 9293, 3.8.6.2.2).
    fn worth(&self) -> u64 {
        match self.silly {
            true => 1,
            false => self.mss.min(self.buffer / 2).max(1),
        }
    }

    /// The window, as it stands in a header with this shift.
    pub(super) fn window(&mut self, shift: u8) -> u16 {
        let window = self.edge.saturating_sub(self.rcv) >> shift;
        let window = u16::try_from(window).unwrap_or(u16::MAX);
        self.offered = self.offered.max(self.rcv + (u64::from(window) << shift));
        window
    }

    /// A segment with the acknowledgement leaves.
    pub(super) fn said(&mut self) {
        (self.due, self.due_at) = (false, None);
    }

    /// When something is due without a segment.
    pub(super) fn next_at(&self) -> Option<Instant> {
        let needs = (self.edge + self.worth()).saturating_sub(self.read + self.buffer);
        let reads = !self.holds && self.rate > 0 && self.read < self.rcv;
        let reads_at = reads.then(|| {
            let needs = needs.clamp(1, self.rcv - self.read);
            let micros = (needs * 1_000_000).div_ceil(self.rate);
            self.read_at + Duration::from_micros(micros)
        });
        [self.due_at, reads_at].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn text_out_of_order_is_kept_and_the_end_comes_with_the_last_byte() {
        let mut receiving = Receiving::new(1000, 0, 100, at(0));
        receiving.window(0);
        assert!(!receiving.text(20, 30, true, at(0)));
        assert!(!receiving.text(10, 15, false, at(0)));
        assert_eq!(receiving.ranges(), [(10, 15), (20, 30)]);
        assert!(receiving.text(0, 10, false, at(0)));
        assert_eq!((receiving.ack(), receiving.is_over()), (15, false));
        assert!(receiving.text(12, 20, false, at(0)));
        assert_eq!((receiving.ack(), receiving.is_over()), (31, true));
    }

    #[test]
    fn a_slow_reader_offers_what_is_worth_it() {
        let mut receiving = Receiving::new(100, 10, 1460, at(0));
        assert_eq!(receiving.window(0), 100);
        assert!(receiving.text(0, 100, false, at(0)));
        receiving.said();
        assert_eq!(receiving.window(0), 0);
        receiving.read(at(4900));
        assert_eq!((receiving.window(0), receiving.due), (0, false));
        assert_eq!(receiving.next_at(), Some(at(5000)));
        receiving.read(at(5000));
        assert_eq!((receiving.window(0), receiving.due), (50, true));
        receiving.said();
        receiving.silly = true;
        receiving.read(at(5100));
        assert_eq!((receiving.window(0), receiving.due), (51, true));
    }

    #[test]
    fn a_late_acknowledgement_is_not_later_than_the_next_text() {
        let mut receiving = Receiving::new(1000, 0, 100, at(0));
        receiving.delays = true;
        receiving.text(0, 10, false, at(0));
        receiving.read(at(199));
        assert_eq!((receiving.due, receiving.next_at()), (false, Some(at(200))));
        receiving.text(10, 20, false, at(199));
        assert!(receiving.due);
    }
}
