//! Grants on a real broker: the call of librdkafka that `rdkafka` does not wrap.
#![allow(unsafe_code)]

use std::ffi::CString;

use anyhow::ensure;
use rdkafka::admin::AdminClient;
use rdkafka::bindings as sys;
use rdkafka::client::DefaultClientContext;

/// How long the broker may take to answer.
const TIMEOUT_MS: i32 = 30_000;

/// Grants DESCRIBE and nothing else on a topic to a user.
pub fn grant_describe(
    admin: &AdminClient<DefaultClientContext>,
    user: &str,
    topic: &str,
) -> anyhow::Result<()> {
    let (principal, topic) = (CString::new(format!("User:{user}"))?, CString::new(topic)?);
    let client = admin.inner().native_ptr();
    // SAFETY: the client is alive for as long as `admin` is borrowed; binding, queue and event are our own,
    // made here and destroyed once; names are NUL-terminated and copied; null options and a null error text
    // are allowed.
    unsafe {
        let mut binding = sys::rd_kafka_AclBinding_new(
            sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC,
            topic.as_ptr(),
            sys::rd_kafka_ResourcePatternType_t::RD_KAFKA_RESOURCE_PATTERN_LITERAL,
            principal.as_ptr(),
            c"*".as_ptr(),
            sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_DESCRIBE,
            sys::rd_kafka_AclPermissionType_t::RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW,
            std::ptr::null_mut(),
            0,
        );
        ensure!(!binding.is_null(), "librdkafka takes no such grant");
        let queue = sys::rd_kafka_queue_new(client);
        sys::rd_kafka_CreateAcls(client, &raw mut binding, 1, std::ptr::null(), queue);
        let event = sys::rd_kafka_queue_poll(queue, TIMEOUT_MS);
        let answer = (!event.is_null()).then(|| sys::rd_kafka_event_error(event));
        if !event.is_null() {
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_queue_destroy(queue);
        sys::rd_kafka_AclBinding_destroy(binding);
        let is_granted = answer == Some(sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR);
        ensure!(is_granted, "not granted: {answer:?}");
    }
    Ok(())
}
