//! How what the store holds is encoded: a version byte, then postcard.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::StoreError;

const RECORD_VERSION: u8 = 1;

pub(crate) fn encode(record: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(record, vec![RECORD_VERSION])
        .expect("a record encodes: all its types are plain data")
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&RECORD_VERSION, rest)) => {
            postcard::from_bytes(rest).map_err(|error| StoreError::Corrupt(error.to_string()))
        }
        Some((version, _)) => Err(StoreError::Version(version.to_string())),
        None => Err(StoreError::Corrupt("an empty record".to_owned())),
    }
}
