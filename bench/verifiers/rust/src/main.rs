// SPDX-License-Identifier: Apache-2.0
//! Judges recorded evidence with nitro_attest and ccatoken. One JSON question per line in, one JSON
//! answer out. Of a token's anchors (`Collateral`) ccatoken takes a list of its own form.
use ccatoken::store::MemoTrustAnchorStore;
use ccatoken::token::Evidence;
use nitro_attest::UnparsedAttestationDoc;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Write};
use time::OffsetDateTime;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Question {
    name: String,
    kind: String,
    evidence: String,
    collateral: String,
    at: i64,
    rounds: usize,
}

#[derive(Serialize)]
struct Answer {
    name: String,
    accept: bool,
    said: String,
    usec: f64,
}

fn nitro(text: &[u8], at: i64) -> Result<(), String> {
    let at = OffsetDateTime::from_unix_timestamp(at).map_err(|e| e.to_string())?;
    let document: UnparsedAttestationDoc = text.into();
    document.parse_and_verify(at).map(|_| ()).map_err(|e| e.to_string())
}

fn cca(text: &Vec<u8>, anchors: &str) -> Result<(), String> {
    let mut store = MemoTrustAnchorStore::new();
    store.load_json(anchors).map_err(|e| e.to_string())?;
    let mut token = Evidence::decode(text).map_err(|e| e.to_string())?;
    token.verify(&store).map_err(|e| e.to_string())
}

fn cpu_usec() -> f64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock is one that there is, and `t` outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut t) };
    t.tv_sec as f64 * 1e6 + t.tv_nsec as f64 / 1e3
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(0.0)
}

fn answer(q: Question) -> Result<Answer, String> {
    let text = std::fs::read(&q.evidence).map_err(|e| e.to_string())?;
    let anchors = if q.collateral.is_empty() {
        String::new()
    } else {
        std::fs::read_to_string(&q.collateral).map_err(|e| e.to_string())?
    };
    let judge = || match q.kind.as_str() {
        "nitro-doc" => nitro(&text, q.at),
        _ => cca(&text, &anchors),
    };
    let verdict = judge();
    let mut times = Vec::new();
    for _ in 0..q.rounds {
        let begun = cpu_usec();
        let _ = std::hint::black_box(judge());
        times.push(cpu_usec() - begun);
    }
    Ok(Answer { name: q.name, accept: verdict.is_ok(), said: verdict.err().unwrap_or_default(), usec: median(times) })
}

fn main() -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| e.to_string())?;
        let said = answer(serde_json::from_str(&line).map_err(|e| e.to_string())?)?;
        let text = serde_json::to_string(&said).map_err(|e| e.to_string())?;
        writeln!(out, "{text}").map_err(|e| e.to_string())?;
    }
    Ok(())
}
