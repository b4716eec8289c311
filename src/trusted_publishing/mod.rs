//! Trusted publishing: an ID token is exchanged for an API key.

pub mod claims;
pub mod id_token;
pub mod login;
pub mod service_index;
pub mod token_service;
