//! What is read from files of every format, and what is said of those that are none.

use std::io::Write;
use std::path::{Path, PathBuf};

use pilotlight_sim::read::{ReadError, read};
use pilotlight_sim::{Model, Options, Trace};
use proptest::prelude::*;

use crate::support::simulate;

fn read_folder(folder: &Path) -> Result<Trace, ReadError> {
    read(&[folder.to_owned()], &mut |_| {})
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("there is room");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it is in the folder")).expect("it is ours");
        std::fs::write(path, text).expect("it is ours");
    }
    folder
}

fn error_of(files: &[(&str, &str)]) -> String {
    read_folder(folder(files).path())
        .expect_err("it is wrong")
        .to_string()
}

fn cells(trace: &Trace, name: &str) -> Vec<(u32, u32)> {
    let place = trace
        .functions
        .iter()
        .position(|it| it.name == name)
        .expect("it is there");
    trace.counts[place].iter().collect()
}

#[test]
fn the_excerpt_of_azure_2019() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let trace = read_folder(&data.join("azure2019")).expect("it is one");
    assert_eq!(
        (trace.functions.len(), trace.begin, trace.end),
        (16, 479, 599)
    );
    assert!(
        trace
            .functions
            .iter()
            .all(|it| it.memory.is_some() && it.durations.is_some())
    );
    let report = simulate(&trace, &Options::default(), &["fixed:10m", "hybrid"]);
    let csv = report.csv();
    assert_eq!(csv.lines().count(), 3);
    let page = report.html();
    assert!(page.contains("<svg") && page.ends_with("</html>\n") && !page.contains("http"));
}

#[test]
fn days_of_azure_2019_follow_each_other() {
    let minutes: Vec<String> = (1..=1_440).map(|minute| minute.to_string()).collect();
    let head = format!(
        "HashOwner,HashApp,HashFunction,Trigger,{}",
        minutes.join(",")
    );
    let row = |name: &str, at: usize| {
        let counts: Vec<&str> = (1..=1_440)
            .map(|minute| if minute == at { "7" } else { "0" })
            .collect();
        format!("o,a,{name},timer,{}", counts.join(","))
    };
    let files = [
        (
            "invocations_per_function_md.anon.d03.csv",
            format!(
                "{head}\n{}\n{}\n{}\n",
                row("f", 2),
                row("g", 1),
                row("f", 9).replace("timer", "http")
            ),
        ),
        (
            "invocations_per_function_md.anon.d02.csv",
            format!("{head}\n{}\n", row("f", 1_440)),
        ),
        (
            "app_memory_percentiles.anon.d02.csv",
            "HashOwner,HashApp,SampleCount,AverageAllocatedMb\no,a,1,50\nx,y,1,1\n".to_owned(),
        ),
    ];
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let trace = read_folder(folder(&files).path()).expect("it is one");
    assert_eq!((trace.begin, trace.end), (0, 2_880));
    assert_eq!(cells(&trace, "o/a/f"), [(1_439, 7), (1_441, 7)]);
    assert_eq!(cells(&trace, "o/a/g"), [(1_440, 7)]);
    // The same function's row for another trigger.
    assert_eq!(cells(&trace, "o/a/f#http"), [(1_448, 7)]);
    // 50 MB of the application, for its three functions.
    assert!(
        trace
            .functions
            .iter()
            .all(|it| it.memory.expect("it is known").0 == (50 << 20) / 3)
    );
}

#[test]
fn azure_2021_and_huawei() {
    let requests = "app,func,end_timestamp,duration\na,f,0.5,0.2\na,g,130.0,0.013\na,f,61.5,70.0\n";
    let trace = read_folder(folder(&[("trace.txt", requests)]).path()).expect("it is one");
    assert_eq!(trace.end, 3);
    let times: Vec<(u64, u32)> = trace
        .requests
        .iter()
        .map(|it| (it.at_ms, it.took_ms))
        .collect();
    assert_eq!(times, [(0, 70_000), (300, 200), (129_987, 13)]);
    assert_eq!(cells(&trace, "a/f"), [(0, 2)]);

    let files = [
        (
            "requests_minute/day_000.csv",
            "day,time,0,1\n0,0,3.0,\n0,60,,2.0\n",
        ),
        (
            "requests_minute/day_002.csv",
            "day,time,0,1\n2,172800,1.0,NaN\n",
        ),
        (
            "function_delay_minute/day_000.csv",
            "day,time,0,1\n0,0,10.0,\n0,60,30.0,\n",
        ),
        (
            "platform_delay_minute/day_000.csv",
            "day,time,0,1\n0,0,9.0,9\n",
        ),
    ];
    let trace = read_folder(folder(&files).path()).expect("it is one");
    assert_eq!((trace.begin, trace.end), (0, 3 * 1_440));
    assert_eq!(cells(&trace, "0"), [(0, 3), (2_880, 1)]);
    assert_eq!(cells(&trace, "1"), [(1, 2)]);
    assert_eq!(
        trace.functions[0].durations.expect("it is known").mean(),
        20.0
    );
    assert_eq!(trace.functions[1].durations, None);
}

#[test]
fn packed_files_are_unpacked() {
    let text = "series_id,weight,daily_total,minute_counts\nA,0.5,3,0:1 7:2\n";
    let folder = folder(&[]);
    let path = folder.path().join("day.csv.gz");
    let file = std::fs::File::create(&path).expect("it is ours");
    let mut gz = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    gz.write_all(text.as_bytes())
        .and_then(|()| gz.finish())
        .expect("there is room");
    let trace = read(&[path], &mut |_| {}).expect("it is one");
    assert_eq!(
        (cells(&trace, "A"), trace.functions[0].weight),
        (vec![(0, 1), (7, 2)], 0.5)
    );

    let path = folder.path().join("all.zip");
    let file = std::fs::File::create(&path).expect("it is ours");
    let mut zip = zip::ZipWriter::new(file);
    for (name, method) in [
        ("some/day.csv", zip::CompressionMethod::Deflated),
        ("readme.md", zip::CompressionMethod::Stored),
    ] {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        zip.start_file(name, options).expect("there is room");
        zip.write_all(text.as_bytes()).expect("there is room");
    }
    zip.finish().expect("there is room");
    let again = read(&[path], &mut |_| {}).expect("it is one");
    assert_eq!(
        (again.counts, again.functions),
        (trace.counts, trace.functions)
    );
}

#[test]
fn errors_name_file_and_line() {
    let series = |rows: &str| {
        error_of(&[(
            "d.csv",
            &format!("series_id,weight,daily_total,minute_counts\n{rows}\n"),
        )])
    };
    for (rows, line, what) in [
        ("A,1,1", 2, "3 fields where the head has 4"),
        ("A,1,1,0:1\nB,x,1,0:1", 3, "\"x\" is not a number"),
        (
            "A,1,2,0:1",
            2,
            "1 requests in its minutes, and 2 in the day",
        ),
        ("A,1,1,1440:1", 2, "1440 is not a minute of the day"),
        (
            "A,1,2,5:1 4:1",
            2,
            "minute 4 does not come after those before it",
        ),
        ("A,1,1,0:1\n\nA,1,1,0:1", 4, "a second time"),
        ("A,-1,1,0:1", 2, "a weight of -1"),
        ("A,1,1,0;1", 2, "\"0;1\" is not minute:count"),
    ] {
        let error = series(rows);
        assert!(
            error.contains(&format!("d.csv, line {line}: ")) && error.contains(what),
            "{error}"
        );
    }
    let azure = error_of(&[("i.csv", "HashOwner,HashApp,HashFunction,Trigger,1,3\n")]);
    assert!(azure.contains("line 1: minute 3 follows 1"), "{azure}");
    let long = error_of(&[("d.csv", &"x".repeat(1_100_000))]);
    assert!(long.contains("longer than 1048576 bytes"), "{long}");
    assert!(error_of(&[("d.csv", "a,b\n")]).contains("no known format"));
    assert!(error_of(&[]).contains("no file with requests"));
    let missing =
        read(&[PathBuf::from("/nowhere/x.csv")], &mut |_| {}).expect_err("it is not there");
    assert!(missing.to_string().contains("/nowhere/x.csv"));
}

const HEADS: [&str; 6] = [
    "HashOwner,HashApp,HashFunction,Trigger,1,2,3",
    "HashOwner,HashApp,HashFunction,Average,percentile_Average_0,percentile_Average_1,percentile_Average_25,\
     percentile_Average_50,percentile_Average_75,percentile_Average_99,percentile_Average_100",
    "HashOwner,HashApp,SampleCount,AverageAllocatedMb",
    "series_id,weight,daily_total,minute_counts",
    "app,func,end_timestamp,duration",
    "day,time,0,1",
];

proptest! {
    /// Whatever the rows are, they are read or refused, and what was read can be run.
    #[test]
    fn nothing_breaks_the_readers(
        head in 0..HEADS.len(),
        rows in prop::collection::vec("[a-c]{1,2}(,([a-c]|[0-9]{1,12}|-?[0-9]{1,3}[.e][0-9]{1,3}|[0-9]:[0-9]|NaN| )){0,11}", 0..8),
        noise in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let folder = folder(&[]);
        let mut text = format!("{}\n{}\n", HEADS[head], rows.join("\n")).into_bytes();
        text.extend(noise);
        std::fs::write(folder.path().join("a.csv"), text).expect("it is ours");
        if let Ok(trace) = read_folder(folder.path())
            && trace.end - trace.begin < 100_000
        {
            for model in [Model::Single, Model::Concurrent] {
                let options = Options {
                    model,
                    ..Options::default()
                };
                simulate(&trace, &options, &["fixed:10m"]);
            }
        }
    }
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).expect("memory takes it");
    gz.finish().expect("memory takes it")
}

#[test]
fn what_is_not_whole_or_not_named_for_what_it_is_is_said() {
    let row = |n: u32| format!("owner,app,f{},http,{n},{},0\n", n * 7_919, n % 13);
    let rows: String = (0..2_000).map(row).collect();
    let whole = gzipped(&format!(
        "HashOwner,HashApp,HashFunction,Trigger,1,2,3\n{rows}"
    ));
    let folder = tempfile::tempdir().expect("there is room");
    let error_of = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("it is ours");
        read(&[path], &mut |_| {})
            .expect_err("it is wrong")
            .to_string()
    };
    let cut = error_of("cut.csv.gz", &whole[..whole.len() / 2]);
    let (_, line) = cut
        .split_once("cut.csv.gz cannot be read beyond line ")
        .unwrap_or_else(|| panic!("{cut}"));
    let line: u32 = line.parse().expect("a number");
    assert!((100..2_000).contains(&line), "{cut}");
    let unnamed = error_of("unnamed.csv", &whole);
    assert!(unnamed.ends_with("unnamed.csv, line 1: is compressed, and the name does not end in .gz, by which that is known"), "{unnamed}");
}
