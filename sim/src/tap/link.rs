//! Whether an interface is up and has a carrier: its cable, so to speak, is in. The kernel
//! tells every change (rtnetlink(7)), through a descriptor that is waited for beside the
//! others, so that nobody has to ask again and again.
//!
//! One change is heard at a time. A link that goes down and comes up before anybody looks was
//! down all the same: it may be in another network now.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::net::{bind, recv, sendto, socket_with};

/// Changes of links (`RTMGRP_LINK`).
const LINKS: u32 = 1;
/// What a message says, and asks (`RTM_NEWLINK`, `RTM_GETLINK`, `NLM_F_REQUEST`).
const LINK_IS: u16 = 16;
const HOW_IS_LINK: u16 = 18;
const REQUEST: u16 = 1;
/// A message's header, and with what is said of a link at the beginning.
const HEADER: usize = 16;
const HEADERS: usize = 32;
/// In a link's flags: somebody has brought it up, and there is a carrier.
const UP: u32 = 1;
const LOWER_UP: u32 = 1 << 16;

/// Hears of one interface.
pub(super) struct Link {
    socket: OwnedFd,
    index: u32,
    pub(super) is_up: bool,
}

impl Link {
    /// Begins to listen. `None`: this kernel tells nobody, and the link is taken for up.
    pub(super) fn new(name: &str) -> Option<Link> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let family = AddressFamily::NETLINK;
        let socket = socket_with(family, SocketType::RAW, flags, None).ok()?;
        bind(&socket, &SocketAddrNetlink::new(0, LINKS)).ok()?;
        let index = name_to_index(&socket, name).ok()?;
        let link = Link {
            socket,
            index,
            is_up: true,
        };
        link.ask().ok()?;
        Some(link)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Hears what there is to hear, one message at a time.
    pub(super) fn hear(&mut self) {
        let mut bytes = [0; 8192];
        match recv(&self.socket, &mut bytes, RecvFlags::empty()) {
            Ok((count, _)) => self.heard(&bytes[..count]),
            // There was no room for some of it.
            Err(Errno::NOBUFS) => {
                let _ = self.ask();
            }
            Err(_) => (),
        }
    }

    fn heard(&mut self, messages: &[u8]) {
        if let Some(flags) = flags_of(self.index, messages) {
            self.is_up = flags & UP != 0 && flags & LOWER_UP != 0;
        }
    }

    fn ask(&self) -> Result<usize, Errno> {
        let question = message(HOW_IS_LINK, REQUEST, self.index, 0);
        let kernel = SocketAddrNetlink::new(0, 0);
        sendto(&self.socket, &question, SendFlags::empty(), &kernel)
    }
}

/// A message about a link, without attributes.
fn message(kind: u16, flags: u16, index: u32, link: u32) -> [u8; HEADERS] {
    let mut bytes = [0; HEADERS];
    bytes[..4].copy_from_slice(&(HEADERS as u32).to_ne_bytes());
    bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
    bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    bytes[20..24].copy_from_slice(&index.to_ne_bytes());
    bytes[24..28].copy_from_slice(&link.to_ne_bytes());
    bytes
}

/// The flags that the last of these messages gives the link of this number, if one does.
fn flags_of(index: u32, mut messages: &[u8]) -> Option<u32> {
    let mut found = None;
    while let Some(header) = messages.first_chunk::<HEADER>() {
        let word = |at: usize| Some(u32::from_ne_bytes(*messages.get(at..)?.first_chunk()?));
        let length = word(0)? as usize;
        if length < HEADER {
            break;
        }
        if header[4..6] == LINK_IS.to_ne_bytes() && length >= HEADERS && word(20) == Some(index) {
            found = word(24).or(found);
        }
        // Each begins at a multiple of four.
        messages = messages.get(length.next_multiple_of(4)..)?;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_about_a_link_counts() {
        let said = |all: &[[u8; HEADERS]]| flags_of(7, all.as_flattened());
        let up = message(LINK_IS, 0, 7, UP | LOWER_UP);
        let down = message(LINK_IS, 0, 7, UP);
        let other = message(LINK_IS, 0, 8, 0);
        assert_eq!(said(&[up]), Some(UP | LOWER_UP));
        assert_eq!(said(&[up, down, other]), Some(UP));
        assert_eq!(said(&[other]), None);
        assert_eq!(said(&[message(HOW_IS_LINK, 0, 7, UP)]), None);
        assert_eq!(said(&[]), None);
    }

    #[test]
    fn what_is_cut_off_or_has_no_length_says_nothing() {
        let up = message(LINK_IS, 0, 7, UP);
        for length in 0..HEADERS {
            let mut cut = up;
            cut[..4].copy_from_slice(&(length as u32).to_ne_bytes());
            assert_eq!(flags_of(7, &cut), None, "it says that it has {length}");
            assert_eq!(flags_of(7, &up[..length]), None, "{length} came");
        }
    }

    /// A name that no interface has, and one that every namespace has.
    #[test]
    fn who_is_not_there_is_not_listened_to() {
        assert!(Link::new("nobody0").is_none());
        if let Some(mut link) = Link::new("lo") {
            link.hear();
        }
    }
}
