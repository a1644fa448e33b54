//! Where to predict: points of data files, or of a grid.

use nlsq_engine::data::Dataset;
use nlsq_engine::data::columns::split_columns;
use nlsq_engine::data::source::{DataError, TileSource, Weighting};
use nlsq_engine::data::spec::DatasetSpec;

use crate::config::JobError;

/// Points of a grid that are handed on at a time.
const GRID_BLOCK: u64 = 1 << 14;

/// Points to predict at.
pub enum Points {
    /// Rows of data files.
    Data(Box<Dataset>),
    /// A grid.
    Grid(Grid),
}

/// What is told of some points: a slice for each variable, and sigma if there is a column of it.
pub(super) type Sink<'a> = dyn FnMut(&[&[f64]], Option<&[f64]>) -> Result<(), DataError> + 'a;

impl Points {
    /// Opens data files. `spec` needs no y: the first variable stands in for it, since a dataset has a response.
    pub fn open(spec: DatasetSpec) -> Result<Self, DataError> {
        let first = spec.x.first().map_or(Ok(Vec::new()), |item| split_columns(item))?;
        let y = first.into_iter().next().unwrap_or_default();
        Dataset::open(&DatasetSpec { y, ..spec }).map(|dataset| Points::Data(Box::new(dataset)))
    }

    /// Hands on all points in their order, some at a time.
    pub fn scan(&self, sink: &mut Sink<'_>) -> Result<(), DataError> {
        match self {
            Points::Grid(grid) => grid.scan(sink),
            Points::Data(dataset) => {
                let layout = dataset.layout();
                let n = layout.variables.len();
                let weighted = layout.weighting != Weighting::None;
                dataset.scan(0..dataset.n_points(), &mut |block| {
                    let sigma = weighted.then(|| block.columns[n + 1]);
                    let bad = sigma.and_then(|sigma| sigma.iter().position(|s| !(*s > 0.0 && s.is_finite())));
                    if let (Some(at), Some(sigma)) = (bad, sigma) {
                        let row = block.first_row + at as u64;
                        let text = format!(
                            "{}: {} is {}; expected a finite number above 0",
                            dataset.place(row),
                            layout.name(n + 1),
                            sigma[at]
                        );
                        return Err(DataError::at_row(row, text));
                    }
                    sink(&block.columns[..n], sigma)
                })
            }
        }
    }
}

/// All combinations of values of the variables, the last one running fastest.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    axes: Vec<Axis>,
    points: u64,
}

/// `count` equal steps from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    first: f64,
    last: f64,
    count: u64,
}

impl Axis {
    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        let parts: Vec<&str> = text.split(':').collect();
        match parts[..] {
            [value] => number(value).map(|value| Self { first: value, last: value, count: 1 }),
            [first, last, count] => {
                let count = count.trim().parse().ok().filter(|count| *count >= 2)?;
                Some(Self { first: number(first)?, last: number(last)?, count })
            }
            _ => None,
        }
    }

    fn at(&self, step: u64) -> f64 {
        match step {
            0 => self.first,
            step if step + 1 == self.count => self.last,
            step => {
                let part = step as f64 / (self.count - 1) as f64;
                self.first * (1.0 - part) + self.last * part
            }
        }
    }
}

impl Grid {
    /// Reads `x=0:10:101,q=0.5`: each of the variables once, a value or FIRST:LAST:COUNT.
    pub fn parse(text: &str, variables: &[String]) -> Result<Self, JobError> {
        let refuse = |what: String| {
            let example = variables.iter().map(|name| format!("{name}=0:10:101")).collect::<Vec<_>>().join(",");
            JobError::usage(format!(
                "--at \"{text}\": {what}; expected such as '{example}', or a value: {}=1",
                variables[0]
            ))
        };
        let mut axes: Vec<Option<Axis>> = vec![None; variables.len()];
        for item in text.split(',') {
            let (name, range) = item.split_once('=').ok_or_else(|| refuse(format!("\"{item}\" has no \"=\"")))?;
            let name = name.trim();
            let Some(place) = variables.iter().position(|known| known == name) else {
                let known = variables.join(", ");
                return Err(refuse(format!("the model has no variable \"{name}\", it has {known}")));
            };
            let axis = Axis::parse(range).ok_or_else(|| {
                refuse(format!("\"{range}\" is neither a finite number nor FIRST:LAST:COUNT, COUNT 2 or above"))
            })?;
            if axes[place].replace(axis).is_some() {
                return Err(refuse(format!("\"{name}\" is given twice")));
            }
        }
        let missing = axes.iter().position(Option::is_none);
        if let Some(missing) = missing {
            return Err(refuse(format!("there is no value for \"{}\"", variables[missing])));
        }
        let axes: Vec<Axis> = axes.into_iter().flatten().collect();
        let points = axes.iter().try_fold(1u64, |points, axis| points.checked_mul(axis.count));
        points
            .map(|points| Self { axes, points })
            .ok_or_else(|| refuse("there are more points than can be counted".into()))
    }

    fn scan(&self, sink: &mut Sink<'_>) -> Result<(), DataError> {
        let mut columns: Vec<Vec<f64>> = vec![Vec::new(); self.axes.len()];
        for first in (0..self.points).step_by(GRID_BLOCK as usize) {
            columns.iter_mut().for_each(Vec::clear);
            for point in first..self.points.min(first + GRID_BLOCK) {
                let mut rest = point;
                for (axis, column) in self.axes.iter().zip(&mut columns).rev() {
                    column.push(axis.at(rest % axis.count));
                    rest /= axis.count;
                }
            }
            let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            sink(&slices, None)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn all(grid: &Grid) -> Vec<Vec<f64>> {
        let mut points = Vec::new();
        let mut sink = |columns: &[&[f64]], _: Option<&[f64]>| {
            points.extend((0..columns[0].len()).map(|i| columns.iter().map(|column| column[i]).collect::<Vec<_>>()));
            Ok(())
        };
        grid.scan(&mut sink).unwrap();
        points
    }

    #[test]
    fn the_last_variable_runs_fastest_and_ends_are_met() {
        let grid = Grid::parse("q = 1:2:2, t=0:0.3:4", &names(&["q", "t"])).unwrap();
        let points = all(&grid);
        assert_eq!(points.len(), 8);
        assert_eq!(
            (&points[0][..], &points[3][..], &points[4][..]),
            (&[1.0, 0.0][..], &[1.0, 0.3][..], &[2.0, 0.0][..])
        );
        let one = Grid::parse("t=-1.5", &names(&["t"])).unwrap();
        assert_eq!(all(&one), [[-1.5]]);
        let many = Grid::parse("t=0:1:40001", &names(&["t"])).unwrap();
        let points = all(&many);
        assert!(points.len() == 40_001 && points.windows(2).all(|pair| pair[0][0] < pair[1][0]));
    }

    #[test]
    fn bad_grids_are_refused() {
        let message = |text: &str| Grid::parse(text, &names(&["q", "t"])).unwrap_err().to_string();
        for (text, what) in [
            ("q=1", "there is no value for \"t\""),
            ("q=1,t=1,q=2", "\"q\" is given twice"),
            ("q=1,x=2", "the model has no variable \"x\", it has q, t"),
            ("q,t=1", "\"q\" has no \"=\""),
            ("q=1,t=0:1", "\"0:1\" is neither a finite number nor FIRST:LAST:COUNT"),
            ("q=1,t=0:1:1", "neither"),
            ("q=nan,t=1", "neither"),
            ("q=0:1:9999999999999,t=0:1:9999999999999", "more points than can be counted"),
        ] {
            assert!(message(text).contains(what), "{text}: {}", message(text));
        }
        assert!(message("q=1").ends_with("expected such as 'q=0:10:101,t=0:10:101', or a value: q=1"));
    }
}
