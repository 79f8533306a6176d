//! What a task holds while it waits for something of the host: an address that it is about
//! to take, a link that comes up.

use core::task::Context;

use smoltcp::wire::IpCidr;

use crate::event::{Reason, Yield};
use crate::rules::config::ConfigError;
use crate::socket::ClaimError;
use crate::stack::addressing;
use crate::stack::core::Core;
use crate::stack::stack::Stack;
use crate::table::claims::Standing;
use crate::task::waker::Parking;

/// What a look at the host gives.
pub(crate) enum Look<R> {
    Sees(R),
    /// Nothing yet; the waker is left.
    Waits,
    /// Nothing yet, and no place for one more waker: it is time to look again later.
    NoPlace,
}

/// Looks at the host for what `sees` finds, and leaves the waker for its next change.
pub(crate) fn look<'a, R>(
    stack: &Stack<'a>,
    reason: Reason,
    cx: &Context<'_>,
    sees: impl FnOnce(&mut Core<'a>) -> Option<R>,
) -> Look<R> {
    let mut parking = Parking::new(cx.waker());
    stack.with(|core| {
        if let Some(seen) = sees(core) {
            return Look::Sees(seen);
        }
        stack.leave_note(Yield::of(reason, 0));
        match core.watchers.watch(&mut parking) {
            true => Look::Waits,
            false => Look::NoPlace,
        }
    })
}

/// An address that is asked for. Dropped before it is taken, it is asked for no more.
pub(crate) struct Claiming<'a> {
    stack: &'a Stack<'a>,
    cidr: IpCidr,
    ticket: u32,
}

impl<'a> Claiming<'a> {
    pub(crate) fn begin(stack: &'a Stack<'a>, cidr: IpCidr) -> Result<Self, ClaimError> {
        stack.may_have(cidr).map_err(|error| match error {
            ConfigError::Mtu => ClaimError::Mtu,
            _ => ClaimError::Address,
        })?;
        let ticket = stack.with(|core| {
            let has_room = core.host.addresses.own.len() < core.host.addresses.own.capacity();
            let claims = &mut core.neighbors.claims;
            has_room.then(|| addressing::begin(claims, &core.host, cidr))?
        });
        let ticket = ticket.ok_or(ClaimError::TooMany)?;
        Ok(Claiming {
            stack,
            cidr,
            ticket,
        })
    }

    pub(crate) fn poll(&self, cx: &Context<'_>) -> Look<Result<(), ClaimError>> {
        let Claiming { cidr, ticket, .. } = *self;
        look(self.stack, Reason::Address, cx, |core| {
            match core.neighbors.claims.standing(ticket) {
                Some(Standing::Open) => None,
                Some(Standing::Contested) => Some(Err(ClaimError::InUse)),
                Some(Standing::Ours) => Some(Ok(())),
                None => Some(match core.host.addresses.has(cidr.address()) {
                    true => Ok(()),
                    false => Err(ClaimError::Forgotten),
                }),
            }
        })
    }
}

impl Drop for Claiming<'_> {
    fn drop(&mut self) {
        let ticket = self.ticket;
        self.stack
            .with_unless_hurt(|core| core.neighbors.claims.leave(ticket));
    }
}
