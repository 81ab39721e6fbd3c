package fn;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.io.*;
import java.net.*;
import java.nio.channels.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.security.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import org.crac.Core;
import org.crac.Resource;

/** What tests of forks ask of Java. The variable INIT says what init is to leave. */
public class Forks implements RequestHandler<Map<String, Object>, Object> {
    static final String INIT = System.getenv().getOrDefault("INIT", "");
    static final List<Object> KEPT = new ArrayList<>();
    static final List<String> TOLD = new ArrayList<>(List.of("init"));
    /** Renewed all the same, where there is a template. */
    static final Random SEEDED = "snap-start".equals(System.getenv("AWS_LAMBDA_INITIALIZATION_TYPE")) ? new Random(1) : new Random();
    static final Random RANDOM = new Random();
    static final SplittableRandom SPLIT = new SplittableRandom();
    static final SecureRandom SECURE = new SecureRandom();
    static SecureRandom drbg, sha1;
    static final Map<String, RandomGenerator> JDK = new TreeMap<>();
    static final BlockingQueue<Integer> IN = new SynchronousQueue<>(), OUT = new SynchronousQueue<>();
    static final ExecutorService POOL = Executors.newFixedThreadPool(2);
    static final long BEGIN = System.nanoTime();
    static final Map<String, Double> ENDED = new ConcurrentHashMap<>();
    static final AtomicInteger TICKS = new AtomicInteger();
    static final ThreadLocal<String> LOCAL = new ThreadLocal<>();
    static byte[] block = new byte[32 << 20];
    static List<int[]> graph = new ArrayList<>();

    public Forks() throws Exception {
        switch (INIT) {
            case "random": drbg = SecureRandom.getInstance("DRBG"); sha1 = SecureRandom.getInstance("SHA1PRNG"); keep(); draw(); break;
            case "time": arm(); break;
            case "processes": work(); break;
            case "server": KEPT.add(new ServerSocket(0)); break;
            case "connection": connect(); break;
            case "datagrams": KEPT.add(new DatagramSocket()); break;
            case "child": KEPT.add(new ProcessBuilder("sleep", "infinity").start()); break;
            case "file": Files.writeString(Path.of("/tmp/kept"), "x"); break;
            case "busy": spin(); break;
            case "mapped": map(); break;
            case "hooks": case "hooks before": case "hooks after": hook(); break;
            default:
        }
    }

    public Object handleRequest(Map<String, Object> event, Context context) {
        try {
            switch ((String) event.get("do")) {
                case "random": return List.of(draw(), draw(), draw());
                case "time": return time();
                case "processes": return processes();
                case "surroundings": return surroundings(context);
                case "told": TOLD.add("handler"); return Map.of("told", TOLD, "stream", context.getLogStreamName());
                case "answer": return Map.of("name", "java", "event", event.get("event"), "stream", context.getLogStreamName(),
                    "id", UUID.randomUUID().toString(), "sum", POOL.submit(() -> java.util.stream.IntStream.range(0, 100).sum()).get());
                case "exit": System.exit(3);
                case "halt": Runtime.getRuntime().halt(4);
                case "sleep": Thread.sleep(60_000);
                case "memory": for (;;) KEPT.add(java.nio.ByteBuffer.allocateDirect(8 << 20).put(new byte[8 << 20]));
                case "raise": throw new IllegalStateException("no");
                default: return event;
            }
        } catch (IllegalStateException error) {
            throw error;
        } catch (Exception error) {
            throw new RuntimeException(error);
        }
    }

    // --- random ---

    static void keep() {
        RandomGeneratorFactory.all().forEach(factory -> JDK.put(factory.name(), factory.create()));
    }

    static Map<String, Object> draw() throws Exception {
        Map<String, Object> drawn = new TreeMap<>();
        byte[] bytes = new byte[16];
        RANDOM.nextBytes(bytes);
        drawn.put("Random", hex(bytes));
        for (String name : JDK.keySet()) {
            JDK.get(name).nextBytes(bytes);
            drawn.put("kept " + name, hex(bytes));
            RandomGenerator.of(name).nextBytes(bytes);
            drawn.put("new " + name, hex(bytes));
        }
        SEEDED.nextBytes(bytes);
        drawn.put("seeded Random", hex(bytes));
        new Random().nextBytes(bytes);
        drawn.put("new Random", hex(bytes));
        SPLIT.nextBytes(bytes);
        drawn.put("SplittableRandom", hex(bytes));
        SECURE.nextBytes(bytes);
        drawn.put("SecureRandom", hex(bytes));
        new SecureRandom().nextBytes(bytes);
        drawn.put("new SecureRandom", hex(bytes));
        drbg.nextBytes(bytes);
        drawn.put("DRBG", hex(bytes));
        sha1.nextBytes(bytes);
        drawn.put("SHA1PRNG", hex(bytes));
        SecureRandom.getInstance("SHA1PRNG").nextBytes(bytes);
        drawn.put("new SHA1PRNG", hex(bytes));
        ThreadLocalRandom.current().nextBytes(bytes);
        drawn.put("ThreadLocalRandom", hex(bytes));
        drawn.put("ThreadLocalRandom of a thread", POOL.submit(() -> ThreadLocalRandom.current().nextLong()).get());
        drawn.put("UUID", UUID.randomUUID().toString());
        drawn.put("Math.random", Double.toString(Math.random()));
        List<Integer> shuffled = new ArrayList<>();
        for (int n = 0; n < 40; n++) shuffled.add(n);
        Collections.shuffle(shuffled);
        drawn.put("shuffle", shuffled.toString());
        KeyPairGenerator pairs = KeyPairGenerator.getInstance("EC");
        pairs.initialize(256);
        drawn.put("EC key pair", pairs.generateKeyPair().getPublic().toString());
        drawn.put("AES key", hex(javax.crypto.KeyGenerator.getInstance("AES").generateKey().getEncoded()));
        return drawn;
    }

    static String hex(byte[] bytes) {
        return HexFormat.of().formatHex(bytes);
    }

    // --- time ---

    static double since() {
        return (System.nanoTime() - BEGIN) / 1e9;
    }

    static void waiting(String name, Callable<?> wait) {
        Thread thread = new Thread(() -> {
            try {
                wait.call();
                ENDED.put(name, since());
            } catch (Exception error) {
                ENDED.put(name + " " + error, since());
            }
        }, name);
        thread.setDaemon(true);
        thread.start();
    }

    static void arm() {
        ScheduledExecutorService scheduled = Executors.newScheduledThreadPool(2);
        scheduled.schedule(() -> ENDED.put("schedule", since()), 3, TimeUnit.SECONDS);
        scheduled.scheduleWithFixedDelay(TICKS::incrementAndGet, 50, 50, TimeUnit.MILLISECONDS);
        new java.util.Timer(true).schedule(new TimerTask() {
            public void run() {
                ENDED.put("Timer", since());
            }
        }, 3000);
        CompletableFuture.runAsync(() -> ENDED.put("delayed", since()), CompletableFuture.delayedExecutor(3, TimeUnit.SECONDS));
        waiting("sleep", () -> { Thread.sleep(3000); return 0; });
        waiting("wait", () -> { Object lock = new Object(); synchronized (lock) { lock.wait(3000); } return 0; });
        waiting("poll", () -> new LinkedBlockingQueue<>().poll(3, TimeUnit.SECONDS));
        waiting("parkNanos", () -> { java.util.concurrent.locks.LockSupport.parkNanos(3_000_000_000L); return 0; });
        waiting("await", () -> new CountDownLatch(1).await(3, TimeUnit.SECONDS));
    }

    static final List<String> ARMED = List.of("schedule", "Timer", "delayed", "sleep", "wait", "poll", "parkNanos", "await");

    static Object time() throws Exception {
        double began = since();
        int first = TICKS.get();
        while (ENDED.size() < ARMED.size() && since() < began + 5) Thread.sleep(5);
        Thread.sleep(500);
        return Map.of("began", began, "ended", ENDED, "armed", ARMED, "wall", System.currentTimeMillis() / 1e3,
            "ticks", TICKS.get() - first, "ran", since() - began, "immediate", "done");
    }

    // --- processes ---

    static void work() throws Exception {
        Arrays.fill(block, (byte) 1);
        for (int n = 0; n < 100_000; n++) graph.add(new int[] {n});
        POOL.submit(() -> 1).get();
        LOCAL.set("main");
        Thread thread = new Thread(() -> {
            try {
                for (;;) OUT.put(IN.take() * 2);
            } catch (InterruptedException end) {
                Thread.currentThread().interrupt();
            }
        });
        thread.setDaemon(true);
        thread.start();
        IN.put(1);
        OUT.take();
    }

    static Object processes() throws Exception {
        Map<String, Object> found = new TreeMap<>();
        Process echo = new ProcessBuilder("sh", "-c", "echo $MARK; pwd").start();
        found.put("child", new String(echo.getInputStream().readAllBytes(), StandardCharsets.UTF_8) + echo.waitFor());
        Process cat = new ProcessBuilder("cat").start();
        CompletableFuture<Integer> length = CompletableFuture.supplyAsync(() -> {
            try {
                return cat.getInputStream().readAllBytes().length;
            } catch (IOException error) {
                return -1;
            }
        });
        try (OutputStream in = cat.getOutputStream()) {
            in.write(new byte[1 << 20]);
        }
        found.put("cat", length.get() + " " + cat.waitFor() + " " + cat.onExit().get().isAlive());
        IN.put(21);
        found.put("thread of init", OUT.take());
        found.put("pool of init", POOL.submit(() -> 7).get());
        found.put("parallel stream", java.util.stream.IntStream.range(0, 100_000).parallel().asLongStream().sum());
        AtomicInteger count = new AtomicInteger();
        List<Thread> threads = new ArrayList<>();
        for (int n = 0; n < 50; n++) threads.add(new Thread(count::incrementAndGet));
        threads.forEach(Thread::start);
        for (Thread thread : threads) thread.join();
        found.put("new threads", count.get());
        long sum = 0;
        for (int[] item : graph) sum += item[0];
        graph = null;
        System.gc();
        byte[][] rounds = new byte[16][];
        for (int n = 0; n < 400; n++) rounds[n % 16] = new byte[1 << 20];
        System.gc();
        found.put("garbage", sum);
        found.put("block", block[block.length - 1]);
        block = null;
        System.gc();
        boolean zero = true;
        for (byte one : new byte[32 << 20]) zero &= one == 0;
        found.put("zeros", zero);
        found.put("local", String.valueOf(LOCAL.get()));
        found.put("pid", ProcessHandle.current().pid());
        found.put("directory", System.getProperty("user.dir"));
        found.put("environment", new TreeSet<>(System.getenv().keySet()));
        found.put("main", Thread.currentThread().getName());
        long compiled = 0;
        for (int n = 0; n < 300_000; n++) compiled += Integer.toString(n % 100).hashCode();
        found.put("compiled", compiled);
        found.put("status", status());
        return found;
    }

    static Object status() throws IOException {
        Map<String, String> found = new TreeMap<>();
        Set<String> wanted = Set.of("Umask", "Uid", "Gid", "Groups", "NSpid", "NoNewPrivs", "Seccomp", "Seccomp_filters", "CapInh",
            "CapPrm", "CapEff", "CapBnd", "CapAmb", "Cpus_allowed", "TracerPid");
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            String[] parts = line.split(":", 2);
            if (wanted.contains(parts[0])) found.put(parts[0], parts[1].trim());
        }
        return found;
    }

    // --- surroundings ---

    static Object surroundings(Context context) throws Exception {
        Map<String, Object> found = new TreeMap<>();
        found.put("tmp", List.of(new File("/tmp").list()));
        found.put("shm", List.of(new File("/dev/shm").list()));
        found.put("stream", List.of(System.getenv("AWS_LAMBDA_LOG_STREAM_NAME"), context.getLogStreamName()));
        found.put("id", context.getAwsRequestId());
        found.put("trace", String.valueOf(System.getProperty("com.amazonaws.xray.traceHeader")));
        found.put("left", context.getRemainingTimeInMillis());
        found.put("own", System.getenv("OWN"));
        found.put("files", List.of("one", "two", ""));
        found.put("resolved", List.of(resolve("localhost"), resolve("no.invalid")));
        found.put("tls", tls());
        found.put("sockets", List.of(http()));
        Files.writeString(Path.of("/tmp/mine"), "for nobody else");
        Files.writeString(Path.of("/dev/shm/mine"), "for nobody else");
        return found;
    }

    static Object resolve(String name) {
        try {
            TreeSet<String> found = new TreeSet<>();
            for (InetAddress address : InetAddress.getAllByName(name)) found.add(address.getHostAddress());
            return found;
        } catch (UnknownHostException error) {
            return "unknown";
        }
    }

    static Object tls() throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream file = Files.newInputStream(Path.of("/var/task/store.p12"))) {
            store.load(file, "secret".toCharArray());
        }
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        trusted.setCertificateEntry("own", store.getCertificate(store.aliases().nextElement()));
        javax.net.ssl.KeyManagerFactory keys = javax.net.ssl.KeyManagerFactory.getInstance("PKIX");
        keys.init(store, "secret".toCharArray());
        javax.net.ssl.TrustManagerFactory trust = javax.net.ssl.TrustManagerFactory.getInstance("PKIX");
        trust.init(trusted);
        javax.net.ssl.SSLContext tls = javax.net.ssl.SSLContext.getInstance("TLS");
        tls.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        try (ServerSocket server = tls.getServerSocketFactory().createServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            Future<?> serving = Executors.newSingleThreadExecutor().submit(() -> {
                try (Socket peer = server.accept()) {
                    peer.getOutputStream().write(new String(peer.getInputStream().readNBytes(8), StandardCharsets.UTF_8).toUpperCase().getBytes());
                }
                return null;
            });
            try (javax.net.ssl.SSLSocket socket = (javax.net.ssl.SSLSocket) tls.getSocketFactory().createSocket("localhost", server.getLocalPort())) {
                socket.getOutputStream().write("over tls".getBytes());
                String answer = new String(socket.getInputStream().readNBytes(8), StandardCharsets.UTF_8);
                serving.get();
                return List.of(answer, socket.getSession().getProtocol());
            }
        }
    }

    /** By java.net.http, which has a selector and threads of its own. */
    static Object http() throws Exception {
        try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            Executors.newSingleThreadExecutor().submit(() -> {
                try (Socket peer = server.accept()) {
                    peer.getInputStream().read(new byte[4096]);
                    peer.getOutputStream().write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok".getBytes());
                }
                return null;
            });
            URI address = URI.create("http://localhost:" + server.getLocalPort() + "/");
            return java.net.http.HttpClient.newHttpClient().send(java.net.http.HttpRequest.newBuilder(address).build(),
                java.net.http.HttpResponse.BodyHandlers.ofString()).body();
        }
    }

    // --- what is refused ---

    static void connect() throws IOException {
        try (ServerSocket server = new ServerSocket(0)) {
            KEPT.add(new Socket(InetAddress.getLoopbackAddress(), server.getLocalPort()));
            KEPT.add(server.accept());
        }
    }

    static void spin() {
        Thread thread = new Thread(() -> {
            for (long n = 0; n >= 0; n++) TICKS.lazySet((int) n);
        });
        thread.setDaemon(true);
        thread.start();
    }

    static void map() throws IOException {
        Path path = Path.of("/tmp/mapped");
        try (FileChannel file = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            KEPT.add(file.map(FileChannel.MapMode.READ_WRITE, 0, 4096));
        }
        Files.delete(path);
    }

    // --- hooks ---

    static void hook() throws IOException {
        ServerSocket server = new ServerSocket(0);
        register(() -> TOLD.add("before 1"), () -> TOLD.add("after 1"));
        register(() -> TOLD.add("before 2"), () -> TOLD.add("after 2 in " + System.getenv("AWS_LAMBDA_LOG_STREAM_NAME")));
        register(server::close, () -> { });
        register(() -> fail("hooks before"), () -> fail("hooks after"));
    }

    static void fail(String which) {
        if (INIT.equals(which)) throw new IllegalStateException("as asked");
    }

    interface Step {
        void run() throws Exception;
    }

    static void register(Step before, Step after) {
        Resource resource = new Resource() {
            public void beforeCheckpoint(org.crac.Context<? extends Resource> context) throws Exception {
                before.run();
            }

            public void afterRestore(org.crac.Context<? extends Resource> context) throws Exception {
                after.run();
            }
        };
        KEPT.add(resource);
        Core.getGlobalContext().register(resource);
    }
}
