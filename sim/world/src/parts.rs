//! What a world has besides hosts: wires, switches, intruders.

use super::attack::Attacker;
use super::ids::{End, LinkId};
use super::learned::Learned;
use super::link::Direction;

/// A link, and what is at its ends.
pub(super) struct Wire {
    pub(super) name: String,
    pub(super) ends: [End; 2],
    pub(super) directions: [Direction; 2],
}

/// A learning switch.
#[derive(Default)]
pub(super) struct Switch {
    pub(super) links: Vec<LinkId>,
    pub(super) table: Learned,
}

/// An attacker, its link, and how many frames it has sent.
pub(super) struct Intruder {
    pub(super) attacker: Attacker,
    pub(super) link: Option<LinkId>,
    pub(super) sent: u64,
}
