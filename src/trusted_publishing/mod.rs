//! Trusted publishing: an ID token is exchanged for an API key.

pub(crate) mod claims;
pub(crate) mod id_token;
pub(crate) mod jwt;
pub(crate) mod login;
pub(crate) mod obstacle;
pub(crate) mod service_index;
pub(crate) mod service_message;
pub(crate) mod token_service;
pub(crate) mod verify_key;
