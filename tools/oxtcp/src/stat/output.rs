// SPDX-License-Identifier: GPL-2.0
//! Counters as text.

use serde_json::{json, Map, Value};

use super::Growth;

/// In which form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// As nstat(8): name, value, rate.
    Lines,
    /// `{"kernel":{NAME: VALUE}}` as nstat(8), on one line.
    Json,
    /// The same in many.
    PrettyJson,
}

/// The text, its lines ended.
pub fn render(growths: &[Growth], format: Format) -> String {
    if format == Format::Lines {
        let mut text = "#kernel\n".to_owned();
        for Growth { name, value, rate } in growths {
            text += &format!("{name:<32}{value:<16} {rate:>6.1}\n");
        }
        return text;
    }
    let counters: Map<String, Value> = growths
        .iter()
        .map(|growth| (growth.name.clone(), json!(growth.value)))
        .collect();
    let value = json!({ "kernel": counters });
    match format {
        Format::PrettyJson => format!("{value:#}\n"),
        _ => format!("{value}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn growths() -> Vec<Growth> {
        vec![
            Growth {
                name: "InSegs".into(),
                value: 123,
                rate: 4.56,
            },
            Growth {
                name: "DropPaws".into(),
                value: 0,
                rate: 0.0,
            },
        ]
    }

    #[test]
    fn lines_are_those_of_nstat() {
        assert_eq!(
            render(&growths(), Format::Lines),
            "#kernel\n\
             InSegs                          123                 4.6\n\
             DropPaws                        0                   0.0\n"
        );
    }

    #[test]
    fn json_is_that_of_nstat() {
        assert_eq!(
            render(&growths(), Format::Json),
            "{\"kernel\":{\"DropPaws\":0,\"InSegs\":123}}\n"
        );
        assert!(render(&growths(), Format::PrettyJson).lines().count() > 3);
        assert_eq!(render(&[], Format::Json), "{\"kernel\":{}}\n");
    }
}
