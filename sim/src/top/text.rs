//! A moment as lines: what the screen shows, for who has none.

use cygnet::event::Counters;

use super::moment::{History, Moment};
use super::{table, words};
use crate::totals::Given;

/// Everything fits.
const WIDE: usize = usize::MAX / 2;

/// How much of a host is used, and since when it runs.
pub(super) fn title(name: &str, moment: &Moment, given: Given) -> String {
    let Counters {
        slots_used,
        tasks_used,
        ..
    } = moment.counters;
    format!(
        "{name}  up {}  slots {slots_used}/{}  tasks {tasks_used}/{}",
        words::time(moment.now - smoltcp::time::Instant::ZERO),
        given.slots,
        given.tasks
    )
}

/// A total and how fast it grows.
type Total = (&'static str, fn(&Counters) -> u64);

/// The totals that are shown with rates.
const TOTALS: [Total; 8] = [
    ("frames in", |counters| counters.frames_in),
    ("frames out", |counters| counters.frames_out),
    ("bytes in", |counters| counters.bytes_in),
    ("bytes out", |counters| counters.bytes_out),
    ("accepts", |counters| counters.accepts),
    ("resets", |counters| counters.resets),
    ("turns", |counters| counters.turns),
    ("polls", |counters| counters.polls),
];

/// Those that are shown when they are not zero.
const RARE: [Total; 6] = [
    ("deadlines passed", |counters| counters.expired),
    ("syns parked", |counters| counters.syns_parked),
    ("cookies given", |counters| counters.cookies_given),
    ("slots reclaimed", |counters| counters.reclaimed),
    ("spawns refused", |counters| counters.spawns_refused),
    ("tasks failed", |counters| counters.tasks_failed),
];

/// The totals, each with its rate, if that is known.
pub(super) fn totals(counters: &Counters, history: Option<&History>) -> Vec<String> {
    let rare = RARE.iter().filter(|(_, of)| of(counters) > 0);
    let all = TOTALS.iter().chain(rare);
    let said = all.map(|(name, of)| {
        let total = words::number(of(counters));
        match history {
            Some(history) => format!("{name} {total} ({}/s)", words::number(history.rate(of))),
            None => format!("{name} {total}"),
        }
    });
    said.collect()
}

/// Why frames were dropped, if any were.
pub(super) fn drops(counters: &Counters) -> Option<String> {
    let all = words::drops(counters).into_iter();
    let said: Vec<String> = all
        .map(|(count, why)| format!("{} {why}", words::number(count)))
        .collect();
    (!said.is_empty()).then(|| format!("dropped: {}", said.join(", ")))
}

/// All of it.
pub(super) fn whole(name: &str, moment: &Moment, given: Given) -> Vec<String> {
    let mut lines = vec![
        title(name, moment, given),
        totals(&moment.counters, None).join(", "),
    ];
    lines.extend(drops(&moment.counters));
    lines.extend(table::lines(&table::TASKS, &table::tasks(moment), WIDE));
    let connections = table::connections(moment);
    if connections.is_empty() {
        lines.push("no connection".into());
        return lines;
    }
    lines.extend(table::lines(&table::CONNECTIONS, &connections, WIDE));
    for one in &moment.connections {
        let limits: Vec<String> = one.limits().map(|limit| words::limit(&limit)).collect();
        if !limits.is_empty() {
            lines.push(format!("limits of #{}: {}", one.slot, limits.join(", ")));
        }
    }
    lines
}
