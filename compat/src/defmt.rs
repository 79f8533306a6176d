//! Events through `defmt`: frames at `trace`, what tasks and connections do at
//! `debug`, what somebody should know at `warn`. Counters at `info`, when asked.
//! The words stay on the host; the board sends numbers.

use cygnet::event::{Counters, Event, Observer};
use smoltcp::time::Instant;

/// An observer that writes every event to `defmt`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Defmt;

impl Observer for Defmt {
    fn event(&self, now: Instant, event: &Event<'_>) {
        let at = now.total_micros();
        match *event {
            Event::FrameIn(frame) => defmt::trace!("{=i64:us} {} bytes in", at, frame.len()),
            Event::FrameOut(frame) => defmt::trace!("{=i64:us} {} bytes out", at, frame.len()),
            Event::Dropped(reason) => {
                defmt::warn!("{=i64:us} dropped, reason {}", at, reason as u8)
            }
            Event::Parked(reason) => {
                defmt::debug!("{=i64:us} SYN waits, reason {}", at, reason as u8)
            }
            Event::Admitted { slot, remote, .. } => {
                defmt::debug!("{=i64:us} #{} admitted, port {}", at, slot, remote.port)
            }
            Event::Accepted { slot, remote, .. } => {
                defmt::debug!("{=i64:us} #{} accepted, port {}", at, slot, remote.port)
            }
            Event::Connecting { slot, remote, .. } => {
                defmt::debug!("{=i64:us} #{} connects, port {}", at, slot, remote.port)
            }
            Event::Established { slot, .. } => defmt::debug!("{=i64:us} #{} established", at, slot),
            Event::Read { slot, bytes } => {
                defmt::debug!("{=i64:us} #{} read {}", at, slot, bytes.len())
            }
            Event::Written { slot, bytes } => {
                defmt::debug!("{=i64:us} #{} written {}", at, slot, bytes.len())
            }
            Event::Reset { slot } => defmt::warn!("{=i64:us} #{} reset by its peer", at, slot),
            Event::Expired { slot, deadline } => {
                defmt::warn!(
                    "{=i64:us} #{} expired, deadline {}",
                    at,
                    slot,
                    deadline as u8
                )
            }
            Event::Reclaimed { slot } => defmt::debug!("{=i64:us} #{} reclaimed", at, slot),
            Event::Freed { slot } => defmt::debug!("{=i64:us} #{} free", at, slot),
            Event::Bound { port } => defmt::debug!("{=i64:us} udp:{} bound", at, port),
            Event::Received { port, bytes, .. } => {
                defmt::debug!("{=i64:us} udp:{} received {}", at, port, bytes.len())
            }
            Event::Sent { port, bytes, .. } => {
                defmt::debug!("{=i64:us} udp:{} sent {}", at, port, bytes.len())
            }
            Event::Spawned { task, name, line } => {
                defmt::debug!("{=i64:us} task {}: {=str}:{}", at, task, name, line)
            }
            Event::Woken { task } => defmt::debug!("{=i64:us} task {} woken", at, task),
            Event::Resumed { task } => defmt::debug!("{=i64:us} task {} resumed", at, task),
            Event::Yielded { task, reason, .. } => {
                defmt::debug!(
                    "{=i64:us} task {} yields, reason {}",
                    at,
                    task,
                    reason as u8
                )
            }
            Event::Done { task, failed: true } => {
                defmt::warn!("{=i64:us} task {} failed", at, task)
            }
            Event::Done { task, .. } => defmt::debug!("{=i64:us} task {} done", at, task),
            // A kind that is newer than this file.
            _ => defmt::debug!("{=i64:us} something else", at),
        }
    }
}

/// Writes the totals.
pub fn counters(counters: &Counters) {
    defmt::info!(
        "frames {} in {} out {} dropped; accepts {}, resets {}, expired {}; \
         slots {} most {}; tasks {} most {}, refused {}, failed {}; turns {}",
        counters.frames_in,
        counters.frames_out,
        counters.dropped.iter().sum::<u64>(),
        counters.accepts,
        counters.resets,
        counters.expired,
        counters.slots_used,
        counters.slots_high,
        counters.tasks_used,
        counters.tasks_high,
        counters.spawns_refused,
        counters.tasks_failed,
        counters.turns,
    );
}
