//! The trader app's stream: Socket.IO over WebSocket.

pub mod socketio;
