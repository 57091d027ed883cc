"""DICOM as bytes: headers, attributes, character sets, JSON. Pure: no I/O, no state."""
