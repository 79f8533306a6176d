//! A question for the address of a name.

use core::fmt;
use core::task::{Context, Poll};

use smoltcp::wire::IpAddress;

use crate::frame::dns::{Addresses, name};
use crate::socket::address::wait;
use crate::socket::{ConnectError, ResolveError};
use crate::stack::stack::Stack;
use crate::table::names::{Family, Found};

/// A question for the address of a name, or its answer, if that needed none. Dropped, it is
/// asked no more.
pub(crate) enum Resolving<'a> {
    Known(Result<Addresses, ResolveError>),
    Asked(&'a Stack<'a>, u32),
}

impl<'a> Resolving<'a> {
    pub(crate) fn begin(stack: &'a Stack<'a>, text: &str, family: Family) -> Self {
        if let Some(known) = literal(text, family) {
            return Resolving::Known(known);
        }
        let Some(name) = name(text) else {
            return Resolving::Known(Err(ResolveError::BadName));
        };
        let place = stack.with(|core| {
            if core.beside.names.resolvers == 0 {
                return Err(ResolveError::NoResolver);
            }
            let place = core.beside.names.ask(&name, family, core.host.now);
            core.beside.watchers.wake();
            place.ok_or(ResolveError::TooMany)
        });
        match place {
            Ok(place) => Resolving::Asked(stack, place),
            Err(error) => Resolving::Known(Err(error)),
        }
    }

    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Result<Addresses, ResolveError>> {
        let (stack, place) = match self {
            Resolving::Known(known) => return Poll::Ready(known.clone()),
            Resolving::Asked(stack, place) => (*stack, *place),
        };
        wait(stack, cx, |core| {
            let Some((found, addresses)) = core.beside.names.found(place) else {
                let is_over = core.beside.names.resolvers == 0;
                return is_over.then_some(Err(ResolveError::NoResolver));
            };
            Some(match found {
                Found::Addresses => Ok(addresses.clone()),
                Found::NoName => Err(ResolveError::NoName),
                Found::NoAddress => Err(ResolveError::NoAddress),
                Found::Silence => Err(ResolveError::TimedOut),
                Found::Failed => Err(ResolveError::Failed),
                Found::NoServer => Err(ResolveError::NoServer),
            })
        })
    }
}

impl Drop for Resolving<'_> {
    fn drop(&mut self) {
        if let Resolving::Asked(stack, place) = *self {
            stack.with_unless_hurt(|core| core.beside.names.leave(place));
        }
    }
}

/// What needs no question: an address, and this host under the name that every host has (RFC
/// 6761, 6.3).
fn literal(text: &str, family: Family) -> Option<Result<Addresses, ResolveError>> {
    let is_wanted = |addr: &IpAddress| match addr {
        IpAddress::Ipv4(_) => family != Family::V6,
        #[cfg(feature = "ipv6")]
        IpAddress::Ipv6(_) => family != Family::V4,
    };
    let bare = text.strip_suffix('.').unwrap_or(text);
    let mut known = Addresses::new();
    let ends = |end: &str| {
        let tail = bare.len().checked_sub(end.len());
        let tail = tail.and_then(|from| bare.get(from..));
        tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end))
    };
    if bare.eq_ignore_ascii_case("localhost") || ends(".localhost") {
        #[cfg(feature = "ipv6")]
        let _ = known.push(IpAddress::v6(0, 0, 0, 0, 0, 0, 0, 1));
        let _ = known.push(IpAddress::v4(127, 0, 0, 1));
    } else {
        let _ = known.push(text.parse().ok()?);
    }
    known.retain(is_wanted);
    Some(match known.is_empty() {
        true => Err(ResolveError::NoAddress),
        false => Ok(known),
    })
}

/// Why a host was not connected to by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectToError {
    /// Its name has no address here.
    Resolve(ResolveError),
    /// None of its addresses was connected to; why not to the last.
    Connect(ConnectError),
}

impl fmt::Display for ConnectToError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectToError::Resolve(error) => error.fmt(f),
            ConnectToError::Connect(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ConnectToError {}

impl embedded_io_async::Error for ConnectToError {
    fn kind(&self) -> embedded_io_async::ErrorKind {
        match self {
            ConnectToError::Resolve(error) => error.kind(),
            ConnectToError::Connect(error) => error.kind(),
        }
    }
}

/// The order in which addresses are tried: those of the first one's version and of the other
/// take turns (RFC 8305, 4).
pub(crate) fn in_turn(addresses: &Addresses) -> Addresses {
    let is_first = |addr: &&IpAddress| {
        addresses
            .first()
            .is_some_and(|first| first.version() == addr.version())
    };
    let (mut these, mut those) = (
        addresses.iter().filter(|addr| is_first(addr)),
        addresses.iter().filter(|addr| !is_first(addr)),
    );
    let mut ordered = Addresses::new();
    for _ in 0..addresses.len() {
        for addr in [these.next(), those.next()].into_iter().flatten() {
            let _ = ordered.push(*addr);
        }
    }
    ordered
}
