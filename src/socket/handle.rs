//! One connection as its owners see it. A [`Handle`] names a slot of a stack;
//! every operation of a stream goes through one, in the form that waits first,
//! without touching a byte, and then moves bytes in the poll that returns. That
//! is why every future of a stream can be dropped at any time.
//!
//! Not here: what is asked of a socket. Reading is in `read`, writing in
//! `write`.

use core::future::poll_fn;
use core::task::Poll;

use scopeguard::guard;
use smoltcp::iface::SocketSet;
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};

use crate::event::{Reason, Yield};
use crate::rules::lifecycle::Cut;
use crate::rules::limits::WaitLimit;
use crate::socket::CloseError;
use crate::stack::core::Core;
use crate::stack::stack::Stack;
use crate::table::slot::{Slot, tcp_of};
use crate::table::slots::SlotKey;
use crate::task::waker::Parking;
use crate::time::{FAR, after};

/// Names one connection of one stack. Stale once the slot was given back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handle<'a> {
    pub(crate) stack: &'a Stack<'a>,
    pub(crate) key: SlotKey,
}

impl<'a> Handle<'a> {
    /// The slot's number, as events and those who wait say it.
    pub(super) fn number(&self) -> u32 {
        self.key.id.number()
    }

    /// Runs `f` on the stack and what names the connection there.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Core<'a>, SlotKey) -> R) -> R {
        self.stack.with(|core| f(core, self.key))
    }

    /// Whether the socket would answer now. What ends any wait is said as a [`Cut`]:
    /// `No`, if the connection is gone.
    pub(super) fn has_answer<T, E: From<Cut>>(
        &self,
        ask: impl FnOnce(&mut tcp::Socket<'a>, Cut) -> Poll<Result<T, E>>,
    ) -> Result<bool, E> {
        self.with(|core, key| {
            let slot = core.connections.slots.checked(key).ok_or(Cut::No)?;
            let cut = slot.cut;
            match slot.socket().map(|socket| ask(socket, cut)) {
                Some(Poll::Ready(answer)) => answer.map(|_| true),
                Some(Poll::Pending) | None => Ok(false),
            }
        })
    }

    /// Asks the socket until it answers.
    pub(super) async fn wait<T, E: From<Cut>>(
        &self,
        reason: Reason,
        timeout: WaitLimit,
        ask: impl Fn(&mut tcp::Socket<'a>, Cut) -> Poll<Result<T, E>>,
    ) -> Result<T, E> {
        let until = until(self.stack, timeout);
        poll_fn(|cx| {
            let mut parking = Parking::new(cx.waker());
            self.stack
                .with_quiet(|core| self.poll(core, &mut parking, reason, until, &ask))
        })
        .await
    }

    /// Asks the socket; if the answer is later, parks the caller's waker in
    /// the direction that `reason` belongs to.
    pub(super) fn poll<T, E: From<Cut>>(
        &self,
        core: &mut Core<'a>,
        parking: &mut Parking<'_>,
        reason: Reason,
        until: Instant,
        ask: impl FnOnce(&mut tcp::Socket<'a>, Cut) -> Poll<Result<T, E>>,
    ) -> Poll<Result<T, E>> {
        let Some(slot) = core.connections.slots.checked(self.key) else {
            return Poll::Ready(Err(Cut::No.into()));
        };
        let cut = slot.cut;
        match slot.socket() {
            Some(socket) => {
                let answer = ask(socket, cut);
                if answer.is_ready() {
                    return answer;
                }
            }
            // Lent to the other half for the length of a closure.
            None => slot.missed = true,
        }
        match self.waits(core, parking, reason, until) {
            true => Poll::Pending,
            false => Poll::Ready(Err(Cut::ByUs.into())),
        }
    }

    /// Parks the caller's waker; false if its time is over. Of this a small machine has one
    /// copy, whatever is waited for.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn waits(
        &self,
        core: &mut Core<'a>,
        parking: &mut Parking<'_>,
        reason: Reason,
        until: Instant,
    ) -> bool {
        if core.host.now >= until {
            return false;
        }
        let slot = &mut core.connections.slots[self.key.id];
        park(slot, reason, until, parking);
        if until != FAR {
            core.connections.arm(self.key.id, until);
        }
        let waits = Yield::of(reason, self.number());
        self.stack.note.set(Some(waits));
        true
    }

    /// Waits until the peer has acknowledged our FIN.
    pub(crate) async fn closed(&self) -> Result<(), CloseError> {
        self.with(|core, key| {
            core.connections.close(key, &mut core.host);
        });
        let done = self.wait(Reason::Close, WaitLimit::NEVER, |socket, cut| {
            // What still arrives is not wanted, and must not stop the FIN.
            while matches!(socket.recv(|bytes| (bytes.len(), bytes.len())), Ok(1..)) {}
            match socket.state() {
                tcp::State::FinWait2 | tcp::State::TimeWait => Poll::Ready(Ok(Cut::No)),
                tcp::State::Closed => Poll::Ready(Ok(cut)),
                _ => Poll::Pending,
            }
        });
        let (Ok(cut) | Err(cut)) = done.await;
        match cut {
            Cut::No => Ok(()),
            Cut::ByPeer => Err(CloseError::Reset),
            Cut::ByUs => Err(CloseError::TimedOut),
        }
    }

    pub(crate) fn release(&self) {
        self.stack
            .with_unless_hurt(|core| core.connections.release(self.key, &mut core.host));
    }

    /// Gives a lent socket back.
    pub(super) fn give_back(&self, set: SocketSet<'a>) {
        self.stack.with_unless_hurt(|core| {
            core.connections.give_back(self.key.id, set, &mut core.host);
        });
    }

    /// Runs `f` on the borrowed socket: the stack is free meanwhile, so `f`
    /// may use any other socket of the node.
    pub(super) fn lent<R>(&self, f: impl FnOnce(&mut tcp::Socket<'a>) -> R) -> Option<R> {
        let set = self.with(|core, key| core.connections.lend(key))?;
        // Goes back also when `f` panics.
        let mut loan = guard(set, |set| self.give_back(set));
        Some(f(tcp_of(&mut loan)))
    }
}

fn park(slot: &mut Slot<'_>, reason: Reason, until: Instant, parking: &mut Parking<'_>) {
    let (place, at) = match reason {
        Reason::Read => (&mut slot.rx_waker, &mut slot.clocks.read_at),
        _ => (&mut slot.tx_waker, &mut slot.clocks.write_at),
    };
    parking.park(place);
    *at = until;
}

/// When a wait that begins now is over.
pub(super) fn until(stack: &Stack<'_>, timeout: WaitLimit) -> Instant {
    match timeout {
        WaitLimit::NEVER => FAR,
        WaitLimit(micros) => {
            let now = stack.with_quiet(|core| core.host.now);
            after(now, Duration::from_micros(micros))
        }
    }
}
