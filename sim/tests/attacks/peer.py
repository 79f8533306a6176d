"""A peer that no honest kernel would be, with scapy: one attack of the table of
hostile behaviours a run, from a hardware and an IP address that this machine's
kernel does not own, so that it answers nothing. What came back is printed as one
line of JSON; what it means is decided in attacks.rs.

    python3 peer.py ATTACK [NUMBER ...]

Sends to the TAP `cyg0` and to nothing else. Every attack is bounded in frames
and in time.
"""

import json
import struct
import sys
import time

from scapy.config import conf

conf.ipv6_enabled = False
from scapy.arch.linux import L2Socket
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether

INTERFACE = "cyg0"
SERVER, SERVER_MAC = "192.168.69.2", "02:63:79:67:00:01"
PEER, PEER_MAC = "192.168.69.66", "02:66:66:66:66:66"
# The kernel's address on this link: the honest client.
CLIENT = "192.168.69.1"
ECHO, DAYTIME = 7, 13
# Enough for any answer on a slow machine; reached only when there is none.
LONG = 20


class Wire:
    def __init__(self):
        self.wire = L2Socket(iface=INTERFACE, promisc=True)

    def send(self, ip, tcp, to=SERVER_MAC):
        self.wire.send(Ether(src=PEER_MAC, dst=to) / ip / tcp)

    def heard(self, seconds, until=lambda segment: False):
        """The server's segments, until time is over or one is what is waited
        for. Who asks for PEER is told."""
        segments, end = [], time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not self.wire.select([self.wire], left):
                continue
            frame = self.wire.recv()
            if frame is None or frame.src != SERVER_MAC:
                continue
            if ARP in frame and frame[ARP].op == 1 and frame[ARP].pdst == PEER:
                answer = ARP(op=2, hwsrc=PEER_MAC, psrc=PEER, hwdst=SERVER_MAC, pdst=SERVER)
                self.wire.send(Ether(src=PEER_MAC, dst=SERVER_MAC) / answer)
            if TCP in frame:
                segments.append(frame[IP])
                if until(frame[IP]):
                    break
        return segments


def to_others(segments):
    """How many did not go to the honest client."""
    return sum(segment.dst != CLIENT for segment in segments)


def data(segment):
    """How many bytes it carries; an Ethernet frame may be longer."""
    return segment.len - 4 * segment.ihl - 4 * segment[TCP].dataofs


def zero_window_fin(wire, peers):
    """Row 1: after the server closed, part of it is acknowledged with window 0,
    then all of it and the FIN, still with window 0, by so many peers."""
    closed = []
    for port in range(2000, 2000 + peers):
        ours = lambda segment: segment[TCP].dport == port
        wire.send(IP(src=PEER, dst=SERVER), TCP(sport=port, dport=DAYTIME, flags="S", seq=1))
        syn = wire.heard(LONG, lambda s: ours(s) and s[TCP].flags == "SA")[-1]
        ack = TCP(sport=port, dport=DAYTIME, flags="A", seq=2, ack=syn[TCP].seq + 1)
        wire.send(IP(src=PEER, dst=SERVER), ack)
        fin = wire.heard(LONG, lambda s: ours(s) and "F" in s[TCP].flags)[-1]
        ack.ack, ack.window = fin[TCP].seq + data(fin) // 2, 0
        wire.send(IP(src=PEER, dst=SERVER), ack)
        ack.ack = fin[TCP].seq + data(fin) + 1
        closed.append(ack)
    wire.heard(0.1)
    for ack in closed:
        wire.send(IP(src=PEER, dst=SERVER), ack)
    return {"closed": len(closed), "segments": to_others(wire.heard(3))}


def syn_to_many(wire, rounds):
    """Row 3: SYNs to addresses that are more than one host's."""
    places = [
        ("192.168.69.255", "ff:ff:ff:ff:ff:ff"),
        ("192.168.69.255", SERVER_MAC),
        ("255.255.255.255", "ff:ff:ff:ff:ff:ff"),
        ("255.255.255.255", SERVER_MAC),
        ("224.0.0.1", "01:00:5e:00:00:01"),
        ("224.0.0.251", SERVER_MAC),
    ]
    for port in range(2000, 2000 + rounds):
        for to, mac in places:
            for dport in (ECHO, 99):
                wire.send(IP(src=PEER, dst=to), TCP(sport=port, dport=dport, flags="S"), mac)
    answers = to_others(wire.heard(1))
    return {"sent": rounds * len(places) * 2, "answers": answers}


def reset_sweep(wire, port, step):
    """Row 9: resets for the client's connection from `port`, over all sequence
    numbers in steps shorter than the window; again if none arrived. Challenges
    go to the client and are seen here too."""
    packet = IP(src=CLIENT, dst=SERVER) / TCP(sport=port, dport=ECHO, flags="R", window=0)
    packet[TCP].chksum = 0
    frame = bytearray(bytes(Ether(src=PEER_MAC, dst=SERVER_MAC) / packet))
    # The sum of the segment and its pseudo header, without a sequence number.
    rest = sum(struct.unpack("!4H", frame[26:34])) + 6 + 20 + sum(struct.unpack("!10H", frame[34:54]))
    challenges = sent = 0
    challenge = lambda s: s[TCP].flags == "A" and data(s) == 0 and s[TCP].dport == port
    for first in (0, step // 2, step // 3):
        for seq in range(first, 1 << 32, step):
            check = rest + (seq >> 16) + (seq & 0xFFFF)
            check = (check & 0xFFFF) + (check >> 16)
            check = (check & 0xFFFF) + (check >> 16)
            struct.pack_into("!I", frame, 38, seq)
            struct.pack_into("!H", frame, 50, ~check & 0xFFFF)
            wire.wire.outs.send(frame)
            sent += 1
            if sent % 512 == 0:  # no faster than the server can listen
                challenges += sum(map(challenge, wire.heard(0.01)))
        challenges += sum(map(challenge, wire.heard(0.5)))
        if challenges:
            break
    return {"sent": sent, "challenges": challenges}


def bad_sources(wire, rounds):
    """Row 16: SYNs from addresses that no peer can have."""
    sources = [SERVER, "127.0.0.1", "127.9.9.9", "0.0.0.0", "255.255.255.255"]
    sources += ["192.168.69.255", "224.0.0.1", "239.255.255.250"]
    for port in range(2000, 2000 + rounds):
        for source in sources:
            for sport, dport in ((ECHO, ECHO), (port, ECHO), (port, 99)):
                wire.send(IP(src=source, dst=SERVER), TCP(sport=sport, dport=dport, flags="S"))
    answers = to_others(wire.heard(1))
    return {"sent": rounds * len(sources) * 3, "answers": answers}


if __name__ == "__main__":
    attack = globals()[sys.argv[1]]
    print(json.dumps(attack(Wire(), *map(int, sys.argv[2:]))))
