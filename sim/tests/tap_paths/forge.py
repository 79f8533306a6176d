"""Messages that say that a path is narrow, as anybody could send them: about what
`sim tap` is said to have sent to the kernel's clients, with sequence numbers from
everywhere. `tap_paths.rs` runs this in a network namespace.

    python3 forge.py PORT_V4 PORT_V6 COUNT

PORT_V4 and PORT_V6 are those of the clients of chargen; every fourth message is about
a flow that is not. Sends to the TAP `cyg0` and to nothing else, and prints how many.
"""

import socket
import struct
import sys
import time

INTERFACE = "cyg0"
SERVER_MAC, ROUTER_MAC = bytes.fromhex("026379670001"), bytes.fromhex("026666666666")
CHARGEN = 19


def total(data):
    value = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return value


def sealed(data, at, pseudo=b""):
    """With the checksum that belongs at `at`."""
    check = ~total(pseudo + data) & 0xFFFF
    return data[:at] + struct.pack("!H", check) + data[at + 2 :]


def ends(family, server, client, router):
    return [socket.inet_pton(family, text) for text in (server, client, router)]


FOUR = ends(socket.AF_INET, "192.168.69.2", "192.168.69.1", "192.168.69.254")
SIX = ends(socket.AF_INET6, "fd69::2", "fd69::1", "fd69::fe")


def four(port, seq, mtu):
    server, client, router = FOUR
    head = struct.pack("!BBHIBBH", 0x45, 0, 1500, 0x4000, 64, 6, 0) + server + client
    quoted = sealed(head, 10) + struct.pack("!HHI", CHARGEN, port, seq)
    said = sealed(struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + quoted, 2)
    head = struct.pack("!BBHIBBH", 0x45, 0, 20 + len(said), 0, 64, 1, 0) + router + server
    return struct.pack("!H", 0x0800) + sealed(head, 10) + said


def six(port, seq, mtu):
    server, client, router = SIX
    head = struct.pack("!IHBB", 6 << 28, 1460, 6, 64) + server + client
    segment = struct.pack("!HHIIBBHHH", CHARGEN, port, seq, 0, 0x50, 16, 65535, 0, 0)
    said = struct.pack("!BBHI", 2, 0, 0, mtu) + head + segment
    pseudo = router + server + struct.pack("!II", len(said), 58)
    head = struct.pack("!IHBB", 6 << 28, len(said), 58, 64) + router + server
    return struct.pack("!H", 0x86DD) + head + sealed(said, 2, pseudo)


def forge(port_v4, port_v6, count):
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind((INTERFACE, 0))
    for number in range(count):
        seq = number * (2**32 // count)
        other = 1 if number % 4 == 3 else 0
        mtu = (0, 68, 552, 576, 1000, 1279, 1280)[number % 7]
        packet = six(port_v6 ^ other, seq, mtu) if number % 2 else four(port_v4 ^ other, seq, mtu)
        wire.send(SERVER_MAC + ROUTER_MAC + packet)
        if number % 256 == 255:  # no faster than the server can listen
            time.sleep(0.005)
    return count


if __name__ == "__main__":
    print(forge(*map(int, sys.argv[1:])))
