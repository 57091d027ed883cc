"""DICOM as bytes, without I/O or state: headers, attributes, character sets, JSON, pixels."""
