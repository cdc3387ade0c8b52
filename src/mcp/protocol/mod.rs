//! MCP as requests and answers, on any transport.

mod caller;
mod decode;
mod recent;
mod server;

pub(super) use caller::{Caller, bearer};
pub(super) use decode::{
    Decoded, MAX_MESSAGE, decode, decode_value, no_batches, too_long, without_lone_surrogates,
};
pub(super) use server::Server;
