"""Clients of this machine's kernel, and a peer that begins handshakes and never
finishes one, both in one network namespace with `sim tap`. What the clients
found is printed as one line of JSON; what it means is decided in trickle.rs.

    traffic.py trickle SERVER RATE SECONDS GAP
        8 such SYNs at once, then RATE a second, to the first port. Meanwhile
        clients come GAP seconds apart, on each of two ports.
    traffic.py burst SERVER COUNT ROUND_TRIP_MS LINEAR RATE LEAD LIMIT
        COUNT clients at once, with so long a round trip, LEAD seconds after 8
        SYNs and then RATE a second (0: no attack at all). A client repeats its
        SYN every second LINEAR times, and then waits twice as long every time.
        Clients that are not served within LIMIT seconds are given up.

Sends to the TAP `cyg0` and to nothing else, bounded in frames and in time. The
attacker's addresses are not the kernel's, which therefore answers nothing.
"""

import collections
import errno
import fcntl
import json
import os
import random
import selectors
import select
import socket
import struct
import subprocess
import sys
import time

INTERFACE = "cyg0"
SERVER_MAC, CLIENTS_MAC = bytes.fromhex("026379670001"), bytes.fromhex("026379670002")
PORT, OTHER_PORT = 7, 8
AT_ONCE = 8
# Beyond what a client with two SYNs needs.
PATIENCE = 6.5
OUTGOING = 4  # PACKET_OUTGOING: what we sent ourselves
TOTAL_RETRANS = 100  # its place in struct tcp_info; SYNs count as well


def packet_socket():
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    wire.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
    wire.bind((INTERFACE, 0))
    wire.setblocking(False)
    return wire


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def syn(server, number):
    """A SYN that nobody else sends: every one has another source."""
    version = socket.AF_INET6 if ":" in server else socket.AF_INET
    host, port = 100 + number % 100, 1024 + number % 60_000
    mac = bytes([2, 0x66, 0x66, 0x66, 0x66, host])
    source = "fd69::%x" % host if ":" in server else "192.168.69.%d" % host
    source, target = (socket.inet_pton(version, ip) for ip in (source, server))
    tcp = struct.pack("!HHIIBBHHHI", port, PORT, random.getrandbits(32), 0, 6 << 4, 2, 64240, 0, 0, 0x020405B4)
    sum_of = checksum(source + target + struct.pack("!HH", 6, len(tcp)) + tcp)
    tcp = tcp[:16] + struct.pack("!H", sum_of) + tcp[18:]
    if ":" in server:
        return SERVER_MAC + mac + struct.pack("!HIHBB", 0x86DD, 6 << 28, len(tcp), 6, 64) + source + target + tcp
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), number & 0xFFFF, 0x4000, 64, 6, 0) + source + target
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return SERVER_MAC + mac + b"\x08\x00" + ip + tcp


class Attack:
    """8 SYNs at once, then so many a second."""

    def __init__(self, server, rate, until):
        self.server, self.rate, self.until = server, rate, until
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.wire.bind((INTERFACE, 0))
        self.began, self.sent = time.monotonic(), 0
        self.first = random.getrandbits(20)
        for _ in range(AT_ONCE):
            self.send()

    def send(self):
        self.wire.send(syn(self.server, self.first + self.sent))
        self.sent += 1

    def due(self):
        return self.began + (self.sent + 1 - AT_ONCE) / self.rate

    def go_on(self, now):
        while self.due() <= min(now, self.until):
            self.send()


class Client:
    """Connects, has a few bytes echoed, closes."""

    def __init__(self, server, port, patience):
        version = socket.AF_INET6 if ":" in server else socket.AF_INET
        self.port, self.message = port, b"swan %08x" % random.getrandbits(32)
        self.socket = socket.socket(version, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.connected, self.got, self.syns, self.resends = False, b"", 0, 0
        self.served, self.why = False, "no answer"
        self.began = time.monotonic()
        self.until = self.began + patience
        code = self.socket.connect_ex((server, port))
        assert code in (0, errno.EINPROGRESS), os.strerror(code)

    def retransmitted(self):
        info = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TOTAL_RETRANS + 4)
        return struct.unpack_from("=I", info, TOTAL_RETRANS)[0]

    def ready(self, selector):
        """True when it is over."""
        try:
            if not self.connected:
                code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    raise OSError(code, os.strerror(code))
                self.connected, self.syns = True, 1 + self.retransmitted()
                self.socket.send(self.message)
                selector.modify(self.socket, selectors.EVENT_READ, self)
                return False
            bytes_in = self.socket.recv(100)
        except BlockingIOError:
            return False
        except OSError as error:
            self.why = error.strerror
            return True
        self.got += bytes_in
        if bytes_in and len(self.got) < len(self.message):
            return False
        self.served = self.got == self.message
        self.why = "another answer: %r" % self.got
        return True

    def end(self):
        total = self.retransmitted()
        if not self.connected:
            self.syns = 1 + total
        self.resends = 1 + total - self.syns
        self.socket.close()
        self.took = time.monotonic() - self.began


class Crowd:
    """Clients that are on their way, and those that are through."""

    def __init__(self, server):
        self.server, self.selector = server, selectors.DefaultSelector()
        self.over, self.live = [], collections.deque()

    def send_one(self, port, patience):
        client = Client(self.server, port, patience)
        self.selector.register(client.socket, selectors.EVENT_WRITE, client)
        self.live.append(client)

    def run(self, until):
        """Serves them until then, or until one is over or given up."""
        now = time.monotonic()
        while self.live and (self.live[0].socket.fileno() < 0 or self.live[0].until <= now):
            client = self.live.popleft()
            if client.socket.fileno() >= 0:
                self.end(client)
        wait = min([until, *(client.until for client in list(self.live)[:1])]) - now
        for key, _ in self.selector.select(max(wait, 0)):
            if key.data.ready(self.selector):
                self.end(key.data)

    def end(self, client):
        self.selector.unregister(client.socket)
        client.end()
        self.over.append(client)

    def is_busy(self):
        return any(client.socket.fileno() >= 0 for client in self.live)

    def found(self, port):
        """What the clients of a port found, the times in milliseconds."""
        clients = [client for client in self.over if client.port == port]
        times = sorted(1000 * client.took for client in clients if client.served)
        part = lambda share: round(times[min(int(len(times) * share), len(times) - 1)], 2) if times else None
        lost = [c for c in clients if not c.served]
        return {
            "tried": len(clients),
            "served": len(times),
            "p50": part(0.5),
            "p99": part(0.99),
            "max": part(1),
            "most_syns": max(client.syns for client in clients),
            "second_syns": sum(client.syns > 1 for client in clients),
            "most_resends": max(client.resends for client in clients),
            "lost": [[round(c.began - self.began, 1), c.why, c.syns, c.resends] for c in lost[:5]],
        }


def warm_up(crowd, ports):
    """Whoever is first has to ask for hardware addresses."""
    for port in ports:
        crowd.send_one(port, 20)
    while crowd.is_busy():
        crowd.run(time.monotonic() + 1)
    assert all(client.served for client in crowd.over), [client.why for client in crowd.over]
    crowd.over.clear()
    crowd.began = time.monotonic()


def repeat_syns(linear):
    """How this kernel repeats a SYN: Linux 6.5 and later at 1, 2, 3, 4, 5, 7 s, those
    before at 1, 3, 7 s, which is all they can."""
    try:
        with open("/proc/sys/net/ipv4/tcp_syn_linear_timeouts", "w") as setting:
            setting.write("%d" % linear)
    except OSError:
        pass


def trickle(server, rate, seconds, gap):
    repeat_syns(4)
    crowd = Crowd(server)
    ports = (PORT, OTHER_PORT)
    warm_up(crowd, ports)
    end = crowd.began + seconds
    attack = Attack(server, rate, end)
    # Not in step with anything.
    coming = {port: crowd.began + 0.05 + gap * nth / 2 for nth, port in enumerate(ports)}
    while (now := time.monotonic()) < end:
        attack.go_on(now)
        for port in ports:
            if coming[port] <= now:
                crowd.send_one(port, PATIENCE)
                coming[port] += gap * random.uniform(0.5, 1.5)
        crowd.run(min(attack.due(), end, *coming.values()))
    while crowd.is_busy():
        crowd.run(time.monotonic() + 1)
    return {"sent": attack.sent, "first": crowd.found(PORT), "other": crowd.found(OTHER_PORT)}


def relay(one_way):
    """Puts the kernel behind a wire on which every frame takes so long: the
    kernel's addresses move to an interface of our own, and a child carries
    frames between it and `cyg0`. The child ends with us."""
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", b"clients0", 0x1002))  # TUNSETIFF, a TAP
    for words in (
        "addr flush dev cyg0",
        "link set cyg0 arp off",
        "link set clients0 txqueuelen 8192 address " + CLIENTS_MAC.hex(":"),
        "addr add 192.168.69.1/24 dev clients0",
        "link set clients0 up",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    wire = packet_socket()
    ours, theirs = os.pipe()
    if os.fork():
        os.close(ours)
        os.close(tap)
        wire.close()
        return theirs  # its end is the child's
    os.close(theirs)
    carry(tap, wire, one_way, ours)
    os._exit(0)


def carry(tap, wire, one_way, ours):
    late = collections.deque()
    while True:
        wait = max(late[0][0] - time.monotonic(), 0) if late else None
        ready, _, _ = select.select([tap, wire, ours], [], [], wait)
        if ours in ready:
            return
        now = time.monotonic()
        try:
            while tap in ready:
                late.append((now + one_way, wire.send, os.read(tap, 2048)))
        except BlockingIOError:
            pass
        try:
            while wire in ready:
                frame, (_, _, kind, _, _) = wire.recvfrom(2048)
                if kind != OUTGOING and (frame[:6] == CLIENTS_MAC or frame[0] & 1):
                    late.append((now + one_way, lambda frame: os.write(tap, frame), frame))
        except BlockingIOError:
            pass
        while late and late[0][0] <= time.monotonic():
            _, send, frame = late.popleft()
            send(frame)


def burst(server, count, round_trip_ms, linear, rate, lead, limit):
    repeat_syns(linear)
    child = relay(round_trip_ms / 2000) if round_trip_ms else None
    crowd = Crowd(server)
    warm_up(crowd, [PORT])
    attack = Attack(server, rate, crowd.began + lead + limit) if rate else None
    start = crowd.began + lead
    go_on = lambda: attack.go_on(time.monotonic()) if attack else None
    due = lambda: attack.due() if attack else time.monotonic() + 1
    while time.monotonic() < start:
        go_on()
        crowd.run(min(due(), start))
    crowd.began = time.monotonic()
    for _ in range(int(count)):
        crowd.send_one(PORT, limit)
    while crowd.is_busy():
        go_on()
        crowd.run(due())
    last = max([client.began + client.took - crowd.began for client in crowd.over if client.served], default=0)
    if child:
        os.close(child)
        os.wait()
    return {"last": round(1000 * last, 1), "sent": attack.sent if attack else 0, **crowd.found(PORT)}


if __name__ == "__main__":
    what, server, *numbers = sys.argv[1:]
    print(json.dumps(globals()[what](server, *map(float, numbers))))
