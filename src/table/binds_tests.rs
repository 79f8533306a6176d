extern crate std;
use super::*;
use crate::table::udp_storage::UdpStorage;
use proptest::prelude::*;
use smoltcp::wire::{IpAddress, IpEndpoint};
use std::collections::VecDeque;
use std::vec::Vec;

fn ours(last: u8) -> IpAddress {
    IpAddress::v4(10, 0, 0, last)
}

/// A datagram from a peer to an address and a port of ours.
fn flow(local: (u8, u16), remote: (u8, u16)) -> Flow {
    let end = |(last, port)| IpEndpoint::new(ours(last), port);
    Flow::new(end(local), end(remote))
}

fn at(last: u8) -> Words {
    let flow = flow((last, 0), (last, 0));
    (flow.words, flow.local)
}

fn cell(flow: Flow) -> Incoming {
    Incoming {
        flow,
        ..Incoming::EMPTY
    }
}

#[test]
fn the_socket_that_fits_best_has_the_datagram() {
    let mut storage = UdpStorage::<4, 2, 8>::new();
    let mut binds = storage.binds();
    let wide = binds.open(7, None).unwrap();
    let narrow = binds.open(7, Some(at(2))).unwrap();
    let connected = binds.open(8, None).unwrap();
    binds
        .get(connected)
        .unwrap()
        .connect(flow((1, 8), (9, 4000)));
    let found = |binds: &Binds<'_>, local, remote| binds.find(&flow(local, remote));
    assert_eq!(found(&binds, (1, 7), (9, 1)), Some(wide.index));
    assert_eq!(found(&binds, (2, 7), (9, 1)), Some(narrow.index));
    assert_eq!(found(&binds, (1, 8), (9, 4000)), Some(connected.index));
    for (local, remote) in [
        ((1, 8), (9, 4001)),
        ((1, 8), (8, 4000)),
        ((2, 8), (9, 4000)),
    ] {
        assert_eq!(found(&binds, local, remote), None);
    }
    assert_eq!(found(&binds, (1, 9), (9, 1)), None);
    assert!(binds.is_taken(7, None) && binds.is_taken(7, Some(at(2))));
    assert!(!binds.is_taken(7, Some(at(1))) && !binds.is_taken(9, None));
    assert_eq!(binds.close(wide), Some(0));
    assert_eq!(found(&binds, (1, 7), (9, 1)), None);
    assert_eq!(binds.close(wide), None, "stale");
}

#[test]
fn only_what_left_is_known_again() {
    let mut storage = UdpStorage::<2, 2, 8>::new();
    let mut binds = storage.binds();
    let id = binds.open(8, None).unwrap();
    let its = flow((1, 8), (9, 4000));
    assert!(!binds.refuse(&its, 5), "not connected");
    binds.left((id.index, id.generation), 5);
    assert!(!binds.refuse(&its, 5), "not connected yet");
    binds.get(id).unwrap().connect(its);
    assert!(
        !binds.refuse(&its, 5) && !binds.refuse(&its, 0),
        "left before"
    );
    for mark in [6, 7, 8, 9, 10] {
        binds.left((id.index, id.generation), mark << 16 | 77);
    }
    assert!(!binds.refuse(&its, 6 << 16 | 77), "the last four");
    assert!(!binds.refuse(&its, 7 << 16 | 78));
    assert!(!binds.refuse(&flow((1, 8), (9, 4001)), 7 << 16 | 77));
    assert!(!binds.get(id).unwrap().refused);
    assert!(binds.refuse(&its, 7 << 16 | 77));
    assert!(binds.get(id).unwrap().refused);
    // Where the device writes sums we know lengths alone.
    binds.left((id.index, id.generation), 20 << 16);
    assert!(binds.refuse(&its, 20 << 16 | 1234));
    assert!(!binds.refuse(&its, 21 << 16 | 1234));
}

#[test]
fn a_silent_neighbor_has_a_quarter_and_all_of_them_half() {
    use crate::table::outbox::Outgoing;
    use smoltcp::time::Instant;
    let mut storage = UdpStorage::<1, 8, 8>::new();
    let mut binds = storage.binds();
    let mut park = |last: u8| {
        let outgoing = Outgoing {
            flow: flow((1, 7), (last, 7)),
            bytes: 1,
            ..Outgoing::EMPTY
        };
        let outbox = &mut binds.outbox;
        assert!(outbox.push(outgoing, &[last]));
        let next = |place: &u32| Line::behind(outbox.links, *place);
        let last = core::iter::successors(outbox.line.first(), next).last();
        let other = outbox.park(last.unwrap(), Instant::ZERO);
        let (_, payload) = outbox.at(other?).unwrap();
        let gone = payload[0];
        outbox.remove(other?);
        Some(gone)
    };
    assert_eq!([park(2), park(2)], [None; 2]);
    assert_eq!(park(2), Some(2), "a third");
    assert_eq!([park(3), park(3)], [None; 2]);
    assert_eq!(park(4), Some(2), "the oldest of all");
    assert_eq!(park(5), Some(2));
    assert_eq!(park(3), Some(3), "its own");
    assert_eq!(park(4), Some(3), "the oldest of all");
}

/// A socket of the model.
struct Bound {
    id: BindId,
    port: u16,
    local: Option<u8>,
    /// The local address, and the peer.
    peer: Option<(u8, (u8, u16))>,
    ring: VecDeque<Vec<u8>>,
}

impl Bound {
    fn fit(&self, local: (u8, u16), remote: (u8, u16)) -> Option<u8> {
        let fits = match self.peer {
            Some(peer) => peer == (local.0, remote),
            None => self.local.is_none_or(|last| last == local.0),
        };
        let rank = match self.peer {
            Some(_) => 2,
            None => u8::from(self.local.is_some()),
        };
        (self.port == local.1 && fits).then_some(rank)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Bind(u16, Option<u8>),
    Connect(usize, (u8, u16)),
    Close(usize),
    Come((u8, u16), (u8, u16), Vec<u8>),
    Read(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (port, last) = (1u16..5, 1u8..3);
    let peer = (8u8..10, 1u16..3);
    let step = prop_oneof![
        (port.clone(), prop::option::of(last.clone())).prop_map(|(a, b)| Step::Bind(a, b)),
        (0usize..4, peer.clone()).prop_map(|(a, b)| Step::Connect(a, b)),
        (0usize..4).prop_map(Step::Close),
        (
            (last, port),
            peer,
            prop::collection::vec(any::<u8>(), 0..10)
        )
            .prop_map(|(a, b, c)| Step::Come(a, b, c)),
        (0usize..4, 0usize..12).prop_map(|(a, b)| Step::Read(a, b)),
    ];
    prop::collection::vec(step, 0..300)
}

proptest! {
    #[test]
    fn sockets_have_what_a_naive_model_gives_them(steps in steps()) {
        const DEPTH: usize = 3;
        const BYTES: usize = 8;
        let mut storage = UdpStorage::<4, DEPTH, BYTES>::new();
        let (mut binds, mut model) = (storage.binds(), Vec::<Bound>::new());
        for step in steps {
            match step {
                Step::Bind(port, local) => {
                    let same = |bound: &Bound| bound.port == port && bound.local == local;
                    let taken = model.iter().any(same);
                    prop_assert_eq!(binds.is_taken(port, local.map(at)), taken);
                    if taken {
                        continue;
                    }
                    let id = binds.open(port, local.map(at));
                    prop_assert_eq!(id.is_some(), model.len() < 4);
                    let ring = VecDeque::new();
                    model.extend(id.map(|id| Bound { id, port, local, peer: None, ring }));
                }
                Step::Connect(number, peer) => {
                    let Some(bound) = model.get_mut(number) else { continue };
                    let local = bound.local.unwrap_or(1);
                    let (id, port) = (bound.id, bound.port);
                    let same = |it: &Bound| it.port == port && it.peer == Some((local, peer));
                    if model.iter().any(same) {
                        continue; // two that fit as well
                    }
                    binds.get(id).unwrap().connect(flow((local, port), peer));
                    model[number].peer = Some((local, peer));
                }
                Step::Close(number) if number < model.len() => {
                    let bound = model.remove(number);
                    prop_assert_eq!(binds.close(bound.id), Some(bound.ring.len() as u16));
                    prop_assert!(binds.get(bound.id).is_none());
                }
                Step::Come(local, remote, payload) => {
                    let its = flow(local, remote);
                    let best = model.iter_mut().filter(|it| it.fit(local, remote).is_some());
                    let best = best.max_by_key(|it| it.fit(local, remote));
                    let found = binds.find(&its);
                    prop_assert_eq!(found, best.as_ref().map(|it| it.id.index));
                    let (Some(number), Some(bound)) = (found, best) else { continue };
                    let taken = binds.push(number, cell(its), &payload);
                    let expected = if bound.ring.len() == DEPTH {
                        Err(DropReason::Unread)
                    } else if payload.len() > BYTES {
                        Err(DropReason::TooLong)
                    } else {
                        bound.ring.push_back(payload);
                        Ok(())
                    };
                    prop_assert_eq!(taken, expected);
                }
                Step::Read(number, room) => {
                    let Some(bound) = model.get_mut(number) else { continue };
                    let mut buf = std::vec![0; room];
                    let got = binds.pop(bound.id, &mut buf);
                    let expected = bound.ring.pop_front();
                    let whole = got.map(|(cell, _)| usize::from(cell.bytes));
                    prop_assert_eq!(whole, expected.as_ref().map(Vec::len));
                    if let (Some((_, len)), Some(expected)) = (got, expected) {
                        prop_assert_eq!(len, expected.len().min(room));
                        prop_assert_eq!(&buf[..len], &expected[..len]);
                    }
                }
                Step::Close(_) => (),
            }
        }
    }

    /// Ports in a row, or any: chains stay short.
    #[test]
    fn ports_are_spread(first: u16) {
        let mut storage = std::boxed::Box::new(UdpStorage::<256, 2, 1>::new());
        let mut binds = storage.binds();
        for number in 0..256 {
            let port = first.wrapping_add(number).max(1);
            binds.open(port, None);
        }
        let steps = |port: u16| binds.on(port).count();
        prop_assert!((0..256).all(|number| steps(first.wrapping_add(number).max(1)) <= 2));
        let mut longest = 0;
        for &head in &*binds.buckets {
            let next = |number: &u32| Some(binds.binds[*number as usize - 1].next).filter(|it| *it != 0);
            let chain = core::iter::successors(Some(head).filter(|it| *it != 0), next);
            longest = longest.max(chain.count());
        }
        prop_assert!(longest <= 4, "{}", longest);
    }
}
