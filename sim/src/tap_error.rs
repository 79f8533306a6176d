//! What can go wrong with a TAP, and the way out. Each error is one line that
//! says what is wrong and what to do; where the way out is a few commands, they
//! follow, complete, one per line, to copy and paste.

use std::fmt;
use std::io;

use smoltcp::wire::{IpAddress, IpCidr};

/// The longest interface name, in bytes (`IFNAMSIZ` without its zero).
pub const NAME_MAX: usize = 15;

/// Why there is no TAP. The text says what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum TapError {
    /// This user may not open it or make one: run the commands shown.
    NoPermission(Remedy),
    /// No such interface: run the commands shown, or create it.
    NotFound(Remedy),
    /// Another process has it open: end that one, or take another name.
    Busy {
        /// The interface.
        name: String,
    },
    /// It should be created but is there: attach to it, or take another name.
    Exists {
        /// The interface.
        name: String,
    },
    /// It is an interface, but of another kind: take another name.
    NotATap {
        /// The interface.
        name: String,
    },
    /// It is not up: bring it up.
    Down {
        /// The interface.
        name: String,
    },
    /// The name is longer than the kernel takes: shorten it.
    NameTooLong {
        /// The name.
        name: String,
    },
    /// The name has a character that the kernel does not take, or none at all.
    BadName {
        /// The name.
        name: String,
    },
    /// This machine has the address on another interface: take another network.
    AddressInUse {
        /// The address.
        address: IpCidr,
    },
    /// The host's side cannot have this address.
    AddressMalformed {
        /// The address.
        address: IpCidr,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The kernel has no TAP driver: load it.
    NoDriver,
    /// Anything else that the kernel said.
    Io {
        /// What was tried, up to the name.
        what: &'static str,
        /// The interface.
        name: String,
        /// The kernel's answer.
        error: io::Error,
    },
}

impl fmt::Display for TapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TapError::NoPermission(remedy) => {
                let (name, user) = (&remedy.name, &remedy.user);
                write!(
                    f,
                    "no permission to use the TAP {name:?} as user {user}; make it with:"
                )?;
                write!(f, "\n{remedy}")
            }
            TapError::NotFound(remedy) => {
                let name = &remedy.name;
                write!(
                    f,
                    "there is no interface {name:?}; add --create as root, or make it with:"
                )?;
                write!(f, "\n{remedy}")
            }
            TapError::Busy { name } => {
                write!(
                    f,
                    "the TAP {name:?} is in use by another process; end it or choose another --name"
                )
            }
            TapError::Exists { name } => {
                write!(
                    f,
                    "the interface {name:?} exists already; leave out --create or choose another --name"
                )
            }
            TapError::NotATap { name } => {
                write!(
                    f,
                    "the interface {name:?} is not a single-queue TAP; choose another --name"
                )
            }
            TapError::Down { name } => {
                write!(
                    f,
                    "the TAP {name:?} is down; bring it up: sudo ip link set {name} up"
                )
            }
            TapError::NameTooLong { name } => write!(
                f,
                "the interface name {name:?} has {} bytes; {NAME_MAX} are allowed",
                name.len()
            ),
            TapError::BadName { name } => write!(
                f,
                "{name:?} cannot be an interface name; use letters, digits, '-' and '_', such as cyg0"
            ),
            TapError::AddressInUse { address } => write!(
                f,
                "this machine already has the address {}; choose another network",
                address.address()
            ),
            TapError::AddressMalformed { address, why } => {
                write!(f, "the host's side cannot have {address}: {why}")
            }
            TapError::NoDriver => {
                f.write_str("the kernel has no /dev/net/tun; load the driver: sudo modprobe tun")
            }
            TapError::Io { what, name, error } => write!(f, "{what} the TAP {name:?}: {error}"),
        }
    }
}

impl std::error::Error for TapError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TapError::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// The commands that make a TAP for this user. Displayed one per line.
#[derive(Clone, Debug)]
pub struct Remedy {
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) hosts: Vec<IpCidr>,
    /// The interface may be right; `/dev/net/tun` itself is closed to the user.
    pub(crate) unlock: bool,
    pub(crate) exists: bool,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Remedy { name, user, .. } = self;
        if self.unlock {
            writeln!(f, "  sudo chmod 0666 /dev/net/tun")?;
        }
        if self.exists {
            writeln!(f, "  sudo ip link del {name}")?;
        }
        writeln!(f, "  sudo ip tuntap add dev {name} mode tap user {user}")?;
        for host in &self.hosts {
            // With nobody else on the link, the address is usable at once.
            let nodad = if matches!(host.address(), IpAddress::Ipv6(_)) {
                " nodad"
            } else {
                ""
            };
            writeln!(f, "  sudo ip addr add {host} dev {name}{nodad}")?;
        }
        write!(f, "  sudo ip link set {name} up")
    }
}

impl Remedy {
    pub(crate) fn new(name: &str, hosts: &[IpCidr], exists: bool) -> Remedy {
        Remedy {
            name: name.into(),
            user: user(),
            hosts: hosts.into(),
            unlock: false,
            exists,
        }
    }
}

/// This process's user by name, or by number if `/etc/passwd` does not have it;
/// `ip tuntap` takes both. `$USER` would be the wrong one after `su` or `setpriv`.
fn user() -> String {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of(&passwd, &uid).unwrap_or(&uid).to_owned()
}

fn name_of<'p>(passwd: &'p str, uid: &str) -> Option<&'p str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_permission_prints_the_commands_for_this_user() {
        let remedy = Remedy {
            name: "cyg0".into(),
            user: "ada".into(),
            hosts: vec![
                "192.168.69.1/24".parse().unwrap(),
                "fd69::1/64".parse().unwrap(),
            ],
            unlock: false,
            exists: false,
        };
        assert_eq!(
            TapError::NoPermission(remedy).to_string(),
            "no permission to use the TAP \"cyg0\" as user ada; make it with:\n  \
             sudo ip tuntap add dev cyg0 mode tap user ada\n  \
             sudo ip addr add 192.168.69.1/24 dev cyg0\n  \
             sudo ip addr add fd69::1/64 dev cyg0 nodad\n  \
             sudo ip link set cyg0 up"
        );
    }

    #[test]
    fn the_user_is_found_by_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\nbroken\n";
        assert_eq!(name_of(passwd, "1000"), Some("ada"));
        assert_eq!(name_of(passwd, "0"), Some("root"));
        assert_eq!(name_of(passwd, "7"), None);
    }

    #[test]
    fn every_other_error_is_one_line() {
        let name = || String::from("cyg0");
        let address = "10.0.0.1/8".parse().unwrap();
        for error in [
            TapError::Busy { name: name() },
            TapError::Exists { name: name() },
            TapError::NotATap { name: name() },
            TapError::Down { name: name() },
            TapError::NameTooLong {
                name: "a-name-much-too-long".into(),
            },
            TapError::BadName {
                name: "a\nb".into(),
            },
            TapError::AddressInUse { address },
            TapError::AddressMalformed {
                address,
                why: "why",
            },
            TapError::NoDriver,
            TapError::Io {
                what: "could not open",
                name: name(),
                error: io::ErrorKind::Other.into(),
            },
        ] {
            let text = error.to_string();
            assert!(!text.contains('\n') && text.len() > 20, "{text}");
        }
    }
}
