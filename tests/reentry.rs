//! A device, an observer or a filter of the wire that calls the node it serves: it is
//! told so, before anything has changed; and a panic inside a stack leaves one that
//! says so ever after, and that can be dropped.
#![cfg(feature = "lab")]
mod harness;

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cygnet::lab::wire::{Wire, WireEnd};
use cygnet::{Backlog, Node, turns};
use harness::peer::{answer, arp, mac, syn};
use harness::*;
use smoltcp::phy::{Device, DeviceCapabilities, TxToken};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::TcpControl;

const CALLED: &str = "a device or an observer calls the node that it serves";
const HURT: &str = "a device or an observer has panicked inside this stack";

fn message(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().unwrap()).into(),
    }
}

/// What a call to the node from inside it is answered.
fn answer_to<R>(call: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(_) => "it works".into(),
        Err(panic) => message(panic),
    }
}

/// Where somebody calls the node from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Site {
    Receive,
    Transmit,
    Consume,
    Filter,
}

type Call<'c> = &'c dyn Fn(Site);

struct Calls<'c, 'w> {
    end: WireEnd<'w, 32>,
    call: Call<'c>,
}

struct Token<'c, T>(T, Call<'c>);

impl<T: TxToken> TxToken for Token<'_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        (self.1)(Site::Consume);
        self.0.consume(len, f)
    }
}

impl<'c> Device for Calls<'c, '_> {
    type RxToken<'t>
        = cygnet::lab::wire::WireRxToken
    where
        Self: 't;
    type TxToken<'t>
        = Token<'c, cygnet::lab::wire::WireTxToken<'t, 32>>
    where
        Self: 't;

    fn receive(&mut self, now: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        (self.call)(Site::Receive);
        let (rx, tx) = self.end.receive(now)?;
        Some((rx, Token(tx, self.call)))
    }

    fn transmit(&mut self, now: Instant) -> Option<Self::TxToken<'_>> {
        (self.call)(Site::Transmit);
        Some(Token(self.end.transmit(now)?, self.call))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.end.capabilities()
    }
}

/// A server takes a connection, echoes and closes while `call` is called from inside
/// its device. Gives the panic that came out.
fn serve<'a>(node: Node<'a>, call: impl Fn(Site)) -> Option<String> {
    let wire: Wire<32> = Wire::new(LAN);
    let filter = |_: &[u8]| {
        call(Site::Filter);
        true
    };
    let (end, mut peer) = wire.ends();
    let mut device = Calls {
        end: end.with_filter(&filter),
        call: &call,
    };
    node.spawn(Box::pin(echo_server(node, 4))).unwrap();
    let all = AssertUnwindSafe(|| {
        turns(node, |turns| {
            peer.inject(Instant::ZERO, &syn(9, 1000, 7, 1).frame());
            for millis in 0..20 {
                turns.turn(&mut device, ms(millis));
                audit(node);
                while let Some(frame) = peer.take(ms(millis)) {
                    if let Some(seen) = peer::Seg::read(&frame)
                        && seen.is_answer()
                    {
                        let hello = answer(&seen, TcpControl::Psh, b"hello");
                        peer.inject(ms(millis), &hello.frame());
                    }
                    let who = peer::asked_for(&frame);
                    if let Some(who) = who {
                        let reply = arp(smoltcp::wire::ArpOperation::Reply, who, mac(who));
                        peer.inject(ms(millis), &reply);
                    }
                }
            }
        })
    });
    catch_unwind(all).err().map(message)
}

#[test]
fn who_calls_the_node_from_inside_is_told_so_and_nothing_has_changed() {
    for site in [Site::Receive, Site::Transmit, Site::Consume, Site::Filter] {
        host_with(|node| {
            let called = Cell::new(0);
            let end = serve(node, |from| {
                if from == site {
                    called.set(called.get() + 1);
                    assert_eq!(answer_to(|| node.counters()), CALLED);
                    assert_eq!(answer_to(|| node.listen(9, Backlog(1)).is_ok()), CALLED);
                    assert_eq!(answer_to(|| node.reboot([9; 16])), CALLED);
                }
            });
            assert_eq!(end, None, "{site:?}");
            assert!(called.get() >= 2, "{site:?}");
            let counters = node.counters();
            assert!(counters.accepts == 1 && counters.frames_out >= 2);
        });
    }
}

#[test]
fn a_panic_inside_a_stack_is_the_end_of_it_and_no_abort() {
    for site in [Site::Receive, Site::Transmit, Site::Consume, Site::Filter] {
        for nth in 0..8 {
            host_with(|node| {
                let calls = Cell::new(0);
                // Not in a turn, and not in a task: it is dropped after the panic.
                let listener = node.listen(8, Backlog(1)).unwrap();
                let end = serve(node, |from| {
                    if from == site {
                        calls.set(calls.get() + 1);
                        if calls.get() == nth + 1 {
                            node.counters();
                        }
                    }
                });
                if calls.get() <= nth {
                    return assert_eq!(end, None);
                }
                assert_eq!(end.as_deref(), Some(CALLED), "{site:?} {nth}");
                assert_eq!(answer_to(|| node.counters()), HURT);
                assert_eq!(answer_to(|| cygnet::lab::audit(node).is_ok()), HURT);
                drop(listener);
            });
        }
    }
}

#[cfg(feature = "observer")]
#[test]
fn an_observer_that_calls_its_node_is_told_so() {
    use cygnet::event::{Event, Observer};

    struct Curious<'a> {
        node: Cell<Option<Node<'a>>>,
        dies: bool,
        told: Cell<u32>,
    }

    impl Observer for Curious<'_> {
        fn event(&self, _: Instant, event: &Event<'_>) {
            let (Some(node), Event::Admitted { .. }) = (self.node.get(), event) else {
                return;
            };
            self.told.set(self.told.get() + 1);
            match self.dies {
                true => drop(node.counters()),
                false => assert_eq!(answer_to(|| node.counters()), CALLED),
            }
        }
    }

    for dies in [false, true] {
        // Never freed: it and the node refer to each other.
        let node = lasting(1);
        let curious: &'static Curious<'static> = leak(Curious {
            node: Cell::new(Some(node)),
            dies,
            told: Cell::new(0),
        });
        node.set_observer(Some(curious));
        let end = serve(node, |_| ());
        assert_eq!(end.as_deref(), dies.then_some(CALLED));
        assert_eq!(curious.told.get(), 1);
        if !dies {
            assert_eq!(node.counters().accepts, 1);
        }
    }
}

#[test]
fn a_panic_of_a_task_leaves_the_stack_whole() {
    host_with(|node| {
        node.spawn(Box::pin(async move {
            let _listener = node.listen(7, Backlog(1)).unwrap();
            node.sleep(Duration::from_millis(1)).await;
            panic!("a task's own");
        }))
        .unwrap();
        let all = || alone(node, |turn| (0..3).for_each(|at| _ = turn(ms(at))));
        let end = catch_unwind(AssertUnwindSafe(all)).map_err(message);
        assert_eq!(end.unwrap_err(), "a task's own");
        audit(node);
        node.listen(7, Backlog(1)).unwrap();
    });
}
