#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""An echo server and its client over oxtcp, in Python.

Python knows how to write the addresses of the families that it knows. So a
socket is made with oxtcp's number, and its descriptor then treated as one of
AF_INET, whose addresses it has.
"""

import os
import socket
import threading

DEFAULT_FAMILY = 25


def oxtcp_family():
    """The number that the loaded module has."""
    if "OXTCP_FAMILY" in os.environ:
        return int(os.environ["OXTCP_FAMILY"])
    try:
        with open("/sys/module/oxtcp/parameters/family", encoding="ascii") as f:
            return int(f.read())
    except OSError:
        return DEFAULT_FAMILY


def oxtcp_socket():
    """A TCP socket of oxtcp."""
    made = socket.socket(oxtcp_family(), socket.SOCK_STREAM)
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=made.detach())


def echo(listener):
    """Sends back all that comes on one connection."""
    connection, _peer = listener.accept()
    with connection:
        while data := connection.recv(4096):
            connection.sendall(data)


def main():
    with oxtcp_socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = threading.Thread(target=echo, args=(listener,))
        server.start()
        with oxtcp_socket() as client:
            client.connect(listener.getsockname())
            client.sendall(b"there and back")
            client.shutdown(socket.SHUT_WR)
            text = b""
            while data := client.recv(4096):
                text += data
        server.join()
        print("%s:%d: %s" % (*listener.getsockname(), text.decode()))


main()
