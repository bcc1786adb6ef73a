//! An async server to measure against: axum on tokio, as its documentation has one begin.
//!
//! `peers prebuilt FOLDER` reads every `*.json` of the folder at its start, compresses and tags it, and
//! answers `/NAME.json` from memory: plain, gzip, or 304. `peers serializing FOLDER` keeps the parsed
//! values and makes the body anew for each request. `peers broadcast HOST:PORT` streams the quotes of the
//! trader app there. Each prints its address as its first line.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it is measured against, and has rules of its own"
)]

mod stream;

use std::collections::HashMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Write};
use std::path::Path as FilePath;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

/// From this many bytes on a body is compressed, as the product does it.
const GZIP_FROM_BYTES: usize = 1_024;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const VARY: HeaderValue = HeaderValue::from_static("Accept-Encoding");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// A body in every form.
struct Prebuilt {
    plain: Bytes,
    gzip: Option<Bytes>,
    tag: HeaderValue,
}

#[derive(Serialize, Deserialize)]
struct Candle {
    timestamp: i64,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: u64,
}

/// A body's value, typed where a server would have a type for it.
enum Value {
    Candles(Vec<Candle>),
    Other(serde_json::Value),
}

fn compressed(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain)?;
    encoder.finish()
}

fn wants_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING);
    accepted.is_some_and(|v| v.to_str().is_ok_and(|v| v.contains("gzip")))
}

async fn prebuilt(
    State(bodies): State<Arc<HashMap<String, Prebuilt>>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(body) = bodies.get(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let common = [
        (header::ETAG, body.tag.clone()),
        (header::CACHE_CONTROL, NO_CACHE),
        (header::VARY, VARY),
    ];
    if headers.get(header::IF_NONE_MATCH) == Some(&body.tag) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let json = (header::CONTENT_TYPE, JSON);
    match &body.gzip {
        Some(gzip) if wants_gzip(&headers) => {
            let coding = (header::CONTENT_ENCODING, GZIP);
            (common, [json, coding], gzip.clone()).into_response()
        }
        _ => (common, [json], body.plain.clone()).into_response(),
    }
}

async fn serializing(
    State(values): State<Arc<HashMap<String, Value>>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let json = match values.get(&name) {
        Some(Value::Candles(candles)) => serde_json::to_vec(candles),
        Some(Value::Other(value)) => serde_json::to_vec(value),
        None => return StatusCode::NOT_FOUND.into_response(),
    };
    let Ok(json) = json else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let kind = (header::CONTENT_TYPE, JSON);
    if wants_gzip(&headers)
        && json.len() >= GZIP_FROM_BYTES
        && let Ok(gzip) = compressed(&json)
    {
        return ([kind, (header::CONTENT_ENCODING, GZIP)], gzip).into_response();
    }
    ([kind], json).into_response()
}

fn files(folder: &FilePath) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") {
            found.push((name, fs::read(entry.path())?));
        }
    }
    Ok(found)
}

fn router(mode: &str, folder: &FilePath) -> io::Result<Router> {
    let files = files(folder)?;
    if mode == "serializing" {
        let mut values = HashMap::new();
        for (name, bytes) in files {
            let value = match serde_json::from_slice(&bytes) {
                Ok(candles) => Value::Candles(candles),
                Err(_) => Value::Other(serde_json::from_slice(&bytes)?),
            };
            values.insert(name, value);
        }
        return Ok(Router::new()
            .route("/{name}", get(serializing))
            .with_state(Arc::new(values)));
    }
    let mut bodies = HashMap::new();
    for (name, plain) in files {
        let gzip = if plain.len() >= GZIP_FROM_BYTES {
            Some(compressed(&plain)?.into())
        } else {
            None
        };
        let mut hasher = DefaultHasher::new();
        hasher.write(&plain);
        let tag = HeaderValue::from_str(&format!("\"{:016x}\"", hasher.finish()))
            .map_err(io::Error::other)?;
        let plain = plain.into();
        bodies.insert(name, Prebuilt { plain, gzip, tag });
    }
    Ok(Router::new()
        .route("/{name}", get(prebuilt))
        .with_state(Arc::new(bodies)))
}

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, mode, from] = args.as_slice() else {
        return Err(io::Error::other(
            "usage: peers prebuilt|serializing FOLDER, or peers broadcast HOST:PORT",
        ));
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let router = match mode.as_str() {
            "broadcast" => stream::router(from).await?,
            _ => router(mode, FilePath::new(from))?,
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("http://{}", listener.local_addr()?);
        // Without it a body of several segments waits for acknowledgements.
        let listener = listener.tap_io(|stream| {
            let _slower = stream.set_nodelay(true);
        });
        axum::serve(listener, router).await
    })
}
