//! What a task waits for that is no socket's: an address that it is about to take, a link
//! that comes up.

use core::future::poll_fn;
use core::task::{Context, Poll};

use smoltcp::wire::IpCidr;

use crate::counters::count;
use crate::event::{Reason, Yield};
use crate::rules::config::ConfigError;
use crate::socket::ClaimError;
use crate::stack::addressing;
use crate::stack::core::Core;
use crate::stack::stack::Stack;
use crate::table::claims::Standing;
use crate::task::waker::Parking;

/// What a task may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Link {
        up: bool,
    },
    /// A link that is up, and an address; or one of the two missing.
    Config {
        up: bool,
    },
    /// An address that is asked for, by its ticket.
    Claim(IpCidr, u32),
    /// One that cannot be.
    Refused(ClaimError),
    /// A question that nobody works on.
    #[cfg(feature = "dns")]
    Question,
}

/// Looks for something about the host, and leaves the waker for its next change.
pub(crate) fn wait<R>(
    stack: &Stack<'_>,
    cx: &Context<'_>,
    look: impl FnOnce(&Core<'_>) -> Option<R>,
) -> Poll<R> {
    let mut parking = Parking::new(cx.waker());
    let mut again = false;
    let seen = stack.with(|core| {
        let seen = look(core);
        if seen.is_none() {
            stack.leave_note(Yield::of(Reason::Config, 0));
            again = !core.beside.watchers.watch(&mut parking);
            if again {
                count!(core.host, timers_refused);
            }
        }
        seen
    });
    // Without a place it looks in every turn, as a timer without one does. It wakes only
    // here: a waker of another executor may call the node.
    if again {
        cx.waker().wake_by_ref();
    }
    seen.map_or(Poll::Pending, Poll::Ready)
}

/// Waits for something about the host.
///
/// # Cancel safety
/// **Safe.** It holds nothing.
pub(crate) fn watch<'a>(stack: &'a Stack<'a>, what: What) -> impl Future<Output = ()> + use<'a> {
    let watch = Watch::new(stack, what);
    poll_fn(move |cx| watch.poll(cx).map(|_| ()))
}

/// A task that waits for something about its host. An address that is asked for and not
/// taken yet is asked for no more when this is dropped.
pub(crate) struct Watch<'a> {
    stack: &'a Stack<'a>,
    what: What,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(stack: &'a Stack<'a>, what: What) -> Self {
        Watch { stack, what }
    }

    /// Begins to ask for an address.
    pub(crate) fn claim(stack: &'a Stack<'a>, cidr: IpCidr) -> Self {
        let ticket = match stack.may_have(cidr) {
            Err(ConfigError::Mtu) => Err(ClaimError::Mtu),
            Err(_) => Err(ClaimError::Address),
            Ok(()) => stack
                .with(|core| addressing::begin(&mut core.neighbors.claims, &core.host, cidr))
                .ok_or(ClaimError::TooMany),
        };
        let what = ticket.map_or_else(What::Refused, |ticket| What::Claim(cidr, ticket));
        Watch { stack, what }
    }

    #[inline(never)]
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Result<(), ClaimError>> {
        wait(self.stack, cx, |core| self.look(core))
    }

    fn look(&self, core: &Core<'_>) -> Option<Result<(), ClaimError>> {
        let addresses = &core.host.addresses;
        let link = !addresses.change.link_is_down;
        let is_so = match self.what {
            What::Link { up } => link == up,
            What::Config { up } => (link && !addresses.own.is_empty()) == up,
            What::Claim(cidr, ticket) => {
                return match core.neighbors.claims.standing(ticket) {
                    Some(Standing::Open) => None,
                    Some(Standing::Contested) => Some(Err(ClaimError::InUse)),
                    Some(Standing::Ours) => Some(Ok(())),
                    None if addresses.has(cidr.address()) => Some(Ok(())),
                    None => Some(Err(ClaimError::Forgotten)),
                };
            }
            What::Refused(error) => return Some(Err(error)),
            #[cfg(feature = "dns")]
            What::Question => core.beside.names.has_question(),
        };
        is_so.then_some(Ok(()))
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let What::Claim(_, ticket) = self.what {
            self.stack
                .with_unless_hurt(|core| core.neighbors.claims.leave(ticket));
        }
    }
}
