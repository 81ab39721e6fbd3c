//! What the catalog promises to everything above it: writes are whole, ordered and durable.

mod migrations;

use std::sync::Arc;

use super::record::{Code, Environment, Record, Settings};
use super::*;
use crate::lifecycle::Lifecycle;
use pilotlight_model::logging::LogFormat;
use pilotlight_model::{Runtime, SnapStart, Version, VersionKey};

fn record(name: &str, revision: u64) -> Record {
    let digest: pilotlight_model::Digest = "a".repeat(64).parse().unwrap();
    Record {
        key: VersionKey {
            account: Default::default(),
            region: Default::default(),
            name: name.parse().unwrap(),
            version: Version::Latest,
        },
        revision,
        revision_id: uuid::Uuid::new_v4(),
        code: Code {
            package: digest.clone(),
            draft: digest.clone(),
            image: digest,
            compiled: Some(Runtime::Python311),
        },
        settings: Settings {
            runtime: Runtime::Python311.into(),
            handler: "app.handler".to_owned(),
            role: "role".to_owned(),
            description: String::new(),
            memory_mb: 128,
            timeout_s: 3,
            ephemeral_storage_mb: 512,
            environment: None,
            tracing_mode: "PassThrough".to_owned(),
            log_group: "/aws/lambda/f".to_owned(),
            log_format: LogFormat::Text,
            snap_start: SnapStart::Auto,
            dead_letter: None,
            code_sha256: "x".to_owned(),
            code_size: 7,
            live_code: None,
            code_unpacked_bytes: 0,
            layers: Vec::new(),
            modified_ms: 1,
        },
        lifecycle: Lifecycle::created(),
        serving: None,
    }
}

fn open(folder: &std::path::Path) -> Result<Catalog, OpenError> {
    Catalog::open(folder, SealingKey::open(&folder.join("secret.key"))?, 1_000)
}

async fn insert(catalog: &Catalog, name: &str, revision: u64) -> Result<(), CatalogError> {
    let record = record(name, revision);
    catalog.write(move |session| session.insert(&record)).await
}

async fn find(catalog: &Catalog, name: &str) -> Option<Record> {
    let key = record(name, 0).key;
    catalog
        .read(move |session| session.find(&key))
        .await
        .map_err(|error: CatalogError| error)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_leaves_nothing_and_harms_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = Arc::new(open(dir.path()).unwrap());
    insert(&catalog, "taken", 1).await.unwrap();
    let writes: Vec<_> = (0..50)
        .map(|number| {
            let catalog = Arc::clone(&catalog);
            tokio::spawn(async move {
                if number % 2 == 0 {
                    return insert(&catalog, &format!("f{number}"), number)
                        .await
                        .is_ok();
                }
                let (new, taken) = (record(&format!("f{number}"), number), record("taken", 0));
                catalog
                    .write(move |session| {
                        session.insert(&new)?;
                        session.insert(&taken)
                    })
                    .await
                    .is_ok()
            })
        })
        .collect();
    for (number, write) in writes.into_iter().enumerate() {
        assert_eq!(write.await.unwrap(), number % 2 == 0);
    }
    for number in 0..50 {
        let there = find(&catalog, &format!("f{number}")).await.is_some();
        assert_eq!(there, number % 2 == 0, "f{number}");
    }
    assert_eq!(catalog.index().len(), 26);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_sees_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = Arc::new(open(dir.path()).unwrap());
    insert(&catalog, "f", 1).await.unwrap();
    let (writer, runtime) = (Arc::clone(&catalog), tokio::runtime::Handle::current());
    let key = record("f", 0).key;
    let read = move |session: &Session<'_>| {
        let before = session.find(&key)?;
        let key = key.clone();
        let deleted = writer.write(move |session| session.delete(&key));
        runtime.block_on(deleted)?;
        Ok::<_, CatalogError>((before, session.find(&record("f", 0).key)?))
    };
    let (before, after) = catalog.read(read).await.unwrap();
    assert_eq!(before.unwrap().revision, after.unwrap().revision);
    assert!(find(&catalog, "f").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_number_of_a_version_is_too_large_to_be_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = open(dir.path()).unwrap();
    insert(&catalog, "f", 1).await.unwrap();
    let key = VersionKey {
        version: Version::Number(u64::MAX),
        ..record("f", 0).key
    };
    let work = move |session: &Session<'_>| {
        let after = session.versions(&key, Some(key.version), 10)?;
        Ok::<_, CatalogError>((session.find(&key)?, after))
    };
    let (found, after) = catalog.read(work).await.unwrap();
    assert!(found.is_none() && after.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_added_to_a_function_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = open(dir.path()).unwrap();
    let key = record("f", 0).key;
    let tags = [("team".to_owned(), "blue".to_owned())].into();
    let tagged = catalog.write(move |session| session.set_tags(&key, &tags));
    assert!(matches!(tagged.await, Err(CatalogError::Database(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_numbers_survive_and_read_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = open(dir.path()).unwrap();
    let mut kept = record("f", 7);
    kept.serving = Some(Arc::new(kept.spec(None, Vec::new())));
    let written = kept.clone();
    catalog
        .write(move |session| session.insert(&written))
        .await
        .unwrap();
    let revision = async |catalog: &Catalog| -> Result<u64, CatalogError> {
        catalog.write(|session| session.next_revision()).await
    };
    let first = revision(&catalog).await.unwrap();
    drop(catalog);

    let catalog = open(dir.path()).unwrap();
    let read = find(&catalog, "f").await.unwrap();
    assert_eq!((read.revision, read.revision_id), (7, kept.revision_id));
    assert_eq!((read.code, read.settings), (kept.code, kept.settings));
    assert_eq!(
        (read.lifecycle, read.serving),
        (kept.lifecycle, kept.serving)
    );
    assert!(revision(&catalog).await.unwrap() > first);
    let key = record("f", 0).key;
    assert!(
        catalog
            .index()
            .resolve(
                &key.account,
                &key.region,
                &key.name,
                Some("$LATEST"),
                || 0.0
            )
            .is_ok()
    );
}

fn with_secret(name: &str, secret: &str) -> Record {
    let mut record = record(name, 1);
    let variables = [("PASSWORD".to_owned(), secret.to_owned())].into();
    record.settings.environment = Some(Environment(variables));
    record.serving = Some(Arc::new(record.spec(None, Vec::new())));
    record
}

/// Whether any file of the catalog holds that text.
fn on_disk(folder: &std::path::Path, text: &str) -> bool {
    let files = std::fs::read_dir(folder).unwrap();
    let holds = |bytes: Vec<u8>| {
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .any(holds)
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_are_sealed_on_disk_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = open(dir.path()).unwrap();
    let kept = with_secret("f", "correct horse");
    let written = kept.clone();
    let published = catalog
        .write(move |session| {
            session.insert(&written)?;
            session.publish(&written, None, 0)
        })
        .await
        .unwrap();
    assert!(
        on_disk(dir.path(), "/aws/lambda/f"),
        "the rest is not sealed"
    );
    assert!(!on_disk(dir.path(), "correct horse") && !on_disk(dir.path(), "PASSWORD"));
    drop(catalog);

    let catalog = open(dir.path()).unwrap();
    assert!(!on_disk(dir.path(), "correct horse"));
    let read = find(&catalog, "f").await.unwrap();
    assert_eq!(
        (&read.settings, &read.serving),
        (&kept.settings, &kept.serving)
    );
    let again = catalog
        .write(move |session| session.publish(&read, None, 0))
        .await
        .map_err(|error: CatalogError| error)
        .unwrap();
    assert_eq!(again.key, published.key, "nothing has changed since");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_from_before_sealing_is_sealed_when_it_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = open(dir.path()).unwrap();
    let kept = with_secret("f", "correct horse");
    let written = kept.clone();
    catalog
        .write(move |session| {
            session.insert(&written)?;
            session.publish(&written, None, 0)
        })
        .await
        .unwrap();
    drop(catalog);
    let writer = Connection::open(dir.path().join("catalog.sqlite")).unwrap();
    let settings = serde_json::to_string(&kept.settings).unwrap();
    let serving = serde_json::to_string(&kept.serving).unwrap();
    let plain = "UPDATE version SET settings = ?1, serving = ?2";
    writer.execute(plain, [&settings, &serving]).unwrap();
    let plain = "UPDATE function SET published_from = ?1";
    writer.execute(plain, [&settings]).unwrap();
    writer
        .execute("DELETE FROM setting WHERE name = 'sealing-check'", [])
        .unwrap();
    drop(writer);
    assert!(on_disk(dir.path(), "correct horse"));

    let catalog = open(dir.path()).unwrap();
    assert!(!on_disk(dir.path(), "correct horse"));
    assert_eq!(find(&catalog, "f").await.unwrap().settings, kept.settings);
}

#[test]
fn another_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    std::fs::remove_file(dir.path().join("secret.key")).unwrap();
    assert!(matches!(open(dir.path()), Err(OpenError::OtherKey)));
}

#[test]
fn a_newer_schema_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let path = dir.path().join("catalog.sqlite");
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let Err(error) = open(dir.path()) else {
        panic!("opened")
    };
    assert_eq!(
        error.to_string(),
        format!(
            "{} has schema 99, this version reads up to {}: use a newer pilot",
            path.display(),
            open::MIGRATIONS.len()
        )
    );
}

#[test]
fn a_lost_catalog_is_not_replaced_by_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let package = dir.path().join("blobs/a-package");
    std::fs::create_dir(dir.path().join("blobs")).unwrap();
    std::fs::write(&package, "zip").unwrap();
    drop(open(dir.path()).unwrap());
    std::fs::write(dir.path().join("catalog.sqlite"), "").unwrap();
    let Err(error) = open(dir.path()) else {
        panic!("opened")
    };
    assert!(error.to_string().contains("from a backup"), "{error}");
    std::fs::remove_file(package).unwrap();
    open(dir.path()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_use_the_index_of_names() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = open(dir.path()).unwrap();
    let plan: String = catalog
        .read(|session| {
            let mut query = session.connection.prepare(
                "EXPLAIN QUERY PLAN SELECT 1 FROM function JOIN version
                 ON version.function = function.id
                 WHERE account = ?1 AND region = ?2 AND name > ?3 AND number = 0
                 ORDER BY name LIMIT ?4",
            )?;
            let steps = query.query_map(["a", "r", "n", "50"], |row| row.get::<_, String>(3))?;
            Ok::<_, CatalogError>(steps.collect::<Result<Vec<_>, _>>()?.join("; "))
        })
        .await
        .unwrap();
    assert!(plan.contains("account=? AND region=? AND name>?"), "{plan}");
    assert!(
        !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"),
        "{plan}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_been_read_is_in_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Arc::new(open(folder.path()).unwrap());
    let writer = Arc::clone(&catalog);
    let last = 500;
    let writing = tokio::spawn(async move {
        for number in 1..=last {
            insert(&writer, &format!("f{number}"), number)
                .await
                .unwrap();
        }
    });
    let mut read = 0;
    while read < last {
        let rows = "SELECT count(*) FROM function";
        read = catalog
            .read(move |session| {
                let count = session.connection.query_row(rows, [], |row| row.get(0));
                count.map_err(CatalogError::from)
            })
            .await
            .unwrap();
        assert!(catalog.index().keys().len() as u64 >= read, "{read} rows");
    }
    writing.await.unwrap();
}
