//! Questions for the address of a name, and what answers say (RFC 1035), with smoltcp's wire
//! format.
//!
//! The rule: an answer counts if it has the number and the question that were asked, without
//! case (RFC 4343); it is followed along its aliases, and no farther than it goes. Reading it
//! takes a bounded number of looks at each record, whatever it says.
//!
//! Not here: who is asked, and how often (`service/dns.rs`).

use heapless::Vec;
use smoltcp::wire::{
    DnsFlags, DnsOpcode, DnsPacket, DnsQueryType, DnsQuestion, DnsRcode, DnsRecord, DnsRecordData,
    DnsRepr, IpAddress,
};

/// The port of servers.
pub(crate) const SERVER_PORT: u16 = 53;

/// The longest message without more ado (RFC 1035, 2.3.4); of one that comes by TCP so much is
/// read.
pub(crate) const LONGEST: usize = 512;

/// The longest name, in labels with their lengths, with the root's (RFC 1035, 2.3.4).
const LONGEST_NAME: usize = 255;

/// How many addresses of a name are kept.
const MOST: usize = 4;

/// How many aliases in a row are followed.
pub(crate) const ALIASES: u8 = 8;

/// A name in labels.
pub(crate) type Name = Vec<u8, LONGEST_NAME>;

/// The addresses of a name.
pub(crate) type Addresses = Vec<IpAddress, MOST>;

/// A name in labels, of one in letters, digits, hyphens, underlines and dots. `None`: it is
/// none.
pub(crate) fn name(text: &str) -> Option<Name> {
    let mut name = Name::new();
    let text = text.strip_suffix('.').unwrap_or(text);
    for label in text.split('.') {
        let is_in_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if label.is_empty() || label.len() > 63 || !label.bytes().all(|byte| is_in_name(&byte)) {
            return None;
        }
        name.push(label.len() as u8).ok()?;
        name.extend_from_slice(label.as_bytes()).ok()?;
    }
    name.push(0).ok()?;
    Some(name)
}

/// Writes a question, and gives how long it is.
pub(crate) fn write(room: &mut [u8; LONGEST], id: u16, name: &[u8], kind: DnsQueryType) -> usize {
    let question = DnsRepr {
        transaction_id: id,
        opcode: DnsOpcode::Query,
        flags: DnsFlags::RECURSION_DESIRED,
        question: DnsQuestion { name, type_: kind },
    };
    let length = question.buffer_len();
    if let Some(room) = room.get_mut(..length) {
        room.fill(0);
        question.emit(&mut DnsPacket::new_unchecked(room));
    }
    length
}

/// What a server says.
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Addresses, and for how many seconds they are good.
    Addresses(Addresses, u32),
    /// Another name is the right one, for so many seconds.
    Alias(Name, u32),
    /// The name has no address of this kind.
    NoAddress,
    /// There is no such name.
    NoName,
    /// It is too long for a datagram.
    Truncated,
    /// The server does not know: another one may.
    Failed,
}

/// Reads an answer to this question; `None`: it is none.
pub(crate) fn read(bytes: &[u8], id: u16, name: &[u8], kind: DnsQueryType) -> Option<Answer> {
    let packet = DnsPacket::new_checked(bytes).ok()?;
    let flags = packet.flags();
    let (rest, question) = DnsQuestion::parse(packet.payload()).ok()?;
    let is_ours = packet.transaction_id() == id
        && flags.contains(DnsFlags::RESPONSE)
        && packet.opcode() == DnsOpcode::Query
        && packet.question_count() == 1
        && question.type_ == kind
        && is_same(&packet, question.name, name);
    if !is_ours {
        return None;
    }
    Some(match packet.rcode() {
        _ if flags.contains(DnsFlags::TRUNCATED) => Answer::Truncated,
        DnsRcode::NoError => follow(&packet, rest, name, kind),
        DnsRcode::NXDomain => Answer::NoName,
        _ => Answer::Failed,
    })
}

/// Looks for the addresses of a name among the records of an answer, along its aliases.
fn follow(packet: &DnsPacket<&[u8]>, records: &[u8], name: &[u8], kind: DnsQueryType) -> Answer {
    let Ok(mut name) = Name::from_slice(name) else {
        return Answer::Failed;
    };
    let mut ttl = u32::MAX;
    let mut is_alias = false;
    for _ in 0..=ALIASES {
        let (mut found, mut alias, mut rest) = (Addresses::new(), None, records);
        for _ in 0..packet.answer_record_count() {
            // What is cut off, or of another class, ends it.
            let Ok((behind, record)) = DnsRecord::parse(rest) else {
                break;
            };
            rest = behind;
            if !is_same(packet, record.name, &name) {
                continue;
            }
            let addr = match record.data {
                DnsRecordData::A(addr) if kind == DnsQueryType::A => addr.into(),
                #[cfg(feature = "ipv6")]
                DnsRecordData::Aaaa(addr) if kind == DnsQueryType::Aaaa => addr.into(),
                DnsRecordData::Cname(target) => {
                    alias = alias.or(labels(packet, target).map(|to| (to, record.ttl)));
                    continue;
                }
                _ => continue,
            };
            if can_be_used(addr) && found.push(addr).is_ok() {
                ttl = ttl.min(record.ttl);
            }
        }
        match alias {
            _ if !found.is_empty() => return Answer::Addresses(found, ttl),
            Some((to, seconds)) => (name, ttl, is_alias) = (to, ttl.min(seconds), true),
            None if is_alias => return Answer::Alias(name, ttl),
            None => return Answer::NoAddress,
        }
    }
    // More aliases than anybody has, or a circle of them.
    Answer::Failed
}

/// Whether an address can be somebody's to speak to.
fn can_be_used(addr: IpAddress) -> bool {
    addr.is_unicast() && !addr.is_multicast() && !addr.is_unspecified()
}

/// A name of a packet in labels. `None`: it is malformed, or too long.
fn labels(packet: &DnsPacket<&[u8]>, bytes: &[u8]) -> Option<Name> {
    let mut name = Name::new();
    for label in packet.parse_name(bytes) {
        let label = label.ok()?;
        name.push(label.len() as u8).ok()?;
        name.extend_from_slice(label).ok()?;
    }
    name.push(0).ok()?;
    Some(name)
}

/// Whether a name of a packet is this one, without case.
fn is_same(packet: &DnsPacket<&[u8]>, bytes: &[u8], mut name: &[u8]) -> bool {
    for label in packet.parse_name(bytes) {
        let (Ok(label), Some((&length, rest))) = (label, name.split_first()) else {
            return false;
        };
        let Some((ours, rest)) = rest.split_at_checked(length.into()) else {
            return false;
        };
        if length == 0 || !label.eq_ignore_ascii_case(ours) {
            return false;
        }
        name = rest;
    }
    name == [0]
}

#[cfg(test)]
#[path = "dns_tests.rs"]
mod tests;
