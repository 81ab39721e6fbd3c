//! Fields of a line of comma-separated values. None of the formats quotes, and none needs to.

/// The fields of a line by the head's names.
#[derive(Debug)]
pub(super) struct Columns {
    count: usize,
    places: Vec<usize>,
}

impl Columns {
    /// Where these names stand in the head.
    pub(super) fn of(header: &str, names: &[&str]) -> Result<Self, String> {
        let all: Vec<&str> = header.split(',').map(str::trim).collect();
        let place = |name: &&str| {
            let place = all.iter().position(|it| it == name);
            place.ok_or_else(|| format!("no column {name}"))
        };
        Ok(Self {
            count: all.len(),
            places: names.iter().map(place).collect::<Result<_, _>>()?,
        })
    }

    /// The fields under these names, in their order.
    pub(super) fn take<'a, const N: usize>(&self, line: &'a str) -> Result<[&'a str; N], String> {
        let mut fields = [""; N];
        let mut count = 0;
        for field in line.split(',') {
            for (wanted, place) in fields.iter_mut().zip(&self.places) {
                if *place == count {
                    *wanted = field.trim();
                }
            }
            count += 1;
        }
        if count != self.count {
            return Err(format!("{count} fields where the head has {}", self.count));
        }
        Ok(fields)
    }
}

/// A number of requests. Some files write whole numbers with a point.
pub(super) fn count(field: &str) -> Result<u32, String> {
    let field = field.trim();
    if let Ok(number) = field.parse::<u32>() {
        return Ok(number);
    }
    let number = decimal(field)?;
    if number < 0.0 || number > f64::from(u32::MAX) || number.fract() != 0.0 {
        return Err(format!("{field:?} is not a number of requests"));
    }
    Ok(number as u32)
}

/// A number.
pub(super) fn decimal(field: &str) -> Result<f64, String> {
    let number = field
        .trim()
        .parse::<f64>()
        .ok()
        .filter(|number| number.is_finite());
    number.ok_or_else(|| format!("{:?} is not a number", shortened(field)))
}

/// What of a field is repeated in an error.
pub(super) fn shortened(field: &str) -> &str {
    let end = field
        .char_indices()
        .nth(40)
        .map_or(field.len(), |(end, _)| end);
    &field[..end]
}
