//! Traces of every format: whatever a file holds, it is read or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pilotlight_sim::read::read;

/// First lines, so that the fuzzer need not find them.
const HEADS: [&str; 7] = [
    "HashOwner,HashApp,HashFunction,Trigger,1,2,3",
    "HashOwner,HashApp,HashFunction,Average,percentile_Average_0,percentile_Average_1,percentile_Average_25,percentile_Average_50,percentile_Average_75,percentile_Average_99,percentile_Average_100",
    "HashOwner,HashApp,SampleCount,AverageAllocatedMb",
    "series_id,weight,daily_total,minute_counts",
    "app,func,end_timestamp,duration",
    "day,time,0,1",
    "{\"format\":\"pilotlight-events\",\"version\":1,\"policy\":\"fixed\",\"began_ms\":0,\"began\":0}",
];
const ENDINGS: [&str; 4] = [".csv", ".csv.gz", ".csv.xz", ".zip"];

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (head, ending, rows) = input;
    let ending = ENDINGS[usize::from(ending) % ENDINGS.len()];
    let Ok(file) = tempfile::Builder::new().suffix(ending).tempfile() else {
        return;
    };
    let mut bytes = Vec::new();
    if ending == ".csv" {
        bytes.extend_from_slice(HEADS[usize::from(head) % HEADS.len()].as_bytes());
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(rows);
    if std::fs::write(file.path(), &bytes).is_ok() {
        let _ = read(&[file.path().to_owned()], &mut |_| {});
    }
});
