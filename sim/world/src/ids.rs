//! What a world's parts are called: hosts, switches, attackers and links are
//! numbered from zero, each kind by itself, in the order in which they are added.

/// Names a host of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostId(pub(super) usize);

impl HostId {
    /// Its number: hosts are counted from zero as they are added.
    pub fn number(self) -> u32 {
        self.0 as u32
    }
}

/// Names a switch of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchId(pub(super) usize);

/// Names a link of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkId(pub(super) usize);

/// What a link can end at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A host, which has one link.
    Host(HostId),
    /// A switch, which has as many as it likes.
    Switch(SwitchId),
    /// An attacker, which has one and does not listen.
    Attacker(AttackerId),
}

/// Names an attacker of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttackerId(pub(super) usize);

impl From<AttackerId> for End {
    fn from(attacker: AttackerId) -> End {
        End::Attacker(attacker)
    }
}

impl From<HostId> for End {
    fn from(host: HostId) -> End {
        End::Host(host)
    }
}

impl From<SwitchId> for End {
    fn from(switch: SwitchId) -> End {
        End::Switch(switch)
    }
}
