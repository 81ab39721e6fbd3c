"""A real platform: the `pilot` binary as a user starts it, on a free port, with a data directory of its own."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import boto3
import botocore.config

ROOT = pathlib.Path(__file__).resolve().parents[2]
PILOT = ROOT / "target" / "debug" / "pilot"
# Runtime images are built once and then linked into the data directory of every platform.
SEED = ROOT / "target" / "e2e-seed"
PATIENCE = 60
BUILDING_IMAGES = 900
TOML = 'log_format = "json"\nlog_filter = "info"\n'


def eventually(condition, what, patience=PATIENCE):
    """Polls until `condition` returns something true, and returns it."""
    deadline = time.monotonic() + patience
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {patience} s: {what}"
        time.sleep(0.02)


class Platform:
    def __init__(self, folder, config="", seeded=True):
        self.folder = pathlib.Path(folder)
        self.data_dir = self.folder / "data"
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if seeded:
            for part in ("images", "runtimes"):
                shutil.copytree(SEED / "data" / part, self.data_dir / part, copy_function=os.link)
        self.config = self.folder / "pilot.toml"
        self.config.write_text(TOML + config)
        self.config.chmod(0o600)
        self.log_path = self.folder / "log"
        self.log_path.touch()
        self.expected = []
        self.process = None
        self.url = None
        self.launchers = set()

    # --- life ----------------------------------------------------------------------------------------

    def start(self, patience=PATIENCE):
        ready = self.folder / "url"
        ready.unlink(missing_ok=True)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [PILOT, "up", "--listen", "127.0.0.1:0", "--data-dir", self.data_dir,
                 "--config", self.config, "--ready-file", ready],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )

        def is_ready():
            assert self.process.poll() is None, f"pilot up ended:\n{self.log_path.read_text()[-4000:]}"
            return ready.exists()

        eventually(is_ready, "the platform is ready", patience)
        self.url = ready.read_text().strip()
        assert self.uplink_exists(), "the uplink has another name, by which nobody looks for what is left"
        # What bears no name of ours is remembered.
        self.launchers |= {pid for pid, parent in parents().items() if parent == self.process.pid}
        return self

    def stop(self, patience=PATIENCE):
        """Asks it to end, and returns its exit code."""
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGTERM)
        return self.wait(patience)

    def wait(self, patience=PATIENCE):
        code = self.process.wait(patience)
        self.process = None
        return code

    def kill(self):
        """The power cord."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def close(self):
        """For fixtures: ends it whatever state it is in, and looks at what is left."""
        if self.process is not None:
            try:
                assert self.stop() == 0, f"pilot up failed:\n{self.log_path.read_text()[-4000:]}"
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        self.assert_nothing_left()
        self.assert_quiet_log()

    # --- clients -------------------------------------------------------------------------------------

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    def client(self, key="test", secret="test", region="us-east-1", validate=True, service="lambda"):
        return boto3.client(
            service, endpoint_url=self.url, region_name=region,
            aws_access_key_id=key, aws_secret_access_key=secret,
            config=botocore.config.Config(
                retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=120,
                max_pool_connections=256, parameter_validation=validate,
            ),
        )

    def env(self, key="test", secret="test", region="us-east-1"):
        """Environment for the AWS CLI and for `pilot`."""
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8",
            "AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": region, "AWS_PAGER": "", "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
        }

    def aws(self, *args, check=True, service="lambda", **env):
        command = [ROOT / ".venv" / "bin" / "aws", service, *args, "--output", "json"]
        return self._run(command, check, self.env(**env))

    def pilot(self, *args, check=True, stdin=None, env=None):
        return self._run([PILOT, *args], check, self.env() if env is None else env, stdin)

    @staticmethod
    def _run(command, check, env, stdin=None):
        done = subprocess.run(
            [str(part) for part in command], env=env, input=stdin, capture_output=True, text=True, timeout=180,
            check=False,
        )
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    # --- what it says and what it leaves ---------------------------------------------------------------

    def log(self, since=0):
        """The platform's own log as JSON objects."""
        with open(self.log_path, "rb") as file:
            file.seek(since)
            lines = file.read().decode(errors="replace").splitlines()
        return [json.loads(line) if line.startswith("{") else {"level": "?", "message": line} for line in lines]

    def expect_log(self, pattern):
        """A warning or error that a test provokes on purpose."""
        self.expected.append(re.compile(pattern))

    def assert_quiet_log(self, since=0):
        loud = [
            line for line in self.log(since)
            if line["level"] in ("WARN", "ERROR", "?")
            and not any(pattern.search(json.dumps(line)) for pattern in self.expected)
        ]
        assert not loud, f"unexpected lines in the platform's log: {loud}"

    @property
    def name(self):
        """What cgroups and tables of this platform are named by; see docs/configuration.md."""
        digest = hashlib.sha256(os.fsencode(self.data_dir.resolve())).hexdigest()
        return f"pilotlight-{digest[:8]}"

    @property
    def uplink(self):
        """The interface of this platform: its id again, as 32-bit FNV-1a."""
        digest = 0x811C9DC5
        for byte in self.name.removeprefix("pilotlight-").encode():
            digest = (digest ^ byte) * 0x01000193 % 2**32
        return f"pl-{digest:08x}"

    def uplink_exists(self):
        return pathlib.Path(f"/sys/class/net/{self.uplink}").exists()

    def leftovers(self):
        """Everything on this machine that belongs to this platform."""
        digest, found = self.name.removeprefix("pilotlight-"), []
        with open("/proc/self/mountinfo") as mounts:
            found += [f"mount {line.split()[4]}" for line in mounts if str(self.data_dir) in line or digest in line]
        for folder, _, _ in os.walk("/sys/fs/cgroup"):
            if digest in os.path.basename(folder):
                found.append(f"cgroup {folder}")
        if self.uplink_exists():
            found.append(f"interface {self.uplink}")
        for command in (["nft", "list", "tables"], ["ip", "netns", "list"]):
            lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
            found += [f"{command[0]} {line}" for line in lines if digest in line]
        found += [f"process {pid} (launcher)" for pid in parents().keys() & self.launchers]
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                group = pathlib.Path(f"/proc/{pid}/cgroup").read_text()
                command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state != "Z" and (digest in group or str(self.data_dir) in command):
                found.append(f"process {pid} {command}")
        return found

    def assert_nothing_left(self):
        # The kernel takes namespaces and cgroups down after the last process; give it a moment.
        deadline = time.monotonic() + 10
        while (left := self.leftovers()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left, f"left behind: {left}"


def parents():
    """Parent of every process, keyed by process id and start time."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] != "Z":
            found[int(pid), int(fields[19])] = int(fields[1])
    return found


def build_seed():
    """Makes the runtime images, which takes a while the first time; later it only checks them."""
    SEED.mkdir(parents=True, exist_ok=True)
    platform = Platform(SEED, seeded=False)
    platform.log_path.write_text("")
    platform.start(patience=BUILDING_IMAGES)
    platform.close()
