"""A real SLURM on this one machine: controller, some nodes and their authentication in a folder of their own, on ports of their own.

No systemd, no cgroups, no database. As root with munge; as another user without it, for jobs of that user alone. All nodes share the
machine's name, address and files: what tells them apart is SLURMD_NODENAME.
"""

import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import time

PROGRAMS = ["slurmctld", "slurmd", "sbatch", "srun", "scontrol", "scancel", "sinfo"]
PACKAGES = ["slurmctld", "slurmd", "slurm-client", "munge"]

CONFIGURATION = """\
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
{authentication}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0,sched_min_interval=0
SlurmdParameters=config_overrides
PropagateResourceLimits=NONE
ReturnToService=2
SlurmctldTimeout=10
SlurmdTimeout=10
MessageTimeout=10
TCPTimeout=2
KillWait=5
WaitTime=0
KillOnBadExit=0
JobRequeue=1
UnkillableStepTimeout=20
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs={cpus} RealMemory=1000 State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=debug Nodes=n[1-{nodes}] Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=15
PartitionName=urgent Nodes=n[1-{nodes}] MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""


def find(program):
    return shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


def install():
    """Sees to it that SLURM is there; says why not, if not."""
    if all(map(find, PROGRAMS)):
        return None
    if not find("apt-get"):
        return "there is no SLURM, and no apt-get to install it with"
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in [["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES]]:
        try:
            done = subprocess.run([*sudo, "apt-get", *command], env=environment, capture_output=True, text=True, timeout=300, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"apt-get {command[0]}: {error}"
        if done.returncode != 0:
            return f"apt-get {command[0]} failed: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}"
    missing = [program for program in PROGRAMS if not find(program)]
    return f"the packages lack {', '.join(missing)}" if missing else None


def free_ports(count):
    """The first of `count` neighbouring ports at which nobody listens."""
    for _ in range(100):
        first = 20_000 + secrets.randbelow(10_000)
        sockets = []
        try:
            for port in range(first, first + count):
                sockets.append(socket.create_server(("127.0.0.1", port)))
            return first
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
    raise OSError(f"found no {count} free ports")


class Cluster:
    """SLURM, from entering the context to leaving it, however it is left."""

    def __init__(self, folder, nodes=4, cpus=2):
        self.folder, self.nodes, self.cpus = pathlib.Path(folder), nodes, cpus
        self.configuration = self.folder / "etc/slurm.conf"
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM_", "SBATCH_"))}
        self.environment |= {"SLURM_CONF": str(self.configuration), "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def run(self, *command, check=True, **more):
        return subprocess.run(list(map(str, command)), env=self.environment, capture_output=True, text=True, timeout=60, check=check, **more)

    def start(self):
        for name in ["etc", "run", "log", "spool", "state"]:
            (self.folder / name).mkdir(parents=True)
        (self.folder / "etc/cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")  # 22.05 knows no "disabled"
        first = free_ports(self.nodes + 1)
        root = os.geteuid() == 0
        self.configuration.write_text(CONFIGURATION.format(
            name=f"nlsq{os.getpid()}", host=socket.gethostname().split(".")[0], controller_port=first,
            user=subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip(),
            authentication=self.authentication() if root else "AuthType=auth/none\nCredType=cred/none",
            folder=self.folder, nodes=self.nodes, first=first + 1, last=first + self.nodes, cpus=self.cpus,
        ))
        self.run("slurmctld", "-f", self.configuration)
        for node in range(1, self.nodes + 1):
            self.start_node(f"n{node}")
        deadline = time.monotonic() + 30
        while self.run("sinfo", "-h", "-t", "idle", "-o", "%D", check=False).stdout.strip() != str(self.nodes):
            if time.monotonic() > deadline:
                raise TimeoutError("SLURM did not come up: " + self.last_words())
            time.sleep(0.1)

    def authentication(self):
        run = self.folder / "run"
        key = self.folder / "etc/munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        self.run("munged", "--force", f"--socket={run}/munge.socket", f"--key-file={key}", "--num-threads=2",
                 f"--log-file={self.folder}/log/munged.log", f"--pid-file={run}/munged.pid", f"--seed-file={run}/munged.seed")
        return f"AuthType=auth/munge\nCredType=cred/munge\nAuthInfo=socket={run}/munge.socket"

    def start_node(self, node):
        self.run("slurmd", "-N", node, "-f", self.configuration)

    def last_words(self):
        logs = sorted((self.folder / "log").glob("*.log"))
        return " | ".join(line for log in logs for line in log.read_text(errors="replace").splitlines()[-2:])

    def processes(self):
        """Everything that carries this cluster's configuration in its environment: daemons, steps, tasks and what they started."""
        mark = f"SLURM_CONF={self.configuration}".encode()
        found = {}
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    environment = (entry / "environ").read_bytes().split(b"\0")
                    arguments = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                except OSError:
                    continue
                if mark in environment and arguments:
                    found[int(entry.name)] = (environment, arguments)
        return found

    def kill_node(self, node):
        """SIGKILL to a node's daemon and to every step and task on it; how many processes that were."""
        mark = f"SLURMD_NODENAME={node}".encode()
        everything = self.processes()
        tasks = [process for process, (environment, _) in everything.items() if mark in environment]
        steps = {parent for process in tasks for parent in ancestors(process) if "slurmstepd" in everything.get(parent, ("", ""))[1]}
        daemon = int((self.folder / f"run/slurmd-{node}.pid").read_text())
        victims = [daemon, *sorted(steps), *tasks]
        for process in victims:
            end(process)
        return len(victims)

    def stop(self):
        if self.configuration.exists() and find("scancel"):
            for command in [["scancel", "--user", str(os.geteuid())], ["scontrol", "shutdown"]]:
                try:
                    self.run(*command, check=False)
                except (OSError, subprocess.TimeoutExpired):
                    pass  # they are ended below
        pid = self.folder / "run/munged.pid"
        if pid.exists():
            end(int(pid.read_text()), signal.SIGTERM)
        deadline = time.monotonic() + 20
        while self.processes() and time.monotonic() < deadline:
            for process in self.processes():
                end(process)
            time.sleep(0.1)
        left = self.processes()
        if left:
            raise RuntimeError(f"left behind: {[arguments for _, arguments in left.values()]}")


def end(process, how=signal.SIGKILL):
    try:
        os.kill(process, how)
    except ProcessLookupError:
        pass  # it has ended by itself


def ancestors(process):
    """Parent, its parent, and so on."""
    while process > 1:
        try:
            stat = pathlib.Path(f"/proc/{process}/stat").read_text()
        except OSError:
            return
        # "id (name) state parent ...", and a name may hold blanks and parentheses
        process = int(stat.rpartition(")")[2].split()[1])
        yield process
