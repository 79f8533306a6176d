#!/usr/bin/env python3
"""The lesson's server, on kernel sockets: generators, three collections, select.

    lesson.py [ADDRESS [PORT]]      default 127.0.0.1 5000

It sends back what it receives, so that a client can check every byte; the
lesson answers with a greeting. It is one of the servers that `bench/tap`
measures. Like the lesson's it looks at every parked socket whenever it waits,
and it cannot have more than about a thousand of them.
"""

import socket
import sys
from select import select

tasks = []
to_read = {}
to_write = {}


def server(address):
    server_socket = socket.socket()
    server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server_socket.bind(address)
    server_socket.listen(1000)
    print("Listening on", *address, flush=True)
    while True:
        yield "read", server_socket
        client_socket, _ = server_socket.accept()
        client_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tasks.append(client(client_socket))


def client(client_socket):
    while True:
        yield "read", client_socket
        request = client_socket.recv(4096)
        if not request:
            break
        yield "write", client_socket
        client_socket.send(request)
    client_socket.close()


def event_loop():
    while any([tasks, to_read, to_write]):
        while not tasks:
            readable, writable, _ = select(to_read, to_write, [])
            for sock in readable:
                tasks.append(to_read.pop(sock))
            for sock in writable:
                tasks.append(to_write.pop(sock))
        try:
            task = tasks.pop(0)
            reason, sock = next(task)
            if reason == "read":
                to_read[sock] = task
            if reason == "write":
                to_write[sock] = task
        except StopIteration:
            pass


if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 5000
    tasks.append(server((address, port)))
    try:
        event_loop()
    except KeyboardInterrupt:
        pass
