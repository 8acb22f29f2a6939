//! The HTTP status that ClickHouse answers for an error code.

/// ClickHouse's own table. Most errors are 500, so clients must go by the code.
pub fn http_status(code: i32) -> u16 {
    match code {
        194 => 401,
        192 | 193 | 497 | 516 => 403,
        6 | 8 | 15 | 26 | 27 | 36 | 38 | 41 | 44 | 53 | 62 | 117 | 321 | 376 | 675 | 676 => 400,
        46 | 47 | 50 | 56 | 60 | 73 | 81 | 115 => 404,
        48 => 501,
        159 => 408,
        76 | 209 | 439 => 503,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::http_status;

    #[test]
    fn follows_the_servers_table() {
        let table = [
            (516, 403),
            (194, 401),
            (60, 404),
            (81, 404),
            (62, 400),
            (117, 400),
            (48, 501),
            (159, 408),
            (209, 503),
            (241, 500),
            (252, 500),
            (469, 500),
            (691, 500),
            (1001, 500),
        ];
        for (code, status) in table {
            assert_eq!(http_status(code), status, "code {code}");
        }
    }
}
