//! What a node asks of an example.

use std::collections::HashMap;

use smc_proto::yggdrasil::{AbstractModel, Column, NodeCondition, condition::Type};

use super::{Feature, Features, Term, Test};

/// The most values that a feature or label can have: more have no number of their own in f32.
pub const MAX_VALUES: i64 = 1 << 23;

/// Where conditions find features.
pub struct Columns<'a> {
    columns: &'a [Column],
    places: HashMap<i32, Feature>,
    pub features: Features,
}

impl<'a> Columns<'a> {
    /// The features of each kind come in the order of the model's input features.
    pub fn new(model: &AbstractModel, columns: &'a [Column]) -> Result<Columns<'a>, String> {
        let mut all = Columns { columns, places: HashMap::new(), features: Features::default() };
        for &at in &model.input_features {
            let column = usize::try_from(at).ok().and_then(|at| columns.get(at));
            let column = column.ok_or_else(|| format!("the forest has no column {at}"))?;
            let features = &mut all.features;
            let values = || {
                let count = column.categorical.as_ref().map_or(0, |spec| spec.number_of_unique_values());
                let fits = (1..=MAX_VALUES).contains(&count);
                fits.then_some(count).ok_or_else(|| format!("feature `{}` has {count} values", column.name()))
            };
            let feature = match column.r#type() {
                1 | 9 => {
                    features.numerical += 1;
                    Feature::Numerical(features.numerical - 1)
                }
                7 => {
                    features.boolean += 1;
                    Feature::Boolean(features.boolean - 1)
                }
                4 => {
                    features.categorical.push(values()?);
                    Feature::Categorical(features.categorical.len() - 1)
                }
                5 => {
                    features.sets.push(values()?);
                    Feature::Set(features.sets.len() - 1)
                }
                other => return Err(format!("type {other} of feature `{}` is not supported", column.name())),
            };
            all.places.insert(at, feature);
        }
        Ok(all)
    }

    fn feature(&self, at: i32) -> Result<Feature, String> {
        self.places.get(&at).copied().ok_or_else(|| format!("a condition looks at column {at}, which is no feature"))
    }

    /// What a node asks, and the answer where the feature has no value.
    pub fn test(&self, condition: NodeCondition) -> Result<(Test, bool), String> {
        let (missing, at) = (condition.na_value(), condition.attribute());
        let kind = condition.condition.and_then(|c| c.r#type).ok_or("a condition of a forest says nothing")?;
        let unfit = |feature: Feature| format!("a condition does not fit {feature:?}");
        let test = match kind {
            Type::NaCondition(_) => Test::Missing { feature: self.feature(at)? },
            Type::HigherCondition(higher) => match self.feature(at)? {
                feature @ Feature::Numerical(_) => Test::AtLeast { feature, threshold: higher.threshold() },
                other => return Err(unfit(other)),
            },
            Type::TrueValueCondition(_) => match self.feature(at)? {
                feature @ Feature::Boolean(_) => Test::AtLeast { feature, threshold: 0.5 },
                other => return Err(unfit(other)),
            },
            Type::DiscretizedHigherCondition(higher) => match self.feature(at)? {
                feature @ Feature::Numerical(_) => self.discretized(feature, at, higher.threshold()),
                other => return Err(unfit(other)),
            },
            Type::ContainsCondition(contains) => {
                let (feature, values) = self.values(at)?;
                let mut items = vec![];
                for item in contains.elements {
                    let place = usize::try_from(item).ok().filter(|_| i64::from(item) < values);
                    let place = place.ok_or_else(|| format!("a condition names value {item} of {values}"))?;
                    if items.len() <= place / 8 {
                        items.resize(place / 8 + 1, 0);
                    }
                    items[place / 8] |= 1 << (place % 8);
                }
                Test::Contains { feature, items }
            }
            Type::ContainsBitmapCondition(contains) => {
                let (feature, values) = self.values(at)?;
                let mut items = contains.elements_bitmap().to_vec();
                items.truncate(values.unsigned_abs().div_ceil(8) as usize);
                if let (Some(last), rest @ 1..) = (items.get_mut(values as usize / 8), values % 8) {
                    *last &= (1 << rest) - 1;
                }
                Test::Contains { feature, items }
            }
            Type::ObliqueCondition(oblique) => {
                let count = oblique.attributes.len();
                let replaced = oblique.na_replacements.len();
                if count == 0 || oblique.weights.len() != count || !(replaced == 0 || replaced == count) {
                    return Err(format!("a sum of {count} features with {} weights", oblique.weights.len()));
                }
                let term = |n: usize| match self.feature(oblique.attributes[n])? {
                    feature @ Feature::Numerical(_) => Ok(Term {
                        feature,
                        weight: oblique.weights[n],
                        replacement: oblique.na_replacements.get(n).copied(),
                    }),
                    other => Err(unfit(other)),
                };
                let terms = (0..count).map(term).collect::<Result<_, String>>()?;
                Test::Sum { terms, threshold: oblique.threshold() }
            }
            Type::NumericalVectorSequence(_) => {
                return Err("conditions on sequences of vectors are not supported".into());
            }
        };
        Ok((test, missing))
    }

    /// A feature that has values, and how many.
    fn values(&self, at: i32) -> Result<(Feature, i64), String> {
        match self.feature(at)? {
            feature @ Feature::Categorical(n) => Ok((feature, self.features.categorical[n])),
            feature @ Feature::Set(n) => Ok((feature, self.features.sets[n])),
            other => Err(format!("a condition does not fit {other:?}")),
        }
    }

    /// A number's bin is how many boundaries are at most as great; so it is at least `bin` where the boundary before is.
    fn discretized(&self, feature: Feature, at: i32, bin: i32) -> Test {
        let spec = usize::try_from(at).ok().and_then(|at| self.columns[at].discretized_numerical.as_ref());
        let boundaries = spec.map_or(&[][..], |spec| &spec.boundaries);
        match usize::try_from(i64::from(bin) - 1) {
            Err(_) => Test::AtLeast { feature, threshold: f32::NEG_INFINITY },
            Ok(before) => match boundaries.get(before) {
                Some(&threshold) => Test::AtLeast { feature, threshold },
                None => Test::Never { feature },
            },
        }
    }
}
