//! Headers with any bytes as names: `rdkafka` takes names as text, and librdkafka hands out a name without
//! its length, so that one with a NUL would be cut there.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_void};

use rdkafka::message::{BorrowedHeaders, Header, OwnedHeaders};
use rdkafka_sys as sys;

/// Passes each header's name and value to `take`, in order.
pub fn each(headers: &BorrowedHeaders, take: impl FnMut(&[u8], Option<&[u8]>)) {
    // SAFETY: a `BorrowedHeaders` stands where librdkafka's own list does, which lives as long as it.
    unsafe { each_of(std::ptr::from_ref(headers).cast(), take) }
}

/// The same of librdkafka's own list.
///
/// # Safety
/// `headers` points to a list that nobody changes meanwhile.
pub unsafe fn each_of(
    headers: *const sys::rd_kafka_headers_t,
    mut take: impl FnMut(&[u8], Option<&[u8]>),
) {
    for index in 0.. {
        let (mut name, mut value, mut length) = (std::ptr::null(), std::ptr::null(), 0);
        // SAFETY: the list is live and the three places are valid to write to; name and value live as
        // long as the list, of the lengths that stand beside them.
        unsafe {
            let found = sys::rd_kafka_header_get_all(
                headers,
                index,
                &raw mut name,
                &raw mut value,
                &raw mut length,
            );
            if found != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return;
            }
            let of_name = name_length(name, value, length);
            let name = std::slice::from_raw_parts(name.cast(), of_name);
            let value =
                (!value.is_null()).then(|| std::slice::from_raw_parts(value.cast::<u8>(), length));
            take(name, value);
        }
    }
}

/// The length of a header name that librdkafka has handed out with its value.
///
/// It is stored two words before the name, between the value's length and its address, in the header's single
/// allocation (`rd_kafka_header_s` of `rdkafka_header.h`). If those two differ from what was handed out,
/// librdkafka's layout has changed: the name then ends at its first NUL, and a test below fails.
///
/// # Safety
/// `name` points to the name of a live header of librdkafka.
#[allow(clippy::cast_ptr_alignment, reason = "it is read unaligned")]
unsafe fn name_length(name: *const c_char, value: *const c_void, length: usize) -> usize {
    let words = name.cast::<usize>();
    // SAFETY: what is read stands before the name in the same allocation.
    let [of_value, of_name, address] =
        unsafe { [3, 2, 1].map(|before| words.sub(before).read_unaligned()) };
    if (of_value, address) == (length, value.addr()) {
        return of_name;
    }
    // SAFETY: librdkafka ends each name with a NUL.
    unsafe { CStr::from_ptr(name) }.count_bytes()
}

/// Headers to produce, in this order.
pub fn owned<'a>(
    headers: impl ExactSizeIterator<Item = (&'a [u8], Option<&'a [u8]>)>,
) -> OwnedHeaders {
    let mut list = OwnedHeaders::new_with_capacity(headers.len());
    for (name, value) in headers {
        match std::str::from_utf8(name) {
            Ok(key) => list = list.insert(Header { key, value }),
            Err(_) => add(&list, name, value),
        }
    }
    list
}

/// Adds a header whose name is not UTF-8.
fn add(list: &OwnedHeaders, name: &[u8], value: Option<&[u8]>) {
    let native: *const BorrowedHeaders = list.as_borrowed();
    let (start, length) =
        value.map_or((std::ptr::null(), 0), |value| (value.as_ptr(), value.len()));
    // SAFETY: the list is ours and stands where its borrowed form does; names and values are copied;
    // their lengths are those of slices, which fit.
    unsafe {
        sys::rd_kafka_header_add(
            native.cast_mut().cast(),
            name.as_ptr().cast(),
            name.len().cast_signed(),
            start.cast(),
            length.cast_signed(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_of_any_bytes_are_read_as_they_were_written() {
        let written: &[(&[u8], Option<&[u8]>)] = &[
            (b"trace", Some(b"abc")),
            (b"", Some(b"")),
            (b"a\0b", Some(b"\0")),
            (b"a\0", None),
            (b"\xff\xfe", Some(b"x")),
            (b"\xff\0\xff", None),
            (b"trace", None),
        ];
        let list = owned(written.iter().copied());
        let mut read = Vec::new();
        each(list.as_borrowed(), |name, value| {
            read.push((name.to_vec(), value.map(<[u8]>::to_vec)));
        });
        let written =
            written.iter().map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec)));
        assert_eq!(read, written.collect::<Vec<_>>());
    }
}
