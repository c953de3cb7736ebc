//! Markers: one type for each event, each sort of state, for losses and for the recording itself.

use fxprof_processed_profile::{
    CategoryHandle, Marker, MarkerFieldFlags, MarkerFieldFormat, MarkerLocations, MarkerTypeHandle, Profile,
    RuntimeSchemaMarkerField, RuntimeSchemaMarkerSchema, StringHandle,
};

/// A type of markers, all fields of which are text: what is unknown has no number.
#[derive(Clone, Copy, Debug)]
pub struct MarkerType {
    handle: MarkerTypeHandle,
    name: StringHandle,
    category: CategoryHandle,
}

impl MarkerType {
    /// Registers a type with these fields, of which the label of a marker shows the first.
    pub fn new<'a>(
        profile: &mut Profile,
        name: &str,
        category: CategoryHandle,
        fields: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let fields: Vec<_> = fields
            .into_iter()
            .map(|name| RuntimeSchemaMarkerField {
                key: name.to_owned(),
                label: name.replace('_', " "),
                format: MarkerFieldFormat::String,
                flags: MarkerFieldFlags::SEARCHABLE,
            })
            .collect();
        let label = |separator: &str| {
            let values: Vec<_> =
                fields.iter().map(|field| format!("{} {{marker.data.{}}}", field.label, field.key)).collect();
            values.join(separator)
        };
        let handle = profile.register_marker_type(RuntimeSchemaMarkerSchema {
            type_name: name.replace(' ', "_"),
            description: None,
            locations: MarkerLocations::MARKER_CHART
                | MarkerLocations::MARKER_TABLE
                | MarkerLocations::TIMELINE_OVERVIEW,
            chart_label: fields.first().map(|field| format!("{{marker.data.{}}}", field.key)),
            tooltip_label: None,
            table_label: Some(label(", ")),
            fields,
            graphs: Vec::new(),
        });
        Self { handle, name: profile.intern_string(name), category }
    }

    /// A marker of that type with the values of its fields.
    pub fn marker(self, values: Vec<StringHandle>) -> Filled {
        Filled { of: self, values }
    }
}

/// A marker.
pub struct Filled {
    of: MarkerType,
    values: Vec<StringHandle>,
}

impl Marker for Filled {
    fn marker_type(&self, _profile: &mut Profile) -> MarkerTypeHandle {
        self.of.handle
    }

    fn name(&self, _profile: &mut Profile) -> StringHandle {
        self.of.name
    }

    fn category(&self, _profile: &mut Profile) -> CategoryHandle {
        self.of.category
    }

    fn string_field_value(&self, field: u32) -> StringHandle {
        self.values[field as usize]
    }

    fn number_field_value(&self, _field: u32) -> f64 {
        0.0 // No field is a number.
    }
}
