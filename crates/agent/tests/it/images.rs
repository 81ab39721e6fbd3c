//! Runtime images are built from Debian packages, found again, and what is in them runs.

use std::cell::RefCell;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Output};

use pilotlight_agent::RuntimeImage;
use pilotlight_agent::images::{self, BuildError, Step};
use pilotlight_model::Runtime;
use pilotlight_store::Store;

/// What functions rely on in the image: C extensions, certificates, time zones, users, a shell.
const PYTHON: &str = r#"
import asyncio, bz2, ctypes, curses, dbm, distutils.version, email, hashlib, json, lzma, multiprocessing
import os, pwd, readline, socket, sqlite3, ssl, stat, subprocess, sys, unicodedata, uuid, zlib, zoneinfo
import datetime, decimal, http.client, xml.etree.ElementTree as tree

assert len(ssl.create_default_context().get_ca_certs()) > 100
assert sqlite3.connect(":memory:").execute("select 6 * 7").fetchone() == (42,)
berlin = datetime.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
assert berlin.isoformat() == "2026-07-01T00:00:00+02:00"
assert decimal.Decimal("1.1") + 1 == decimal.Decimal("2.1") and uuid.uuid4().version == 4
assert hashlib.sha256(b"").hexdigest().startswith("e3b0c442") and zlib.crc32(b"a")
assert tree.fromstring("<a><b/></a>")[0].tag == "b"
assert pwd.getpwuid(993).pw_name == "sbx_user1051"
assert socket.gethostbyname("localhost") == "127.0.0.1"
for library in ["libc.so.6", "libstdc++.so.6", "libgomp.so.1"]:
    ctypes.CDLL(library)
shell = "echo hi | sed s/h/H/ | awk '{print $1}'; python3 -c 'print(1)'"
assert subprocess.check_output(shell, shell=True, text=True) == "Hi\n1\n"
with multiprocessing.get_context("fork").Pool(1) as pool:
    assert pool.map(abs, [-1, 2]) == [1, 2]
# Everything that was imported came from byte code that is not checked against its source.
for module in list(sys.modules.values()):
    cached = getattr(module, "__cached__", None)
    if cached:
        with open(cached, "rb") as file:
            assert file.read(8)[4:] == b"\1\0\0\0", cached
for folder, folders, files in os.walk("/", topdown=True):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/dev")]
    for name in folders + files:
        mode = os.lstat(os.path.join(folder, name)).st_mode
        assert not mode & (stat.S_ISUID | stat.S_ISGID), (folder, name)
        assert stat.S_ISLNK(mode) or mode & stat.S_IROTH, (folder, name)
print("python is whole")
"#;

const NODE: &str = r#"
const assert = require('assert'), { execSync } = require('child_process'), dns = require('dns');
assert(require('tls').rootCertificates.length > 100);
assert.equal(new Intl.DateTimeFormat('de', { month: 'long', timeZone: 'Europe/Berlin' }).format(0), 'Januar');
assert.equal(require('zlib').gunzipSync(require('zlib').gzipSync('a')).toString(), 'a');
assert.equal(require('crypto').createHash('sha256').update('').digest('hex').slice(0, 8), 'e3b0c442');
assert.equal(execSync('node -p "6 * 7"').toString(), '42\n');
dns.lookup('localhost', (error, address) => console.log(address === '127.0.0.1' ? 'node is whole' : error));
"#;

/// What functions rely on in the Java image: certificates, time zones, fonts and pictures without a screen,
/// character sets, children.
const JAVA: &str = r#"
import java.awt.*;
import java.awt.image.BufferedImage;
import java.io.*;
import java.nio.charset.Charset;
import java.security.KeyStore;
import java.time.*;
import javax.imageio.ImageIO;
import javax.net.ssl.*;

class Check {
    public static void main(String[] arguments) throws Exception {
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init((KeyStore) null);
        check(((X509TrustManager) trust.getTrustManagers()[0]).getAcceptedIssuers().length > 100);
        SSLContext.getDefault();
        check(ZonedDateTime.of(2026, 7, 1, 0, 0, 0, 0, ZoneId.of("Europe/Berlin")).getOffset().getTotalSeconds() == 7200);
        BufferedImage image = new BufferedImage(80, 30, BufferedImage.TYPE_INT_RGB);
        Graphics2D graphics = image.createGraphics();
        graphics.setFont(new Font("SansSerif", Font.PLAIN, 12));
        graphics.drawString("text", 2, 20);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        check(ImageIO.write(image, "jpg", out) && out.size() > 500);
        check(new String(new byte[] {(byte) 0xa4}, Charset.forName("ISO-8859-15")).equals("\u20ac"));
        Process child = new ProcessBuilder("/bin/sh", "-c", "echo hi").start();
        check(new String(child.getInputStream().readAllBytes()).equals("hi\n"));
        check(Runtime.version().feature() == 17);
        System.out.println("java is whole");
    }

    static void check(boolean true_) {
        if (!true_) throw new AssertionError();
    }
}
"#;

const SHELL: &str = r#"
set -e
test "$(echo x | gzip | zcat | grep -c x)" = 1
test "$(awk 'BEGIN { print 1 + 2 }')" = 3
curl --version | grep -q OpenSSL
test -s /etc/ssl/certs/ca-certificates.crt -a -s /etc/pki/tls/certs/ca-bundle.crt
test "$(date +%Z)" = UTC
find /etc -name passwd | xargs grep -q sbx_user1051
echo shell is whole
"#;

#[test]
fn images_are_built_once_and_run() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let left_by_a_killed_build = dir.path().join("runtimes/build-killed/debs");
    fs::create_dir_all(&left_by_a_killed_build).unwrap();

    let ended = images::build(dir.path(), &store, &|_| ControlFlow::Break(()));
    assert!(matches!(ended, Err(BuildError::Ended)), "{ended:?}");
    assert_eq!(
        fs::read_dir(dir.path().join("runtimes")).unwrap().count(),
        0
    );

    let steps = RefCell::new(Vec::new());
    let built = images::build(dir.path(), &store, &|progress| {
        steps.borrow_mut().push(*progress);
        ControlFlow::Continue(())
    })
    .unwrap();

    let steps = steps.into_inner();
    for step in [Step::Resolve, Step::Download, Step::Unpack, Step::Publish] {
        assert!(steps.iter().any(|progress| progress.step == step), "{step}");
    }
    assert!(steps.iter().all(|progress| progress.done <= progress.total));
    assert_eq!(built.keys().copied().collect::<Vec<_>>(), Runtime::ALL);
    assert!(built.values().all(|image| store.contains(&image.digest)));
    let mut kept = fs::read_dir(dir.path().join("runtimes"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect::<Vec<_>>();
    kept.sort();
    assert_eq!(
        kept,
        [
            "java17.json",
            "nodejs20.x.json",
            "provided.al2023.json",
            "python3.11.json"
        ]
    );

    let python = &built[&Runtime::Python311];
    assert!(python.version_label.starts_with("python:3.11."));
    runs(
        &store,
        python,
        &["/usr/bin/python3.11", "-S", "-W", "ignore", "-c", PYTHON],
        "python is whole",
    );
    for program in [&python.argv[..], python.compile.as_deref().unwrap()] {
        for path in program.iter().filter(|argument| argument.starts_with('/')) {
            runs(&store, python, &["/usr/bin/test", "-f", path], "");
        }
    }
    let node = &built[&Runtime::Nodejs20x];
    assert!(node.version_label.starts_with("nodejs:20."));
    runs(
        &store,
        node,
        &["/var/lang/bin/node", "-e", NODE],
        "node is whole",
    );
    for path in node
        .argv
        .iter()
        .filter(|argument| argument.starts_with('/'))
    {
        runs(&store, node, &["/usr/bin/test", "-f", path], "");
    }
    java_is_whole(&store, &built[&Runtime::Java17]);
    let provided = &built[&Runtime::ProvidedAl2023];
    assert!(provided.version_label.starts_with("provided:al2023.2."));
    runs(
        &store,
        provided,
        &["/bin/bash", "-c", SHELL],
        "shell is whole",
    );

    found_again(dir.path(), &store, &built[&Runtime::Python311]);
}

/// The Java image has what functions want, and a start of the bootstrap maps its classes (`-Xshare:on` ends
/// the program otherwise).
fn java_is_whole(store: &Store, java: &RuntimeImage) {
    assert!(java.version_label.starts_with("java:17."));
    let check = format!("cat >/tmp/Check.java <<'END'\n{JAVA}\nEND\nexec java /tmp/Check.java");
    runs(store, java, &["/bin/bash", "-c", &check], "java is whole");
    let argv = java.argv_with(512);
    let mut program: Vec<&str> = argv.iter().map(String::as_str).collect();
    program.insert(1, "-Xshare:on");
    program.push("--train");
    runs(store, java, &program, "");
    runs(store, java, &["/usr/bin/test", "!", "-e", "/build"], "");
}

/// Another build with everything there does nothing; one whose manifest is damaged does not trust it.
fn found_again(dir: &Path, store: &Store, image: &RuntimeImage) {
    let again = images::build(dir, store, &|progress| panic!("{progress:?}")).unwrap();
    assert_eq!(&again[&Runtime::Python311], image);

    fs::write(dir.join("runtimes/python3.11.json"), "{").unwrap();
    let resolved = RefCell::new(Vec::new());
    let rebuilt = images::build(dir, store, &|progress| {
        if progress.step == Step::Resolve {
            resolved.borrow_mut().push(progress.runtime);
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(resolved.into_inner(), [Some(Runtime::Python311)]);
    assert_eq!(
        &rebuilt[&Runtime::Python311],
        image,
        "the same packages make the same image"
    );
}

/// Runs a program in the mounted image. The mount lives in a namespace of its own and ends with it.
fn runs(store: &Store, image: &RuntimeImage, program: &[&str], expected: &str) {
    let inside = "mount -t erofs -o ro,loop \"$1\" /mnt && mount -t proc proc /mnt/proc \
                  && mount -t tmpfs tmpfs /mnt/dev && mknod -m 666 /mnt/dev/null c 1 3 \
                  && mknod -m 666 /mnt/dev/urandom c 1 9 \
                  && mkdir -m 1777 /mnt/dev/shm && mount -t tmpfs tmpfs /mnt/tmp \
                  && shift && exec chroot /mnt \"$@\"";
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new("unshare")
        .args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            inside,
            "sh",
        ])
        .arg(store.image_path(&image.digest))
        .args(program)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LANG", "C.UTF-8")
        .output()
        .unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    assert!(status.success(), "{program:?}: {stdout}{stderr}");
    assert_eq!(stdout.trim(), expected, "{program:?}: {stderr}");
}
