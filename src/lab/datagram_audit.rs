//! What the tables of datagrams say about each other, checked: lines and what stands in
//! them, rings, chains of sockets, and that nobody sleeps beside what would wake it.
//!
//! Not here: what has become of a datagram. That is for whoever counts.

#[cfg(feature = "groups")]
use crate::frame::flow::Flow;
use crate::lab::sound::{Inconsistent, ensure};
use crate::table::binds::Binds;
#[cfg(feature = "groups")]
use crate::table::binds::words;
#[cfg(feature = "groups")]
use crate::table::joined::{Joined, is_everybodys};
use crate::table::line::Line;

/// Checks them, between turns.
pub(crate) fn datagrams(binds: &Binds<'_>) -> Result<(), Inconsistent> {
    let waiters = &binds.waiters;
    let places = waiters.places.len();
    let (mut standing, mut free) = (0, 0);
    for line in lines(binds) {
        for place in places_of(&line, waiters.links, places) {
            standing += 1;
            let stands = waiters
                .places
                .get(place as usize)
                .is_some_and(|it| it.stands);
            ensure("who is in a line stands in it", place, stands)?;
        }
    }
    for place in places_of(&waiters.free, waiters.links, places) {
        free += 1;
        let stands = waiters
            .places
            .get(place as usize)
            .is_some_and(|it| it.stands);
        ensure("a free place is in no line", place, !stands)?;
    }
    let stand = waiters.places.iter().filter(|it| it.stands).count();
    ensure("who stands is in one line", 0, stand == standing)?;
    ensure(
        "every place is free, or somebody's",
        0,
        free + standing <= places,
    )?;
    let woken = places - free - standing;
    for (number, bind) in (0..).zip(&*binds.binds) {
        if bind.port == 0 {
            continue;
        }
        let ensure = |rule, holds| ensure(rule, number, holds);
        let found = binds.on(bind.port).filter(|it| it.0 == number).count();
        ensure("a socket is once in the chain of its port", found == 1)?;
        let fits = usize::from(bind.count) <= binds.depth;
        ensure("a ring holds no more than it may", fits)?;
        let sleeps = bind.readers.head != 0 && woken == 0;
        ensure(
            "a datagram wakes who waits for it",
            bind.count == 0 || !sleeps,
        )?;
    }
    let outbox = &binds.outbox;
    let cells = outbox.cells.len();
    let queued = places_of(&outbox.line, outbox.links, cells);
    let parked = |place: &u32| {
        outbox
            .cells
            .get(*place as usize)
            .is_some_and(|it| it.parked)
    };
    let waits = queued.clone().filter(parked).count();
    let queued = queued.count();
    let room = places_of(&outbox.free, outbox.links, cells).count();
    ensure(
        "a place of the outbox is free or queued",
        0,
        queued + room == cells,
    )?;
    let few = waits <= (cells / 2).max(1);
    ensure("half of the outbox is for those who answer", 0, few)?;
    let looked_at = waits == 0 || outbox.due.is_some();
    ensure("a parked datagram is looked at again", 0, looked_at)?;
    let sleeps = outbox.senders.head != 0 && room > 0 && woken == 0;
    ensure("room wakes who waits to send", 0, !sleeps)
}

/// Checks groups, between turns: what is said of them is what sockets hear.
#[cfg(feature = "groups")]
pub(crate) fn groups(binds: &Binds<'_>, joined: &Joined) -> Result<(), Inconsistent> {
    let heard = || binds.binds.iter().flat_map(|bind| bind.groups);
    for (number, row) in (0..).zip(joined.rows.iter().flatten()) {
        let sockets = heard().filter(|it| *it == words(row.group)).count();
        let ensure = |rule, holds| ensure(rule, number, holds);
        ensure("a group has its sockets", sockets == row.sockets as usize)?;
        let is_over = row.sockets == 0 && row.due.is_none();
        ensure("a group that nobody hears is forgotten", !is_over)?;
        let rows = joined.rows.iter().flatten();
        let same = rows.filter(|it| it.group == row.group).count();
        ensure("a group is there once", same == 1)?;
    }
    let is_there = |(words, local)| {
        let flow = Flow {
            words,
            local,
            ..Flow::ZERO
        };
        let group = flow.local_addr();
        is_everybodys(group) || joined.rows.iter().flatten().any(|row| row.group == group)
    };
    let all = heard().all(|it| it.0 == 0 || is_there(it));
    ensure("what a socket hears is said", 0, all)
}

/// The lines of everybody who waits.
fn lines(binds: &Binds<'_>) -> impl Iterator<Item = Line> {
    let readers = binds.binds.iter().filter(|bind| bind.port != 0);
    let readers = readers.map(|bind| bind.readers);
    readers.chain([binds.outbox.senders])
}

/// The places in a line; of a circle as many as there are, and one more.
fn places_of(line: &Line, links: &[u32], most: usize) -> impl Iterator<Item = u32> + Clone {
    let next = |place: &u32| Line::behind(links, *place);
    core::iter::successors(line.first(), next).take(most + 1)
}
