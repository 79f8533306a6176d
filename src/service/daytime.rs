//! Daytime (RFC 867): says what time it is, and closes.
//!
//! The core has no calendar. `epoch` is the Unix time, in seconds, of the
//! platform's time zero; in a simulation it is whatever the test says, and the
//! answer repeats.

use core::fmt::{self, Write};

use crate::node::Node;
use crate::service::serve;
use crate::socket::{Backlog, ListenError, TcpStream};

/// Serves [`daytime_client`] on `port` until the listener is closed.
///
/// # Errors
/// [`ListenError`] when the port cannot be listened on.
///
/// # Cancel safety
/// **Safe.** As [`serve`].
pub async fn daytime(
    node: Node<'_>,
    port: u16,
    backlog: Backlog,
    epoch: i64,
) -> Result<(), ListenError> {
    let client = |stream| daytime_client(stream, epoch + node.now().total_micros() / 1_000_000);
    serve(node, "daytime", port, backlog, client).await
}

/// Writes `seconds` since 1970 as `2026-11-23 02:45:00 UTC\r\n` and closes.
///
/// # Cancel safety
/// **Safe.** The stream closes in the background.
pub async fn daytime_client(mut stream: TcpStream<'_>, seconds: i64) {
    if stream.write_all(line(seconds).as_bytes()).await.is_ok() {
        let _ = stream.close().await;
    }
}

/// Seconds since 1970 as it says them.
pub(super) fn line(seconds: i64) -> heapless::String<40> {
    let mut line = heapless::String::new();
    // 40 bytes hold every year up to 9999 and then some; a longer one is cut.
    let _ = write!(line, "{}\r\n", Utc(seconds));
    line
}

/// Seconds since 1970 as a date and a time.
struct Utc(i64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, seconds) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        let (year, month, day) = date(days);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC"
        )
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic
/// Gregorian calendar. Years begin in March here, so that the leap day is the
/// last one, and 400 years have 146,097 days.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468); // since 0000-03-01
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153; // March is 0
    let day = day - (153 * month + 2) / 5 + 1;
    let next = month / 10; // January and February are of the next
    (era * 400 + year + next, month + 3 - 12 * next, day)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn dates_are_right_at_the_edges() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (1_795_401_900, "2026-11-23 02:45:00 UTC"),
        ] {
            assert_eq!(Utc(seconds).to_string(), text);
        }
    }
}
