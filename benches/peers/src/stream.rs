//! The quote stream as an async server has it: one task reads the trader app's Socket.IO, a broadcast
//! channel hands each quote's finished text to a task for each client.

use std::collections::HashSet;
use std::io;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc};
use tokio_tungstenite::tungstenite::Message as Upstream;

/// Quotes that a client may lag behind before it misses some.
const LAG_MAX: usize = 16_384;

const QUOTE_EVENT: &str = "42[\"quote_update\",{";

#[derive(Clone)]
struct Quote {
    symbol: String,
    text: Utf8Bytes,
}

#[derive(Deserialize)]
struct Symbol {
    symbol: String,
}

#[derive(Deserialize)]
struct Wish {
    symbols: Vec<String>,
}

#[derive(Clone)]
struct Hub {
    quotes: broadcast::Sender<Quote>,
    wishes: mpsc::Sender<Vec<String>>,
}

/// Connects to the trader app at `host:port`; gives the routes.
pub async fn router(trader: &str) -> io::Result<Router> {
    let tcp = TcpStream::connect(trader).await?;
    tcp.set_nodelay(true)?;
    let url = format!("ws://{trader}/socket.io/?EIO=4&transport=websocket");
    let (socket, _) = tokio_tungstenite::client_async(url, tcp)
        .await
        .map_err(io::Error::other)?;
    let (quotes, _) = broadcast::channel(LAG_MAX);
    let (wishes, wished) = mpsc::channel(1_024);
    tokio::spawn(read(socket, quotes.clone(), wished));
    Ok(Router::new()
        .route("/api/ws/quotes", get(upgrade))
        .with_state(Hub { quotes, wishes }))
}

async fn read(
    mut socket: tokio_tungstenite::WebSocketStream<TcpStream>,
    quotes: broadcast::Sender<Quote>,
    mut wished: mpsc::Receiver<Vec<String>>,
) {
    let mut known = HashSet::new();
    loop {
        let answer = tokio::select! {
            said = socket.next() => {
                let Some(Ok(Upstream::Text(text))) = said else { return };
                hear(&text, &quotes)
            }
            symbols = wished.recv() => {
                let mut new = symbols.unwrap_or_default();
                new.retain(|s| known.insert(s.clone()));
                let wish = serde_json::json!(["subscribe_quotes", {"symbols": new}]);
                (!new.is_empty()).then(|| format!("42{wish}"))
            }
        };
        if let Some(answer) = answer
            && socket.send(Upstream::text(answer)).await.is_err()
        {
            return;
        }
    }
}

/// Publishes a quote; gives what is to be said in return.
fn hear(text: &str, quotes: &broadcast::Sender<Quote>) -> Option<String> {
    if let Some(fields) = text.strip_prefix(QUOTE_EVENT) {
        let fields = fields.strip_suffix(']')?;
        let Symbol { symbol } = serde_json::from_str(&format!("{{{fields}")).ok()?;
        let text = format!("{{\"type\":\"quote\",{fields}").into();
        let _nobody_listens = quotes.send(Quote { symbol, text });
        return None;
    }
    match text.as_bytes().first()? {
        b'0' => Some("40".to_owned()),
        b'2' => Some("3".to_owned()),
        _ => None,
    }
}

async fn upgrade(State(hub): State<Hub>, socket: WebSocketUpgrade) -> Response {
    socket.on_upgrade(|socket| async move {
        let quotes = hub.quotes.subscribe();
        let _left = serve(socket, quotes, hub.wishes).await;
    })
}

async fn serve(
    mut socket: WebSocket,
    mut quotes: broadcast::Receiver<Quote>,
    wishes: mpsc::Sender<Vec<String>>,
) -> Result<(), axum::Error> {
    let mut symbols = HashSet::new();
    loop {
        tokio::select! {
            quote = quotes.recv() => {
                let mut next = match quote {
                    Ok(quote) => Some(quote),
                    Err(broadcast::error::RecvError::Lagged(_)) => None,
                    Err(broadcast::error::RecvError::Closed) => return Ok(()),
                };
                // All that is there goes out in one write.
                while let Some(quote) = next {
                    if symbols.contains(&quote.symbol) {
                        socket.feed(Message::Text(quote.text)).await?;
                    }
                    next = quotes.try_recv().ok();
                }
                socket.flush().await?;
            }
            said = socket.recv() => {
                let Some(said) = said else { return Ok(()) };
                if let Message::Text(text) = said?
                    && let Ok(wish) = serde_json::from_str::<Wish>(&text)
                {
                    symbols.extend(wish.symbols.iter().cloned());
                    let _reader_gone = wishes.send(wish.symbols).await;
                }
            }
        }
    }
}
