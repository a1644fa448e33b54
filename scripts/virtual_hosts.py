"""Hosts on this one machine: network namespaces, each with one network card, on a hub that loses and delays what it is told to.

The cards are TAP devices; the hub is a thread of this process that carries Ethernet frames between them. So a fault needs nothing of
the kernel that kernels lack (sch_netem), and every frame that a fault has hit is counted: the proof that it fired.
"""

import errno
import fcntl
import heapq
import os
import select
import shutil
import struct
import subprocess
import threading
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
BROADCAST = b"\xff" * 6


def impossible():
    """Why there can be no such hosts here; none if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not shutil.which("ip", path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
        if not shutil.which("apt-get"):
            return "there is no iproute2, and no apt-get to install it with"
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        install = "apt-get update -qq && apt-get install -y -qq --no-install-recommends iproute2"
        if subprocess.run(install, shell=True, env=environment, capture_output=True, check=False).returncode != 0:
            return "iproute2 cannot be installed"
    name = f"nlsq{os.getpid()}-try"
    made = ip("netns", "add", name, check=False)
    if made.returncode != 0:
        return f"ip netns add: {made.stderr.strip()}"
    ip("netns", "del", name)
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        return f"/dev/net/tun: {error.strerror}"
    return None


def ip(*words, check=True):
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    done = subprocess.run(["ip", *map(str, words)], env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise OSError(f"ip {' '.join(map(str, words))}: {done.stderr.strip()}")
    return done


class Host:
    """A namespace with one card."""

    def __init__(self, number):
        self.namespace = f"nlsq{os.getpid()}-{number}"
        self.card = f"nq{os.getpid() % 100_000}h{number}"
        self.address = f"10.213.77.{number + 1}"
        self.deaf = self.mute = False  # loses all that comes, all that goes
        self.delay = 0.0  # seconds, of all that goes
        self.lost = self.delayed = 0  # frames
        ip("netns", "add", self.namespace)
        self.tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.tap, TUNSETIFF, struct.pack("16sH", self.card.encode(), IFF_TAP | IFF_NO_PI))
        ip("link", "set", self.card, "netns", self.namespace)
        for words in [["link", "set", "lo", "up"], ["address", "add", f"{self.address}/24", "dev", self.card], ["link", "set", self.card, "up"]]:
            ip("-n", self.namespace, *words)

    def pull_cable(self):
        ip("-n", self.namespace, "link", "set", self.card, "down")

    def plug_cable(self):
        ip("-n", self.namespace, "link", "set", self.card, "up")

    def spawn(self, *command, **more):
        """Starts a program on this host."""
        return subprocess.Popen(["ip", "netns", "exec", self.namespace, *map(str, command)], **more)

    def remove(self):
        os.close(self.tap)  # the card goes with it
        ip("netns", "del", self.namespace, check=False)


class Network:
    """Some hosts and their hub, from entering the context to leaving it, however it is left."""

    def __init__(self, count):
        self.count, self.hosts, self.waiting, self.order = count, [], [], 0
        self.stop_reader, self.stop_writer = os.pipe()
        self.thread = threading.Thread(target=self.carry, name="hub", daemon=True)

    def __enter__(self):
        try:
            for number in range(self.count):
                self.hosts.append(Host(number))
        except BaseException:
            self.remove()
            raise
        self.thread.start()
        return self

    def __exit__(self, *_):
        os.write(self.stop_writer, b"x")
        self.thread.join()
        self.remove()

    def remove(self):
        for host in self.hosts:
            host.remove()
        os.close(self.stop_reader)
        os.close(self.stop_writer)

    def carry(self):
        by_card = {}  # where a card's address was seen
        while True:
            patience = max(0.0, self.waiting[0][0] - time.monotonic()) if self.waiting else None
            ready, _, _ = select.select([self.stop_reader, *[host.tap for host in self.hosts]], [], [], patience)
            if self.stop_reader in ready:
                return
            for host in self.hosts:
                if host.tap in ready:
                    self.take(host, by_card)
            while self.waiting and self.waiting[0][0] <= time.monotonic():
                _, _, sender, receiver, frame = heapq.heappop(self.waiting)
                self.hand_over(sender, receiver, frame)

    def take(self, sender, by_card):
        """Takes what a card sends, and sends it on at once or later."""
        for _ in range(64):  # the others have their turn
            try:
                frame = os.read(sender.tap, 65_536)
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.EIO):  # nothing more; or the card is down
                    return
                raise
            to, by_card[frame[6:12]] = frame[:6], sender
            known = by_card.get(to)
            for receiver in [known] if known and to != BROADCAST else [host for host in self.hosts if host is not sender]:
                if sender.delay > 0:
                    sender.delayed += 1
                    self.order += 1
                    heapq.heappush(self.waiting, (time.monotonic() + sender.delay, self.order, sender, receiver, frame))
                else:
                    self.hand_over(sender, receiver, frame)

    @staticmethod
    def hand_over(sender, receiver, frame):
        if sender.mute:
            sender.lost += 1
        elif receiver.deaf:
            receiver.lost += 1
        else:
            try:
                os.write(receiver.tap, frame)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EIO):
                    raise
                receiver.lost += 1  # its cable is pulled, or its queue is full
