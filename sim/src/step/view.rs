//! A moment in words, for lines and for the screen.

use cygnet_world::cursor::{Cursor, HostView, List, Snapshot};

/// What a host is, in a few words.
pub(super) fn state(host: &HostView) -> String {
    let mut words = match (host.is_off, host.is_paused) {
        (true, _) => "off".to_owned(),
        (_, true) => "stands still".to_owned(),
        _ => "on".to_owned(),
    };
    if host.ring > 0 {
        words += &format!(", {} in its card's ring", host.ring);
    }
    if host.dropped > 0 {
        words += &format!(", {} dropped", host.dropped);
    }
    words
}

/// The lesson's lists of a host.
pub(super) fn lists(host: &HostView) -> Vec<String> {
    if host.is_machine {
        let next = match host.next_turn {
            Some(at) => format!("{}.{:06} on its clock", at.secs(), at.micros()),
            None => "when a frame comes".to_owned(),
        };
        let mut lines = vec![format!("a machine with a TCP of its own; next turn {next}")];
        if !host.printed.is_empty() {
            lines.push(format!("printed {:?}", host.printed));
        }
        return lines;
    }
    let list = |list: List| {
        let tasks = host.tasks.values().filter(|task| task.list() == list);
        let tasks: Vec<String> = tasks.map(ToString::to_string).collect();
        let tasks = match tasks.is_empty() {
            true => "-".to_owned(),
            false => tasks.join("; "),
        };
        format!("{:<9} {tasks}", list.word())
    };
    List::ALL.map(list).to_vec()
}

/// A host's connections, a line each.
pub(super) fn connections(host: &HostView) -> Vec<String> {
    let lines = host.connections.values().map(ToString::to_string);
    lines.collect()
}

/// What waits in rings, and what is on its way.
pub(super) fn queues(cursor: &Cursor, here: &Snapshot) -> Vec<String> {
    let rings = here.hosts.iter().filter(|host| host.ring > 0);
    let mut lines: Vec<String> = rings
        .map(|host| format!("{}: {} in its card's ring", host.name, host.ring))
        .collect();
    for (sent, flight) in &here.flights {
        let key = cursor.key(flight.frame);
        let copies = match flight.copies {
            1 => String::new(),
            copies => format!(", {copies} copies"),
        };
        let bytes = flight.bytes;
        lines.push(format!(
            "on its way: {key}, {bytes} bytes, sent in event {sent}{copies}"
        ));
    }
    lines
}
