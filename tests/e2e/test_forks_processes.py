"""A fork goes on as any process would: children, threads, signals and memory are as in an instance that was booted."""

import pytest

from forks import KINDS, NODE, call, deploy_java

# A whole core.
MEMORY_MB = 1769

PYTHON_CHECKS = """
import asyncio, concurrent.futures, gc, mmap, multiprocessing, os, queue, resource, signal, subprocess, sys, threading, time
MIB = 1 << 20

executor = concurrent.futures.ThreadPoolExecutor(2)
executor.submit(abs, -1).result()
inbox, outbox = queue.Queue(), queue.Queue()
threading.Thread(target=lambda: [outbox.put(item * 2) for item in iter(inbox.get, None)], daemon=True).start()
loop = asyncio.new_event_loop()
loop.run_until_complete(asyncio.sleep(0))
signalled = []
signal.signal(signal.SIGUSR1, lambda *_: signalled.append(1))
block = mmap.mmap(-1, 64 * MIB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
block[:] = b"x" * len(block)
freed = bytearray(b"x") * (64 * MIB)
graph = [{"n": n, "next": [n]} for n in range(50_000)]
local = threading.local()
local.value = "main"
lock, condition = threading.RLock(), threading.Condition()
lock.acquire()

def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

def forked_child():
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def pool(method):
    with multiprocessing.get_context(method).Pool(2) as pool:
        return pool.map(abs, [-1, -2])

def process_with_pipe():
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=lambda: theirs.send(os.getppid()))
    child.start()
    parent = ours.recv()
    child.join()
    return parent == os.getpid(), child.exitcode

def thread_of_init():
    inbox.put(21)
    return outbox.get(timeout=5)

def new_threads():
    results = []
    threads = [threading.Thread(target=lambda n=n: results.append(sum(range(n)))) for n in range(50)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    return sorted(results) == sorted(sum(range(n)) for n in range(50))

def given_back_memory_is_zero():
    block.madvise(mmap.MADV_DONTNEED)
    return block.find(b"x"), bytes(block[:4096]).count(0)

def freed_memory_is_zero():
    global freed
    freed = None
    return bytearray(64 * MIB).count(0) == 64 * MIB

def garbage():
    global graph
    before = sum(item["n"] for item in graph)
    rings = [[] for _ in range(1000)]
    [ring.append(ring) for ring in rings]
    del rings
    found, graph = gc.collect(), None
    return before, found >= 1000, gc.collect() >= 0, gc.isenabled()

def a_signal():
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    previous = signal.signal(signal.SIGALRM, lambda *_: signalled.append("timer"))
    deadline = time.monotonic() + 5
    while "timer" not in signalled and time.monotonic() < deadline:
        time.sleep(0.005)
    signal.signal(signal.SIGALRM, previous)
    return signalled

def event_loop_of_init():
    async def work():
        process = await asyncio.create_subprocess_exec("echo", "hi", stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        result = await asyncio.gather(loop.run_in_executor(None, abs, -3), asyncio.sleep(0.01, 4))
        return out.decode(), result
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(work())

def locks():
    lock.release()
    with condition:
        notifier = threading.Timer(0.01, lambda: [condition.acquire(), condition.notify(), condition.release()])
        notifier.start()
        notified = condition.wait(5)
    return notified, lock.acquire(blocking=False)

def identity():
    status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
    own = [threading.get_native_id() == os.getpid(), threading.main_thread().native_id == os.getpid(),
           threading.main_thread() is threading.current_thread(), local.value]
    same = {key: status[key].split() for key in (
        "Umask", "Uid", "Gid", "Groups", "NStgid", "NSpid", "NSpgid", "NSsid", "NoNewPrivs", "Seccomp", "Seccomp_filters",
        "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "SigBlk", "SigIgn", "Cpus_allowed", "CoreDumping", "TracerPid")}
    return own, same

CHECKS = {
    # First, as init has left them.
    "threads": lambda: len(os.listdir("/proc/self/task")), "descriptors": lambda: sorted(os.listdir("/proc/self/fd")),
    "subprocess": lambda: run("sh", "-c", "echo $MARK; pwd"), "python child": lambda: run(sys.executable, "-c", "print(6 * 7)"),
    "pipeline": lambda: run("sh", "-c", "seq 100000 | sort -n | tail -1"), "os.fork": forked_child,
    "pool, fork": lambda: pool("fork"), "pool, spawn": lambda: pool("spawn"), "process": process_with_pipe,
    "executor of init": lambda: executor.submit(abs, -5).result(), "thread of init": thread_of_init,
    "new threads": new_threads, "given back": given_back_memory_is_zero, "freed": freed_memory_is_zero,
    "garbage": garbage, "signals": a_signal, "event loop": event_loop_of_init, "locks": locks, "identity": identity,
    "limits": lambda: {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")},
    "host name": lambda: os.uname().nodename, "environment": lambda: sorted(os.environ),
    "priorities": lambda: [os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)],
}

def lambda_handler(event, context):
    found = {}
    for name, check in CHECKS.items():
        try:
            found[name] = check()
        except BaseException as error:
            found[name] = repr(error)
    return found
"""

NODE_CHECKS = """
const { execFile, execFileSync, fork, spawn } = require('child_process');
const { Worker, isMainThread } = require('worker_threads');
const fs = require('fs'), os = require('os'), zlib = require('zlib'), crypto = require('crypto'), v8 = require('v8');
const { promisify } = require('util');
const MIB = 1 << 20;

const echo = "const { parentPort } = require('worker_threads'); let count = 0;" +
  "parentPort.on('message', (n) => parentPort.postMessage([n * 2, count += 1, new Date(0).toISOString()]));";
const early = new Worker(echo, { eval: true });
const told = new Promise((done) => early.once('message', done));
early.postMessage(1);
let freed = new Uint8Array(64 * MIB).fill(1);
let graph = Array.from({ length: 100000 }, (_, n) => ({ n, next: [n] }));
const signalled = new Promise((done) => process.on('SIGUSR2', () => done('signalled')));
// With a thread of the pool that has worked already.
const before = Promise.all([told, promisify(crypto.pbkdf2)('a', 'b', 1, 16, 'sha256'), fs.promises.readFile(__filename)]);

const child = (program, ...args) => execFileSync(program, args).toString().trim();
const ask = (worker, n) => new Promise((done, failed) => {
  worker.once('message', done).once('error', failed);
  worker.postMessage(n);
});
const CHECKS = {
  execFileSync: () => child('sh', '-c', 'echo $MARK; pwd'),
  'node child': () => child(process.execPath, '-p', '6 * 7'),
  execFile: async () => (await promisify(execFile)('sh', ['-c', 'seq 100000 | tail -1'])).stdout,
  spawn: () => new Promise((done) => {
    const cat = spawn('cat');
    let length = 0;
    cat.stdout.on('data', (data) => { length += data.length; });
    cat.on('close', (code) => done([code, length]));
    cat.stdin.end(Buffer.alloc(MIB));
  }),
  fork: () => new Promise((done) => {
    const other = fork('/var/task/child.js');
    other.once('message', (message) => { other.disconnect(); done(message); });
    other.send('hi');
  }),
  'worker of init': () => ask(early, 4),
  'new worker': async () => {
    const worker = new Worker(echo, { eval: true });
    const answer = await ask(worker, 3);
    return [answer, await worker.terminate()];
  },
  'many workers': async () => {
    const workers = Array.from({ length: 4 }, () => new Worker(echo, { eval: true }));
    const answers = await Promise.all(workers.map((worker, n) => ask(worker, n)));
    await Promise.all(workers.map((worker) => worker.terminate()));
    return answers.map(([twice]) => twice);
  },
  'threads of the pool': async () => (await Promise.all([1, 2, 3, 4, 5, 6].map((n) =>
    promisify(crypto.pbkdf2)('a', `${n}`, 1000, 16, 'sha256')))).map((key) => key.toString('hex')),
  files: async () => {
    await fs.promises.writeFile('/tmp/own', 'x'.repeat(MIB));
    const found = (await fs.promises.readFile('/tmp/own')).length;
    await fs.promises.unlink('/tmp/own');
    return [found, await fs.promises.readdir('/tmp')];
  },
  zlib: async () => (await promisify(zlib.gunzip)(await promisify(zlib.gzip)(Buffer.alloc(MIB)))).length,
  freed: () => { freed = undefined; return new Uint8Array(64 * MIB).every((byte) => byte === 0); },
  garbage: () => {
    const sum = graph.reduce((total, { n }) => total + n, 0);
    graph = undefined;
    let live = [];
    for (let round = 0; round < 8; round += 1) live = Array.from({ length: 100000 }, (_, n) => ({ n, round }));
    v8.setFlagsFromString('--expose-gc');
    require('vm').runInNewContext('gc')();
    return [sum, live.length, live[7]];
  },
  wasm: () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 100 });
    memory.grow(50);
    return new Uint8Array(memory.buffer).every((byte) => byte === 0);
  },
  compile: () => Array.from({ length: 2000 }, (_, n) => new Function('a', `return a + ${n}`)(1)).at(-1),
  signals: () => { process.kill(process.pid, 'SIGUSR2'); return signalled; },
  identity: () => [process.pid, process.ppid, process.getuid(), process.getgid(), process.cwd(), process.title,
    isMainThread, os.hostname(), process.umask(), process.argv.length],
  environment: () => Object.keys(process.env).sort(),
  watch: () => new Promise((done) => {
    const watcher = fs.watch('/tmp', (event, name) => { watcher.close(); done(name); });
    fs.writeFileSync('/tmp/watched', '');
  }),
};
exports.handler = async () => {
  await before;
  const found = {};
  for (const [name, check] of Object.entries(CHECKS)) {
    let timer;
    const late = new Promise((done) => { timer = setTimeout(done, 10000, 'never ended'); });
    try {
      found[name] = await Promise.race([check(), late]);
    } catch (error) {
      found[name] = String(error);
    }
    clearTimeout(timer);
  }
  return found;
};
"""
NODE_CHILD = "process.once('message', (text) => process.send(`${text} yourself`));"


def python(deploy, _):
    return deploy(PYTHON_CHECKS, MemorySize=MEMORY_MB, Timeout=60, Environment={"Variables": {"MARK": "own"}})


def node(deploy, _):
    files = {"index.js": NODE_CHECKS, "child.js": NODE_CHILD}
    return deploy(files, **NODE | {"MemorySize": MEMORY_MB, "Timeout": 60, "Environment": {"Variables": {"MARK": "own"}}})


def java(deploy, classes):
    return deploy_java(deploy, classes, "processes", variables={"MARK": "own"})


@pytest.mark.parametrize("make", [python, node, java])
def test_a_fork_can_what_a_booted_instance_can(platform, deploy, java_classes, make):
    function = make(deploy, java_classes)
    booted, *others = (call(platform, function, kind, {"do": "processes"}) for kind in KINDS)
    failed = {name: found for name, found in booted.items() if "Error" in str(found) or found == "never ended"}
    assert not failed, "a check that cannot succeed shows nothing"
    for kind, found in zip(KINDS[1:], others, strict=True):
        assert found == booted, kind
