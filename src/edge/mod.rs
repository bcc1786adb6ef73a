//! The port, from the listener to the answer.
//!
//! | room | job |
//! |---|---|
//! | `listener` | the `gate` thread: accepts connections within their bounds and starts a thread for each |
//! | `connection` | the `conn-N` threads: one client's requests, one after the other |
//! | `request` | what a request says: head, target, body, WebSocket handshake; pure |
//! | `access` | who is answered, and which pages may read answers |
//! | `routes` | the route table, and a file for each family of routes |
//! | `answer` | what goes back: status, headers, body, the page's files |
//! | `ws` | WebSocket sessions |
//! | `control` | the operator's control socket, which answers some of the routes without the port |

pub mod access;
pub mod answer;
pub mod connection;
pub mod control;
pub mod listener;
pub mod request;
pub mod routes;
pub mod ws;
