//! What is looked at before an interface is opened or made: its name, whether it
//! is there, and whether this machine has our addresses already.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use rustix::io::Errno;
use smoltcp::wire::{IpAddress, IpCidr};

use crate::tap_error::{NAME_MAX, TapError};

/// Fails if this machine itself has one of `addresses`: it would answer in our
/// place, or have the same network twice.
///
/// # Errors
/// [`TapError::AddressInUse`] with the first such address.
pub fn addresses_are_free(addresses: &[IpCidr]) -> Result<(), TapError> {
    // Only a local address can be bound. Unlike a list of interfaces, this asks
    // the network namespace that we are in. It tells nothing where every address
    // can be bound: with `ip_nonlocal_bind`, or in a namespace that has none yet.
    let bound = |address: IpAddr| UdpSocket::bind((address, 0)).is_ok();
    for cidr in addresses {
        let nobodys: IpAddr = match cidr.address() {
            IpAddress::Ipv4(_) => Ipv4Addr::new(240, 0, 0, 1).into(), // reserved: RFC 1112
            IpAddress::Ipv6(_) => Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1).into(), // RFC 6666
        };
        if bound(cidr.address().into()) && !bound(nobodys) {
            return Err(TapError::AddressInUse { address: *cidr });
        }
    }
    Ok(())
}

/// Whether `name` can be an interface's name: 1 to [`NAME_MAX`] bytes, and what
/// the kernel's `dev_valid_name` allows. `%`, its template sign, is refused too.
///
/// # Errors
/// [`TapError::NameTooLong`] or [`TapError::BadName`].
pub fn check_name(name: &str) -> Result<(), TapError> {
    if name.len() > NAME_MAX {
        return Err(TapError::NameTooLong { name: name.into() });
    }
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':' | '%');
    if name.is_empty() || name == "." || name == ".." || name.contains(bad) {
        return Err(TapError::BadName { name: name.into() });
    }
    Ok(())
}

/// Whether there is an interface of this name.
pub(super) fn exists(name: &str) -> Result<bool, TapError> {
    let found = UdpSocket::bind("0.0.0.0:0")
        .or_else(|_| UdpSocket::bind("[::]:0"))
        .and_then(
            |any| match rustix::net::netdevice::name_to_index(&any, name) {
                Ok(_) => Ok(true),
                Err(Errno::NODEV) => Ok(false),
                Err(error) => Err(error.into()),
            },
        );
    found.map_err(|error| TapError::Io {
        what: "could not look up",
        name: name.into(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_kernel_takes() {
        for good in ["cyg0", "a", "123456789012345", "tap-1_x.y"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        assert!(matches!(
            check_name("1234567890123456"),
            Err(TapError::NameTooLong { .. })
        ));
        for bad in ["", ".", "..", "a b", "a/b", "a:1", "tap%d", "a\n"] {
            assert!(
                matches!(check_name(bad), Err(TapError::BadName { .. })),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn an_address_of_this_machine_is_in_use() {
        let ours = "127.0.0.1/8".parse().unwrap();
        assert!(matches!(
            addresses_are_free(&[ours]),
            Err(TapError::AddressInUse { .. })
        ));
        let test_net = "203.0.113.77/24".parse().unwrap(); // RFC 5737
        assert!(addresses_are_free(&[test_net]).is_ok());
    }
}
