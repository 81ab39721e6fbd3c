import java.io.ByteArrayInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;

/** Runs once, while the image is built: makes the bootstrap's jar, and Java's form of the certificates. */
class Build {
    private static final Path SOURCES = Path.of("/build/src");
    private static final Path CLASSES = Path.of("/build/out");
    private static final Path JAR = Path.of("/var/runtime/lib/runtime.jar");
    private static final Path WARM_UP = Path.of("/var/runtime/warm-up");
    private static final Path BUNDLE = Path.of("/etc/ssl/certs/ca-certificates.crt");
    private static final Path TRUST_STORE = Path.of("/etc/ssl/certs/java/cacerts");
    private static final Path MODULES = Path.of("/var/lang/lib/modules");
    /** Of all files in the image, once it is one. */
    private static final FileTime TIME =
            FileTime.from(Instant.ofEpochSecond(Long.parseLong(System.getenv("SOURCE_DATE_EPOCH"))));

    public static void main(String[] arguments) throws Exception {
        compile();
        jar();
        warmUp();
        trustStore();
        // The archive of classes is valid for files of this very time.
        Files.setLastModifiedTime(MODULES, TIME);
        Files.setLastModifiedTime(JAR, TIME);
    }

    /** Joins texts without the usual machinery, which a start would have to wait for; the prelude is to know it. */
    private static void compile() throws IOException {
        compile("inline", files(SOURCES));
        compile("indyWithConstants", List.of(SOURCES.resolve("dev/pilotlight/runtime/Prelude.java").toString()));
    }

    private static void compile(String concatenation, List<String> sources) {
        String classes = CLASSES.toString();
        List<String> command = new ArrayList<>(List.of(
                "-nowarn", "-proc:none", "-XDignore.symbol.file", "-XDstringConcat=" + concatenation, "-cp", classes, "-d", classes));
        command.addAll(sources);
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        if (compiler.run(null, null, null, command.toArray(new String[0])) != 0) {
            throw new IllegalStateException("the bootstrap does not compile");
        }
    }

    private static void jar() throws IOException {
        Files.createDirectories(JAR.getParent());
        try (JarOutputStream jar = new JarOutputStream(new FileOutputStream(JAR.toFile()))) {
            jar.setLevel(0);
            for (String file : files(CLASSES)) {
                JarEntry entry = new JarEntry(CLASSES.relativize(Path.of(file)).toString());
                entry.setLastModifiedTime(TIME);
                jar.putNextEntry(entry);
                Files.copy(Path.of(file), jar);
            }
        }
    }

    /** A folder as functions have it: a class file, and a jar in `lib`. */
    private static void warmUp() throws IOException {
        String name = "dev/pilotlight/runtime/WarmUp$Maps.class";
        Files.createDirectories(WARM_UP.resolve(name).getParent());
        Files.copy(CLASSES.resolve(name), WARM_UP.resolve(name));
        Files.createSymbolicLink(WARM_UP.resolve("lib"), JAR.getParent());
    }

    private static void trustStore() throws Exception {
        KeyStore store = KeyStore.getInstance("JKS");
        store.load(null, null);
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        int number = 0;
        for (Object certificate : factory.generateCertificates(new ByteArrayInputStream(Files.readAllBytes(BUNDLE)))) {
            store.setCertificateEntry("ca-" + number++, (X509Certificate) certificate);
        }
        Files.createDirectories(TRUST_STORE.getParent());
        try (OutputStream out = Files.newOutputStream(TRUST_STORE)) {
            store.store(out, "changeit".toCharArray());
        }
    }

    /** In a fixed order, so that the same sources make the same jar. */
    private static List<String> files(Path folder) throws IOException {
        try (Stream<Path> all = Files.walk(folder)) {
            return all.filter(Files::isRegularFile).map(Path::toString).sorted().collect(Collectors.toList());
        }
    }
}
