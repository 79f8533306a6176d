//! What leaves as long as nothing is acknowledged. Now and then a liar lets the first text
//! that it gets pass unheard for a while, as if it were lost, and counts its segments:
//!
//! - RFC 6928, 2: the first flight is "min (10*MSS, max (2*MSS, 14600))", so no more than
//!   ten segments however short they are;
//! - RFC 5681, 3.1: after a timeout "cwnd MUST be set to no more than the loss window, LW,
//!   which equals 1 full-sized segment", so a timeout repeats one.

use smoltcp::time::{Duration, Instant};

use super::part::Wrong;

/// How long nothing is heard: the first timeout passes, and not the second.
const UNHEARD: Duration = Duration::from_millis(1_500);

/// What comes so long after the last was sent by a timer.
const TIMEOUT: Duration = Duration::from_millis(900);

/// The most segments of a first flight.
const FIRST: u32 = 10;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Flight {
    /// When the first text came.
    began: Option<Instant>,
    /// When the last did.
    last: Option<Instant>,
    /// One past the highest number so far.
    top: i64,
    first: u32,
    repeated: u32,
}

impl Flight {
    /// Whether nothing is heard now.
    pub(super) fn is_unheard(&self, now: Instant) -> bool {
        self.began.is_some_and(|began| now < began + UNHEARD)
    }

    /// Text comes, up to `end`, into windows that are multiples of `unit`: a flight is no
    /// longer than the least of those all the same. True: it is not heard.
    ///
    /// # Errors
    /// There is more of it than there may be.
    pub(super) fn text(&mut self, end: i64, unit: i64, now: Instant) -> Result<bool, Wrong> {
        self.began.get_or_insert(now);
        if !self.is_unheard(now) {
            return Ok(false);
        }
        if self.last.is_some_and(|last| now >= last + TIMEOUT) {
            self.repeated = 0;
        }
        self.last = Some(now);
        let count = match end > self.top {
            true => &mut self.first,
            false => &mut self.repeated,
        };
        *count += 1;
        self.top = self.top.max(end);
        if self.first > FIRST && self.top > unit {
            let detail = format!("{} segments before one was acknowledged", self.first);
            return Err(("flight", detail));
        }
        if self.repeated > 1 {
            let detail = format!("a timeout repeats {} segments", self.repeated);
            return Err(("flight", detail));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether each of these pieces of text, by their ends and milliseconds, is all right.
    fn judged(pieces: &[(i64, i64)]) -> Result<Vec<bool>, Wrong> {
        let mut flight = Flight::default();
        let at = Instant::from_millis;
        pieces
            .iter()
            .map(|&(end, millis)| flight.text(end, 64, at(5000 + millis)))
            .collect()
    }

    #[test]
    fn ten_segments_leave_at_once_and_a_timeout_repeats_one() {
        let mut all: Vec<_> = (1..=10).map(|end| (end * 48, 0)).collect();
        all.extend([(48, 1000), (48, 1500), (480, 1500)]);
        let unheard: Vec<_> = (0..13).map(|piece| piece < 11).collect();
        assert_eq!(judged(&all), Ok(unheard));
        all.insert(10, (481, 20));
        let first = "11 segments before one was acknowledged".into();
        assert_eq!(judged(&all), Err(("flight", first)));
        let again = "a timeout repeats 2 segments".into();
        let twice = [(48, 0), (96, 0), (48, 1000), (96, 1000)];
        assert_eq!(judged(&twice), Err(("flight", again)));
    }
}
