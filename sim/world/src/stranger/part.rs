//! Which part a stranger has in an echo: it calls, says a stream of its own and hears it
//! again; or it serves, and says again what it hears.
//!
//! Not here: which of it is due, and when.

use crate::visit::word;

/// The rule that was broken, and how.
pub(super) type Wrong = (&'static str, String);

/// See the [module](self).
#[derive(Debug)]
pub(super) enum Part {
    Calls {
        /// What it says follows from this.
        key: u64,
    },
    Serves {
        /// What it has heard, in any order.
        heard: Vec<Option<u8>>,
        /// Where the stream that it hears ends.
        end: Option<i64>,
    },
}

impl Part {
    /// It has heard nothing yet.
    pub(super) fn serves() -> Part {
        Part::Serves {
            heard: Vec::new(),
            end: None,
        }
    }

    pub(super) fn is_served(&self) -> bool {
        matches!(self, Part::Calls { .. })
    }

    /// Byte `at` of what it says. A liar says more than there is.
    pub(super) fn says(&self, at: u64) -> u8 {
        match self {
            Part::Calls { key } => word(*key, at),
            Part::Serves { heard, .. } => heard.get(at as usize).copied().flatten().unwrap_or(0),
        }
    }

    /// It hears this byte; it has said all before `said`.
    ///
    /// # Errors
    /// That cannot be what the other side has to say.
    pub(super) fn hears(&mut self, at: i64, byte: u8, said: u64) -> Result<(), Wrong> {
        let detail = match self {
            Part::Calls { .. } if at < 0 || at >= said as i64 => {
                format!("byte {at} of an answer was never said")
            }
            Part::Calls { key } if byte != word(*key, at as u64) => {
                format!("byte {at} of an answer is not what was said")
            }
            Part::Calls { .. } => return Ok(()),
            Part::Serves { .. } if at < 0 => format!("byte {at} is before the first"),
            Part::Serves { heard, .. } => {
                let at = at as usize;
                heard.resize(heard.len().max(at + 1), None);
                match heard[at].replace(byte) {
                    Some(before) if before != byte => {
                        format!("byte {at} is not what it was")
                    }
                    _ => return Ok(()),
                }
            }
        };
        Err(("bytes", detail))
    }

    /// It hears that the other stream ends there; its own is so long, and has been said to
    /// its end or not.
    ///
    /// # Errors
    /// That cannot be.
    pub(super) fn ends(&mut self, at: i64, total: u64, said: bool) -> Result<(), Wrong> {
        let detail = match self {
            Part::Calls { .. } if at != total as i64 || !said => {
                format!("the answer ends at {at}, and {total} bytes are said")
            }
            Part::Calls { .. } => return Ok(()),
            Part::Serves { end, .. } => match end.replace(at) {
                Some(before) if before != at => format!("it ends at {at}, and at {before} before"),
                _ => return Ok(()),
            },
        };
        Err(("end", detail))
    }
}
