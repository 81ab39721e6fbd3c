//! What rows of older catalogs have become.

use rusqlite::params;

use super::*;

/// A catalog that had only so many migrations.
fn of_before(folder: &std::path::Path, migrations: usize) -> Connection {
    let old = Connection::open(folder.join("catalog.sqlite")).unwrap();
    for sql in &open::MIGRATIONS[..migrations] {
        old.execute_batch(sql).unwrap();
    }
    old.pragma_update(None, "user_version", migrations).unwrap();
    old
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_of_snap_start_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let old = of_before(dir.path(), 13);
    for (name, refused) in [("auto", false), ("none", true)] {
        let mut kept = record(name, 1);
        kept.lifecycle = kept.lifecycle.settle(None);
        let as_it_was = |mut value: serde_json::Value| {
            let members = value.as_object_mut().unwrap();
            members.remove("snap_start").unwrap();
            members.insert("snap_start_refused".to_owned(), refused.into());
            value.to_string()
        };
        let settings = as_it_was(serde_json::to_value(&kept.settings).unwrap());
        let spec = kept.spec(None, Vec::new());
        let serving = as_it_was(serde_json::to_value(&spec).unwrap());
        old.execute(
            "INSERT INTO function (account, region, name, published, published_from)
             VALUES (?1, ?2, ?3, 0, ?4)",
            params![
                kept.key.account.as_str(),
                kept.key.region.as_str(),
                name,
                settings
            ],
        )
        .unwrap();
        let digest = kept.code.image.as_str();
        old.execute(
            "INSERT INTO version (function, number, revision, revision_id, settled, package, draft,
                                  image, settings, lifecycle, serving)
             VALUES (?1, 0, 1, ?2, 1, ?3, ?3, ?3, ?4, ?5, ?6)",
            params![
                old.last_insert_rowid(),
                kept.revision_id.to_string(),
                digest,
                settings,
                serde_json::to_string(&kept.lifecycle).unwrap(),
                serving,
            ],
        )
        .unwrap();
    }
    drop(old);

    let catalog = open(dir.path()).unwrap();
    for (name, wanted) in [("auto", SnapStart::Auto), ("none", SnapStart::None)] {
        let found = find(&catalog, name).await.unwrap();
        assert_eq!(found.settings.snap_start, wanted, "{name}");
        assert_eq!(found.serving.unwrap().snap_start, wanted, "{name}");
    }
    let left: u32 = catalog
        .read(|session| {
            let count = "SELECT count(*) FROM function WHERE published_from LIKE '%refused%'";
            let count = session.connection.query_row(count, [], |row| row.get(0));
            count.map_err(CatalogError::from)
        })
        .await
        .unwrap();
    assert_eq!(left, 0);
}
