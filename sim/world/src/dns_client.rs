//! A host that asks for addresses of names, and says what is wrong with an answer.
//!
//! Not here: what can be wrong (`names`).

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;

use cygnet::{Family, Node, service};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpAddress;

use super::board::Size;
use super::draws::keyed;
use super::ids::HostId;
use super::log::Witness;
use super::names::{NAMES, Names, has_address, name_of};
use super::network::World;
use super::plan::DnsClient;
use super::tally::VisitTally;

/// The memory of such a host, and of a server.
pub(super) const SIZE: Size = Size {
    slots: 8,
    tasks: 8,
    task_bytes: 4096,
    ..Size::SMALL
};

/// So long a question may take: both kinds, and of each up to nine names in a row, each asked
/// twice of three servers, for 3 and for 6 s, and by TCP for 5 s each time, and a second
/// between.
const LONGEST: Duration = Duration::from_secs(2 * 9 * (3 * (3 + 6 + 5 + 5) + 1));

/// What every lane of a client knows.
pub(super) struct Asker {
    pub(super) client: DnsClient,
    pub(super) servers: Vec<IpAddress>,
    /// Until then anything may be wrong.
    pub(super) until: Instant,
    pub(super) names: Rc<RefCell<Names>>,
    pub(super) witness: Witness,
    pub(super) tally: Rc<VisitTally>,
}

/// Adds a client to a world.
pub(super) fn add(world: &mut World, name: &str, asker: Asker) -> HostId {
    let (secret, asker) = (asker.client.secret, Rc::new(asker));
    world.host_with_secret(name, SIZE, secret, move |node| program(node, &asker))
}

/// Starts the lanes. In each there is a resolver, that ends with it.
fn program(node: Node<'static>, asker: &Rc<Asker>) {
    node.set_dns_servers(&asker.servers);
    for lane in 0..asker.client.lanes {
        let asker = Rc::clone(asker);
        let both = async move {
            let (mut resolver, mut asks) =
                (pin!(service::dns(node)), pin!(lane_of(node, &asker, lane)));
            poll_fn(|cx| {
                let _ = resolver.as_mut().poll(cx);
                asks.as_mut().poll(cx)
            })
            .await;
        };
        let _ = node.spawn_named("asker", Box::pin(both));
    }
}

async fn lane_of(node: Node<'static>, asker: &Asker, lane: u32) {
    let word = |number: u64, kind| keyed(asker.client.secret, number, kind, lane.into());
    for number in 0.. {
        let pause = asker.client.pause.total_micros();
        node.sleep(Duration::from_micros(
            pause / 2 + word(number, 1) % (pause + 1),
        ))
        .await;
        if asker.witness.now() >= asker.until {
            break;
        }
        let family = [Family::Any, Family::V4, Family::V6][(word(number, 2) % 3) as usize];
        let _ = ask(node, asker, word(number, 3) % NAMES, family).await;
    }
    // All is well; what is still on its way may cost one question.
    for number in (0..NAMES).filter(|number| has_address(*number)) {
        let mut found = false;
        for _ in 0..3 {
            found = found || ask(node, asker, number, Family::V4).await;
        }
        if !found {
            let detail = format!("{} is not found, and all is well", name_of(number));
            return asker.witness.violated("resolve", detail);
        }
    }
}

/// Asks for a name. Whether it has an address.
async fn ask(node: Node<'static>, asker: &Asker, number: u64, family: Family) -> bool {
    let (asked, name) = (asker.witness.now(), name_of(number));
    let resolved = node.timeout(LONGEST, node.resolve(&name, family)).await;
    let now = asker.witness.now();
    let violated = |rule, detail| asker.witness.violated(rule, detail);
    let Ok(resolved) = resolved else {
        violated("answer", format!("{name} has no answer in {LONGEST}"));
        return false;
    };
    let Ok(addresses) = resolved else {
        return false;
    };
    asker.tally.visited(now - asked);
    let names = asker.names.borrow();
    for addr in addresses {
        if let Err(detail) = names.may_have(number, addr, (now, now - asked)) {
            violated("name", detail);
        }
    }
    true
}
