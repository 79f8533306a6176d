"""A peer that sends text past what it was offered, over a TAP: `tap_edges.rs`
runs this in a network namespace. No kernel of this machine could be made to do
that, so the peer is frames made by hand, with nothing but Python: the address
.66, which no kernel has. It prints what it saw as JSON.
"""

import json
import socket
import struct
import sys
import time

INTERFACE = "cyg0"
SERVER_MAC, PEER_MAC = bytes.fromhex("026379670001"), bytes.fromhex("026666666666")
ENDS = {
    4: (socket.AF_INET, "192.168.69.66", "192.168.69.2"),
    6: (socket.AF_INET6, "fd69::66", "fd69::2"),
}
# Enough for any answer on a slow machine; reached only when there is none.
LONG = 20
FIN, SYN, RST, ACK = 1, 2, 4, 16
MSS = 1400


def total(data):
    data += b"\0" * (len(data) % 2)
    value = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return value


class Peer:
    def __init__(self, version, port):
        family, peer, server = ENDS[version]
        self.version, self.port = version, port
        self.peer, self.server = socket.inet_pton(family, peer), socket.inet_pton(family, server)
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.wire.bind((INTERFACE, 0))

    def send(self, flags, seq, ack=0, text=b"", options=b""):
        """To port `dport`, from `sport`."""
        offset = (20 + len(options)) // 4 << 4
        numbers = (self.sport, self.port, seq % 2**32, ack % 2**32, offset, flags, 65535, 0, 0)
        segment = struct.pack("!HHIIBBHHH", *numbers) + options + text
        pseudo = self.peer + self.server + struct.pack("!II", len(segment), 6)
        check = ~total(pseudo + segment) & 0xFFFF
        segment = segment[:16] + struct.pack("!H", check) + segment[18:]
        if self.version == 4:
            header = struct.pack("!BBHIBBH", 0x45, 0, 20 + len(segment), 0, 64, 6, 0)
            check = ~total(header + self.peer + self.server) & 0xFFFF
            header, kind = header[:10] + struct.pack("!H", check), 0x0800
        else:
            header, kind = struct.pack("!IHBB", 6 << 28, len(segment), 6, 64), 0x86DD
        link = SERVER_MAC + PEER_MAC + struct.pack("!H", kind)
        self.wire.send(link + header + self.peer + self.server + segment)

    def heard(self, seconds, until):
        """Flags, numbers and window of the first of the server's segments that
        `until` says yes to; `None` when time is over."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.wire.settimeout(left)
            try:
                frame = self.wire.recv(2048)
            except TimeoutError:
                return None
            ip = 14
            tcp = ip + (20 if self.version == 4 else 40)
            if frame[6:12] != SERVER_MAC or self.peer not in frame[ip:tcp]:
                continue
            ports, seq, ack, _, flags, window = struct.unpack("!IIIBBH", frame[tcp : tcp + 16])
            if ports == self.port << 16 | self.sport and until(flags, seq, ack):
                return flags, seq, ack, window
        return None


def text_across_the_edge(peer, sport, edges, most):
    """Opens a connection that scales windows, sends text across `edges`, the first
    of which the server has to judge by the window of its SYN, and then all text
    from the first byte on, until nothing more is taken, or `most` bytes. Gives how
    much was acknowledged, and whether ever more than was sent."""
    peer.sport, start = sport, 1000
    peer.send(SYN, start, options=bytes([2, 4, 5, 120, 3, 3, 7, 0]))
    answer = peer.heard(LONG, lambda flags, *_: flags == SYN | ACK)
    assert answer, "no SYN-ACK"
    start, ack = start + 1, answer[1] + 1
    peer.send(ACK, start, ack)
    for edge in edges:
        for at in (edge - 50, edge):
            peer.send(ACK, start + at, ack, b"\x55" * 100)
    sent = acked = 0
    ahead, quiet = False, 0
    while acked < most and quiet < 3:
        while sent < min(acked + 16 * MSS, most):
            length = min(MSS, most - sent)
            peer.send(ACK, start + sent, ack, b"s" * length)
            sent += length
        seen = peer.heard(0.3, lambda flags, seq, ack: (ack - start) % 2**32 > acked)
        if seen and seen[0] & RST:
            break
        # What was not taken is sent again.
        quiet, sent = (0, sent) if seen else (quiet + 1, acked)
        if seen:
            acked = (seen[2] - start) % 2**32
            ahead |= acked > sent
            if ahead:
                break
    peer.send(RST | ACK, start + acked, ack)
    return acked, ahead


def edges(version, port, rx, most):
    peer = Peer(version, port)
    all_edges = [rx, 65535, 65536, 2 * rx, 65535 << 1, 65535 << 5]
    taken, ahead = [], False
    for number in range(3):
        turned = all_edges[number:] + all_edges[:number]
        bytes_taken, too_many = text_across_the_edge(peer, 2000 + number, turned, most)
        taken.append(bytes_taken)
        ahead |= too_many
    return {"taken": taken, "ahead": ahead}


if __name__ == "__main__":
    print(json.dumps(edges(*map(int, sys.argv[1:]))))
