//! What is counted, by the names that both the page and Prometheus have for it.

use cygnet::event::{Counters, DropReason};

/// A name, what it is, and where it is found.
pub(super) type Total = (&'static str, &'static str, fn(&Counters) -> u64);

/// What only grows.
pub(super) const TOTALS: [Total; 22] = [
    ("frames_received", "Frames received.", |c| c.frames_in),
    ("received_bytes", "Bytes in them.", |c| c.bytes_in),
    ("frames_sent", "Frames sent.", |c| c.frames_out),
    ("sent_bytes", "Bytes in them.", |c| c.bytes_out),
    ("syns_admitted", "SYNs that took a slot.", |c| {
        c.syns_admitted
    }),
    ("syns_parked", "SYNs that waited for a place.", |c| {
        c.syns_parked
    }),
    ("cookies_given", "SYNs answered by a cookie.", |c| {
        c.cookies_given
    }),
    (
        "cookies_taken",
        "Connections that a cookie brought back.",
        |c| c.cookies_taken,
    ),
    ("accepts", "Connections accepted.", |c| c.accepts),
    ("connects", "Connections opened.", |c| c.connects),
    ("resets", "Connections that the peer reset.", |c| c.resets),
    ("expired", "Connections that a deadline ended.", |c| {
        c.expired
    }),
    (
        "rescued",
        "Bytes sent again by a rescue: a bug if not zero.",
        |c| c.rescued,
    ),
    ("reclaimed", "Slots given to a newer connection.", |c| {
        c.reclaimed
    }),
    (
        "conflicts",
        "Times that another host used our address.",
        |c| c.conflicts,
    ),
    ("datagrams_received", "Datagrams taken for a socket.", |c| {
        c.datagrams_in
    }),
    ("datagrams_sent", "Datagrams of sockets that left.", |c| {
        c.datagrams_out
    }),
    ("spawns_refused", "Spawns that found no place.", |c| {
        c.spawns_refused
    }),
    ("tasks_failed", "Tasks that ended with an error.", |c| {
        c.tasks_failed
    }),
    (
        "timers_refused",
        "Waits that found no timer of their own.",
        |c| c.timers_refused,
    ),
    ("turns", "Turns of the event loop.", |c| c.turns),
    ("polls", "Polls of tasks.", |c| c.polls),
];

/// What comes and goes.
pub(super) const GAUGES: [Total; 4] = [
    ("slots_used", "Slots in use now.", |c| c.slots_used.into()),
    ("slots_high", "Most slots ever in use.", |c| {
        c.slots_high.into()
    }),
    ("tasks_used", "Tasks that live now.", |c| {
        c.tasks_used.into()
    }),
    ("tasks_high", "Most tasks that ever lived.", |c| {
        c.tasks_high.into()
    }),
];

/// Why a frame was dropped: [`DropReason`], in its order.
pub(super) const DROPS: [&str; DropReason::COUNT] = [
    "malformed",
    "not_ours",
    "not_unicast",
    "bad_source",
    "fragment",
    "backlog_full",
    "no_slot",
    "bad_segment",
    "borrowed",
    "checksum",
    "inexact_reset",
    "open_flow",
    "never_sent",
    "throttled",
    "repeated_ack",
    "unsolicited",
    "old_duplicate",
    "past_edge",
    "after_end",
    "unread",
    "too_long",
    "no_neighbor",
];
