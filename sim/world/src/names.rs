//! The names of a world, and what servers have said of them. What is true of a name changes
//! every hour. It is judged what a client believes:
//!
//! - `name`: an address that no server has said of that name, or none has for longer than it
//!   was good;
//! - `answer`: no answer and no error in the time that all servers may take together;
//! - `resolve`: an error after the faults, although there is a server that knows.
//!
//! Not here: servers (`dns_server`) and clients (`dns_client`).

use std::collections::BTreeMap;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpAddress;

use crate::dns_message::{A, AAAA, ALIAS, Record, labels};

/// For how many seconds an answer is good.
const GOOD: u32 = 300;

/// There are so many names.
pub(super) const NAMES: u64 = 8;

/// What there is to say of names, and what was said when, for the last time.
#[derive(Debug, Default)]
pub(super) struct Names {
    said: BTreeMap<(u64, IpAddress), Instant>,
}

/// What is known of a name.
pub(super) enum Known {
    Records(Vec<Record>),
    Nothing,
    NoName,
}

impl Names {
    /// What a server says of a name now.
    pub(super) fn ask(&mut self, name: &str, kind: u16, now: Instant) -> Known {
        let number = name
            .strip_prefix('n')
            .and_then(|name| name.strip_suffix(".test"));
        let Some(number) = number.and_then(|number| number.parse::<u64>().ok()) else {
            return Known::NoName;
        };
        let alias = |of: u64, to: u64| Record {
            name: name_of(of),
            kind: ALIAS,
            seconds: GOOD,
            data: labels(&name_of(to), false),
        };
        match number {
            3 | NAMES.. => Known::NoName,
            1 => Known::Records(vec![alias(1, 0)]),
            5 => {
                let mut records = vec![alias(5, 4)];
                records.extend(self.addresses(4, kind, now));
                // Whoever believes the answer believes it of both names.
                self.said_also(5, 4);
                Known::Records(records)
            }
            // Each is the other's: nobody ever finds out more.
            6 | 7 => Known::Records(vec![alias(number, 13 - number)]),
            _ => match self.addresses(number, kind, now) {
                none if none.is_empty() => Known::Nothing,
                records => {
                    self.said_also(1, 0);
                    self.said_also(5, 4);
                    Known::Records(records)
                }
            },
        }
    }

    fn addresses(&mut self, number: u64, kind: u16, now: Instant) -> Vec<Record> {
        let hour = (now.total_micros() / 3_600_000_000) as u16;
        let [high, low] = hour.to_be_bytes();
        let mut records = Vec::new();
        for place in 0..2 {
            let addr = match kind {
                A => IpAddress::v4(10, 9 + (high & 0x7f), number as u8 * 2 + place + 1, low),
                AAAA if number != 2 => {
                    IpAddress::v6(0xfd09, 0, 0, 0, 0, hour, number as u16, place.into())
                }
                _ => break,
            };
            self.said.insert((number, addr), now);
            records.push(Record {
                name: name_of(number),
                kind,
                seconds: GOOD,
                data: octets(addr),
            });
        }
        records
    }

    /// What was said of one name was said of its alias.
    fn said_also(&mut self, alias: u64, of: u64) {
        let said = self.said.iter().filter(|((number, _), _)| *number == of);
        let said: Vec<_> = said.map(|((_, addr), at)| ((alias, *addr), *at)).collect();
        self.said.extend(said);
    }

    /// Whether a client may believe that a name has this address now, that asked it `took` ago.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn may_have(
        &self,
        number: u64,
        addr: IpAddress,
        (now, took): (Instant, Duration),
    ) -> Result<(), String> {
        let name = name_of(number);
        match self.said.get(&(number, addr)) {
            None => Err(format!("{name} is {addr}, which no server has said")),
            Some(said) if *said + Duration::from_secs(GOOD.into()) + took + SLACK < now => Err(
                format!("{name} is {addr}, which was good for {GOOD} s when it was said at {said}"),
            ),
            Some(_) => Ok(()),
        }
    }
}

/// An answer is on its way for so long at most, and for so long the resolver was busy with it.
const SLACK: Duration = Duration::from_secs(30);

/// Whether there is an address of a name, of IPv4.
pub(super) fn has_address(number: u64) -> bool {
    matches!(number, 0 | 1 | 2 | 4 | 5)
}

/// A name by its number.
pub(super) fn name_of(number: u64) -> String {
    format!("n{number}.test")
}

/// An address that is no name's.
pub(super) fn forged(kind: u16) -> Vec<u8> {
    octets(match kind {
        AAAA => IpAddress::v6(0xfd66, 0, 0, 0, 0, 0, 0, 1),
        _ => IpAddress::v4(10, 66, 6, 6),
    })
}

fn octets(addr: IpAddress) -> Vec<u8> {
    match addr {
        IpAddress::Ipv4(addr) => addr.octets().to_vec(),
        IpAddress::Ipv6(addr) => addr.octets().to_vec(),
    }
}
